"""The documents hold: every link, anchor, path, session, key and table of them is what the repository has."""

from __future__ import annotations

import ast
import posixpath
import re
import runpy
import tomllib
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import unquote, urlsplit

import pytest
from pydantic import BaseModel

import docpages
import pagedata
from tfwheel.colab import runtimes
from tfwheel.config import build_config, ci_settings, eras, gpu_support, plan, schema
from tfwheel.config.paths import ROOT
from tfwheel.index import ledger, site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = ROOT / "README.md"
DOCS = ROOT / "index" / "docs"
WORDS = range(900, 1201)  # of the README, as `wc -w` counts
ON_GITHUB = re.compile(r"\.\./\.\./actions/workflows/([\w-]+\.yml)(?:/badge\.svg)?")  # works on any fork
PATHS = re.compile(r"(?:\.ci|\.github|build_config|index|scripts|tests)/[\w./<>*-]*")
MADE = {"index/ledger.jsonl", "index/install/"}  # by publishing, or by locking
LANGUAGES = {*docpages.SHELLS, "toml", "python", "text"}
IMAGE_BYTES, ALL_IMAGE_BYTES = 200_000, 400_000
KEYS: dict[str, Any] = {
    "targets.toml": schema.TargetsFile,
    "lines.toml": schema.LineEntry,
    "sources.toml": eras.SourcesFile,
    "eras/2.20.toml": eras.Era,
    "repair.toml": schema.RepairFile,
    "index.toml": schema.IndexSettings,
    "companions.toml": schema.CompanionsFile,
    "watched.toml": schema.WatchedFile,
    "runners.toml": ci_settings.RunnersFile,
    "subsets.toml": ci_settings.SubsetsFile,
    "gpus.toml": gpu_support.GpusFile,
    "runtimes.toml": runtimes.RuntimesFile,
}

each_document = pytest.mark.parametrize("path", docpages.DOCUMENTS, ids=docpages.name_of)


# --- links -----------------------------------------------------------------------------------------------


@each_document
def test_every_link_leads_to_a_file_and_a_heading_of_the_repository(path: Path) -> None:
    for link in docpages.links(path):
        target = urlsplit(link)
        if target.scheme:
            assert re.fullmatch(r"https://[\w.-]+\.[a-z]+(/\S*)?", link), link
        elif found := ON_GITHUB.fullmatch(link):
            assert (path, (ROOT / ".github/workflows" / found[1]).is_file()) == (README, True), link
        else:
            file = (path.parent / unquote(target.path)).resolve() if target.path else path
            assert file.is_relative_to(ROOT), f"{link} leaves the repository"
            assert file.exists(), link
            assert not target.fragment or target.fragment in docpages.anchors(file), link


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Every file of a site by its path, pages with their text."""
    entries = sorted(pagedata.release(), key=lambda entry: entry.place)
    lines = b"".join(ledger.encode(entry) + b"\n" for entry in entries)
    content = site.SiteContent(settings=build_config.load())
    files = {
        name: data
        for part in site.parts(ledger.parse(lines, name="x"), content).values()
        for name, data in part.make().items()
    }
    texts = {name: bytes(data).decode() if name.endswith(".html") else "" for name, data in files.items()}
    return texts | {"manifest.json": ""}


def test_every_link_of_the_site_leads_to_a_page_and_an_anchor_of_it(pages: dict[str, str]) -> None:
    shown = [name for name in pages if name == "index.html" or name.startswith("docs/")]
    assert len(shown) > 10
    for name in shown:
        for link in re.findall(r'(?:href|src)="([^"]*)"', pages[name]):
            target = urlsplit(link)
            if target.scheme in {"https", "data"} or target.path.endswith(".whl"):
                continue
            file = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(target.path)))
            file = name if not target.path else f"{file}/index.html" if target.path.endswith("/") else file
            assert file in pages, f"{name}: {link}"
            assert not target.fragment or f'id="{target.fragment}"' in pages[file], f"{name}: {link}"


def test_every_document_is_in_the_contents_and_the_readme() -> None:
    names = {path.name for path in DOCS.glob("*.md")} - {"README.md"}
    assert set(docpages.links(DOCS / "README.md")) == names
    assert {f"index/docs/{name}" for name in names} <= set(docpages.links(README))


# --- size and words --------------------------------------------------------------------------------------


def test_the_readme_is_a_front_door() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) in WORDS
    assert text.index("pip install nox uv && nox -s build-cuda12") < text.index("| TensorFlow | Python |")
    assert len(re.findall(r"^> \*\*Status\.", text, re.MULTILINE)) == 1


def test_images_are_small_and_shown() -> None:
    images = sorted((DOCS / "images").glob("*"))
    sizes = [path.stat().st_size for path in images]
    assert max(sizes) <= IMAGE_BYTES
    assert sum(sizes) <= ALL_IMAGE_BYTES
    shown = {posixpath.basename(link) for path in docpages.DOCUMENTS for link in docpages.links(path)}
    assert {path.name for path in images} <= shown


@each_document
def test_no_document_names_a_place_of_one_machine(path: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:root|home|tmp|work)/", path.read_text(encoding="utf-8"))


# --- code ------------------------------------------------------------------------------------------------


@each_document
def test_every_block_has_a_language_and_is_run_or_says_why_not(path: Path) -> None:
    for block in docpages.blocks(path):
        assert block.language in LANGUAGES, block.where
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "python":
            ast.parse(block.text)
        elif block.language in docpages.SHELLS and not block.reason:
            programs = {line.split()[0] for line in block.text.splitlines() if line.strip()}
            assert programs <= {"nox"}, f"{block.where}: say `{block.language} {docpages.NOT_RUN} REASON`"


@each_document
def test_every_session_that_is_named_exists(path: Path) -> None:
    named = set(re.findall(r'nox -s "?([\w-]+)', path.read_text(encoding="utf-8")))
    assert named <= docpages.sessions().keys()


VERSION = re.compile(r"\b\d+\.\d+\.\d+\+(?:cpu|cu\d)[a-z\d]*\.\d+")
EXAMPLES = {"2.21.0+cpu.1"}  # of the target that the customise page adds
SETTINGS = [path for pattern in ("build_config/*.toml", ".github/**/*.yml") for path in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("path", [*docpages.DOCUMENTS, *SETTINGS, ROOT / "noxfile.py"], ids=docpages.name_of)
def test_every_version_that_is_named_is_built(path: Path) -> None:
    built = {target.version for target in plan.targets(build_config.load())}
    assert set(VERSION.findall(path.read_text(encoding="utf-8"))) <= built | EXAMPLES


def test_the_readme_says_what_is_built_by_default() -> None:
    default = [target for target in plan.targets(build_config.load()) if target.default]
    pythons, versions = (sorted({getattr(target, name) for target in default}) for name in ("python", "tensorflow"))
    text = " ".join(README.read_text(encoding="utf-8").split())
    words = f"TensorFlow {versions[0]} for Python {', '.join(pythons[:-1])} and {pythons[-1]} on "
    assert len(versions) == 1
    assert f"alone build {words}" in text
    assert all(
        f"`{line}`" in text.partition(words)[2].partition(";")[0] for line in {target.line.name for target in default}
    )


@each_document
def test_every_path_that_is_named_exists(path: Path) -> None:
    for name in docpages.code(path):
        if name in MADE:
            continue
        if PATHS.fullmatch(name):
            assert list(ROOT.glob(re.sub(r"<[^>]*>", "*", name.rstrip("/")))), name
        elif re.fullmatch(r"[a-z-]+\.yml", name):
            assert (ROOT / ".github/workflows" / name).is_file(), name


def test_contributing_explains_the_sessions_that_the_page_about_builds_leaves_to_it() -> None:
    rows = docpages.table(DOCS / "build.md", "## Sessions")
    left = {name for row in rows if "CONTRIBUTING" in row[1] for name in re.findall(r"`([^`]*)`", row[0])}
    text = (ROOT / ".github/CONTRIBUTING.md").read_text(encoding="utf-8")
    assert len(left) > 5
    assert {name for name in left if f"`{name}`" not in text and f"nox -s {name}`" not in text} == set()


# --- tables ----------------------------------------------------------------------------------------------


def keys(model: type[BaseModel], before: str = "") -> Iterator[str]:
    """The keys of a file, with dots; those of a table within it follow the table's own."""
    for name, field in model.model_fields.items():
        inner = [kind for kind in _kinds(field.annotation) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        yield from keys(inner[0], f"{before}{name}.") if inner else [f"{before}{name}"]


def _kinds(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 -- any annotation
    yield annotation
    for argument in get_args(annotation):
        yield from _kinds(argument)


@pytest.mark.parametrize("file", KEYS)
def test_the_customise_page_lists_every_key_and_no_other(file: str) -> None:
    rows = docpages.table(DOCS / "customise.md", f"### `{file}`")
    listed = {key for row in rows for key in re.findall(r"`([^`]*)`", row[0])}
    known = {re.sub(r"^event\.\w+\.", "event.<event>.", key) for key in keys(KEYS[file])}
    tables = {key.rpartition(".")[0] for key in known}
    assert known <= listed <= known | tables


def charter(folder: Path) -> str:
    """What a package says it is for."""
    return ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""


def test_the_architecture_page_has_the_rooms_their_charters_and_their_imports() -> None:
    rooms = runpy.run_path(str(ROOT / "tests/house/test_rooms.py"))["ROOMS"]
    rows = docpages.table(DOCS / "architecture.md", "## The rooms")
    shown = [
        (docpages.plain(room), docpages.plain(text), set(re.findall(r"`(\w+)`", imports)))
        for room, text, imports in rows
    ]
    assert shown == [(room, charter(ROOT / "scripts/tfwheel" / room), imports) for room, imports in rooms.items()]


def test_the_architecture_page_has_the_equipment() -> None:
    scripts = ROOT / "scripts"
    rows = docpages.table(DOCS / "architecture.md", "## The equipment")
    folders = {path.parent for path in scripts.glob("*/__init__.py")} - {scripts / "tfwheel"}
    expected = {f"scripts/{folder.name}/": charter(folder) for folder in folders}
    assert {docpages.plain(folder): docpages.plain(text) for folder, text in rows} == expected


def test_the_modules_of_the_flow_exist() -> None:
    flow = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## The flow of a build\n")[2]
    rooms = "|".join(path.parent.name for path in (ROOT / "scripts/tfwheel").glob("*/__init__.py"))
    named = set(re.findall(rf"\b((?:{rooms})\.[a-z_]+)\b", flow.partition("\n## ")[0]))
    assert len(named) > 15
    assert {name for name in named if not (ROOT / f"scripts/tfwheel/{name.replace('.', '/')}.py").is_file()} == set()


@pytest.mark.parametrize("form", sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")), ids=lambda form: form.stem)
def test_every_issue_form_asks_for_the_plan_and_for_versions(form: Path) -> None:
    text = form.read_text(encoding="utf-8")
    assert "label: Output of `nox -s plan`" in text
    assert "label: Versions" in text or "doctor.py | python3 - --report" in text  # which has them
