"""Companions beside a stand-in TensorFlow and beside its official wheel: real pip, environments and a served index."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.build import companions, official_wheel
from tfwheel.checks.errors import CompanionError
from tfwheel.config import build_config, plan
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import Paths
from tfwheel.index.errors import WheelMissingError
from tfwheel.system import files
from tfwheel.wheel import records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

PYTHON = "{}.{}".format(*sys.version_info)
TAG = "cp{}{}".format(*sys.version_info)
TARGET = f"tf2.99.0-{TAG}-cpu"
FAKE = (Path(__file__).parents[2] / "data" / "fake_tensorflow.py").read_text().replace("2.20.0", "2.99.0")
# A stand-in for tensorflow_text that computes what the check asks for, after a line that some of them break.
TEXT = """
import re
import tensorflow
{line}
class Some:
    def __init__(self, value): self.value = value
    def to_list(self): return self.value
    def numpy(self): return self
    tolist = to_list
class UnicodeScriptTokenizer:
    def tokenize(self, texts):
        return Some([[word.encode() for word in re.findall(r"\\w+|[^\\w\\s]", text)] for text in texts])
def case_fold_utf8(texts):
    return Some([text.casefold().encode() for text in texts])
"""
ENTRY = """
[[companion]]
project = "{project}"
requirement = "{project}{versions}"
check = "tensorflow-text"
"""
GOOD, OURS, BOTH, CONFLICT, NOWHERE = (f"tfwheel-test-{word}" for word in ("good", "ours", "both", "conflict", "none"))


class Factory:
    """A checkout of one's own with one finished wheel; ``folder`` has the wheels that pip finds."""

    def __init__(self, root: Path, *, ours: str = "", companions_toml: str = "") -> None:
        settings = root / "build_config"
        settings.mkdir(parents=True)
        self.paths = Paths(settings=settings, dist=root / "dist", cache=root / "cache")
        self.folder = root / "found"
        official = fakewheels.write_wheel(
            root / "official",
            {"tensorflow/__init__.py": FAKE.encode()},
            name="tensorflow",
            version="2.99.0",
            tag=f"{TAG}-{TAG}-{fakewheels.MANYLINUX}",
            extra="Requires-Dist: numpy\n",
        )
        texts: Mapping[str, str] = {
            "targets.toml": f'[[release]]\ntensorflow = "2.99.0"\nbuild = 1\npythons = ["{PYTHON}"]\nlines = ["cpu"]\n',
            "lines.toml": '[cpu]\nlabel = "cpu"\nbase = "tensorflow"\n',
            "repair.toml": 'ceiling = "manylinux_2_40_x86_64"\nmax_bytes = 10_000_000\nexclude = []\n',
            "companions.toml": companions_toml,
            "bases.toml": "\n".join(
                [
                    "[[base]]",
                    'project = "tensorflow"',
                    'version = "2.99.0"',
                    f'python = "{PYTHON}"',
                    f'file = "{official.name}"',
                    f'sha256 = "{files.sha256_of(official)}"',
                    f"size = {official.stat().st_size}",
                    'platforms = ["manylinux_2_17_x86_64"]',
                    'requires_python = ">=3.9"',
                    'requires_dist = ["numpy"]',
                ]
            ),
        }
        for name, text in texts.items():
            (settings / name).write_text(text)
        config = build_config.load(settings)
        (target,) = plan.targets(config)
        kept = official_wheel.cached_path(plan.base_of(config, target), self.paths.cache)
        kept.parent.mkdir(parents=True)
        official.replace(kept)
        self.wheel = fakewheels.write_wheel(
            self.paths.wheels / TARGET,
            {"tensorflow/__init__.py": (FAKE + ours).encode()},
            name="tensorflow",
            version=target.version,
            tag=f"{TAG}-{TAG}-{fakewheels.MANYLINUX}",
            extra="Requires-Dist: numpy\n",
        )
        record = Record(
            target=TARGET,
            project="tensorflow",
            version=target.version,
            line="cpu",
            python=PYTHON,
            file=self.wheel.name,
            sha256=files.sha256_of(self.wheel),
            size=self.wheel.stat().st_size,
            key="k",
        )
        records.save(record, self.wheel)

    def offer(self, project: str, line: str = "", *, requires: str = "tensorflow") -> None:
        """Write a companion where pip finds it; ``line`` is run when it is imported."""
        fakewheels.write_wheel(
            self.folder,
            {"tensorflow_text.py": TEXT.format(line=line).encode()},
            name=project.replace("-", "_"),
            version="2.99.5",
            tag="py3-none-any",
            extra=f"Requires-Dist: {requires}\n",
        )

    @property
    def record(self) -> Record:
        return records.load(records.path_for(self.wheel))


def entries(*projects: str) -> str:
    return "".join(ENTRY.format(project=project, versions="=={minor}.*") for project in projects)


def test_what_works_beside_the_official_wheel_alone_is_a_fault_and_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = Factory(tmp_path, ours="\nBROKEN = 1\n", companions_toml=entries(GOOD, OURS, BOTH, CONFLICT, NOWHERE))
    factory.offer(GOOD)
    factory.offer(OURS, "assert not hasattr(tensorflow, 'BROKEN'), 'an op is gone'")
    factory.offer(BOTH, "import tfwheel_that_is_nowhere")
    factory.offer(CONFLICT, requires="tensorflow<2.99")
    monkeypatch.setenv("PIP_FIND_LINKS", str(factory.folder))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(CompanionError) as failure:
        companions.try_all(paths=factory.paths)
    said = f"{TARGET}: {OURS} 2.99.5: failed: AssertionError: an op is gone"
    assert failure.value.message.splitlines()[1:] == [f"  {said}"]

    record = factory.record
    report = record.companions or {}
    assert (record.passed_companions, report["reason"]) == (False, said)
    assert report["wheel_sha256"] == record.sha256
    projects = report["projects"]
    assert projects[GOOD] == {"version": "2.99.5", "result": "passed"}
    assert projects[OURS]["official"] == "passed"
    gone = "failed: ModuleNotFoundError: No module named 'tfwheel_that_is_nowhere'"
    assert projects[BOTH] == {"version": "2.99.5", "result": gone, "official": gone}
    for kind in ("result", "official"):
        assert projects[CONFLICT][kind].startswith("does not install: The user requested tensorflow==2.99.0")
        assert f"{CONFLICT} 2.99.5 depends on tensorflow<2.99" in projects[CONFLICT][kind]
        assert projects[NOWHERE][kind] == (
            f"does not install: {NOWHERE}==2.99.* has no wheel for this Python; no version has"
        )
    summary = (factory.paths.dist / "reports" / "summary.md").read_text()
    assert f"| FAILED | `{TARGET}` |" in summary
    assert f"| `{TARGET}` | {GOOD} | 2.99.5 | passed |  |" in summary
    assert not list(tmp_path.rglob("smoke-*"))


def test_where_everything_works_the_official_wheel_is_never_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factory = Factory(tmp_path, companions_toml=entries(GOOD))
    factory.offer(GOOD)
    monkeypatch.setenv("PIP_FIND_LINKS", str(factory.folder))
    companions.try_all([TARGET], paths=factory.paths)
    assert factory.record.passed_companions is True
    assert [path.name for path in (factory.paths.dist / "logs").iterdir()] == [f"{TARGET}.companions.log"]


def test_a_wheel_that_does_not_even_import_is_an_error_of_its_own(tmp_path: Path) -> None:
    factory = Factory(tmp_path, ours="\nraise ImportError('no such op')\n", companions_toml=entries(GOOD))
    with pytest.raises(CompanionError, match=r"tensorflow 2\.99\.0\+cpu\.1 itself: ImportError: no such op"):
        companions.try_all(paths=factory.paths)
    assert factory.record.companions is None


def test_another_file_than_the_recorded_one_is_not_tried(tmp_path: Path) -> None:
    factory = Factory(tmp_path, companions_toml=entries(GOOD))
    records.save(factory.record.grown(sha256="0" * 64), factory.wheel)
    with pytest.raises(CompanionError, match=r"installed another tensorflow|HASH"):
        companions.try_all(paths=factory.paths)


def test_what_is_missing_is_said_before_any_work(tmp_path: Path) -> None:
    factory = Factory(tmp_path, companions_toml=entries(GOOD))
    (factory.paths.settings / "companions.toml").write_text(entries(GOOD).replace("text", "txet"))
    with pytest.raises(ConfigError, match="has no check `tensorflow-txet`; did you mean `tensorflow-text`"):
        companions.try_all(paths=factory.paths)
    (factory.paths.settings / "companions.toml").write_text("")
    with pytest.raises(ConfigError, match="names no project"):
        companions.try_all(paths=factory.paths)
    (factory.paths.settings / "companions.toml").write_text(entries(GOOD))
    records.path_for(factory.wheel).unlink()
    with pytest.raises(WheelMissingError, match="no TensorFlow wheel below"):
        companions.try_all(paths=factory.paths)
    with pytest.raises(WheelMissingError, match="there is no TensorFlow wheel for"):
        companions.try_all([TARGET], paths=factory.paths)
