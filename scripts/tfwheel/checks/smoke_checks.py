"""Check inside a user's environment that the installed TensorFlow computes correct results.

Imports the standard library, numpy and TensorFlow only, in the syntax of Python 3.9. Writes one JSON object to
``--json`` and exits with 1 if a check failed. Prints each check before it starts, so that a crash can be attributed.
"""
# ruff: noqa: T201, S101, BLE001 -- a program of its own: it prints, asserts, and reports whatever a check raises

from __future__ import annotations

import argparse
import faulthandler
import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np  # type: ignore[import-not-found, unused-ignore] # TensorFlow brings it

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    Check = Callable[[], Any]

SEED = 7
FIRST_KERNEL_WORD = "first-kernel"  # the argument of the child processes of `jit_use`
FIRST_KERNEL = {
    "cached": {},
    "cold": {"CUDA_CACHE_DISABLE": "1"},
    "native": {"CUDA_CACHE_DISABLE": "1", "CUDA_DISABLE_PTX_JIT": "1"},
}
CHILD_TIMEOUT_S = 300


def main(words: list[str] | None = None) -> int:
    """Run the checks that the arguments ask for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True, help="the distribution under test")
    parser.add_argument("--version", required=True, help="its exact version")
    parser.add_argument("--tensorflow", required=True, help="the version that tf.__version__ must have")
    parser.add_argument("--expect-gpu", action="store_true", help="fail unless TensorFlow sees a GPU")
    parser.add_argument("--timeout", type=float, default=900, help="seconds until it prints all stacks and ends")
    parser.add_argument("--json", type=Path, required=True, help="where the report goes")
    arguments = parser.parse_args(words)
    faulthandler.dump_traceback_later(arguments.timeout, exit=True)
    report = run_all(arguments)
    faulthandler.cancel_dump_traceback_later()
    arguments.json.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
    print("passed" if report["passed"] else f"failed: {report['reason']}")
    return 0 if report["passed"] else 1


def run_all(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run all checks; return the report: each check with its time, the first failure as the reason, and the GPU.

    A failed import ends the run; after any other failure the remaining checks still run.
    """
    start = time.perf_counter()
    report: dict[str, Any] = {
        "passed": False,
        "reason": None,
        "gpu": "absent",
        "checks": [],
        "python": platform.python_version(),
        "tensorflow": None,
    }
    if _attempt(report, "import", "", partial(check_import, report, expect_gpu=arguments.expect_gpu)):
        tf = sys.modules["tensorflow"]
        _attempt(report, "version", "", partial(check_version, tf, arguments))
        for device in ["CPU:0", "GPU:0"][: 1 if report["gpu"] == "absent" else 2]:
            for name, check in checks_on(tf, device).items():
                _attempt(report, name, device, check)
    if isinstance(report["gpu"], dict):
        first = [check["seconds"] for check in report["checks"] if check["device"] == "GPU:0"][:1]
        report["gpu"]["seconds_to_first_kernel"] = first[0] if first else None
        report["gpu"] |= jit_use()
    report["passed"] = all(check["passed"] for check in report["checks"])
    report["seconds"] = round(time.perf_counter() - start, 2)
    return report


def jit_use() -> dict[str, Any]:
    """Measure whether the driver compiles kernels of TensorFlow at first use (JIT), and how long that takes.

    ``first_kernel_s``: seconds to the first results of a cast and an add, whose kernels MLIR generated, in a new
    process each: "cached" with the driver's cache, "cold" without it (CUDA_CACHE_DISABLE), "native" with SASS alone
    (CUDA_DISABLE_PTX_JIT); None for a process that failed. ``jit`` is the conclusion in words.
    """
    seconds = {name: _first_kernel(variables) for name, variables in FIRST_KERNEL.items()}
    if seconds["native"] is not None:
        jit = "not used: the generated kernels have SASS for this GPU"
    elif seconds["cold"] is not None:
        jit = "used: the generated kernels have no SASS for this GPU"
    else:
        jit = "failed: the generated kernels do not run on this GPU"
    return {"first_kernel_s": seconds, "jit": jit}


def _first_kernel(variables: dict[str, str]) -> float | None:
    """Return the seconds to the first kernel in a new process with these variables, None if it fails."""
    words = [sys.executable, "-I", __file__, FIRST_KERNEL_WORD]
    try:
        done = subprocess.run(
            words, env={**os.environ, **variables}, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S, check=True
        )
        return float(done.stdout.split()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError):
        return None


def time_first_kernel() -> float:
    """Return the seconds to the first results of a cast and an add on the GPU, without the copy to it."""
    tf = importlib.import_module("tensorflow")
    with _on(tf, "GPU:0"):
        values = tf.constant(_random((8,)))
        values.numpy()
        start = time.perf_counter()
        tf.add(values, values).numpy()
        tf.cast(values, tf.int32).numpy()
        return round(time.perf_counter() - start, 4)


def checks_on(tf: ModuleType, device: str) -> dict[str, Check]:
    """Return the checks of one device, in order; the first one runs the first kernel there."""
    return {
        "first kernel": partial(check_first_kernel, tf, device),
        "matmul": partial(check_matmul, tf, device),
        "conv2d": partial(check_conv2d, tf, device),
        "keras fit": partial(check_keras_fit, tf, device),
        "xla": partial(check_xla, tf, device),
    }


def _attempt(report: dict[str, Any], name: str, device: str, check: Check) -> bool:
    """Run one check and add its entry to the report; any exception is a failure. Return whether it passed."""
    label = f"{name} on {device}" if device else name
    print(f"check {label} ...", flush=True)
    entry: dict[str, Any] = {"name": name, "device": device, "passed": True}
    start = time.perf_counter()
    try:
        entry["detail"] = check()
    except BaseException as error:  # SystemExit, too: a report must not depend on what is imported
        entry["passed"] = False
        entry["detail"] = (f"{type(error).__name__}: {error}".splitlines() or [""])[0]
        report["reason"] = report["reason"] or f"{label}: {entry['detail']}"
    entry["seconds"] = round(time.perf_counter() - start, 3)
    print(f"check {label}: {'ok' if entry['passed'] else entry['detail']} ({entry['seconds']} s)", flush=True)
    report["checks"].append(entry)
    return bool(entry["passed"])


def check_import(report: dict[str, Any], *, expect_gpu: bool) -> str:
    """Check that TensorFlow can be imported; add its version and its GPU to the report."""
    tf = importlib.import_module("tensorflow")
    report["tensorflow"] = tf.__version__
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        capability = ".".join(map(str, details.get("compute_capability", ())))
        report["gpu"] = {"name": details.get("device_name"), "compute_capability": capability, "count": len(gpus)}
        tf.config.experimental.enable_tensor_float_32_execution(enabled=False)
    assert gpus or not expect_gpu, "this machine has a GPU, but TensorFlow sees none: its CUDA libraries did not load"
    tf.keras.utils.set_random_seed(SEED)
    return str(tf.__version__)


def check_version(tf: ModuleType, arguments: argparse.Namespace) -> str:
    """Check that the distribution has exactly the pinned version, and TensorFlow the version it was made from."""
    installed = importlib.metadata.version(arguments.project)
    assert installed == arguments.version, f"{arguments.project} is {installed}, not {arguments.version}"
    found = tf.__version__.replace("-", "")  # a pre-release calls itself 2.22.0-rc0, and is 2.22.0rc0 (PEP 440)
    assert found == arguments.tensorflow, f"tf.__version__ is {tf.__version__}, not {arguments.tensorflow}"
    label = getattr(tf.version, "BUILD_LABEL", None)
    if label is not None and arguments.project == "tensorflow":
        assert label == arguments.version, f"tf.version.BUILD_LABEL is {label}, not {arguments.version}"
    return f"{arguments.project} {installed}, tf.__version__ {tf.__version__}, BUILD_LABEL {label}"


def check_first_kernel(tf: ModuleType, device: str) -> float:
    """Check that the device is available and runs a kernel."""
    with _on(tf, device):
        result = tf.square(tf.constant(3.0))
    _assert_close(result, 9.0, 0.0, device)
    return float(result.numpy())


def check_matmul(tf: ModuleType, device: str) -> float:
    """Compare a float32 product with numpy's in float64."""
    left, right = _random((64, 96)), _random((96, 32))
    with _on(tf, device):
        result = tf.matmul(tf.constant(left), tf.constant(right))
    return _assert_close(result, left.astype("float64") @ right.astype("float64"), 1e-4, device)


def check_conv2d(tf: ModuleType, device: str) -> float:
    """Compare a float32 convolution (NHWC, valid) with sliding windows in float64; on a GPU this is cuDNN."""
    images, kernels = _random((2, 12, 10, 3)), _random((3, 3, 3, 8))
    with _on(tf, device):
        result = tf.nn.conv2d(tf.constant(images), tf.constant(kernels), strides=1, padding="VALID")
    windows = np.lib.stride_tricks.sliding_window_view(images.astype("float64"), (3, 3), axis=(1, 2))
    return _assert_close(result, np.einsum("nhwcij,ijco->nhwo", windows, kernels.astype("float64")), 1e-4, device)


def check_keras_fit(tf: ModuleType, device: str) -> list[float]:
    """Check that a small Keras model learns: its loss is finite and falls."""
    features = _random((64, 8))
    labels = features.sum(axis=1, keepdims=True)
    # Keras's data pipeline has CPU-only parts, so placement is not forced; the device of the weights is checked.
    with tf.device("/" + device):
        model = tf.keras.Sequential([tf.keras.Input((8,)), tf.keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        losses = [float(loss) for loss in model.fit(features, labels, epochs=3, verbose=0).history["loss"]]
    assert np.isfinite(losses).all(), f"the loss is not finite: {losses}"
    assert losses[-1] < losses[0], f"the loss does not fall: {losses}"
    _assert_placed(model.trainable_variables[0].value, device)
    return losses


def check_xla(tf: ModuleType, device: str) -> float:
    """Compare a function compiled by XLA, which raises for what it cannot compile, with numpy."""
    values = _random((32, 32))
    with _on(tf, device):
        compiled = tf.function(lambda x: tf.reduce_sum(tf.tanh(tf.matmul(x, x)), axis=1), jit_compile=True)
        result = compiled(tf.constant(values))
    wide = values.astype("float64")
    return _assert_close(result, np.tanh(wide @ wide).sum(axis=1), 1e-3, device)


class _on:  # noqa: N801 -- reads as a word: `with _on(tf, device):`
    """Run ops on one device alone: an op without a kernel for it fails instead of moving to the CPU."""

    def __init__(self, tf: ModuleType, device: str) -> None:
        self.tf = tf
        self.scope = tf.device("/" + device)

    def __enter__(self) -> None:
        self.tf.config.set_soft_device_placement(False)
        self.scope.__enter__()

    def __exit__(self, *failure: object) -> None:
        self.scope.__exit__(*failure)
        self.tf.config.set_soft_device_placement(True)


def _assert_placed(tensor: Any, device: str) -> None:  # noqa: ANN401 -- TensorFlow has no types here
    assert tensor.device.endswith(device), f"the result lies on {tensor.device or 'no device'}, not on {device}"


def _assert_close(tensor: Any, expected: Any, tolerance: float, device: str) -> float:  # noqa: ANN401 -- as above
    """Return the largest absolute difference; raise AssertionError if it exceeds the tolerance."""
    _assert_placed(tensor, device)
    result = tensor.numpy()
    assert result.shape == np.shape(expected), f"shape {result.shape} instead of {np.shape(expected)}"
    error = float(np.max(np.abs(result - expected)))
    assert error <= tolerance, f"the largest error is {error:.3g}, over {tolerance:.3g}"
    return error


def _random(shape: tuple[int, ...]) -> Any:  # noqa: ANN401 -- an ndarray; numpy comes with TensorFlow
    return np.random.default_rng(SEED).standard_normal(shape).astype("float32")


if __name__ == "__main__":
    if sys.argv[1:] == [FIRST_KERNEL_WORD]:
        print(time_first_kernel())
        sys.exit()
    sys.exit(main())
