"""The smoke test of finished wheels in a real container: a stand-in TensorFlow, and a stand-in GPU."""

from __future__ import annotations

import runpy
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

import cdi
import fakeelf
import fakewheels
import pythonimage
import smallimage
from tfwheel.build import pins, pipeline
from tfwheel.checks.errors import GpuRequiredError, SmokeError
from tfwheel.config import build_config, plan
from tfwheel.config.paths import ROOT, Paths
from tfwheel.errors import UsageError
from tfwheel.system import containers, files
from tfwheel.system.errors import ContainerEngineError, ContainerImageError, InterpreterMissingError
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DATA = ROOT / "tests" / "data"
CODE = (DATA / "fake_tensorflow.py").read_text().replace("2.20.0", "2.99.0")
LINES = '[cu12]\nlabel = "cu125"\nbase = "tensorflow"\ncuda = "12.5.1"\narchs = ["75"]\n'
REPAIR = 'ceiling = "manylinux_2_40_x86_64"\nmax_bytes = 10_000_000\nexclude = ["libtensorflow_framework.so.2"]\n'
RELEASE = '[[release]]\ntensorflow = "2.99.0"\nbuild = 1\npythons = ["{}"]\nlines = ["cu12"]\nbuilder = "{}"\n'
EXTRA = "Requires-Dist: numpy\nProvides-Extra: and-cuda\n"
SEEN = f"\nimport os\nGPUS += ['GPU:0'] if os.path.exists('{cdi.DEVICE}') else []\n"
# A report that leads to a file elsewhere.
LINK = "\nimport os, sys\nos.symlink('/etc/passwd', sys.argv[sys.argv.index('--json') + 1])\nos._exit(0)\n"
OPS = """
def selftest(device):
    row = {"op": "swiglu", "dtype": "float32", "direction": "forward", "max_error": 0.0, "tolerance": 0.1}
    return [{**row, "device": device, "passed": True}]
"""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A target of one's own with a finished wheel, which was not smoke-tested."""

    paths: Paths
    tag: str
    engine: str

    @property
    def target(self) -> str:
        return f"tf2.99.0-{self.tag}-cu12"

    def keep(self, name: str, project: str, members: dict[str, bytes], extra: str = EXTRA) -> Path:
        """Keep such a wheel as the finished one of that target id, and no other."""
        tag = f"{self.tag}-{self.tag}-{fakewheels.MANYLINUX}"
        folder, version = self.paths.wheels / name, "2.99.0+cu125.1"
        for old in folder.glob("*"):
            old.unlink()
        metadata = fakewheels.METADATA.format(name=project, version=version, extra=extra).encode()
        normal = project.replace("-", "_")
        everything = {**members, f"{normal}-{version}.dist-info/METADATA": metadata}
        wheel = fakewheels.write_wheel(folder, everything, name=normal, version=version, tag=tag)
        record = records.Record(
            target=name,
            project=project,
            version=version,
            line="cu12",
            python=None,
            file=wheel.name,
            sha256=files.sha256_of(wheel),
            size=wheel.stat().st_size,
            key="k",
        )
        records.save(record, wheel)
        return wheel

    def tensorflow(self, more: str = "") -> Path:
        """Keep a stand-in TensorFlow, to whose code ``more`` is added."""
        members = {"tensorflow/__init__.py": (CODE + more).encode(), "tfwheel_ops.py": OPS.encode()}
        code = fakeelf.container(fakeelf.entry(fakeelf.ELF, 75))
        library = fakeelf.elf(fakeelf.Part(name=".nv_fatbin", data=code))
        return self.keep(self.target, "tensorflow", {**members, "tensorflow/libtensorflow_cc.so.2": library})

    def smoke(self, image: str = pythonimage.IMAGE, *, require_gpu: bool = False) -> records.Record:
        return pipeline.smoke_target(
            self.target, image=image, engine=self.engine, require_gpu=require_gpu, paths=self.paths
        )

    def log(self, step: str = "smoke") -> str:
        return (self.paths.dist / "logs" / f"{self.target}.{step}-container.log").read_text()


@pytest.fixture
def finished(tag: str, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finished]:
    """The official wheel is where pip is told to look; no container is left."""
    paths = Paths(settings=tmp_path / "settings", dist=tmp_path / "dist", cache=tmp_path / "cache")
    made = Finished(paths=paths, tag=tag, engine=engine)
    members = {"tensorflow/__init__.py": CODE.encode()}
    tags = f"{tag}-{tag}-{fakewheels.MANYLINUX}"
    fakewheels.write_wheel(tmp_path / "official", members, name="tensorflow", version="2.99.0", tag=tags, extra=EXTRA)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "official"), prepend=" ")
    paths.settings.mkdir()
    for name, text in (("lines.toml", LINES), ("repair.toml", REPAIR)):
        (paths.settings / name).write_text(text)
    (paths.settings / "targets.toml").write_text(RELEASE.format(f"3.{tag.removeprefix('cp3')}", "overlay"))
    settings = build_config.load(paths.settings)
    pins.update(settings, plan.targets(settings), paths.cache)
    yield made
    assert str(tmp_path) not in containers.ask([engine, "ps", "--all", "--format", "{{.Labels}}"])


def test_a_wheel_is_tested_in_a_container_which_its_report_names(finished: Finished) -> None:
    wheel = finished.tensorflow()
    record = finished.smoke()
    assert record.passed_smoke
    assert record == records.load(records.path_for(wheel))
    report = record.smoke
    assert report is not None
    assert report["container"]["image"] == pythonimage.IMAGE
    assert report["container"]["id"] == containers.find_place(finished.engine, pythonimage.IMAGE).image_id
    assert (report["gpu"], record.gpu_smoke) == ("absent", None)
    assert report["python"].startswith(f"3.{finished.tag.removeprefix('cp3')}.")
    assert set(report["times"]) == {"smoke: environment", "smoke: install", "smoke: checks", "smoke: custom ops"}
    assert report["checks"][-1]["name"] == "selftest of tfwheel_ops"
    assert "Successfully installed" in finished.log()
    assert not list((finished.paths.dist / "work").iterdir())


def test_what_fails_there_fails_here_with_the_same_words_and_is_kept(finished: Finished) -> None:
    wheel = finished.tensorflow("\ndef matmul(a, b):\n    import os\n    os.kill(os.getpid(), 4)\n")
    said = r"crashed in the check matmul on CPU:0: SIGILL \(Illegal instruction\) \(log: .*smoke-container\.log\)"
    with pytest.raises(SmokeError, match=said):
        finished.smoke()
    report = records.load(records.path_for(wheel)).smoke
    assert report is not None
    assert report["passed"] is False
    assert report["container"]["image"] == pythonimage.IMAGE
    assert "Fatal Python error: Illegal instruction" in finished.log()

    finished.tensorflow(LINK)
    with pytest.raises(SmokeError, match="import ended the process with exit code 0 before its report"):
        finished.smoke()


def test_an_ops_wheel_is_tried_beside_the_official_one_of_this_machine(finished: Finished) -> None:
    release = (finished.paths.settings / "targets.toml").read_text().replace("overlay", "ops")
    (finished.paths.settings / "targets.toml").write_text(release)
    requires = "Requires-Dist: tensorflow==2.99.*\n"
    finished.keep("ops-tf2.99.0-cu12", "tfwheel-ops", {"tfwheel_ops/__init__.py": OPS.encode()}, requires)
    record = finished.smoke()
    assert record.passed_smoke
    assert f"{finished.paths.cache}/bases/" in finished.log("ops-smoke")


def test_a_container_that_cannot_be_had_is_no_fault_of_the_wheel(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = finished.tensorflow()
    with pytest.raises(ContainerImageError, match=r"has no image `localhost:1/python:3\.\d+` and cannot pull it"):
        finished.smoke("localhost:1/python:{python}")
    bare = smallimage.make(tmp_path / "bare", finished.engine, f"{pythonimage.IMAGE}-bare")
    with pytest.raises(InterpreterMissingError, match=f"the image `{bare}` has no Python 3") as caught:
        finished.smoke(bare)
    containers.ask([finished.engine, "rmi", "--force", bare])
    assert "docker.io/library/python:3." in caught.value.remedy
    assert records.load(records.path_for(wheel)).smoke is None
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        with pytest.raises(ContainerEngineError, match="on PATH"):
            finished.smoke()


# --- GPUs ------------------------------------------------------------------------------------------------


def test_a_gpu_that_is_required_and_absent_is_an_error(finished: Finished) -> None:
    finished.tensorflow()
    with pytest.raises(GpuRequiredError, match="nvidia-smi lists no GPU"):
        finished.smoke(require_gpu=True)


def test_the_gpus_of_this_machine_are_used(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if finished.engine != "podman":
        pytest.skip("only podman reads /etc/cdi, and docker comes first: run `sudo systemctl stop docker`")
    (tmp_path / "bin").mkdir()
    wheel = finished.tensorflow(SEEN)
    with cdi.gpu(tmp_path / "bin"):
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        record = finished.smoke(require_gpu=True)
    assert record.passed_gpu_smoke
    assert record.smoke == record.gpu_smoke == records.load(records.path_for(wheel)).smoke
    assert record.smoke is not None
    assert record.smoke["gpu"]["driver"] == "580.82.07"
    assert record.smoke["gpu"]["images"] == {"fatbin": ["sm_75"]}  # of the installed library
    assert record.smoke["evidence"] == "run on a GPU"
    assert record.smoke["checks"][-1]["device"] == "GPU:0"
    assert "tensorflow[and-cuda]==2.99.0+cu125.1" in finished.log()


# --- the door --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "image"),
    [
        ([], None),
        (["--container"], "docker.io/library/python:{python}-slim"),
        (["--container", "some:1", "--engine", "podman"], "some:1"),
    ],
)
def test_the_door_hands_the_image_on(words: list[str], image: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    monkeypatch.setattr(pipeline, "smoke_target", lambda _target, **options: given.update(options))
    monkeypatch.setattr(sys, "argv", ["smoke_test.py", "some", *words])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "scripts" / "smoke_test.py"), run_name="__main__")
    assert caught.value.code == 0
    assert given["image"] == image


def test_an_engine_without_a_container_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["smoke_test.py", "some", "--engine", "podman"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "scripts" / "smoke_test.py"), run_name="__main__")
    assert caught.value.code == UsageError.exit_code
    assert "--engine is for a test in a container" in capsys.readouterr().err
