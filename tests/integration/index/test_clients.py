"""Clients: Colab's pip, the newest pip and uv resolve and install from the pages and assets as they are published.

The bytes that each reads are counted by the server; the table of all of it is printed at the end.
"""

from __future__ import annotations

import random
import re
import shutil
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.table import Table

import assethost
import fakewheels
import sharing
from tfwheel.index import atomic_tree, ledger, simple_pages
from tfwheel.index.ledger_entry import LedgerEntry
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from assethost import AssetHost

CLIENTS = ("pip 24.1.2", "pip newest", "uv")  # the first is Colab's
PIPS = CLIENTS[:2]
RESOLVING_LIMIT = 100_000  # bytes
BIG = random.Random(8).randbytes(8_000_000)  # noqa: S311 -- bytes that do not compress
VERSION = "2.20.0+cu125.1"


@pytest.fixture(scope="session")
def pips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An environment with each pip; its Python."""

    def make(folder: Path) -> None:
        for name, wanted in zip(PIPS, ("pip==24.1.2", "pip"), strict=True):
            run([sys.executable, "-m", "virtualenv", "-q", "--no-periodic-update", folder / name])
            run([folder / name / "bin" / "python", "-I", "-m", "pip", "install", "-q", "--upgrade", wanted])

    folder = sharing.once(tmp_path_factory, "clients", make)
    return {name: folder / name / "bin" / "python" for name in PIPS}


@pytest.fixture(scope="module")
def table(pips: dict[str, Path], request: pytest.FixtureRequest) -> Iterator[dict[str, dict[str, str]]]:
    """What each client did, by what was asked of it; printed when all are done."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    yield found
    versions = {name: run([python, "-m", "pip", "--version"]).split()[1] for name, python in pips.items()}
    versions["uv"] = run([sys.executable, "-m", "uv", "--version"]).split()[1]
    shown = Table("what was asked", *(f"{name.split()[0]} {versions[name]}" for name in CLIENTS))
    for what, answers in found.items():
        shown.add_row(what, *(answers.get(name, "-") for name in CLIENTS))
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        Console(width=150).print("\n", shown)


@dataclass(frozen=True, kw_only=True)
class World:
    """A site on a pages host, its wheels on an asset host, and the clients that look at both."""

    host: AssetHost
    folder: Path
    pips: dict[str, Path]
    entries: list[LedgerEntry]

    def publish(
        self,
        version: str = VERSION,
        *,
        name: str = "tensorflow",
        line: str = "cu12",
        body: bytes = b"",
        needs: str = "",
        uploaded: str = "2026-11-01T00:00:00Z",
        yanked: str | None = None,
        requires_python: str = ">=3.9",
    ) -> LedgerEntry:
        """Upload a wheel and its sidecar, and show it on the page of its line."""
        extra = f"Requires-Dist: {needs}\n" if needs else ""
        members = {f"{name}/__init__.py": f"version = '{version}'\n".encode(), f"{name}/data.bin": body}
        made = self.folder / "made"
        wheel = fakewheels.write_wheel(made, members, name=name, version=version, tag="py3-none-any", extra=extra)
        sidecar, data = metadata.metadata_of(wheel), wheel.read_bytes()
        url = self.host.upload("v1", wheel.name, data)
        self.host.upload("v1", f"{wheel.name}.metadata", sidecar)
        entry = LedgerEntry(
            project=name,
            version=version,
            file=wheel.name,
            line=line,
            url=url,
            sha256=sha256(data).hexdigest(),
            size=len(data),
            uploaded=uploaded,
            requires_python=requires_python,
            metadata_sha256=sha256(sidecar).hexdigest(),
            target="t",
            yanked=yanked,
        )
        self.entries.append(entry)
        self.show()
        return entry

    def show(self) -> None:
        """Bring the site up to date with the entries."""
        ordered = sorted(self.entries, key=lambda entry: entry.place)
        lines = b"".join(ledger.encode(entry) + b"\n" for entry in ordered)
        atomic_tree.update(self.host.site, simple_pages.parts(ledger.parse(lines, name="x").entries))

    def alter(self, pattern: str, replacement: str) -> None:
        """Edit the page of tensorflow on cu12, as a broken or hostile host would."""
        page = self.host.site / "cu12" / "tensorflow" / "index.html"
        text, count = re.subn(pattern, replacement, page.read_text())
        assert count
        page.write_text(text)

    def install(self, client: str, *words: str, indexes: tuple[str, ...] = ("main", "cu12")) -> str:
        """Install into a folder of its own, our index beside the main one; returns what the client said."""
        first, *more = [f"{self.host.pages}{line}/" for line in indexes]
        target = ["--target", str(self.out(client))]
        if client == "uv":
            argv = [sys.executable, "-m", "uv", "pip", "install", "--no-cache", "--no-config", "--default-index", first]
            argv += [word for url in more for word in ("--index", url)]
        else:
            argv = [str(self.pips[client]), "-I", "-m", "pip", "--isolated", "install", "--no-cache-dir"]
            argv += ["--index-url", first, *(word for url in more for word in ("--extra-index-url", url))]
        self.host.requests.clear()
        return run([*argv, *target, *words])

    def out(self, client: str) -> Path:
        """Where a client installs into."""
        return self.folder / client.replace(" ", "-")

    def installed(self, client: str, name: str = "tensorflow") -> str:
        """The version that is there."""
        (found,) = self.out(client).glob(f"{name}-*.dist-info")
        return found.name.removesuffix(".dist-info").split("-")[1]

    def read_beside(self, *chosen: LedgerEntry) -> int:
        """How many bytes went out for anything but the wheels that were installed in the end."""
        files = {entry.file for entry in chosen}
        return sum(request.sent for request in self.host.requests if request.name not in files)


@pytest.fixture
def world(tmp_path: Path, pips: dict[str, Path]) -> Iterator[World]:
    with assethost.running(tmp_path / "site", tmp_path / "assets") as host:
        made = World(host=host, folder=tmp_path, pips=pips, entries=[])
        made.publish("1.0", name="dep", line="main")
        yield made


Answers = dict[str, dict[str, str]]


@pytest.mark.parametrize("client", CLIENTS)
def test_the_exact_pin_is_installed_and_only_its_sidecar_is_read_to_decide(
    client: str, world: World, table: Answers
) -> None:
    entry = world.publish(needs="dep")
    world.install(client, f"tensorflow=={VERSION}")
    assert world.installed(client) == VERSION
    blobs = [path for path in world.host.paths("^/blob/") if "tensorflow" in path]
    assert blobs == [f"/blob/v1/{entry.file}.metadata", f"/blob/v1/{entry.file}"]
    table["exact pin, extra index, 302, %2B in the address"][client] = "installs"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("sidecars", [True, False])
def test_backtracking_over_five_candidates_reads_kilobytes(
    client: str, world: World, table: Answers, *, sidecars: bool
) -> None:
    dep = world.entries[0]
    wheels = [world.publish(f"2.{n}.0", body=BIG, needs=f"dep=={n}.0") for n in range(1, 6)]
    if not sidecars:
        world.alter(r' data-(core|dist-info)-metadata="[^"]*"', "")
    world.install(client, "tensorflow")
    assert world.installed(client) == "2.1.0"
    read = world.read_beside(wheels[0], dep)
    what = "bytes read beside the installed wheels, 5 candidates of 8 MB, " + (
        "sidecars" if sidecars else "no sidecars"
    )
    table[what][client] = f"{read:,}"
    if sidecars:
        assert read <= RESOLVING_LIMIT
    elif client in PIPS:  # what the sidecars are for; uv reads ranges then
        assert read > 4 * len(BIG)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("attribute", ["wheel", "sidecar"])
def test_other_bytes_than_the_listed_ones_are_refused(
    client: str, attribute: str, world: World, table: Answers
) -> None:
    entry = world.publish()
    path = world.host.assets / "v1" / (entry.file if attribute == "wheel" else f"{entry.file}.metadata")
    if attribute == "wheel":
        other = fakewheels.write_wheel(
            world.folder / "evil", {"tensorflow/evil.py": b""}, name="tensorflow", version=VERSION, tag="py3-none-any"
        )
        path.write_bytes(other.read_bytes())
    else:
        path.write_bytes(path.read_bytes() + b"altered\n")
    with pytest.raises(CommandError, match=r"(?i)hash"):
        world.install(client, f"tensorflow=={VERSION}")
    assert not (world.out(client) / "tensorflow").exists()
    table[f"{attribute} with other bytes"][client] = "refuses"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("reason", ["", "CUDA 12.5 <broken>"])
def test_a_yanked_version_is_only_taken_by_its_exact_pin(
    client: str, reason: str, world: World, table: Answers
) -> None:
    world.publish()
    world.publish("2.21.0+cu125.1", yanked=reason)
    world.install(client, "tensorflow")
    assert world.installed(client) == VERSION
    shutil.rmtree(world.out(client))
    said = world.install(client, "tensorflow==2.21.0+cu125.1")
    assert world.installed(client) == "2.21.0+cu125.1"
    assert "yanked" in said
    assert reason in said
    what = "yanked newest, unpinned / pinned" + (", with reason" if reason else ", no reason")
    table[what][client] = "skips / warns" + (" and gives the reason" if reason else "")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_version_for_other_pythons_is_passed_over_without_reading_it(
    client: str, world: World, table: Answers
) -> None:
    world.publish()
    newer = world.publish("2.21.0", requires_python=">=4")
    world.install(client, "tensorflow")
    assert world.installed(client) == VERSION
    assert not world.host.paths(re.escape(newer.file))
    table["newest is for another Python"][client] = "skips it unread"


@pytest.mark.parametrize(
    ("client", "words", "taken"),
    [
        ("pip 24.1.2", [], "2.20.0+cu128.1"),
        ("pip newest", [], "2.20.0+cu128.1"),
        ("uv", ["--index-strategy", "first-index"], VERSION),
        ("uv", ["--index-strategy", "unsafe-best-match"], "2.20.0+cu128.1"),
    ],
)
def test_which_index_wins_is_the_clients_rule(
    client: str, words: list[str], taken: str, world: World, table: Answers
) -> None:
    world.publish()
    world.publish("2.20.0+cu128.1", line="main")
    world.install(client, "tensorflow==2.20.0", *words)
    assert world.installed(client) == taken
    what = "cu128 on the main index, cu125 here, ==2.20.0" + (f", {words[1]}" if words else "")
    table[what][client] = taken.split("+")[1]


@pytest.mark.parametrize("client", CLIENTS)
def test_exclude_newer_takes_the_state_of_a_day(client: str, world: World, table: Answers) -> None:
    world.publish(uploaded="2026-01-01T00:00:00Z")
    world.publish("2.21.0", uploaded="2026-10-01T00:00:00Z")
    what = "state of an earlier day (--exclude-newer, --uploaded-prior-to)"
    if client == "uv":
        world.install(client, "tensorflow", "--exclude-newer", "2026-06-01T00:00:00Z")
        assert world.installed(client) == VERSION
        table[what][client] = "takes the older"
        return
    with pytest.raises(CommandError) as caught:
        world.install(client, "tensorflow", "--uploaded-prior-to", "2026-06-01T00:00:00Z")
    table[what][client] = "no such option" if "no such option" in caught.value.output else "refuses HTML pages"


def test_uv_locks_with_an_explicit_index_and_installs_from_the_lock(world: World, table: Answers) -> None:
    entry = world.publish(needs="dep")
    project = world.folder / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(f"""\
[project]
name = "notebook"
version = "1"
requires-python = ">=3.11"
dependencies = ["tensorflow=={VERSION}"]
[tool.uv.sources]
tensorflow = {{ index = "wheels" }}
[[tool.uv.index]]
name = "main"
url = "{world.host.pages}main/"
default = true
[[tool.uv.index]]
name = "wheels"
url = "{world.host.pages}cu12/"
explicit = true
""")
    uv = [sys.executable, "-m", "uv", "--no-cache", "--project", str(project)]
    # nox names its own environment in UV_PROJECT_ENVIRONMENT; `uv sync` would empty it.
    env = {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never", "VIRTUAL_ENV": ""}
    env["UV_PROJECT_ENVIRONMENT"] = str(project / ".venv")
    run([*uv, "lock"], env=env)
    packages = {row["name"]: row for row in tomllib.loads((project / "uv.lock").read_text())["package"]}
    (wheel,) = packages["tensorflow"]["wheels"]
    assert wheel["hash"] == f"sha256:{entry.sha256}"
    assert wheel["size"] == entry.size
    assert wheel["upload-time"].startswith("2026-11-01T00:00:00")
    assert not world.host.paths(re.escape(entry.file) + "$")
    run([*uv, "sync", "--locked"], env=env)
    assert list(project.glob(f".venv/lib/*/site-packages/tensorflow-{VERSION}.dist-info"))
    table["uv lock with an explicit index, uv sync --locked"]["uv"] = "hash, size and time locked; installs"
