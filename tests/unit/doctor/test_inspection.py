"""What is installed: owners, files that changed, whose file it is, GPU code for this GPU."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from gpulibraries import Library, kernels
from tfwheel.config.paths import ROOT
from tfwheel.doctor import inspection
from tfwheel.doctor.report import inspection_lines

if TYPE_CHECKING:
    from pathlib import Path

LISTING = json.loads((ROOT / "tests" / "data" / "selector_wheels.json").read_bytes())
WHEEL = next(one for one in LISTING["wheels"] if one["version"] == "2.20.0+cu125.3" and one["python"] == ["3.12"])
TAG = "cp312-cp312-manylinux_2_17_x86_64"
LIBRARY = Library(movable=[kernels("a", (70, 80))], generated=[kernels("b", (70,))])


def install(
    site: Path, project: str, version: str, files: dict[str, bytes], *, url: dict[str, Any] | None = None
) -> None:
    """Lay out a distribution as an installer does."""
    info = f"{project}-{version}.dist-info"
    files = {**files, f"{info}/WHEEL": f"Wheel-Version: 1.0\nTag: {TAG}\n".encode(), f"{info}/METADATA": b"Name: x\n"}
    rows = []
    for name, data in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        rows.append(f"{name},sha256={digest},{len(data)}")
    if url:
        (site / info / "direct_url.json").write_text(json.dumps(url))
    (site / info / "RECORD").write_text("\n".join([*rows, f"{info}/RECORD,,", f"{project}/__pycache__/x.pyc,,"]) + "\n")


@pytest.fixture(autouse=True)
def _no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for ptxas starts it: see the integration tests."""
    monkeypatch.setattr(inspection, "find_ptxas", lambda *_, **__: {"path": None, "version": None})


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """TensorFlow and its ops, and a companion that owns nothing of it."""
    library = LIBRARY.to_bytes()
    files = {"tensorflow/__init__.py": b"", "tensorflow/libtensorflow_cc.so.2": library}
    install(tmp_path, "tensorflow", WHEEL["version"], files | {"_tfwheel_ops/_ops.so": library, "tfwheel_ops.py": b""})
    install(tmp_path, "tensorflow_text", "2.20.1", {"tensorflow_text/__init__.py": b""})
    return tmp_path


def inspect(
    site: Path, capability: str | None = None, listing: dict[str, Any] | None = LISTING, **facts: object
) -> dict[str, Any]:
    known = {"site": str(site), "libraries": {}, "loaded": None} | facts
    return inspection.inspect_installed(known, listing, capability)


def test_an_untouched_wheel_of_the_index_has_no_problem(site: Path) -> None:
    found = inspect(site)
    assert [(one["project"], one["version"]) for one in found["owners"]] == [("tensorflow", WHEEL["version"])]
    assert found["ours"][0]["file"] == WHEEL["file"]
    assert found["ours"][0]["same"] is None  # pip keeps no hash of what came from an index
    assert found["problems"] == []
    assert f"sha256 {WHEEL['sha256']}" in "\n".join(inspection_lines(found))


def test_each_changed_and_missing_file_is_named(site: Path) -> None:
    (site / "tensorflow/__init__.py").write_bytes(b"import evil\n")
    (site / "_tfwheel_ops/_ops.so").unlink()
    library = site / "tensorflow/libtensorflow_cc.so.2"
    library.write_bytes(library.read_bytes()[:-1] + b"\1")
    assert inspect(site)["altered"] == [
        "tensorflow/__init__.py: 12 bytes instead of 0",
        "tensorflow/libtensorflow_cc.so.2: other bytes",
        "_tfwheel_ops/_ops.so: missing",
    ]
    assert "3 files are not as the wheel brought them" in inspect(site)["problems"][0]


def test_two_distributions_that_own_tensorflow_are_a_problem(site: Path) -> None:
    install(site, "tensorflow_cpu", "2.20.0", {"tensorflow/__init__.py": b""})
    problem = inspect(site)["problems"][0]
    assert "Several distributions own tensorflow/" in problem
    assert "tensorflow-cpu 2.20.0" in problem


def test_no_tensorflow_is_a_problem(tmp_path: Path) -> None:
    assert inspect(tmp_path)["problems"] == ["No TensorFlow is installed for this Python."]


@pytest.mark.parametrize(("sha256", "same"), [(WHEEL["sha256"], True), ("ab" * 32, False)])
def test_a_wheel_that_was_installed_from_a_url_is_compared_by_its_hash(
    tmp_path: Path, sha256: str, *, same: bool
) -> None:
    url = {"url": "https://x", "archive_info": {"hash": f"sha256={sha256}", "hashes": {"sha256": sha256}}}
    install(tmp_path, "tensorflow", WHEEL["version"], {"tensorflow/__init__.py": b""}, url=url)
    found = inspect(tmp_path)
    assert found["ours"][0]["same"] is same
    assert bool(found["problems"]) is not same


def test_a_withdrawn_and_a_foreign_wheel_are_told(tmp_path: Path) -> None:
    yanked = next(one for one in LISTING["wheels"] if one["yanked"])
    install(tmp_path, "tensorflow", yanked["version"], {"tensorflow/__init__.py": b""})
    assert "was withdrawn: built with the wrong label" in inspect(tmp_path)["problems"][0]
    install(tmp_path / "b", "tensorflow", "2.20.0", {"tensorflow/__init__.py": b""})
    found = inspect(tmp_path / "b")
    assert found["problems"] == []
    assert "is not from this index" in "\n".join(inspection_lines(found))
    assert inspect(tmp_path / "b", listing=None)["ours"] is None


@pytest.mark.parametrize(
    ("capability", "runs", "problem"),
    [
        ("7.5", {"big kernels": "SASS sm_70", "generated kernels": "SASS sm_70", "custom ops": "SASS sm_70"}, None),
        (
            "8.0",
            {"big kernels": "SASS", "generated kernels": "nothing", "custom ops": "SASS"},
            "This GPU can run none of the generated kernels: they fail.",
        ),
        (
            "9.0",
            {"big kernels": "PTX (JIT)", "generated kernels": "PTX (JIT)", "custom ops": "PTX (JIT)"},
            None,
        ),
    ],
)
def test_what_this_gpu_runs_is_read_from_the_installed_libraries(
    site: Path, capability: str, runs: dict[str, str], problem: str | None
) -> None:
    found = inspect(site, capability)
    assert found["gpu_code"]["generated"] == ["sm_70", "compute_90"]
    assert found["runs"] == runs
    assert found["problems"] == ([problem] if problem else [])
    shown = inspection_lines(found)
    assert all(f"This GPU runs of {kind}: {answer}" in shown for kind, answer in runs.items())


def test_of_ops_of_several_packages_the_code_counts_that_all_have(site: Path) -> None:
    newer = Library(movable=[kernels("a", (80,))]).to_bytes()
    (site / "_stray").mkdir()
    (site / "_stray" / "_ops.so").write_bytes(newer)
    (site / "stray.py").write_text("")
    assert inspect(site)["gpu_code"]["ops"] == ["sm_70", "sm_80", "compute_90"]  # nobody's files are no ops
    files = {"tensorflow/__init__.py": b"", "_theirs/deep/_ops.so": newer, "theirs.py": b""}
    install(site, "tensorflow", WHEEL["version"], files | {"_tfwheel_ops/_ops.so": LIBRARY.to_bytes()})
    assert inspect(site)["gpu_code"]["ops"] == ["sm_80", "compute_90"]


def test_the_ops_of_every_project_are_recognised_in_a_thin_wheel(site: Path) -> None:
    files = {"theirs/__init__.py": b"", "theirs/_ops.so": Library(movable=[kernels("a", (80,))]).to_bytes()}
    install(site, "tfwheel_ops", "2.20.0+cu125.3", files)
    found = inspect(site)
    assert [one["project"] for one in found["owners"]] == ["tensorflow", "tfwheel-ops"]
    assert found["problems"] == []
    assert found["gpu_code"]["ops"] == ["sm_80", "compute_90"]  # of both wheels
    (site / "theirs/__init__.py").write_bytes(b"import evil\n")
    assert inspect(site)["altered"] == ["theirs/__init__.py: 12 bytes instead of 0"]


def test_a_thin_wheel_hides_the_same_package_of_tensorflow(site: Path) -> None:
    newer = Library(movable=[kernels("a", (75, 80))]).to_bytes()
    install(site, "tfwheel_ops", "2.20.0+cu125.3", {"tfwheel_ops/__init__.py": b"", "tfwheel_ops/_ops.so": newer})
    assert inspect(site)["gpu_code"]["ops"] == ["sm_75", "sm_80", "compute_90"]


def test_what_is_loaded_and_what_is_hidden_are_problems(site: Path) -> None:
    loaded = [{"module": "numpy", "loaded": "1.26.4", "installed": "2.0.2"}]
    assert inspect(site, loaded=loaded)["problems"] == [
        "numpy 1.26.4 is loaded and 2.0.2 installed: restart the session."
    ]


def test_odd_records_are_read_as_far_as_they_go(tmp_path: Path) -> None:
    install(tmp_path, "tensorflow", "2.20.0", {"tensorflow/__init__.py": b""})
    record = tmp_path / "tensorflow-2.20.0.dist-info/RECORD"
    record.write_bytes(b'tensorflow/a.py,sha256=x,not-a-number\n"unfinished\n\xff\n,,\na,b\n')
    assert inspect(tmp_path)["owners"] == []
    record.write_text("tensorflow/__init__.py,sha256=x,many\ntensorflow/a.py,md5=x,0\n../../bin/x,,\n")
    assert inspect(tmp_path)["altered"][0].startswith("tensorflow/__init__.py: invalid literal")


def test_what_is_no_regular_file_or_outside_of_the_site_is_not_read(site: Path) -> None:
    info = site / f"tensorflow-{WHEEL['version']}.dist-info"
    with (info / "RECORD").open("a") as record:
        record.write(
            "/dev/zero,sha256=x,\n../../../dev/zero,sha256=x,\ntensorflow/zero,sha256=x,\ntensorflow/a,sha256=x,1\n"
        )
    (site / "tensorflow/zero").symlink_to("/dev/zero")
    os.mkfifo(site / "tensorflow/a")
    (site / "tensorflow/libtensorflow_cc.so.2").unlink()
    os.mkfifo(site / "tensorflow/libtensorflow_cc.so.2")
    (info / "direct_url.json").write_text("[" * 100_000)
    found = inspect(site)
    assert found["altered"] == [
        f"tensorflow/{name}: no regular file" for name in ("libtensorflow_cc.so.2", "zero", "a")
    ]
    assert found["ours"][0]["installed_sha256"] is None
    for name in ("WHEEL", "direct_url.json"):
        (info / name).unlink()
        os.mkfifo(info / name)
    assert inspect(site)["owners"][0]["tags"] == []
