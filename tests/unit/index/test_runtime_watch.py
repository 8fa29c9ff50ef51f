"""What a newer runtime means for published wheels, and the facts of those."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import pagedata
from fixedconfig import CONFIG
from smallruntime import EXTRA, GPUS, KNOWN, PINS, REQUIRES, RUNTIME
from tfwheel.colab.fit_table import Judge
from tfwheel.config.errors import SelectionError
from tfwheel.config.paths import CONFIG_DIR, Paths
from tfwheel.errors import UsageError
from tfwheel.index import fit_of_index, ledger, runtime_watch
from tfwheel.index.errors import FitLostError, RuntimeChangedError

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.colab.runtimes import Runtime
    from tfwheel.index.runtime_watch import Watch

JUDGE = Judge(runtimes=(RUNTIME,), known=KNOWN, gpus=GPUS[:1])
PUBLISHED = pagedata.entry("2.20.0+cu125.3", "312", "cu12", requires=REQUIRES, gencode="5.28.3")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A checkout whose published index has one wheel."""
    found = Paths(settings=tmp_path / "build_config", dist=tmp_path / "dist", cache=tmp_path / "cache")
    found.published.parent.mkdir()
    ledger.write(found.published, [PUBLISHED])
    return found


def look(paths: Paths, newer: Runtime | None = None, **official: list[str]) -> Watch:
    return runtime_watch.look(CONFIG, paths, JUDGE, newer=newer, official=official)


def newer(**changes: Any) -> Runtime:  # noqa: ANN401 -- as the fields
    return replace(RUNTIME, name="newer", newest=False, **changes)


def test_nothing_new_is_quiet(paths: Paths) -> None:
    found = look(paths, newer())
    assert found.is_quiet
    assert found.text == "Nothing changed.\n"
    found.check()


def test_a_change_that_every_wheel_survives_is_reported(paths: Paths) -> None:
    found = look(paths, newer(pins={**PINS, "numpy": "2.3.0", "pandas": "3"}))
    assert not found.lost
    assert "| numpy | 2.0.2   | 2.3.0 |" in found.text
    assert "1 other distributions changed, too." in found.text
    assert f"| {PUBLISHED.file} | fits       | fits             |" in found.text
    with pytest.raises(RuntimeChangedError):
        found.check()


def test_a_wheel_that_fits_no_more_is_named_with_the_reason(paths: Paths) -> None:
    found = look(paths, newer(pins={**PINS, "tf_keras": "2.19.0", "tensorflow": "2.19.0"}))
    assert "### What stops fitting" in found.text
    reason = "tf-keras 2.19.0 requires tensorflow<2.20,>=2.19, and gets tensorflow 2.20.0."
    assert f"- {PUBLISHED.file}: {reason}" in found.text
    assert found.ready == ()  # no planned wheel fits there either
    with pytest.raises(FitLostError, match=r"^1 wheel fits 2026\.07 and not the newer runtime: tensorflow-2\.20\.0"):
        found.check()


def test_what_others_wrote_is_no_markup_in_the_report(paths: Paths) -> None:
    hostile = "580.1 | <img src=x> @octocat\x1b[31m"
    found = look(paths, newer(driver=hostile, pins={**PINS, "numpy": "<b>`1`|2"}))
    changed = runtime_watch.look(
        CONFIG, paths, replace(JUDGE, runtimes=(replace(RUNTIME, driver="1.1"),)), newer=found.newer, official={}
    )
    assert "| driver | 1.1     | `580.1 \\| <img src=x> @octocat?[31m` |" in changed.text
    assert "`<b>'1'\\|2`" in found.text
    assert "\x1b" not in changed.text


def test_a_wheel_that_fits_no_more_is_named_where_no_version_changed(paths: Paths) -> None:
    found = look(paths, newer(requires={"tf-keras": ("tensorflow===2.20.0",)}))
    assert found.drift.is_nothing
    assert not found.is_quiet
    assert (
        f"- {PUBLISHED.file}: tf-keras 2.20.1 requires tensorflow===2.20.0, and gets tensorflow 2.20.0." in found.text
    )
    with pytest.raises(FitLostError):
        found.check()


def test_of_the_wheels_that_fit_no_more_three_are_named_and_the_rest_is_counted(paths: Paths) -> None:
    found = look(paths, newer(pins={**PINS, "tf_keras": "2.19.0", "tensorflow": "2.19.0"}))
    lost = [replace(found.wheels[0], name=name) for name in "abcde"]
    with pytest.raises(FitLostError, match=r"^3 wheels fit 2026\.07 and not the newer runtime: a, b, c\n"):
        replace(found, wheels=tuple(lost[:3])).check()
    with pytest.raises(FitLostError, match=r"^5 wheels fit 2026\.07 and not the newer runtime: a, b, c and 2 more\n"):
        replace(found, wheels=tuple(lost)).check()


def test_a_runtime_that_does_not_look_like_colab_is_questioned(paths: Paths) -> None:
    assert "Is this Colab?" not in look(paths, newer(direct=(), pins={**PINS, "Google_Colab": "1.0.0"})).text
    assert look(paths, newer(direct=())).text.startswith("**Is this Colab?** It has no distribution `google-colab`")


def test_a_planned_wheel_that_fits_the_newer_runtime_should_be_built(paths: Paths) -> None:
    known = msgspec.structs.replace(KNOWN, requires={**KNOWN.requires, "tf-keras": {"2.21.0": ("tensorflow>=2.21",)}})
    judge = Judge(runtimes=(RUNTIME,), known=known, gpus=GPUS[:1])
    pins = {**PINS, "tf_keras": "2.21.0", "tensorflow": "2.21.0", "protobuf": "6.33.0", "h5py": "3.14.0"}
    found = runtime_watch.look(CONFIG, paths, judge, newer=newer(pins=pins), official={})
    assert f"- {PUBLISHED.file}: tf-keras 2.21.0 requires tensorflow>=2.21, and gets tensorflow 2.20.0." in found.text
    assert "## What to build next\n\n- tf2.21.0-cp312-cu12: " in found.text


def test_a_python_that_no_target_has_should_be_built(paths: Paths) -> None:
    found = look(paths, newer(python="3.14.2"))
    assert "- TensorFlow 2.20.0 for Python 3.14: no target is for it." in found.text


def test_a_new_official_version_is_named_with_what_to_do(paths: Paths) -> None:
    found = look(paths, tensorflow=["2.22.0", "2.21.1"])
    assert "- tensorflow 2.22.0, 2.21.1: add a `[[release]]` to build_config/targets.toml" in found.text
    with pytest.raises(RuntimeChangedError):
        found.check()
    found = runtime_watch.look(CONFIG, paths, JUDGE, newer=None, official={"tensorflow-cuda13": ["2.21.0"]})
    assert 'a line with `base = "tensorflow-cuda13"` in lines.toml' in found.text
    found = runtime_watch.look(CONFIG, paths, JUDGE, newer=None, official={"tf-nightly-cuda13": ["2.24.0.dev1"]})
    assert "- tf-nightly-cuda13 2.24.0.dev1: nightly builds, which are no base: " in found.text


def test_where_nothing_is_published_the_planned_wheels_are_judged(paths: Paths) -> None:
    paths.published.unlink()
    found = look(paths, newer(pins={**PINS, "numpy": "2.3.0"}))
    assert "## Planned wheels (none is published)" in found.text
    assert "| tf2.20.0-cp312-cu12 " in found.text


def test_without_a_stored_runtime_there_is_nothing_to_compare_with(paths: Paths) -> None:
    with pytest.raises(UsageError, match="has no runtime to compare with"):
        runtime_watch.look(CONFIG, paths, Judge(runtimes=(), known=KNOWN), newer=None, official={})


# --- the facts of published wheels -----------------------------------------------------------------------


def test_a_line_of_the_ledger_has_what_it_takes_to_judge_again() -> None:
    facts = fit_of_index.of_entry(PUBLISHED, KNOWN, CONFIG.lines)
    assert (facts.requires, facts.gencode, facts.cuda, facts.pythons) == (REQUIRES, "5.28.3", "12.5.1", ("3.12",))


def test_an_older_line_is_judged_by_the_official_wheel() -> None:
    old = msgspec.structs.replace(PUBLISHED, requires=None, gencode=None)
    facts = fit_of_index.of_entry(old, KNOWN, CONFIG.lines)
    assert (facts.requires, facts.gencode) == (REQUIRES, "5.28.3")
    unknown = fit_of_index.of_entry(pagedata.entry("2.20.0+cu125.3", None, "gone"), KNOWN, CONFIG.lines)
    assert (unknown.requires, unknown.gencode, unknown.cuda, unknown.pythons) == ((), None, None, ())


def test_a_wheel_without_requirements_is_not_one_whose_requirements_are_unknown() -> None:
    none = msgspec.structs.replace(PUBLISHED, requires=())
    assert fit_of_index.of_entry(none, KNOWN, CONFIG.lines).requires == ()
    lines = [ledger.encode(one) for one in (none, msgspec.structs.replace(PUBLISHED, requires=None))]
    assert [json.loads(line)["requires"] for line in lines] == [[], None]


def test_the_line_says_what_cuda_tensorflow_is_built_with_whatever_gpu_code_its_record_says() -> None:
    bare = msgspec.structs.replace(PUBLISHED, gpu_code={}, requires=(*REQUIRES, EXTRA.replace("<10.0,>=9.3", ">=10.1")))
    facts = fit_of_index.of_entry(bare, KNOWN, CONFIG.lines)
    assert facts.cuda == "12.5.1"
    assert JUDGE.of(facts)[RUNTIME.name].broken == (
        "It needs cuDNN 10.1.0 or newer of the same major version, and this runtime loads 9.10.2.21.",
    )
    ops = msgspec.structs.replace(pagedata.entry("2.20.0", None, "cu12"), gpu_code={})
    assert fit_of_index.of_entry(ops, KNOWN, CONFIG.lines).cuda is None


def test_the_judgements_about_published_wheels_are_there_for_the_site() -> None:
    nobody = Judge(runtimes=(), known=KNOWN)
    assert fit_of_index.fits([PUBLISHED], nobody, CONFIG.lines) == {PUBLISHED.file: {}}
    (found,) = fit_of_index.fits([PUBLISHED], Judge.load(CONFIG_DIR), CONFIG.lines).values()
    assert set(found) == {runtime.name for runtime in pagedata.RUNTIMES}
    assert found["2026.07"] == {"verdict": "fits", "reasons": [], "changes": []}


def test_what_was_removed_is_not_judged(paths: Paths) -> None:
    ledger.write(paths.published, [PUBLISHED, pagedata.entry("2.20.0+cpu.1", "312", "cpu", removed="gone")])
    assert [name for name, _ in fit_of_index.published(paths, CONFIG)] == [PUBLISHED.file]
    assert list(fit_of_index.published(paths, CONFIG, line="cpu")) == []
    for wheels in (fit_of_index.published, fit_of_index.built):
        with pytest.raises(SelectionError, match="there is no line `zz`"):
            list(wheels(paths, CONFIG, line="zz"))
