"""XLA in real TensorFlow libraries, before and after the lift, asked which PTX it emits and whether ptxas takes it.

Needs the official wheel in the cache, where a build leaves it (600 MB; nothing is downloaded for it here), and fetches
two versions of ptxas. No GPU: it is XLA's own code, called for a compute capability.
"""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from platformdirs import user_cache_path

from tfwheel.config import build_config
from tfwheel.gpu import elf, symbol_search
from tfwheel.retarget import xla_ceiling
from tfwheel.retarget.errors import XlaCeilingError
from tfwheel.system import pip
from tfwheel.wheel.reader import WheelReader

CONFIG = build_config.load()
PROBE = Path(__file__).parents[2] / "data" / "xlaprobe.py"
LIBRARIES = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
CUDA = {"12.5": "12.5.82", "12.8": "12.8.93"}
MODULE = """
target datalayout = "e-p6:32:32-i64:64-i128:128-v16:16-v32:32-n16:32:64"
target triple = "nvptx64-nvidia-cuda"
define ptx_kernel void @add(ptr %a, ptr %b) {
  %x = load float, ptr %a
  %y = load float, ptr %b
  %z = fadd float %x, %y
  store float %z, ptr %a
  ret void
}
"""
COMMON = (
    "_ZN3xla3gpu5nvptx50DetermineHighestSupportedPtxVersionFromCudaVersionEN15stream_executor15SemanticVersionE",
    "_ZN3xla3gpu12LoadIRModuleERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEEPN4llvm11LLVMContextE",
    "_ZN3xla24GetDebugOptionsFromFlagsEv",
    "_ZN4llvm11LLVMContextC1Ev",
)
COMPILE = "_ZN3xla3gpu5nvptx12CompileToPtxB5cxx11EPN4llvm6ModuleE"
VARIANT = "St7variantIJN15stream_executor21CudaComputeCapabilityENS6_21RocmComputeCapabilityEEE"
TAIL = "RKNS_12DebugOptionsESt8functionIFvPNS2_13TargetMachineEEE"
ASSEMBLE = "_ZN15stream_executor23CompileGpuAsmUsingPtxAsE"
VIEW = "RKNS_21CudaComputeCapabilityESt17basic_string_viewIcSt11char_traitsIcEENS_10GpuAsmOptsEb"
FUNCTIONS = {
    "2.18.1": (*COMMON, COMPILE + VARIANT + TAIL, f"{ASSEMBLE}iiPKcNS_10GpuAsmOptsEb"),
    "2.19.0": (*COMMON, COMPILE + VARIANT + TAIL, ASSEMBLE + VIEW),
    "2.19.1": (*COMMON, COMPILE + VARIANT + TAIL, ASSEMBLE + VIEW),
    "2.20.0": (*COMMON, COMPILE + VARIANT + TAIL, ASSEMBLE + VIEW),
    "2.21.0": (*COMMON, f"{COMPILE}N15stream_executor20GpuComputeCapabilityE{TAIL}", f"{ASSEMBLE}{VIEW}b"),
}


@dataclass(frozen=True, kw_only=True)
class Xla:
    """The unpacked libraries of one TensorFlow, and folders with a ``bin/ptxas`` each, by CUDA version."""

    version: str
    folder: Path
    assemblers: dict[str, Path]

    @property
    def library(self) -> Path:
        """The one that has XLA's compiler."""
        return self.folder / LIBRARIES[0]

    @property
    def ceiling(self) -> xla_ceiling.Ceiling:
        """What the repository knows about it."""
        return xla_ceiling.load(CONFIG.directory / "xla", self.version)

    def ask(self, capability: tuple[int, int], *, cuda: str) -> dict[str, Any]:
        """What XLA does for a GPU with the ptxas of a CUDA version."""
        module, question = self.folder / "add.ll", self.folder / "question.json"
        module.write_text(MODULE)
        tools = str(self.assemblers[cuda])
        facts = {"folder": str(self.folder), "symbols": self.symbols(), "capability": capability}
        question.write_text(json.dumps(facts | {"module": str(module), "cuda": tools}))
        env = os.environ | {"XLA_FLAGS": f"--xla_gpu_cuda_data_dir={tools}"}
        done = subprocess.run(
            [sys.executable, PROBE, question], env=env, capture_output=True, text=True, check=True, timeout=120
        )
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def symbols(self) -> dict[str, int]:
        """The addresses of the functions that are called."""
        with self.library.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            parts = {section.name: section for section in elf.sections(stream)}
            found = {name: next(symbol_search.named(name, data, parts), None) for name in FUNCTIONS[self.version]}
            return {name: symbol.address if symbol else 0 for name, symbol in found.items()}


@pytest.fixture(scope="module")
def assemblers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ptxas of each CUDA version, as XLA looks for it."""
    found = {}
    for cuda, version in CUDA.items():
        folder = tmp_path_factory.mktemp("ptxas")
        pip.install_parts([f"{xla_ceiling.NVCC}=={version}"], folder)
        found[cuda] = folder / "nvidia" / "cuda_nvcc"
        (found[cuda] / "bin" / "ptxas").chmod(0o755)
    return found


@pytest.fixture(scope="module", params=sorted(FUNCTIONS))
def xla(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Xla:
    """The libraries of an official wheel in the cache; they are this test's own, to be changed."""
    cache = user_cache_path("tfwheel") / "bases"
    bases = [base for base in CONFIG.bases if (base.project, base.version) == ("tensorflow", request.param)]
    wheels = [path for base in bases if (path := cache / base.sha256 / base.file).is_file()]
    if not wheels:
        target = f"tf{request.param}-cp{bases[0].python.replace('.', '')}-cu12"
        build = f'nox -s "build-cuda12({target})"'
        pytest.skip(f"the official wheel of TensorFlow {request.param} is not in {cache}: `{build}` brings it there")
    folder = tmp_path_factory.mktemp("libraries")
    with WheelReader(wheels[0]) as reader:
        for name in LIBRARIES:
            reader.extract(f"tensorflow/{name}", folder / name)
    return Xla(version=request.param, folder=folder, assemblers=request.getfixturevalue("assemblers"))


def test_the_lift_changes_what_it_says_and_nothing_else(xla: Xla) -> None:
    """One test in this order, for the lift is made in the unpacked library itself."""
    before = {(one, cuda): xla.ask(one, cuda=cuda) for one in ((9, 0), (12, 0)) for cuda in CUDA}
    assert {answer["version"] for (one, _), answer in before.items() if one == (9, 0)} == {"8.5"}
    # Blackwell: what XLA emits is for it already, and only a ptxas that knows it takes that.
    tops = dict.fromkeys(FUNCTIONS, ("8.7", "sm_120a")) | {"2.18.1": ("8.5", "sm_90"), "2.21.0": ("8.7", "sm_120")}
    for cuda in CUDA:
        assert (before[(12, 0), cuda]["version"], before[(12, 0), cuda]["target"]) == tops[xla.version]
    assert before[(12, 0), "12.5"]["machine_code"] == 0
    assert before[(12, 0), "12.8"]["machine_code"] > 0

    edits = xla_ceiling.edits(xla.ceiling, xla.library, cuda="12.8")
    with xla.library.open("r+b") as stream:
        for edit in edits:
            stream.seek(edit.offset)
            stream.write(edit.replacement)
    if not edits:
        assert xla.ceiling.unneeded
        return

    newest = "8.7" if xla.version.startswith("2.19.") else "8.8"  # the last in XLA's own table
    assert before[(9, 0), "12.8"]["levels"] == {"12.5": "8.5", "12.8": "8.7", "12.9": newest}
    after = {question: xla.ask(question[0], cuda=question[1]) for question in before}
    assert after[(9, 0), "12.5"] == before[(9, 0), "12.5"]  # an older ptxas gets what it can read
    assert after[(9, 0), "12.8"]["version"] == "8.7"
    assert after[(9, 0), "12.8"]["machine_code"] > 0
    assert after[(12, 0), "12.8"] == before[(12, 0), "12.8"]
    assert after[(12, 0), "12.5"] == before[(12, 0), "12.5"]
    with pytest.raises(XlaCeilingError, match="has sha256"):
        xla_ceiling.edits(xla.ceiling, xla.library, cuda="12.8")
