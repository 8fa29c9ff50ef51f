"""Prove a retargeted wheel on a machine with an NVIDIA GPU, beside the official one; writes one JSON report.

    prove_retarget.py --official tensorflow-2.20.0-...whl --retargeted tensorflow-2.20.0+cu125.1-...whl
                      [--report out.json] [--generated 70,80,120] [--work DIR]

Run it with the Python that the wheels are for; it makes two environments (5 GB) with the CUDA libraries of the extra
`and-cuda`, and two ptxas. What it claims, each with its expectation and what happened:

- CUDA_DISABLE_PTX_JIT=1 (machine code alone): the retargeted wheel runs generated kernels wherever `--generated`, the
  archs that they have, serve this GPU; the official one of 2.20.0 does not from compute capability 9.0 on.
- CUDA_FORCE_PTX_JIT=1 (portable code alone): the retargeted wheel computes what it computes without. From 9.0 on.
- Outputs over 600 op x dtype pairs, forward and gradient: those of the official wheel, wherever that runs.
- Seconds to the first results of a model with an empty cache (CUDA_CACHE_DISABLE=1), both wheels, medians of three.
- XLA: the PTX that it dumps, with ptxas 12.5 and with 12.9; the level must not be above that of the ptxas.

Nothing here was run on a GPU so far. Exit code 1 where an expectation was not met, 2 without a GPU.
"""
# ruff: noqa: T201 -- a program of its own, which prints

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SWEEP = Path(__file__).with_name("opsweep.py")
PTXAS = {"12.5": "nvidia-cuda-nvcc-cu12==12.5.82", "12.9": "nvidia-cuda-nvcc-cu12==12.9.86"}
HIGHEST_PTX = {"12.5": (8, 5), "12.9": (8, 8)}  # PTX ISA, "Release notes": what each of them reads
RUNS = 3
GENERATED = ("cast", "add", "multiply", "tanh")  # kernels that MLIR generated; `cast` stands for all its types
MODEL = """
import time; start = time.perf_counter()
import tensorflow as tf
x = tf.random.stateless_normal([64, 32, 32, 3], seed=[1, 2])
model = tf.keras.Sequential([tf.keras.layers.Conv2D(16, 3, activation="gelu"), tf.keras.layers.Flatten(),
                             tf.keras.layers.Dense(10, activation="softmax")])
imported = time.perf_counter()
model.compile("adam", "mse", jit_compile=False)
model.fit(x, tf.zeros([64, 10]), epochs=1, verbose=0)
print(time.perf_counter() - imported)
"""
XLA = """
import tensorflow as tf
f = tf.function(lambda x: tf.reduce_sum(tf.tanh(x) * x + 1.0), jit_compile=True)
with tf.device("/GPU:0"):
    print(float(f(tf.ones([1024]))))
"""


class Proof:
    """The environments, and what has been found so far."""

    def __init__(self, arguments, gpu):
        self.work = arguments.work
        self.report = {"gpu": gpu, "claims": [], "evidence": "run on a GPU"}
        self.capability = tuple(map(int, gpu["capability"].split(".")))
        self.pythons = {name: self.install(name, getattr(arguments, name)) for name in ("official", "retargeted")}
        self.native = serves(arguments.generated.split(","), self.capability)

    def install(self, name, wheel):
        """An environment with a wheel and the CUDA libraries that it asks for."""
        folder = self.work / name
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = folder / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel.resolve()}[and-cuda]"], check=True)
        return python

    def run(self, name, *words, **variables):
        """Run the Python of an environment; returns the finished program and the seconds it took."""
        start = time.perf_counter()
        done = subprocess.run(
            [self.pythons[name], *map(str, words)],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "1"} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=3600,
        )
        return done, time.perf_counter() - start

    def claim(self, what, *, expected, found, detail=""):
        """Note an expectation and what happened; None expects nothing."""
        met = expected is None or expected == found
        self.report["claims"].append({"what": what, "expected": expected, "found": found, "met": met, "detail": detail})
        print(f"{'ok ' if met else 'NOT'} {what}: {found}", flush=True)

    def sweep(self, name, out, *, only="", **variables):
        """Compute the op x dtype pairs on the GPU; whether that went well."""
        done, _ = self.run(name, SWEEP, "run", "--device", "GPU:0", "--out", out, "--only", only, **variables)
        return done.returncode == 0, (done.stdout + done.stderr)[-2000:]

    def same(self, left, right):
        """Whether two runs computed the same."""
        done, _ = self.run("retargeted", SWEEP, "compare", left, right)
        return done.returncode == 0, done.stdout[-2000:]

    def machine_code(self):
        """Generated kernels, where the driver may not compile."""
        alone = {"CUDA_DISABLE_PTX_JIT": "1", "CUDA_CACHE_DISABLE": "1"}
        only = ",".join(GENERATED)
        fine, said = self.sweep("retargeted", self.work / "alone.npz", only=only, **alone)
        self.claim(
            "retargeted, machine code alone: generated kernels run", expected=self.native, found=fine, detail=said
        )
        fine, said = self.sweep("official", self.work / "official-alone.npz", only=only, **alone)
        expected = False if self.capability >= (9, 0) else None
        self.claim("official, machine code alone: generated kernels run", expected=expected, found=fine, detail=said)

    def outputs(self):
        """Everything, both wheels; then the retargeted one with portable code alone."""
        mine, theirs, forced = (self.work / f"{name}.npz" for name in ("retargeted", "official", "forced"))
        fine, said = self.sweep("retargeted", mine)
        self.claim("retargeted: the sweep runs", expected=True, found=fine, detail=said)
        official, said = self.sweep("official", theirs)
        self.claim("official: the sweep runs", expected=None, found=official, detail=said)
        if official:
            equal, said = self.same(theirs, mine)
            self.claim("outputs are those of the official wheel", expected=True, found=equal, detail=said)
        if self.capability >= (9, 0):
            fine, said = self.sweep("retargeted", forced, CUDA_FORCE_PTX_JIT="1")
            self.claim("retargeted, portable code alone: the sweep runs", expected=True, found=fine, detail=said)
            equal, said = self.same(mine, forced)
            self.claim("portable code computes the same", expected=True, found=equal, detail=said)

    def cold_start(self):
        """Seconds from the import's end to the end of the first epoch, with an empty cache."""
        for name in self.pythons:
            seconds = []
            for _ in range(RUNS):
                done, _ = self.run(name, "-c", MODEL, CUDA_CACHE_DISABLE="1")
                seconds += [float(done.stdout.split()[-1])] if done.returncode == 0 else []
            found = round(statistics.median(seconds), 2) if seconds else None
            self.claim(f"{name}: seconds to the first epoch, nothing cached", expected=None, found=found)

    def xla(self):
        """The level of the PTX that XLA emits, by ptxas."""
        for cuda, pin in PTXAS.items():
            tools, dump = self.work / f"ptxas-{cuda}", self.work / f"dump-{cuda}"
            pip = [self.pythons["retargeted"], "-m", "pip", "install", "--quiet", "--no-deps", "--target", tools, pin]
            subprocess.run(pip, check=True)
            root = tools / "nvidia" / "cuda_nvcc"
            (root / "bin" / "ptxas").chmod(0o755)
            flags = f"--xla_gpu_cuda_data_dir={root} --xla_dump_to={dump}"
            done, _ = self.run("retargeted", "-c", XLA, XLA_FLAGS=flags, CUDA_CACHE_DISABLE="1")
            levels = {tuple(map(int, level.split("."))) for level in dumped(dump)}
            fits = bool(levels) and max(levels) <= HIGHEST_PTX[cuda]
            known = self.capability < (10, 0) or cuda != "12.5"
            detail = f"levels {sorted(levels)}, exit code {done.returncode}\n{done.stderr[-1000:]}"
            self.claim(
                f"XLA with ptxas {cuda} computes, with PTX that it reads",
                expected=True if known else None,
                found=fits and done.returncode == 0,
                detail=detail,
            )


def dumped(folder):
    """The PTX versions in a folder that XLA dumped into."""
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in folder.rglob("*.ptx"))
    return [match[1] for match in (re.search(r"^\.version (\S+)", text, re.MULTILINE) for text in texts) if match]


def serves(archs, capability):
    """Whether one of these archs is machine code that a GPU runs: same major number, minor not above."""
    pairs = [(int(arch[:-1]), int(arch[-1])) for arch in archs]
    return any(major == capability[0] and minor <= capability[1] for major, minor in pairs)


def host_gpu():
    """Name, driver and compute capability of the first GPU, None without one."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return dict(zip(("name", "driver", "capability"), answer.splitlines()[0].split(", "), strict=True))


def main():
    """Read the arguments, do everything, write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, required=True, help="the official wheel")
    parser.add_argument("--retargeted", type=Path, required=True, help="the wheel made of it")
    parser.add_argument("--generated", default="70,80,120", help="archs of its generated kernels, by comma")
    parser.add_argument("--report", type=Path, default=Path("retarget-proof.json"))
    parser.add_argument("--work", type=Path, help="a folder for the environments (default: a temporary one)")
    arguments = parser.parse_args()
    gpu = host_gpu()
    if gpu is None:
        print("there is no NVIDIA GPU here (nvidia-smi): nothing was proven; what is left is static proof only")
        return 2
    with tempfile.TemporaryDirectory(prefix="tfwheel-proof-") as folder:
        arguments.work = arguments.work or Path(folder)
        arguments.work.mkdir(parents=True, exist_ok=True)
        proof = Proof(arguments, gpu)
        try:
            for part in (proof.machine_code, proof.outputs, proof.cold_start, proof.xla):
                part()
        finally:
            arguments.report.write_text(json.dumps(proof.report, indent=2) + "\n", encoding="utf-8")
    return 0 if all(claim["met"] for claim in proof.report["claims"]) else 1


if __name__ == "__main__":
    sys.exit(main())
