"""The program that tries custom ops in a user's environment, on a stand-in TensorFlow that keeps a registry of ops."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tfwheel.checks import ops_checks

PASSED = {
    "op": "swiglu",
    "dtype": "float32",
    "direction": "forward",
    "device": "/job:localhost/device:CPU:0",
    "max_error": 0.1,
    "tolerance": 0.2,
    "passed": True,
}
PROGRAM = "import tensorflow as tf\nif __name__ == '__main__':\n    tf.run('Theirs')\n    {end}\n"


class _Nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_failure: object) -> None: ...


@pytest.fixture(autouse=True)
def tensorflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """A TensorFlow that has the ops of a library once that is loaded, by its path as text, and calls back."""
    tf = ModuleType("tensorflow")
    registry: dict[str, object] = {"MatMul": object()}
    loaded: dict[str, list[str]] = {}

    def load_op_library(path: str) -> str:
        new = [] if {Path(one).resolve() for one in loaded} & {Path(path).resolve()} else ["Theirs", "Other"]
        registry.update(dict.fromkeys(loaded.setdefault(path, new), object()))
        return path

    calls = {
        "pywrap_tfe": SimpleNamespace(TFE_Py_FastPathExecute=lambda *_words: None),
        "eager.execute": SimpleNamespace(execute=lambda *_words, **_options: None),
        "framework.op_def_library": SimpleNamespace(_apply_op_helper=lambda *_words, **_options: None),
    }

    def run(op: str, way: int = 0) -> None:
        """As the wrapper that TensorFlow generates for an op does, on its fast path and on its others."""
        if way == 0:
            calls["pywrap_tfe"].TFE_Py_FastPathExecute(None, op, "a name")
        elif way == 1:
            calls["eager.execute"].execute(op.encode(), 1, inputs=[])
        else:
            calls["framework.op_def_library"]._apply_op_helper(op, x=1)

    kernel = SimpleNamespace(device_type="CPU")
    modules = {
        "tensorflow": tf,
        **{f"tensorflow.python.{name}": module for name, module in calls.items()},
        "tensorflow.python.framework.op_def_registry": SimpleNamespace(get=registry.get),
        "tensorflow.python.client.pywrap_tf_session": SimpleNamespace(
            TF_LoadLibrary=load_op_library, TF_GetOpList=loaded.get, TF_DeleteLibraryHandle=lambda _handle: None
        ),
        "tensorflow.core.framework.op_def_pb2": SimpleNamespace(
            OpList=SimpleNamespace(
                FromString=lambda names: SimpleNamespace(op=[SimpleNamespace(name=name) for name in names])
            )
        ),
        "tensorflow.python.framework.kernels": SimpleNamespace(
            get_registered_kernels_for_op=lambda _op: SimpleNamespace(kernel=[kernel, kernel])
        ),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    tf.__dict__.update(
        load_op_library=load_op_library,
        run=run,
        device=lambda _name: _Nothing(),
        config=SimpleNamespace(set_soft_device_placement=lambda _on: None),
    )
    package = ModuleType("their_ops")
    package.__file__ = str(tmp_path / "their_ops" / "__init__.py")
    monkeypatch.setitem(sys.modules, "their_ops", package)
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    return tf


def tried(tmp_path: Path, way: str, *words: str, device: str = "CPU:0") -> dict[str, Any]:
    """The report of one way of use."""
    answer = tmp_path / "report.json"
    code = ops_checks.main([way, "--device", device, "--json", str(answer), *words])
    report: dict[str, Any] = json.loads(answer.read_text())
    assert code == (0 if all(check["passed"] for check in report["checks"]) else 1)
    return report


def test_a_package_and_its_library_are_used_and_their_ops_named(tmp_path: Path) -> None:
    report = tried(tmp_path, "use", "--package", "their_ops", "--library", "their_ops/_ops.so")
    assert [check["name"] for check in report["checks"]] == ["import their_ops", "load their_ops/_ops.so"]
    assert report["ops"] == {"Theirs": ["CPU"], "Other": ["CPU"]}
    assert report["ran"] == []


def test_a_selftest_runs_on_the_device_and_its_rows_are_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorflow: ModuleType
) -> None:
    def selftest(device: str) -> list[dict[str, Any]]:
        tensorflow.run("Theirs")
        assert device == "/CPU:0"
        return [PASSED]

    monkeypatch.setattr(sys.modules["their_ops"], "selftest", selftest, raising=False)
    report = tried(tmp_path, "use", "--package", "their_ops")
    assert report["checks"][-1]["detail"] == [PASSED]
    assert report["ran"] == ["Theirs"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"direction": "gradient", "passed": False}, "swiglu float32 gradient: error 0.1 is over 0.2"),
        ({"device": "/device:CPU:0,/device:GPU:0"}, "swiglu float32 forward ran on"),
    ],
)
def test_an_op_that_is_off_or_ran_elsewhere_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(sys.modules["their_ops"], "selftest", lambda _device: [PASSED | row], raising=False)
    assert words in tried(tmp_path, "use", "--package", "their_ops")["checks"][-1]["detail"]


def test_a_package_that_does_not_import_is_named_and_the_rest_is_tried(tmp_path: Path) -> None:
    report = tried(tmp_path, "use", "--package", "no_such_ops", "--package", "their_ops")
    assert [check["passed"] for check in report["checks"]] == [False, True]
    assert report["checks"][0]["detail"].startswith("ModuleNotFoundError: No module named 'no_such_ops'")


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        ("raise SystemExit", "SystemExit: it ended with exit code 0"),
        ("raise SystemExit(4)", "SystemExit: it ended with exit code 4"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import pytest; pytest.skip('no GPU', allow_module_level=True)", "Skipped: no GPU"),
    ],
)
@pytest.mark.parametrize("where", ["import", "selftest"])
def test_a_package_that_wants_to_end_the_process_is_named_and_the_rest_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str, detail: str, where: str
) -> None:
    text = f"{end}\n" if where == "import" else f"def selftest(device):\n    {end}\n"
    (tmp_path / "ending_ops.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "ending_ops", None)  # whatever is imported goes after the test
    del sys.modules["ending_ops"]
    report = tried(tmp_path, "use", "--package", "ending_ops", "--package", "their_ops")
    failed = next(check for check in report["checks"] if not check["passed"])
    assert failed["name"] == ("import ending_ops" if where == "import" else "selftest of ending_ops")
    assert failed["detail"] == detail
    assert report["checks"][-1] == {**report["checks"][-1], "name": "import their_ops", "passed": True}


@pytest.mark.parametrize(
    ("end", "detail"),
    [
        ("raise SystemExit", "test.py"),
        ("raise SystemExit(0)", "test.py"),
        ("raise SystemExit(3)", "SystemExit: it ended with exit code 3"),
        ("raise SystemExit(True)", "SystemExit: it ended with exit code 1"),
        ("raise SystemExit('two\\nlines')", "SystemExit: it ended with exit code 1: two"),
        ("assert 1 == 2, 'wrong'", "AssertionError: wrong"),
    ],
)
def test_a_program_runs_as_python_runs_it(tmp_path: Path, end: str, detail: str) -> None:
    program = tmp_path / "test.py"
    program.write_text(PROGRAM.format(end=end))
    report = tried(tmp_path, "test", "--program", str(program))
    assert report["checks"][0]["detail"] == detail
    assert report["ran"] == ["Theirs"]


NO_CASE = "def test_a():\n    assert 0\n\n\nclass TestB:\n    def test_b(self):\n        assert 0\n"
CASE = "class B(unittest.TestCase):\n    def test_b(self):\n        pass\n"


@pytest.mark.parametrize(
    ("tests", "passed"),
    [(NO_CASE, False), (CASE, True), (CASE.replace("    def", "    @unittest.skip('no GPU')\n    def"), True)],
)
def test_a_program_that_starts_unittest_on_tests_of_another_kind_has_failed(
    tmp_path: Path, tests: str, *, passed: bool
) -> None:
    program = tmp_path / "test.py"
    program.write_text(f"import unittest\n\n\n{tests}\n\nunittest.main()\n")
    (check,) = tried(tmp_path, "test", "--program", str(program))["checks"]
    assert check["passed"] == passed
    assert passed or check["detail"].startswith("AssertionError: it started unittest, which found no test")


def test_ops_that_tensorflow_does_not_have_by_itself_are_named(tmp_path: Path) -> None:
    assert tried(tmp_path, "alone", "--op", "MatMul")["checks"][0]["detail"] == ["MatMul"]
    failed = tried(tmp_path, "alone", "--op", "MatMul", "--op", "Theirs")["checks"][0]
    assert failed["detail"] == "AssertionError: TensorFlow does not load Theirs by itself"


@pytest.mark.parametrize(("device", "visible"), [("CPU:0", "-1"), ("GPU:0", "0")])
def test_on_the_cpu_no_gpu_is_seen(tmp_path: Path, device: str, visible: str) -> None:
    tried(tmp_path, "use", device=device)
    assert ops_checks.os.environ["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize("way", [0, 1, 2])
def test_an_op_is_noted_on_each_way_into_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorflow: ModuleType, way: int
) -> None:
    def selftest(_device: str) -> list[dict[str, Any]]:
        tensorflow.run("Theirs", way)
        return []

    monkeypatch.setattr(sys.modules["their_ops"], "selftest", selftest, raising=False)
    assert tried(tmp_path, "use", "--package", "their_ops")["ran"] == ["Theirs"]


def test_in_another_tensorflow_it_is_not_known_what_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow.python.pywrap_tfe", None)
    assert tried(tmp_path, "use", "--package", "their_ops")["ran"] is None
