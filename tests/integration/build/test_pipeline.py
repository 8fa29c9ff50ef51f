"""The whole main job on a small stand-in TensorFlow: real pip, index, compiler, auditwheel, environments and locks."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import fakewheels
import sharing
from benchmarks import build_bench
from tfwheel.build import job, ops_builds, pins, pipeline, recheck
from tfwheel.build.errors import CompileError, OddPartsError, OpsSourceError, UntrueRecordError
from tfwheel.checks import environments, smoke, wheel_gates
from tfwheel.checks.errors import ContentsGateError, GpuRequiredError, SizeGateError, SmokeError
from tfwheel.config import build_config, plan
from tfwheel.config.paths import CONFIG_DIR, Paths
from tfwheel.index import listing_rules
from tfwheel.index.errors import WheelMissingError
from tfwheel.system import files, locks
from tfwheel.system.errors import HashMismatchError, TargetBusyError
from tfwheel.wheel import provenance, records
from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.errors import FactoryError

DATA = Path(__file__).parents[2] / "data"
PYTHON = "{}.{}".format(*sys.version_info)
TAG = "cp{}{}".format(*sys.version_info)
TARGET = f"tf2.99.0-{TAG}-cpu"
TARGETS_TOML = f"""\
[[release]]
tensorflow = "2.99.0"
build = 1
pythons = ["{PYTHON}"]
lines = ["cpu"]
default = true
"""
LINES_TOML = '[cpu]\nlabel = "cpu"\nbase = "tensorflow"\n'
REPAIR_TOML = 'ceiling = "manylinux_2_40_x86_64"\nmax_bytes = 10_000_000\nexclude = ["libtensorflow_framework.so.2"]\n'
PATCH = """\
--- a/tensorflow/version.py
+++ b/tensorflow/version.py
@@ -1,2 +1,2 @@
-BUILD_LABEL = "none"
+BUILD_LABEL = "@VERSION@"
 OTHER = 1
"""


@dataclass(frozen=True, kw_only=True)
class Factory:
    """A checkout of one's own, and the index its official wheel comes from."""

    paths: Paths
    index: Path

    def build(self, **options: bool) -> records.Record:
        return pipeline.build(TARGET, paths=self.paths, **options)

    def write(self, name: str, text: str) -> None:
        path = self.paths.settings / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def summary(self) -> str:
        return (self.paths.dist / "reports" / "summary.md").read_text()

    def files(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.paths.dist / folder).rglob("*") if path.is_file())


def official_wheel(folder: Path) -> Path:
    library = fakewheels.framework(folder / "build").read_bytes()
    code = (DATA / "fake_tensorflow.py").read_text().replace("2.20.0", "2.99.0")
    members = {
        "tensorflow/__init__.py": (code + "\nfrom tensorflow import version\n").encode(),
        "tensorflow/version.py": b'BUILD_LABEL = "none"\nOTHER = 1\n',
        "tensorflow/include/tensorflow/core/op.h": b"#define FROM_THE_HEADER 1\n",
        fakewheels.FRAMEWORK: library,
    }
    tag = f"{TAG}-{TAG}-{fakewheels.MANYLINUX}"
    return fakewheels.write_wheel(
        folder, members, name="tensorflow", version="2.99.0", tag=tag, extra="Requires-Dist: numpy\n"
    )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A package index on this machine that has the official wheel of the stand-in."""
    folder = tmp_path_factory.mktemp("index") / "tensorflow"
    wheel = official_wheel(folder)
    shutil.rmtree(folder / "build")
    (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder.parent))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def factory_in(folder: Path, index: Path) -> Factory:
    return Factory(paths=Paths(settings=folder / "settings", dist=folder / "dist", cache=folder / "cache"), index=index)


def lock(folder: Path, index: Path) -> None:
    """Write settings and lock the official wheel."""
    made = factory_in(folder, index)
    for name, text in [("targets.toml", TARGETS_TOML), ("lines.toml", LINES_TOML), ("repair.toml", REPAIR_TOML)]:
        made.write(name, text)
    made.write("patches/2.99.0/label.patch", PATCH)
    shutil.copytree(DATA / "fake_ops", made.paths.settings / "ops")
    shutil.copytree(CONFIG_DIR / "ops" / "backend", made.paths.settings / "ops" / "backend")
    settings = build_config.load(made.paths.settings)
    pins.update(settings, plan.targets(settings), made.paths.cache)


@pytest.fixture
def factory(
    served: tuple[Path, str],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Factory:
    """Fresh settings, dist and cache, with the official wheel locked."""
    index, url = served
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", url)
    locked = sharing.once(tmp_path_factory, "pipeline-locked", partial(lock, index=index))
    shutil.copytree(locked, tmp_path, dirs_exist_ok=True)
    return factory_in(tmp_path, index)


@pytest.fixture
def built(factory: Factory, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Factory:
    """The same after one build, which fetched all it needed."""

    def build(folder: Path) -> None:
        shutil.copytree(tmp_path, folder, dirs_exist_ok=True)
        made = factory_in(folder, factory.index)
        shutil.rmtree(made.paths.cache / "bases", ignore_errors=True)
        made.build()

    whole = sharing.once(tmp_path_factory, "pipeline-built", build)
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True, symlinks=True)
    return factory


def record_of(factory: Factory) -> records.Record:
    """What the one build recorded of its wheel."""
    (wheel,) = (factory.paths.wheels / TARGET).glob("*.whl")
    return records.load(records.path_for(wheel))


def test_the_main_job_from_lock_to_index(built: Factory, capfd: pytest.CaptureFixture[str]) -> None:
    factory, record = built, record_of(built)
    assert record.passed_smoke
    assert record.version == "2.99.0+cpu.1"
    assert record.smoke is not None
    assert record.smoke["gpu"] == "absent"
    gates = {gate.__name__ for gate in wheel_gates.GATES}
    assert set(record.gates) == gates >= {"contents", "arch", "promise", "sbom"}
    assert record.gpu_code == {}
    assert record.builder == provenance.builder(os.environ)
    assert {"official wheel", "compile ops", "auditwheel repair", "merge", "gates"} <= set(record.times)

    wheel = factory.paths.wheels / TARGET / record.file
    assert files.sha256_of(wheel) == record.sha256
    assert record.file in factory.files("site/cpu/tensorflow")
    assert any(name.startswith("tfwheel_ops-2.99.0+cpu.1-py3-none-") for name in factory.files("site/cpu/tfwheel-ops"))
    members = fakewheels.members_of(wheel)
    assert b"2.99.0+cpu.1" in members["tensorflow/version.py"]
    assert {"_tfwheel_ops/__init__.py", "_tfwheel_ops/_ops.so", "tfwheel_ops.py"} <= members.keys()
    assert not list((factory.paths.dist / "work").iterdir())
    build_bench.merge_once(
        factory.paths, TARGET, factory.paths.dist / "merged"
    )  # what the bench measures is this merge
    assert files.sha256_of(factory.paths.dist / "merged" / record.file) == record.sha256

    # An unchanged target is left alone, and a forced one gives the same bytes.
    capfd.readouterr()
    assert factory.build() == record
    said = capfd.readouterr().err
    assert "unchanged" in said
    assert "compile" not in said
    assert factory.build(force=True, smoke=False).sha256 == record.sha256
    assert pipeline.smoke_target(TARGET, paths=factory.paths).passed_smoke


def test_a_damaged_record_means_building_again(built: Factory) -> None:
    first, wheel = record_of(built), built.paths.wheels / TARGET / "old.whl"
    for damaged in (wheel, wheel.with_name(first.file)):
        files.write_atomically(records.path_for(damaged), b"{")
    again = built.build()
    assert again.passed_smoke
    assert again.sha256 == first.sha256 == record_of(built).sha256
    assert not records.path_for(wheel).exists()


def test_a_failed_smoke_test_keeps_the_wheel_out_of_the_index(factory: Factory) -> None:
    factory.write("ops/tfwheel_ops/__init__.py", "raise ImportError('the op does not load')\n")
    with pytest.raises(SmokeError, match="the op does not load") as caught:
        factory.build()
    assert "ops-smoke.log" in str(caught.value)
    assert f"{TARGET}.ops-smoke.log" in factory.files("logs")
    assert not [name for name in factory.files("site") if name.endswith(".whl")]


def test_a_compile_error_shows_the_compilers_words(factory: Factory) -> None:
    factory.write("ops/op.cc", "int broken( { return 1; }\n")
    with pytest.raises(CompileError, match=r"op\.cc:1:\d+: error:") as caught:
        factory.build()
    assert f"{TARGET}.ops.log" in caught.value.remedy
    assert not factory.files("wheels")


def test_ops_that_change_while_they_are_built_are_not_kept(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = shutil.copytree

    def edited(source: Path, *words: Any, **options: Any) -> Any:  # noqa: ANN401 -- as shutil's
        result = copied(source, *words, **options)
        if source == factory.paths.settings / "ops":
            factory.write("ops/src/late.cc", "// an edit")
        return result

    monkeypatch.setattr(ops_builds.shutil, "copytree", edited)
    with pytest.raises(OpsSourceError, match="changed while they were built"):
        factory.build()
    assert not factory.files("wheels")


def test_a_patch_that_does_not_apply_stops_the_build(built: Factory) -> None:
    first = record_of(built)
    built.write("patches/2.99.0/label.patch", PATCH.replace('"none"', '"other"'))
    with pytest.raises(PatchError, match=r"label\.patch.*tensorflow/version\.py"):
        built.build()
    assert record_of(built) == first  # nothing took its place


def test_a_failed_gate_leaves_what_was_there(built: Factory) -> None:
    factory, first = built, record_of(built)
    factory.write("repair.toml", REPAIR_TOML.replace("10_000_000", "100"))
    with pytest.raises(SizeGateError, match="tfwheel_ops"):  # new rules hold for the ops that were compiled before, too
        factory.build()
    assert first.file in factory.files(f"wheels/{TARGET}")
    assert first.file in factory.files("site/cpu/tensorflow")


def test_an_altered_official_wheel_is_refused(factory: Factory) -> None:
    path = factory.paths.settings / "bases.toml"
    locked = build_config.load(factory.paths.settings).bases[0].sha256
    path.write_text(path.read_text().replace(locked, "0" * 64))
    with pytest.raises(HashMismatchError):
        factory.build()
    assert not factory.files("wheels")


def test_a_gpu_that_is_required_and_absent_is_an_error(factory: Factory) -> None:
    with pytest.raises(GpuRequiredError):
        factory.build(require_gpu=True)


def test_there_is_nothing_to_smoke_before_a_build(factory: Factory) -> None:
    with pytest.raises(WheelMissingError):
        pipeline.smoke_target(TARGET, paths=factory.paths)


def test_the_ops_builder_makes_the_thin_wheel_alone(factory: Factory) -> None:
    factory.write("targets.toml", TARGETS_TOML + 'builder = "ops"\n')
    record = factory.build()
    assert record.target == "ops-tf2.99.0-cpu"
    assert not (factory.paths.wheels / TARGET).exists()
    assert record.file in factory.files("site/cpu/tfwheel-ops")


def test_two_builds_at_once_do_the_work_once(factory: Factory, capfd: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: factory.build(smoke=False), range(2)))
    said = capfd.readouterr().err
    assert found[0] == found[1]
    assert f"another build of {TARGET} is running" in said
    assert said.count("compile ops: ") == said.count("merge: ") == 1


def test_a_build_that_never_ends_is_said_to_be_in_the_way(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BUSY_TIMEOUT_S", 0.1)
    with job.Job.of(TARGET, factory.paths).exclusive(TARGET), pytest.raises(TargetBusyError):
        factory.build()


def test_a_killed_build_leaves_nothing_in_the_way(factory: Factory) -> None:
    (factory.paths.dist / "work" / TARGET / "ops-build").mkdir(parents=True)
    (factory.paths.dist / "work" / TARGET / "ops-build" / "CMakeCache.txt").write_text("half")
    start = time.time()
    assert "contents" in factory.build(smoke=False).gates
    assert all(path.stat().st_mtime >= start for path in (factory.paths.wheels / TARGET).iterdir())


def test_what_came_from_a_cache_is_in_the_record_and_the_summary(built: Factory) -> None:
    factory, fetched = built, built.paths.cache / "bases"
    assert record_of(built).cached == []
    assert factory.build(force=True, smoke=False).cached == ["official wheel", "headers"]
    factory.write("patches/2.99.0/label.patch", PATCH.replace("@VERSION@", "another"))
    assert factory.build().cached == ["official wheel", "ops"]
    (row,) = [line for line in factory.summary().splitlines() if line.startswith(f"| passed | `{TARGET}`")]
    assert "| official wheel, ops |" in row
    next(fetched.rglob("*.whl")).write_bytes(b"damaged")
    assert factory.build(force=True, smoke=False).cached == ["headers"]


def test_a_build_that_fails_is_in_the_summary_too(factory: Factory) -> None:
    factory.write("ops/op.cc", "int broken( { return 1; }\n")
    with pytest.raises(CompileError):
        factory.build()
    assert f"| missing | `{TARGET}`" in factory.summary()


def test_a_run_on_a_gpu_is_kept_beside_the_others(built: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no GPU here, so what one would report stands in; everything around it is real."""
    factory, sha256 = built, record_of(built).sha256

    def on_gpu(**report: object) -> records.Record:
        told = {"wheel_sha256": sha256, "reason": "no kernel", "gpu": {"name": "T4"}} | report
        with monkeypatch.context() as patched:
            patched.setattr(environments, "gpus_for", lambda *_, **__: [{"name": "T4", "driver": "580.82.07"}])
            patched.setattr(smoke, "smoke", lambda *_, **__: dict(told))
            return pipeline.smoke_target(TARGET, require_gpu=True, paths=factory.paths)

    passed = on_gpu(passed=True)
    assert passed.smoke == passed.gpu_smoke
    here = pipeline.smoke_target(TARGET, paths=factory.paths)
    assert (here.smoke or {})["gpu"] == "absent"
    assert here.gpu_smoke == passed.gpu_smoke
    assert factory.build(require_gpu=True) == here  # done before, on these bytes: no GPU is looked for

    with pytest.raises(SmokeError, match="no kernel"):
        on_gpu(passed=False, gpu="not reached")
    again = pipeline.smoke_target(TARGET, paths=factory.paths)
    assert again.passed_smoke
    assert not again.passed_gpu_smoke
    assert listing_rules.publishable(again) == "its GPU smoke test failed: no kernel"
    assert f"| FAILED | `{TARGET}`" in factory.summary()


# --- built here, tested there, checked again before it is signed ------------------------------------------


def staged(factory: Factory) -> Path:
    """The wheels with their records in one folder, as a release stages them."""
    folder = factory.paths.dist / "release"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in factory.paths.wheels.glob("*/*"):
        shutil.copy(path, folder / path.name)
    return folder


def alter(folder: Path, start: str, changes: dict[str, bytes | None]) -> None:
    """Change a wheel as code of it could, and let its record vouch for the new bytes."""
    (wheel,) = folder.glob(f"{start}-*.whl")
    old = records.load(records.path_for(wheel))
    changed = fakewheels.members_of(wheel) | changes
    members = {name: data for name, data in changed.items() if data is not None and not name.endswith("/")}
    (row,) = [name for name in members if name.endswith(".dist-info/RECORD")]
    del members[row]
    info = row.removesuffix("/RECORD")
    with_record = members | {row: fakewheels.record_of(members, info)}
    fakewheels.write_zip(wheel, with_record)
    sha256 = files.sha256_of(wheel)
    size = wheel.stat().st_size
    gates = old.gates | {"size": old.gates["size"].replace(f"{old.size:,}", f"{size:,}")}
    smoke_report = {"passed": True, "wheel_sha256": sha256}
    records.save(old.grown(sha256=sha256, size=size, gates=gates, smoke=smoke_report), wheel)


def test_a_wheel_is_built_without_being_run_and_only_its_test_adds_a_report(factory: Factory) -> None:
    untested = factory.build(smoke=False)
    assert untested.smoke is None
    assert "contents" in untested.gates
    assert not [name for name in factory.files("site") if name.endswith(".whl")]
    assert factory.build(smoke=False) == untested
    folder = staged(factory)
    tested = pipeline.smoke_target(TARGET, paths=factory.paths)
    assert records.joined(untested, tested) == tested == untested.grown(smoke=tested.smoke)
    (ops,) = (records.load(path) for path in factory.paths.wheels.glob("ops-*/*.record.json"))
    assert ops.passed_smoke
    assert tested.file in factory.files("site/cpu/tensorflow")
    assert len(recheck.recheck(folder, tested.version, factory.paths)) == 2


INFO = "tensorflow-2.99.0+cpu.1.dist-info"


@pytest.mark.parametrize(
    ("start", "changes", "error", "said"),
    [
        (
            "tensorflow",
            {"tensorflow/include/tensorflow/core/op.h": b"// evil"},
            ContentsGateError,
            "undeclared, in: tensorflow/include/tensorflow/core/op.h",
        ),
        ("tensorflow", {"tensorflow/__init__.py": b"import evil"}, OddPartsError, "parts give: tensorflow/__init__"),
        ("tensorflow", {"tensorflow/evil.py": b"import evil"}, ContentsGateError, "neither its base nor a declared"),
        ("tensorflow", {"tensorflow/version.py": b"import evil"}, OddPartsError, "parts give: tensorflow/version.py"),
        (
            "tensorflow",
            {"_tfwheel_ops/__init__.py": b"import evil"},
            OddPartsError,
            "parts give: _tfwheel_ops/__init__.py",
        ),
        ("tensorflow", {f"{INFO}/licenses/NOTICE": b"none"}, OddPartsError, "parts give: .*NOTICE"),
        ("tfwheel_ops", {"tfwheel_ops/__init__.py": b"import evil"}, OddPartsError, "tfwheel_ops/__init__.py"),
        ("tensorflow", {"_tfwheel_ops/__init__.py": None}, ContentsGateError, "lacks: _tfwheel_ops/__init__.py"),
    ],
)
def test_a_wheel_that_was_altered_after_its_smoke_test_is_refused(
    built: Factory, start: str, changes: dict[str, bytes | None], error: type[FactoryError], said: str
) -> None:
    folder = staged(built)
    alter(folder, start, changes)
    with pytest.raises(error, match=said):
        recheck.recheck(folder, record_of(built).version, built.paths)


def test_a_record_that_says_what_is_not_found_is_refused(built: Factory) -> None:
    true = record_of(built)
    for facts in (
        {"sha256": "0" * 64},
        {"gates": true.gates | {"contents": "all well"}},
        {"base": {"file": "x.whl", "sha256": "0" * 64}},
        {"gpu_code": {"ops": ["sm_120"]}},
        {"python": "3.9"},
        {"retarget": {"libraries": {"x.so": {}}}},
    ):
        folder = staged(built)
        records.save(true.grown(**facts), folder / true.file)
        with pytest.raises(UntrueRecordError, match=next(iter(facts)) if "retarget" not in facts else "about x.so"):
            recheck.recheck(folder, true.version, built.paths)
    (folder / true.file).unlink()
    with pytest.raises(WheelMissingError, match=f"has no wheel of {TARGET}"):
        recheck.recheck(folder, true.version, built.paths)
