"""Smoke: a stand-in wheel through a real environment, a real pip and a served index."""

from __future__ import annotations

import os
import shutil
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import fakewheels
import sharing
from tfwheel.checks import environments, smoke
from tfwheel.checks.ops_trial import OpsUnderTest
from tfwheel.config.targets import Line, OpsRules, Target
from tfwheel.index import local_index
from tfwheel.system import files
from tfwheel.system import scratch as scratch_folders
from tfwheel.system.errors import CommandError, DiskFullError, InterpreterMissingError
from tfwheel.system.processes import Programs, run
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MINOR = "{}.{}".format(*sys.version_info)
FAKE = Path(__file__).parents[2] / "data" / "fake_tensorflow.py"
CHECKS = Path(smoke.__file__).with_name("smoke_checks.py")
EXTRA = "Requires-Dist: numpy\nProvides-Extra: and-cuda\n"
OPS = """
def selftest(device):
    row = {"op": "swiglu", "dtype": "float32", "direction": "forward", "max_error": 0.0, "tolerance": 0.1}
    return [{**row, "device": device, "passed": True}]
"""
ENDING = "import os, sys\ndef selftest(device):\n    {}\n"


class Tried(NamedTuple):
    """What a smoke run left."""

    report: dict[str, Any]
    log: str


def make(folder: Path, *, more: str = "", members: Mapping[str, bytes] | None = None, **names: str) -> Path:
    """A stand-in TensorFlow wheel; ``more`` is added to its code."""
    members = members or {"tensorflow/__init__.py": (FAKE.read_text() + more).encode()}
    options = {"name": "tensorflow", "version": "2.20.0+cpu.1", "extra": EXTRA, **names}
    return fakewheels.write_wheel(folder, members, tag="py3-none-any", **options)


def candidate(
    wheel: Path,
    url: str,
    *,
    cuda: str | None = None,
    python: str = MINOR,
    official: Path | None = None,
    **recorded: str,
) -> smoke.WheelUnderTest:
    """The wheel as the pipeline hands it over; ``recorded`` is what its record says otherwise than the wheel."""
    project, version = wheel.name.split("-")[:2]
    target = Target(
        tensorflow="2.20.0", python=python, line=Line(name="some", label="cpu", base="tensorflow", cuda=cuda), build=1
    )
    record = Record(
        target=target.id,
        project=project,
        version=recorded.get("version", version),
        line="some",
        python=python,
        file=wheel.name,
        sha256=recorded.get("sha256", files.sha256_of(wheel)),
        size=wheel.stat().st_size,
        key="k",
    )
    ops = OpsUnderTest.of(wheel, OpsRules(), {})
    return smoke.WheelUnderTest(target=target, record=record, wheel=wheel, index_url=url, official=official, ops=ops)


def tried(
    tmp_path: Path,
    wheel: Path,
    requires: Sequence[str] = (),
    **parts: Any,  # noqa: ANN401 -- handed on to `candidate`
) -> Tried:
    """Serve the wheel alone and smoke it, in a fresh environment that has ``requires``."""
    log = tmp_path / "logs" / "smoke.log"
    with local_index.serve_alone(wheel, line="some", workdir=tmp_path) as url:
        one = candidate(wheel, url, **parts)
        with environments.made(one.target, log=log, size=wheel.stat().st_size, requires=requires) as environment:
            report = smoke.smoke(one, environment)
    return Tried(report, log.read_text())


@pytest.fixture(scope="session")
def with_numpy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of the product's that has what the stand-in requires, but nothing of a wheel. Read only."""

    def fill(folder: Path) -> None:
        target = candidate(make(folder / "any"), "").target
        with environments.made(target, log=folder / "log", size=1, requires=["numpy"]) as environment:
            (folder / "pip").write_text(environment.making.result())
            shutil.copytree(environment.folder / "venv", folder / "venv", symlinks=True)

    return sharing.once(tmp_path_factory, "environment with numpy", fill)


@pytest.fixture
def tried_again(tmp_path: Path, with_numpy: Path) -> Callable[..., Tried]:
    """As ``tried``, but in a copy of an environment that has numpy already: for tests of what comes after it."""

    def attempt(wheel: Path, gpus: Sequence[dict[str, str]] = (), **parts: Any) -> Tried:  # noqa: ANN401 -- as above
        folder, log, making = tmp_path / "there", tmp_path / "logs" / "smoke.log", Future[str]()
        log.parent.mkdir()
        shutil.copytree(with_numpy / "venv", folder / "venv", symlinks=True, copy_function=os.link)
        making.set_result((with_numpy / "pip").read_text())
        environment = environments.Environment(
            folder=folder, log=log, gpus=list(gpus), making=making, programs=Programs()
        )
        with local_index.serve_alone(wheel, line="some", workdir=tmp_path) as url:
            return Tried(smoke.smoke(candidate(wheel, url, **parts), environment), log.read_text())

    return attempt


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the environments go, so that a test can see that they are gone."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return scratch_folders.home_in(scratch_folders.place())


def test_the_ops_of_a_merged_wheel_are_tried(tmp_path: Path, tried_again: Callable[..., Tried]) -> None:
    members = {"tensorflow/__init__.py": FAKE.read_bytes(), "tfwheel_ops.py": OPS.encode()}
    report = tried_again(make(tmp_path, members=members)).report
    assert report["passed"] is True
    assert report["checks"][-1]["name"] == "selftest of tfwheel_ops"


@pytest.fixture
def _leaking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder and a PYTHONPATH of this process from which nothing may get into an environment."""
    (tmp_path / "leak").mkdir()
    (tmp_path / "leak" / "numpy.py").write_text("raise RuntimeError('leaked')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "leak"))
    monkeypatch.chdir(tmp_path / "leak")


@pytest.mark.usefixtures("_leaking")
def test_a_wheel_with_ops_passes_and_leaves_nothing_but_its_log(tmp_path: Path, scratch: Path) -> None:
    members = {"tensorflow/__init__.py": FAKE.read_bytes(), "tfwheel_ops/__init__.py": OPS.encode()}
    wheel = make(tmp_path, members=members)
    report, log = tried(tmp_path, wheel)
    smoke.require_passed(report, log=tmp_path)
    assert (report["gpu"], report["evidence"]) == ("absent", "not run on a GPU")
    assert report["wheel_sha256"] == files.sha256_of(wheel)
    assert report["client"].startswith("pip 2")
    assert report["python"].startswith(f"{MINOR}.")
    assert set(report["times"]) == {"smoke: environment", "smoke: install", "smoke: checks", "smoke: custom ops"}
    assert report["checks"][-1]["name"] == "selftest of tfwheel_ops"
    assert "tensorflow==2.20.0+cpu.1" in log
    assert not list(scratch.glob("smoke-*"))


def test_an_ops_wheel_is_tried_beside_the_official_one(tmp_path: Path, tried_again: Callable[..., Tried]) -> None:
    official = make(tmp_path, version="2.20.0")
    members = {"tfwheel_ops/__init__.py": OPS.encode()}
    extra = "Requires-Dist: tensorflow==2.20.*\n"
    ops = make(tmp_path, members=members, name="tfwheel_ops", version="2.20.0+cpu.1", extra=extra)
    report = tried_again(ops, official=official).report
    assert report["passed"] is True
    assert report["checks"][-1]["name"] == "selftest of tfwheel_ops"


def test_what_is_required_is_there_before_the_wheel_and_nothing_else_brings_it(tmp_path: Path) -> None:
    report, log = tried(tmp_path, make(tmp_path), requires=["numpy", "six; extra == 'and-cuda'"])
    assert report["passed"] is True
    beforehand, _, installation = log.partition("--no-compile")
    assert "Successfully installed numpy-" in beforehand
    assert "Successfully installed tensorflow-2.20.0+cpu.1" in installation
    assert "Requirement already satisfied: numpy" in installation
    assert "six" not in log


def test_what_cannot_be_installed_beforehand_is_for_the_wheel_to_answer_for(tmp_path: Path) -> None:
    nowhere = "tfwheel-that-is-on-no-index==1"
    needing = make(tmp_path / "needing", extra=f"{EXTRA}Requires-Dist: {nowhere}\n")
    reports = []
    with environments.made(
        candidate(needing, "").target, log=tmp_path / "log", size=1, requires=[nowhere]
    ) as environment:
        for wheel in (needing, make(tmp_path)):
            with local_index.serve_alone(wheel, line="some", workdir=tmp_path) as url:
                reports.append(smoke.smoke(candidate(wheel, url), environment))
    assert reports[0]["reason"].startswith(f"ERROR: No matching distribution found for {nowhere}")
    assert reports[1]["passed"] is True


def test_the_environment_goes_when_the_wheel_is_never_made(tmp_path: Path, scratch: Path) -> None:
    target = candidate(make(tmp_path), "").target
    seen = []

    def fail() -> None:
        with environments.made(target, log=tmp_path / "log", size=1, requires=["numpy"]) as environment:
            seen.append(environment)
            assert environment.folder.is_dir()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert seen[0].making.done()
    assert not list(scratch.glob("smoke-*"))


def test_a_crash_is_named_with_its_signal_and_place(tmp_path: Path, tried_again: Callable[..., Tried]) -> None:
    crash = "\ndef matmul(a, b):\n    import os\n    os.kill(os.getpid(), 4)\n"
    report, log = tried_again(make(tmp_path, more=crash))
    assert report["passed"] is False
    assert report["reason"] == "crashed in the check matmul on CPU:0: SIGILL (Illegal instruction)"
    assert "Fatal Python error: Illegal instruction" in log


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (
            "os.kill(os.getpid(), 11)",
            "crashed in the check selftest of tfwheel_ops on CPU:0: SIGSEGV (Segmentation fault)",
        ),
        ("os._exit(0)", "selftest of tfwheel_ops on CPU:0 ended the process with exit code 0 before its report"),
        ("sys.exit()", "selftest of tfwheel_ops on CPU:0: SystemExit: it ended with exit code 0"),
    ],
)
def test_ops_that_end_the_process_fail_a_wheel_that_passed_before(
    tmp_path: Path, tried_again: Callable[..., Tried], end: str, words: str
) -> None:
    members = {"tensorflow/__init__.py": FAKE.read_bytes(), "tfwheel_ops.py": ENDING.format(end).encode()}
    report = tried_again(make(tmp_path, members=members)).report
    assert report["passed"] is False
    assert report["reason"] == words


@pytest.mark.parametrize("code", [0, 3])
def test_an_import_that_ends_the_process_is_named(tmp_path: Path, tried_again: Callable[..., Tried], code: int) -> None:
    report = tried_again(make(tmp_path, more=f"\nimport os\nos._exit({code})\n")).report
    assert report["passed"] is False
    assert report["reason"] == f"import ended the process with exit code {code} before its report"


def test_a_check_that_hangs_is_ended_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorflow.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    words = ["--project", "p", "--version", "1", "--tensorflow", "1", "--timeout", "1"]
    with pytest.raises(CommandError) as failure:
        run([sys.executable, CHECKS, *words, "--json", tmp_path / "report"])
    assert smoke.reason_of(failure.value) == "timed out in the check import"


def test_a_failed_check_is_the_reason_and_the_report_is_kept(tmp_path: Path, tried_again: Callable[..., Tried]) -> None:
    report = tried_again(make(tmp_path, more="\n__version__ = '2.21.0'\n")).report
    assert report["passed"] is False
    assert "tf.__version__ is 2.21.0, not 2.20.0" in report["reason"]
    assert len(report["checks"]) == 7


def test_a_pin_that_the_index_does_not_have_is_pips_own_complaint(
    tmp_path: Path, tried_again: Callable[..., Tried]
) -> None:
    report = tried_again(make(tmp_path), version="2.20.0+cpu.2").report
    assert report["reason"].startswith("ERROR: No matching distribution found for tensorflow==2.20.0+cpu.2")
    assert report["gpu"] == "not reached"


def test_another_file_than_the_recorded_one_never_passes(tmp_path: Path, tried_again: Callable[..., Tried]) -> None:
    report = tried_again(make(tmp_path), sha256="0" * 64).report
    assert report["passed"] is False
    assert report["reason"].startswith("pip installed another file: sha256")


def test_a_full_disk_is_not_a_failure_of_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried_again: Callable[..., Tried]
) -> None:
    said = "\nimport os\nprint('OSError: [Errno 28] No space left on device', flush=True)\nos._exit(1)\n"
    wheel = make(tmp_path, more=said)
    with pytest.raises(DiskFullError, match="ran out of space"):
        tried_again(wheel)
    usage = shutil.disk_usage(tmp_path)._replace(free=wheel.stat().st_size)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    with pytest.raises(DiskFullError, match="needs") as failure:
        tried(tmp_path, wheel)
    assert "TMPDIR" in failure.value.remedy


def test_a_missing_python_is_reported_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(InterpreterMissingError, match=r"3\.99"):
        tried(tmp_path, make(tmp_path), python="3.99")


def test_no_driver_or_a_broken_one_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environments.host_gpus() == []
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'NVIDIA-SMI has failed because it could not communicate with the driver'; exit 9\n"
    )
    program.chmod(0o755)
    assert environments.host_gpus() == []


@pytest.mark.parametrize("seen", [True, False])
def test_a_gpu_on_the_machine_must_be_seen_by_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried_again: Callable[..., Tried], *, seen: bool
) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Stand-in GPU, 580.82.07'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    wheel = make(tmp_path, more="\nGPUS.append('GPU:0')\n" if seen else "")
    with environments.made(candidate(wheel, "", cuda="12.5.1").target, log=tmp_path / "log", size=1) as environment:
        gpus = environment.gpus
    report, log = tried_again(wheel, gpus, cuda="12.5.1")
    assert "tensorflow[and-cuda]==2.20.0+cpu.1" in log
    assert report["passed"] is seen
    if seen:
        assert report["gpu"]["driver"] == "580.82.07"
        assert report["gpu"]["compute_capability"] == "7.5"
    else:
        assert "TensorFlow sees none" in report["reason"]
