"""Looks at the GPU, CUDA and TensorFlow, each in a process of its own with a time limit: a crash there is an answer."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tfwheel.doctor.files import is_there

GPU_SECONDS, PROOF_SECONDS, TOOL_SECONDS = 20, 300, 5
# What each program finds is one line of JSON. "gpus" stays null where it is unknown whether there is one.
GPU_PROGRAM = """
import ctypes, json
found = {"gpus": None, "cuda_driver": None, "error": None}
def ask(name, *words):
    code = getattr(cuda, name)(*words)
    if code:
        found["error"] = "%s returned %d" % (name, code)
        if (name, code) in (("cuInit", 100), ("cuInit", 34)):  # no device; a stub
            found["gpus"] = []
        raise OSError(found["error"])
def number(name, *words):
    value = ctypes.c_int()
    ask(name, ctypes.byref(value), *words)
    return value.value
try:
    cuda = ctypes.CDLL("libcuda.so.1")
    version = number("cuDriverGetVersion")
    found["cuda_driver"] = "%d.%d" % (version // 1000, version % 1000 // 10)
    ask("cuInit", 0)
    gpus = []
    for place in range(number("cuDeviceGetCount")):
        device, name, size = number("cuDeviceGet", place), ctypes.create_string_buffer(200), ctypes.c_size_t()
        ask("cuDeviceGetName", name, 200, device)
        ask("cuDeviceTotalMem_v2", ctypes.byref(size), device)
        capability = "%d.%d" % (number("cuDeviceGetAttribute", 75, device), number("cuDeviceGetAttribute", 76, device))
        gpus.append({"name": name.value.decode("utf-8", "replace"), "capability": capability, "memory_gb": round(size.value / 1e9, 1)})
    found["gpus"] = gpus
except (OSError, AttributeError) as error:
    found["error"] = str(error)
    if "libcuda.so.1" in str(error) and "no such file" in str(error).lower():
        found["gpus"] = []
print(json.dumps(found))
"""  # noqa: E501 -- a program of its own
DRIVER_PROGRAM = """
import ctypes, json
nvml = ctypes.CDLL("libnvidia-ml.so.1")
text = ctypes.create_string_buffer(80)
if not nvml.nvmlInit_v2() and not nvml.nvmlSystemGetDriverVersion(text, 80):
    print(json.dumps({"driver": text.value.decode("ascii", "replace")}))
"""
CUDNN_PROGRAM = """
import ctypes, json, sys
cudnn = ctypes.CDLL(sys.argv[1])
cudnn.cudnnGetVersion.restype = ctypes.c_size_t
number = cudnn.cudnnGetVersion()
major = 10000 if number >= 90000 else 1000
print(json.dumps({"cudnn": "%d.%d.%d" % (number // major, number % major // 100, number % 100)}))
"""
PROOF_PROGRAM = """
import json, sys, time
start = time.time()
import tensorflow as tf
found = {"version": tf.__version__, "label": getattr(tf.version, "BUILD_LABEL", None), "import_s": round(time.time() - start, 1)}
gpus = tf.config.list_physical_devices("GPU")
found["gpus"] = len(gpus)
with tf.device("/CPU:0"):
    found["cpu"] = float(tf.reduce_sum(tf.constant([[1.0, 2.0], [3.0, 4.0]]) @ tf.constant([[1.0], [1.0]])))
assert found["cpu"] == 10.0, found
if gpus:
    with tf.device("/GPU:0"):
        values = tf.random.uniform((256, 256), seed=1)
        found["gpu"] = float(tf.reduce_mean(tf.nn.relu(values @ values) + tf.math.tanh(values)))
        found["gpu"] += float(tf.reduce_sum(tf.nn.conv2d(tf.ones((1, 8, 8, 1)), tf.ones((3, 3, 1, 1)), 1, "SAME")))
try:
    import tfwheel_ops
    norm = getattr(tfwheel_ops, "rms_norm", lambda x, _: x)
    found["ops"] = tuple(norm(tf.ones((2, 8)), tf.ones((8,))).shape) == (2, 8)
except ImportError:
    found["ops"] = None
print(json.dumps(found))
"""  # noqa: E501


def probe_gpu(cudnn: str | None = None) -> dict[str, Any]:
    """Return GPUs, driver and CUDA as NVIDIA's libraries tell them, and the version of the cuDNN at a path.

    The answer has "gpus", "cuda_driver", "error", "driver", "cudnn", each None if unknown: one library that crashes or
    hangs says nothing of the others.
    """
    found = {"gpus": None, "cuda_driver": None, **run_program(GPU_PROGRAM, seconds=GPU_SECONDS)}
    driver = {} if found["gpus"] == [] else run_program(DRIVER_PROGRAM, seconds=GPU_SECONDS)
    version = run_program(CUDNN_PROGRAM, cudnn, seconds=GPU_SECONDS) if cudnn else {}
    known = re.fullmatch(r"\d{1,4}(?:\.\d{1,4}){1,3}", driver.get("driver") or "")
    return {**found, "driver": known[0] if known else None, "cudnn": version.get("cudnn")}


def prove_tensorflow(python: str = sys.executable) -> dict[str, Any]:
    """Import TensorFlow, run an op, a GPU kernel where there is a GPU, and an op of the wheel; returns what was found.

    "error" is the last lines of what it said, if it failed; "log" is all of it.
    """
    return run_program(PROOF_PROGRAM, seconds=PROOF_SECONDS, python=python)


def run_program(program: str, *words: str, seconds: int, python: str = sys.executable) -> dict[str, Any]:
    """Run a Python program and return the JSON that it writes, with "log": what it wrote besides; or "error"."""
    try:
        done = subprocess.run(
            [python, "-c", program, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env=dict(os.environ, PYTHONIOENCODING="utf-8"),
        )
    except subprocess.TimeoutExpired as error:
        log = (error.stdout or b"").decode("utf-8", "replace")
        return {"error": f"no answer in {seconds} s", "log": log}
    except OSError as error:
        return {"error": f"{python} does not start: {error}", "log": ""}
    text = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        return {"error": _death(done.returncode), "log": text}
    for line in reversed(text.splitlines()):  # what a library says at its end comes after it
        if line.startswith("{"):
            try:
                return {**json.loads(line), "log": text.replace(line, "").strip()}
            except (ValueError, TypeError):
                break
    return {"error": "no answer that can be read", "log": text}


def _death(code: int) -> str:
    """Return how a process ended, in the words of a shell."""
    if code >= 0:
        return f"exit code {code}"
    names = {signal.SIGILL: "Illegal instruction", signal.SIGKILL: "Killed", signal.SIGSEGV: "Segmentation fault"}
    known = {int(number): name for number, name in names.items()}
    return known.get(-code, f"signal {-code}") + f" (exit code {128 - code})"


def find_ptxas(site: Path, *, ask: bool = True) -> dict[str, str | None]:
    """Return the ptxas that TensorFlow would run, and its version; None where there is none, or it was not asked."""
    places = [site / "nvidia" / "cuda_nvcc" / "bin", *(Path(one) for one in os.environ.get("PATH", "").split(":"))]
    places.append(Path("/usr/local/cuda/bin"))
    path = next((str(place / "ptxas") for place in places if is_there(place / "ptxas")), None)
    return {"path": path, "version": ptxas_version(path) if path and ask else None}


def ptxas_version(path: str) -> str | None:
    """Return the version that a ptxas says it has, None if it does not run."""
    try:
        done = subprocess.run(
            [path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TOOL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"release (\d+\.\d+), V([\d.]+)", done.stdout)
    return found[2].decode() if found else None
