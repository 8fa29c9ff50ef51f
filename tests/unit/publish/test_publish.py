"""Publish: what is planned is what happens, and what must not be shown never is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

import fixedconfig
from ledgers import entry
from publications import finish, note, publication, state
from tfwheel.config import inputs, plan
from tfwheel.errors import BadWheelError, PublishError, UsageError
from tfwheel.index import ledger, manifest
from tfwheel.index.errors import LedgerDamagedError, NameTakenError, SiteError
from tfwheel.index.site import SiteContent
from tfwheel.publish import publish, verify
from tfwheel.publish.errors import ForeignWheelError, StoreError, VerifyError, WheelChangedError
from tfwheel.system import files, locks
from tfwheel.system.errors import TargetBusyError
from tfwheel.wheel import records
from tfwheel.wheel.errors import IndexEntryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfwheel.index.ledger_entry import LedgerEntry
    from tfwheel.publish.publication import Publication

ADDRESS = "https://pages.example/"


@pytest.fixture
def first(tmp_path: Path) -> Publication:
    """A publication of two wheels, not done yet."""
    return publication(tmp_path, [finish(tmp_path / "wheels", build) for build in (1, 2)])


@pytest.fixture
def second(first: Publication, tmp_path: Path) -> Publication:
    """The one after it, of a third wheel; the first is done."""
    publish.publish(first)
    return publication(tmp_path, [finish(tmp_path / "wheels", 3)], pages=ADDRESS)


def answering(monkeypatch: pytest.MonkeyPatch, answer: Callable[[], None]) -> list[set[str]]:
    """Let verifying end like this; returns the files that it was asked about."""
    asked: list[set[str]] = []

    def verified(_: str, *, new: set[str], expected: bytes, patience_s: float) -> tuple[LedgerEntry, ...]:
        assert expected
        assert not patience_s
        asked.append(new)
        answer()
        return ()

    monkeypatch.setattr(verify, "verify", verified)
    return asked


def bad() -> None:
    message = "https://pages.example/cu12/: is bad"
    raise VerifyError(message)


def test_the_steps_come_in_an_order_that_never_links_to_what_is_not_there(first: Publication) -> None:
    steps: list[str] = []
    publish.publish(first, on_step=steps.append)
    uploads = [f"upload {wheel.name}" for wheel in first.wheels]
    assert steps == ["check", *uploads, "begin", "list", "show", "end"]


def test_what_is_published_is_wheels_sidecars_ledger_pages_and_a_manifest_that_fits(
    first: Publication, tmp_path: Path
) -> None:
    said = publish.publish(first)
    assert [line.split()[1] for line in said[:-1]] == [wheel.name for wheel in first.wheels]
    assert said[-1] == f"{first.site}: the pages show the ledger"
    published = state(tmp_path)
    assert published["site/ledger.jsonl"] == published["ledger.jsonl"]
    assert [entry.file for entry in ledger.read(first.ledger).entries] == [wheel.name for wheel in first.wheels]
    assert {f"assets/v1/{wheel.name}{end}" for wheel in first.wheels for end in ("", ".metadata")} <= published.keys()
    assert manifest.check(first.site) == len([name for name in published if name.startswith("site/")]) - 1
    assert not note(first).exists()


def test_publishing_again_changes_nothing_whatever_the_time(first: Publication, tmp_path: Path) -> None:
    publish.publish(first)
    before, tree = state(tmp_path), first.site.readlink()
    publish.publish(replace(first, uploaded="2027-01-01T00:00:00Z"))
    assert state(tmp_path) == before
    assert first.site.readlink() == tree
    assert publish.plan(first) == []


def test_the_time_of_publishing_is_in_utc_by_default(first: Publication) -> None:
    again = type(first)(wheels=(), ledger=first.ledger, site=first.site, store=first.store)
    assert len(again.uploaded) == len("2026-11-21T04:00:00Z")
    assert again.uploaded.endswith("Z")


def test_a_plan_says_exactly_what_happens_and_changes_nothing(second: Publication, tmp_path: Path) -> None:
    before = state(tmp_path)
    lines = publish.plan(replace(second, installs=(second.wheels[0].name,)))
    assert state(tmp_path) == before
    publish.publish(replace(second, address=None))
    after = state(tmp_path)
    changed = {name for name in after if before.get(name) != after[name]}
    pages = {f"{'change' if name in before else 'make'} {tmp_path / name}" for name in changed if "site/" in name}
    assert {line for line in lines if line.startswith(("change ", "make ", "remove "))} == pages
    name = second.wheels[0].name
    uploads = [line for line in lines if line.startswith("upload ")]
    assert [line.split()[1] for line in uploads] == [f"{name}.metadata", name]
    assert [line for line in lines if line.startswith("add ")] == [
        f"add to {second.ledger}: {name}, sha256 {files.sha256_of(second.wheels[0])}"
    ]
    assert lines[-2].startswith(f"verify {ADDRESS}")
    assert lines[-1].startswith(f"install {name}")


def test_a_page_that_is_no_longer_rendered_is_in_the_plan(first: Publication) -> None:
    publish.publish(first)
    (first.site / "stale.html").write_text("old")
    assert publish.plan(first) == [f"remove {first.site / 'stale.html'}", f"change {first.site / 'manifest.json'}"]


def test_a_wheel_that_did_not_pass_is_refused_before_anything_happens(tmp_path: Path) -> None:
    job = publication(tmp_path, [finish(tmp_path / "wheels", 1), finish(tmp_path / "wheels", 2, passed=False)])
    for act in (publish.publish, publish.plan):
        with pytest.raises(IndexEntryError, match=r"cu125\.2.*so ordered"):
            act(job)
    assert state(tmp_path) == {}


def test_a_wheel_that_changes_after_the_check_is_refused(second: Publication, tmp_path: Path) -> None:
    before = state(tmp_path)

    def meddle(step: str) -> None:
        if step.startswith("upload"):
            with second.wheels[0].open("ab") as stream:
                stream.write(b"more")

    with pytest.raises(WheelChangedError, match="changed while it was published"):
        publish.publish(second, on_step=meddle)
    after = state(tmp_path)
    assert {name: after[name] for name in before} == before
    assert f"assets/v1/{second.wheels[0].name}" not in after


def test_a_name_is_never_used_for_other_bytes(second: Publication, tmp_path: Path) -> None:
    before = state(tmp_path)
    job = publication(tmp_path, [finish(tmp_path / "other", 1, body=b"other")])
    for act in (publish.publish, publish.plan):
        with pytest.raises(NameTakenError, match="already published"):
            act(job)
    assert state(tmp_path) == before
    assert second.wheels[0].exists()


def test_a_store_that_forgets_is_found_out(first: Publication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(first.store), "put", lambda *_, **__: None)
    with pytest.raises(StoreError, match=r"\.metadata but does not have it"):
        publish.publish(first)
    assert not first.ledger.exists()


def test_what_is_to_be_installed_must_be_among_the_wheels(first: Publication, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"typo\.whl cannot be installed"):
        publish.publish(replace(first, installs=("typo.whl",)))
    assert state(tmp_path) == {}


# --- all checks come before the first write --------------------------------------------------------------


def spoiled(job: Publication, what: str, tmp_path: Path) -> Publication:
    """The same publication with something wrong that used to be found after the first wheel was stored."""
    last = job.wheels[-1]
    match what:
        case "other bytes in the store":
            (tmp_path / "assets" / "v1").mkdir(parents=True)
            (tmp_path / "assets" / "v1" / last.name).write_bytes(b"another wheel")
        case "a damaged ledger":
            job.ledger.write_text("{}\n")
        case "a site of something else":
            job.site.mkdir()
        case "a line that contradicts":
            ledger.append(job.ledger, [entry(2, file=last.name, url=f"https://example.org/{last.name}")])
        case "a removed name":
            taken = entry(2, file=last.name, url=f"https://example.org/{last.name}")
            ledger.append(job.ledger, [taken])
            ledger.remove(job.ledger, last.name, "broken")
        case "a store that cannot be written":
            (tmp_path / "assets").write_text("a file")
        case "a site's URL that is none":
            return replace(job, address="example.org")
        case "no such wheel":
            return replace(job, wheels=(*job.wheels, tmp_path / "absent.whl"))
        case "no record":
            records.path_for(last).unlink()
    return job


SPOILED = {
    "other bytes in the store": NameTakenError,
    "a damaged ledger": LedgerDamagedError,
    "a site of something else": SiteError,
    "a line that contradicts": NameTakenError,
    "a removed name": NameTakenError,
    "a store that cannot be written": StoreError,
    "a site's URL that is none": UsageError,
    "no such wheel": UsageError,
    "no record": BadWheelError,
}


@pytest.mark.parametrize("what", SPOILED)
@pytest.mark.parametrize("act", ["publish", "plan"])
def test_nothing_is_written_before_all_is_checked(act: str, what: str, first: Publication, tmp_path: Path) -> None:
    job = spoiled(first, what, tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(SPOILED[what]) as caught:
        getattr(publish, act)(job)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    if what in ("no such wheel", "no record"):
        assert "Delete" not in caught.value.remedy


def test_two_copies_of_one_wheel_are_published_once(first: Publication, tmp_path: Path) -> None:
    copy = finish(tmp_path / "again", 1)
    publish.publish(replace(first, wheels=(*first.wheels, copy)))
    assert len(ledger.read(first.ledger).entries) == 2


def test_one_version_from_other_inputs_is_refused(second: Publication) -> None:
    known = ledger.read(second.ledger).entries[0]
    ledger.append(
        second.ledger,
        [
            structs.replace(
                known,
                file="tensorflow-2.20.0+cu125.3-py3-none-any.whl",
                version="2.20.0+cu125.3",
                url="",
                inputs="a" * 64,
            )
        ],
    )
    records.save(records.beside(second.wheels[0]).grown(inputs="b" * 64), second.wheels[0])
    with pytest.raises(NameTakenError, match="published from other ops, patches") as caught:
        publish.plan(second)
    assert "Raise `build` to 4" in caught.value.remedy


def configured(wheel: Path, job: Publication, **facts: object) -> Publication:
    """The publication of a wheel, in a configuration; ``facts`` are what its record says."""
    target = plan.find(plan.targets(fixedconfig.CONFIG), "tf2.20.0-cp312-cu12")
    values = {"inputs": inputs.digest(fixedconfig.CONFIG, target)} | facts
    records.save(records.beside(wheel).grown(**values), wheel)
    content = SiteContent(settings=fixedconfig.CONFIG, documents=job.site / "none")
    return replace(job, wheels=(wheel,), content=content, guarded=False)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, ""),
        ({"inputs": ""}, "built from other ops, patches, requirements or line"),
        ({"inputs": "0" * 64}, "built from other ops"),
        ({"target": "tf2.20.0-cp39-cu12"}, "there is no target `tf2.20.0-cp39-cu12`"),
        ({"target": "tf2.21.0-cp312-cu12"}, "its version is 2.20.0"),
        ({"line": "cpu"}, "its line is cpu, where"),
    ],
)
def test_a_wheel_that_is_not_of_this_configuration_is_never_published(
    facts: dict[str, str], said: str, first: Publication, tmp_path: Path
) -> None:
    build = plan.find(plan.targets(fixedconfig.CONFIG), "tf2.20.0-cp312-cu12").build
    job = configured(finish(tmp_path / "mine", build), first, **facts)
    if not said:
        assert len(publish.publish(job)) == 2
        return
    for act in (publish.publish, publish.plan):
        with pytest.raises(ForeignWheelError, match="is not of this configuration") as caught:
            act(job)
        assert said in caught.value.message
    assert state(tmp_path) == {}


def test_another_build_and_another_python_are_not_of_this_configuration(first: Publication, tmp_path: Path) -> None:
    build = plan.find(plan.targets(fixedconfig.CONFIG), "tf2.20.0-cp312-cu12").build
    for wheel, said in [
        (finish(tmp_path / "a", build + 1), "its version is"),
        (finish(tmp_path / "b", build, tag="cp311-cp311-manylinux_2_17_x86_64"), "its Python is cp311"),
    ]:
        with pytest.raises(ForeignWheelError, match=said):
            publish.plan(configured(wheel, first))


def test_a_yank_is_shown_without_any_wheel(first: Publication) -> None:
    publish.publish(first)
    ledger.yank(first.ledger, first.wheels[0].name, "broken")
    (said,) = publish.publish(replace(first, wheels=()))
    assert said.endswith("the pages show the ledger")
    assert 'data-yanked="broken"' in (first.site / "cu12" / "tensorflow" / "index.html").read_text()
    (said,) = publish.publish(replace(first, wheels=()))
    assert said.endswith("the pages are as before")


def test_a_note_that_is_none_is_said(second: Publication) -> None:
    note(second).write_bytes(b"\xff")
    with pytest.raises(PublishError, match="is not the note of a publication"):
        publish.publish(second)


# --- an index that turns out bad -------------------------------------------------------------------------


def test_a_bad_index_is_taken_back_and_the_next_try_is_the_same_as_the_first(
    second: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(tmp_path)
    asked = answering(monkeypatch, bad)
    with pytest.raises(VerifyError, match="is bad") as caught:
        publish.publish(second)
    assert "as they were before" in caught.value.remedy
    after = state(tmp_path)
    assert {name: data for name, data in after.items() if not name.endswith((".whl", ".metadata"))} == {
        name: data for name, data in before.items() if not name.endswith((".whl", ".metadata"))
    }
    assert not note(second).exists()
    monkeypatch.setattr(verify, "verify", lambda *_, **__: ())
    publish.publish(second)
    assert second.wheels[0].name in ledger.read(second.ledger).by_file
    assert asked == [{second.wheels[0].name}]


def test_a_bad_first_index_leaves_one_without_wheels(first: Publication, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, bad)
    with pytest.raises(VerifyError):
        publish.publish(replace(first, address=ADDRESS))
    assert ledger.read(first.ledger).entries == ()
    assert not list(first.site.rglob("*.html"))


def test_wheels_are_installed_after_the_pages_are_found_good(
    second: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, lambda: None)
    installed: list[str] = []
    monkeypatch.setattr(verify, "install", lambda *words: installed.append(words[2]))
    steps: list[str] = []
    publish.publish(replace(second, installs=(second.wheels[0].name,)), on_step=steps.append)
    assert installed == [second.wheels[0].name]
    assert steps[-3:] == ["verify", f"install {installed[0]}", "end"]


def test_a_bad_index_without_news_stays_as_it_is(
    first: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish.publish(first)
    before = state(tmp_path)
    answering(monkeypatch, bad)
    with pytest.raises(VerifyError):
        publish.publish(replace(first, address=ADDRESS))
    assert state(tmp_path) == before


class Killed(BaseException):
    """Stands for a kill: no code of publish handles it."""


def kill_at(name: str) -> Callable[[str], None]:
    def on_step(step: str) -> None:
        if step == name:
            raise Killed

    return on_step


@pytest.mark.parametrize("step", ["begin", "list", "show", "verify", "end"])
def test_what_a_killed_publisher_left_on_trial_is_withdrawn_by_the_next_one_if_it_is_bad(
    step: str, second: Publication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state(tmp_path)
    monkeypatch.setattr(verify, "verify", lambda *_, **__: ())
    with pytest.raises(Killed):
        publish.publish(second, on_step=kill_at(step))
    other = publication(tmp_path, [finish(tmp_path / "wheels", 4)], pages=ADDRESS)
    asked = answering(monkeypatch, bad)
    with pytest.raises(VerifyError):
        publish.publish(other)
    after = state(tmp_path)
    assert {name: after[name] for name in before} == before
    on_trial = {second.wheels[0].name} if step in ("verify", "end") else set()
    assert asked == [{other.wheels[0].name} | on_trial]


def test_a_site_that_was_deleted_while_on_trial_is_made_anew(
    second: Publication, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "verify", lambda *_, **__: ())
    with pytest.raises(Killed):
        publish.publish(second, on_step=kill_at("verify"))
    second.site.unlink()
    publish.publish(second)
    assert manifest.check(second.site) > 3


def test_a_site_that_cannot_be_made_leaves_the_ledger_as_it_was(first: Publication) -> None:
    first.site.mkdir()
    (first.site / "precious.txt").write_text("not an index")
    with pytest.raises(SiteError):
        publish.publish(first)
    assert ledger.read(first.ledger).entries == ()
    assert (first.site / "precious.txt").exists()


def test_a_place_that_cannot_be_written_is_named(first: Publication, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PublishError, match="file"):
        publish.publish(replace(first, site=tmp_path / "file" / "site"))
    with pytest.raises(PublishError, match="file"):
        publish.publish(replace(first, ledger=tmp_path / "file" / "ledger.jsonl"))


def test_publishers_wait_for_each_other_but_not_for_ever(first: Publication, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BUSY_TIMEOUT_S", 0.01)
    refused: list[str] = []

    def meddle(step: str) -> None:
        if step == "show":
            with pytest.raises(TargetBusyError) as caught:
                publish.publish(first)
            refused.append(caught.value.message)

    publish.publish(first, on_step=meddle)
    assert len(refused) == 1
