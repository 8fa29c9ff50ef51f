"""Stand in for ``nvcc``, which CUDA on PyPI lacks: start clang in its place, and answer what CMake asks.

Every toolchain tree has a copy of this file and of ``nvcc_options``, so both import the standard library alone. The
compiler is the clang in ``$OPS_DEVICE_COMPILER``, or the first on PATH. Where no option names architectures, they are
those in ``$OPS_CUDA_ARCHS`` and ``$OPS_PTX``, without these 52 as with NVIDIA's. The lines that begin with ``#$`` are
what CMake's ``Internal/CMakeNVCCParseImplicitInfo.cmake`` reads.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.gpu.nvcc_options import CODE_ONLY, DEPENDENCIES, PHASES, NvccError, for_host_code, understand

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfwheel.gpu.nvcc_options import Call

CLANGS = (*(f"clang++-{number}" for number in (19, 18, 17, 20, 21, 22, 23, 24)), "clang++")
CUDA_SUFFIXES = {".cu"}
HOST_SUFFIXES = {".c", ".cc", ".cpp", ".cxx", ".C"}
OBJECT = re.compile(r".+\.(o|obj|a|so(\.\d+)*)")
RUNTIMES = {"static": ("-lcudadevrt", "-lcudart_static"), "shared": ("-lcudadevrt", "-lcudart"), "none": ()}
SYSTEM_LIBRARIES = ("-lrt", "-lpthread", "-ldl")
# CMake compiles this source to learn from its macros which command line a compiler understands: this one nvcc's.
ASKS_WHO = "CMakeCUDACompilerId.cu"
DEFAULT_ARCH = "52"  # as nvcc of CUDA 12


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The tree's folder, the clang that compiles, and the version of the nvcc that it stands in for ("12.5.82")."""

    top: Path
    clang: str
    version: str

    @property
    def libraries(self) -> list[str]:
        """The words for the linker that say where CUDA's libraries are."""
        return [f"-L{self.top / 'lib64'}"]


def compile_command(call: Call, source: str, output: str, tools: Tools) -> list[str]:
    """Return the command of clang for one source; without ``output`` it writes to stdout."""
    words, given = [tools.clang, "-Qunused-arguments"], call.compiling
    if is_cuda(call, source):
        words += ["-x", "cuda", f"--cuda-path={tools.top}", "-Wno-unknown-cuda-version"]
        words += [f"--cuda-gpu-arch=sm_{arch}" for arch in dict.fromkeys([*call.real, *call.virtual])]
        words += ["--no-cuda-include-ptx=all", *(f"--cuda-include-ptx=sm_{arch}" for arch in call.virtual)]
        for arch in call.virtual:  # clang makes no PTX without machine code, so our own fatbinary leaves that out
            words += ["-Xcuda-fatbinary", f"--omit={arch}"] if arch not in call.real else []
        words += [] if "G" in call.switches else ["-Xarch_device", "-O3"]  # as nvcc, whatever host code gets
        words += ["--cuda-device-only"] if call.phase in CODE_ONLY else []
        words += ["--cuda-host-only"] if call.phase in DEPENDENCIES else []
    else:
        words += [*(["-x", call.language] if call.language else []), "-isystem", str(tools.top / "include")]
        given = for_host_code(given)
    if Path(source).name == ASKS_WHO:
        numbers = zip(("MAJOR", "MINOR", "BUILD"), tools.version.split("."), strict=False)
        words += ["-D__NVCC__", *(f"-D__CUDACC_VER_{name}__={number}" for name, number in numbers)]
    return [*words, *given, PHASES.get(call.phase, "-c"), source, *(["-o", output] if output else [])]


def is_cuda(call: Call, source: str) -> bool:
    """Return whether a source has code for GPUs."""
    return call.language == "cu" if call.language else Path(source).suffix in CUDA_SUFFIXES


def commands(call: Call, tools: Tools, scratch: Path) -> list[list[str]]:
    """Return the commands that do what a call asks for; objects that only the linker reads go to ``scratch``."""
    sources = [name for name in call.inputs if call.language or Path(name).suffix in CUDA_SUFFIXES | HOST_SUFFIXES]
    for name in call.inputs:
        if name not in sources and not OBJECT.fullmatch(name):
            message = f"Don't know what to do with '{name}'"
            raise NvccError(message)
    if not (sources if call.phase else call.inputs):
        message = "No input files specified"
        raise NvccError(message)
    if call.phase:
        return [compile_command(call, source, _output(call, source), tools) for source in sources]
    objects = {source: str(scratch / f"{number}.o") for number, source in enumerate(sources)}
    made = [compile_command(call, source, output, tools) for source, output in objects.items()]
    linked = [objects.get(name, name) for name in call.inputs]
    if "lib" in call.switches:
        return [*made, ["ar", "rcs", call.output or "a.a", *linked]]
    shared = ["-shared"] if "shared" in call.switches else []
    link = [call.values.get("ccbin", tools.clang), *shared, "-o", call.output or "a.out", *linked, *call.linking]
    runtime = RUNTIMES[call.values.get("cudart", "static")]
    return [*made, [*link, *tools.libraries, *runtime, *SYSTEM_LIBRARIES]]


def _output(call: Call, source: str) -> str:
    if call.output and len(call.inputs) > 1:
        message = "a single input file is required for a phase before linking when an output file is given"
        raise NvccError(message)
    suffixes = {"c": ".o", "ptx": ".ptx", "cubin": ".cubin"}
    return call.output or (Path(source).stem + suffixes[call.phase] if call.phase in suffixes else "")


def facts(call: Call, tools: Tools) -> list[str]:
    """Return what nvcc says with ``-v``: where its parts are, and the architectures."""
    here = tools.top / "bin"
    return [
        f"_HERE_={here}",
        f"TOP={tools.top}",
        f"NVVMIR_LIBRARY_DIR={tools.top / 'nvvm' / 'libdevice'}",
        f"PATH={here}:{os.environ.get('PATH', '')}",
        f"INCLUDES={shown(['-I' + str(tools.top / 'include')])}",
        "SYSTEM_INCLUDES=",
        f"LIBRARIES={shown(tools.libraries)}",
        f"ARCHITECTURES={' '.join(f'-arch compute_{arch}' for arch in call.real or call.virtual)}",
    ]


def shown(words: Sequence[str]) -> str:
    """Return a command as nvcc shows it."""
    return " ".join(word if re.fullmatch(r"[\w@%+=:,./-]+", word) else json.dumps(word) for word in words)


def run(words: Sequence[str], *, stdout: str = "") -> int:
    """Run a command, with its output in a file if one is named; return its exit code."""
    if not stdout:
        return subprocess.run(words, check=False).returncode
    with Path(stdout).open("wb") as stream:
        return subprocess.run(words, check=False, stdout=stream).returncode


def execute(call: Call, tools: Tools) -> int:
    """Do what a call asks for; return the exit code of the first command that fails."""
    speaks, only_says = bool(call.switches & {"v", "dryrun"}), "dryrun" in call.switches
    if speaks:
        sys.stderr.write("".join(f"#$ {fact}\n" for fact in facts(call, tools)))
    with tempfile.TemporaryDirectory(prefix="nvcc-") as scratch:
        for words in commands(call, tools, Path(scratch)):
            # For several architectures clang writes preprocessed text to stdout alone.
            text = words[-1] if call.phase == "E" and words[-2] == "-o" else ""
            if speaks:
                sys.stderr.write(f"#$ {shown(words)}\n")
                sys.stderr.flush()
            code = 0 if only_says else run(words[:-2] if text else words, stdout=text)
            if code:
                return code
    return 0


def version(call: Call, tools: Tools) -> str:
    """Return the answer to ``--version``, which CMake, TensorFlow's configure and Makefiles parse.

    It has what decides the outcome beside a command line, since compiler caches take it for the compiler's identity:
    the clang, and the architectures where no option names any.
    """
    said = subprocess.run([tools.clang, "--version"], check=False, capture_output=True, text=True).stdout
    release = ".".join(tools.version.split(".")[:2])
    code = [*(f"sm_{arch}" for arch in call.real), *(f"compute_{arch}" for arch in call.virtual)]
    return (
        "nvcc: stand-in for the NVIDIA (R) Cuda compiler driver\n"
        f"Compiled by clang: {tools.clang} ({said.partition(chr(10))[0]})\n"
        f"Compiled for, unless options name architectures: {' '.join(code)}\n"
        f"Cuda compilation tools, release {release}, V{tools.version}\n"
    )


def clang(environment: Mapping[str, str]) -> str:
    """Find the clang that compiles; raise NvccError if there is none."""
    wanted = environment.get("OPS_DEVICE_COMPILER", "")
    names = [wanted] if "clang" in Path(wanted).name else CLANGS
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        message = f"there is no {names[0]}: set OPS_DEVICE_COMPILER to a clang++ 17 or newer"
        raise NvccError(message)
    return found


def main(words: Sequence[str], top: Path) -> int:
    """Run one call of nvcc with the tree in ``top``; return the exit code."""
    environment = os.environ
    try:
        parts = json.loads((top / "version.json").read_bytes())
        tools = Tools(top=top, clang=clang(environment), version=parts["cuda_nvcc"]["version"])
        before, after = (shlex.split(environment.get(f"NVCC_{place}_FLAGS", "")) for place in ("PREPEND", "APPEND"))
        archs = [arch for arch in re.split("[;, ]", environment.get("OPS_CUDA_ARCHS", "")) if arch]
        ptx = environment.get("OPS_PTX", "") if archs else DEFAULT_ARCH
        call = understand([*before, *words, *after], archs=archs or [DEFAULT_ARCH], ptx=ptx)
        if "V" in call.switches or "h" in call.switches:
            sys.stdout.write(version(call, tools) if "V" in call.switches else __doc__ or "")
            return 0
        return execute(call, tools)
    except NvccError as error:
        sys.stderr.write(f"nvcc fatal   : {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parents[3]))
