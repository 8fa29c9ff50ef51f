"""A version that breaks every runtime of Colab is refused, on the lines that are for Colab."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

import pagedata
from fixedconfig import CONFIG
from tfwheel.colab import distributions
from tfwheel.config import plan
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.config.schema import IndexSettings
from tfwheel.publish import colab_gate
from tfwheel.publish.errors import ColabFitError

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.build_config import Config

NEWEST, FITTING = (plan.find(plan.targets(CONFIG), f"tf{one}-cp312-cu12").version for one in ("2.21.0", "2.20.0"))
KNOWN = distributions.load(CONFIG_DIR / "colab")


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    """The fixed configuration, with the runtimes that are stored."""
    shutil.copytree(CONFIG.directory, tmp_path, dirs_exist_ok=True)
    shutil.copytree(CONFIG_DIR / "colab", tmp_path / "colab")
    return replace(CONFIG, directory=tmp_path)


def entry(version: str, python: str) -> pagedata.LedgerEntry:
    public = version.partition("+")[0]
    requires, gencode = KNOWN.requires_of("tensorflow", public), KNOWN.gencode_of("tensorflow", public)
    return pagedata.entry(version, python, "cu12", requires=requires, gencode=gencode)


def test_a_version_that_fits_one_runtime_passes_with_all_its_pythons(settings: Config) -> None:
    colab_gate.check([entry(FITTING, "312")], settings)
    colab_gate.check([entry(FITTING, "311")], settings)  # 3.12 and 3.13 are targets, too
    with pytest.raises(ColabFitError):
        colab_gate.check([entry("2.20.0+cu125.99", "311")], settings)  # of no target: it stands alone


def test_a_version_that_breaks_every_runtime_is_refused_with_the_reasons(settings: Config) -> None:
    with pytest.raises(ColabFitError, match=r" on the line cu12 breaks every runtime") as caught:
        colab_gate.check([entry(NEWEST, "313")], settings)
    assert "In 2026.08: tensorflow-text 2.20.1 requires tensorflow<2.21,>=2.20" in caught.value.message
    targets = [target for target in plan.targets(settings) if target.tensorflow == "2.21.0"]
    with pytest.raises(ColabFitError, match=r"In 2026\.07: "):
        colab_gate.check_targets(targets, settings)


def test_a_wheel_does_not_pass_on_the_merits_of_planned_ones(settings: Config) -> None:
    def given(python: str, *more: str) -> pagedata.LedgerEntry:
        one = entry(FITTING, python)
        return msgspec.structs.replace(one, requires=(*(one.requires or ()), *more))

    for python in ("311", "313"):  # nothing satisfies it; that others of the version fit is no help
        with pytest.raises(ColabFitError, match=rf"cp{python}.* with its Python: In .*No set of versions satisfies it"):
            colab_gate.check([given(python, "numpy<1.0")], settings)
    with pytest.raises(ColabFitError, match=r"cp313.* with its Python: In 2026.*It needs cuDNN 10"):
        colab_gate.check([given("313", 'nvidia-cudnn-cu12>=10; extra == "and-cuda"')], settings)  # the planned one fits
    colab_gate.check([given("310", "numpy<1.0")], settings)  # no runtime has its Python


def test_a_record_without_gpu_code_hides_no_cuda(settings: Config) -> None:
    needs = ("keras", 'nvidia-cudnn-cu12==10.1.*; extra == "and-cuda"', 'foo; python_version ~= "abc"')
    bare = msgspec.structs.replace(entry(FITTING, "313"), gpu_code={}, requires=needs)
    with pytest.raises(ColabFitError, match=r"It needs cuDNN 10\.1 or newer"):
        colab_gate.check([bare], settings)


RULES = [({"colab": "warn"}, 1), ({"colab_lines": {"cu12": "warn"}}, 1), ({"colab_lines": {"cu12": False}}, 0)]
RULES += [({"colab_releases": {"2.21.0": "warn"}}, 1), ({"colab": False, "colab_releases": {"2.20.0": True}}, 0)]


@pytest.mark.parametrize(("rules", "warned"), RULES)
def test_the_settings_decide_what_happens(
    settings: Config, rules: dict[str, object], warned: int, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = replace(settings, index=IndexSettings(**rules))  # type: ignore[arg-type]
    colab_gate.check([entry(NEWEST, "313")], chosen)
    assert "".join(capsys.readouterr()).count("breaks every runtime") == warned


def test_without_runtimes_nothing_is_refused() -> None:
    colab_gate.check([entry(NEWEST, "313")], CONFIG)
