"""One line of a ledger: what every field must be, and that nothing else ever reaches a page or a path."""

from __future__ import annotations

import hashlib
import json
import random
import re
from html.parser import HTMLParser
from pathlib import PurePosixPath
from typing import Any

import pytest
from msgspec.structs import asdict, replace

import pagedata
from ledgers import entry
from tfwheel.errors import FactoryError
from tfwheel.index import ledger, ledger_entry, manifest, site
from tfwheel.index.errors import LedgerDamagedError, NameTakenError
from tfwheel.index.ledger_entry import LedgerEntry
from tfwheel.index.site import SiteContent

ONE = entry(1)
NAMES = LedgerEntry.__struct_fields__
SCRIPT = '"><script>alert(1)</script>'
CONTENT = SiteContent(settings=pagedata.CONFIG)


def forged(**facts: object) -> bytes:
    """A line whose digest is right and whose fields are these."""
    rest = json.dumps(facts, sort_keys=True, separators=(",", ":"))[1:].encode()
    return b'{"_check":"%s",%s\n' % (hashlib.sha256(rest).hexdigest()[:16].encode(), rest)


def at(place: str) -> str:
    """A URL of the file there."""
    return f"{place}{ONE.file}"


def named(project: str, version: str) -> dict[str, str]:
    """The fields of a wheel of that name."""
    rest = ONE.file.split("-", 2)[2]
    file = f"{project}-{version}-{rest}"
    return {"project": project, "version": version, "file": file, "url": f"https://example.org/{file}"}


HOSTILE: list[tuple[str, dict[str, Any]]] = [
    *((f"a path in {name}", {name: "../../x"}) for name in NAMES if name not in {"size", "yanked", "removed"}),
    *((f"a script in {name}", {name: SCRIPT}) for name in NAMES if name not in {"size", "yanked", "removed"}),
    *((f"another type in {name}", {name: {"a": [1]}}) for name in NAMES if "smoke" not in name),
    *((f"none in {name}", {name: None}) for name in ("project", "url", "size", "gpu_code")),
    *((f"a control character in {name}", {name: "a\x1b[31m"}) for name in NAMES if "smoke" not in name),
    *(
        (f"URL {url}", {"url": url})
        for url in (
            "javascript:alert(1)//" + ONE.file,
            at("https://user:password@example.org/"),
            at("https://token@example.org/"),
            at("http://h/files"),
            at("http://h/") + "?x=1",
            at("http://h/") + "#x",
            at("http://h/../"),
            at("http://h/%2e%2e/"),
            at("http://h/a b/"),
            at("http://h/`id`/"),
            at("//h/"),
            at("file:///"),
            at("ftp://h/"),
            at("http://h:123456/"),
            "https://example.org/another.whl",
        )
    ),
    ("a folder of the site", {"line": "docs"}),
    ("a folder of the site", {"line": "install"}),
    ("a requirement without an answer", {"requires": ['foo; python_version ~= "abc"']}),
    ("another one", {"requires": ['foo; platform_version ~= "5"']}),
    ("a negative size", {"size": -1}),
    ("no size", {"size": 0}),
    ("a size beyond numbers", {"size": 1 << 60}),
    ("a day that does not exist", {"uploaded": "2026-02-30T00:00:00Z"}),
    ("digits of other scripts", {"uploaded": "2026-11-2\u0661T00:00:00Z"}),
    ("a shell's history", named("tensorflow", "1!2.20.0")),
    ("a command", named("tensorflow", "2.20.0$(id)")),
    ("not a version", named("tensorflow", "latest")),
    ("a version of 5,000 digits", named("tensorflow", "2" * 5000)),
    ("a project of another file", {"project": "numpy"}),
    ("a version of another file", {"version": "2.21.0"}),
    ("not a wheel", {"file": "tensorflow-2.20.0.tar.gz"}),
    ("an unknown field", {"extra": 1}),
    ("an odd Requires-Python", {"requires_python": ">=3.9; rm"}),
    ("half a character", {"yanked": "\ud800"}),
    ("a smoke report of another type", {"smoke": {"passed": "yes"}}),
    ("an image that is none", {"gpu_code": {"ops": ["sm_75", "<b>"]}}),
    ("an unknown kind of GPU code", {"gpu_code": {"<b>": ["sm_75"]}}),
]


@pytest.mark.parametrize("change", [change for _, change in HOSTILE], ids=[name for name, _ in HOSTILE])
def test_a_line_that_no_page_may_show_is_refused_when_it_is_read(change: dict[str, Any]) -> None:
    data = forged(**(asdict(ONE) | change))
    with pytest.raises(LedgerDamagedError, match=r"x, line 1: not a"):
        ledger.parse(data, name="x")


@pytest.mark.parametrize(
    "other",
    [
        named("TensorFlow", "2.20.0+cu125.1"),
        named("tensorflow", "2.20+cu125.1"),
        named("tensorflow", "2.20.0.0+CU125.1"),
        {"file": ONE.file.replace("cp312-cp312", "CP312-cp312"), "url": ""},
    ],
)
def test_a_twin_in_another_spelling_is_refused(other: dict[str, str]) -> None:
    twin = replace(entry(2), **{"project": ONE.project, "version": ONE.version, **other})
    lines = b"".join(ledger.encode(one) + b"\n" for one in (ONE, twin))
    with pytest.raises(NameTakenError, match=r"lines 1 and 2: .* are one wheel to installers"):
        ledger.parse(lines, name="x")


def test_every_field_has_a_shape() -> None:
    assert {*ledger_entry.SHAPES, *ledger_entry.SPLIT, *ledger_entry.EVIDENCE} == set(NAMES)


def test_deep_nesting_is_refused() -> None:
    rest = b'"smoke":{"gpu":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001 + b"}"
    line = b'{"_check":"%s",%s\n' % (hashlib.sha256(rest).hexdigest()[:16].encode(), rest)
    with pytest.raises(LedgerDamagedError):
        ledger.parse(line, name="x")


# --- fuzz ------------------------------------------------------------------------------------------------

MARK = "zq"  # every value that was mutated has it
SEEDS = [
    *(f"{MARK}{SCRIPT}", f"{MARK}' onload='alert(1)", f"{MARK}</title>", f"../{MARK}", f"/{MARK}", f"{MARK}\n$(id)"),
    *(
        f"javascript:{MARK}",
        f"https://u:p@h/{MARK}",
        f"{MARK}&lt;",
        MARK,
        f"{MARK}-->",
        f"{MARK}]]>",
        f"{MARK}{{{{7*7}}}}",
    ),
    *(f"{MARK}%s%s", f"{MARK}\\", f"{MARK}`", f"%2e%2e%2f{MARK}", f"{MARK};x", f"C:\\{MARK}", f"{MARK}é"),
]


class Page(HTMLParser):
    """What a browser would make of a page: elements, their attributes, and scripts."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.policies: list[str] = []
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self.tags.add(tag)
        self.attributes |= facts.keys()
        self.links += [facts[name] or "" for name in ("href", "src") if name in facts]
        if facts.get("http-equiv") == "Content-Security-Policy":
            self.policies.append(facts["content"] or "")


def mutated(rng: random.Random) -> dict[str, Any]:
    """The fields of an entry, some of them replaced, cut or with something added."""
    facts: dict[str, Any] = asdict(rng.choice(pagedata.release()))
    for name in rng.sample(NAMES, rng.choice([1, 1, 2])):
        seed, old = rng.choice(SEEDS), facts[name]
        if isinstance(old, str):
            place = rng.randrange(len(old) + 1)
            facts[name] = rng.choice([seed, old[:place] + seed + old[place:], old[:place], old + seed])
        elif name in ledger_entry.EVIDENCE:
            facts[name] = {rng.choice(["python", "date", "client"]): seed, "gpu": rng.choice([seed, {"name": seed}])}
        else:
            facts[name] = rng.choice([seed, [seed], -1, None, 1.5, 10**20])
    return facts


def site_of(data: bytes) -> dict[str, bytes]:
    """All pages for users and installers, documents left out."""
    made: dict[str, Any] = {}
    for name, part in site.parts(ledger.parse(data, name="x"), CONTENT).items():
        if name != "documents":
            made |= part.make()
    return made


PLAIN = {
    name: Page(data)
    for name, data in site_of(
        b"".join(ledger.encode(one) + b"\n" for one in sorted(pagedata.release(), key=lambda one: one.place))
    ).items()
    if name.endswith(".html")
}


def test_no_mutated_line_leaves_its_place_on_a_page_or_the_tree() -> None:
    rng = random.Random(12)  # noqa: S311 -- a fixed seed
    tags = set().union(*(page.tags for page in PLAIN.values()))
    attributes = set().union(*(page.attributes for page in PLAIN.values())) | {"data-yanked"}
    refused = shown = 0
    for _ in range(250):
        try:
            made = site_of(forged(**mutated(rng)))
        except FactoryError:
            refused += 1
            continue
        shown += 1
        for name, data in made.items():
            assert not {"..", "", "."} & set(name.split("/"))
            assert not PurePosixPath(name).is_absolute()
            if name.endswith(".html"):
                page = Page(data)
                assert page.tags <= tags
                assert page.attributes <= attributes
                assert len(page.policies) == 1
                assert page.policies[0].startswith("default-src 'none'; base-uri 'none'; form-action 'none'")
                assert all(
                    re.match(r"https?://[a-z0-9.]+/|[A-Za-z0-9#]|\./$|data:image/svg", link) for link in page.links
                )
                assert not any(link.startswith("javascript:") for link in page.links)
    assert refused > 100
    assert shown > 20


def test_every_page_has_the_policy() -> None:
    assert all(len(page.policies) == 1 for page in PLAIN.values())
    assert {"index.html", "cu12/index.html", "cu12/tensorflow/index.html"} <= PLAIN.keys()
    assert manifest.LEDGER not in PLAIN
