"""Understand the command line of ``nvcc``, and say it for clang; the rest of the program is ``nvcc_program``.

A toolchain tree has a copy of this file, so it imports the standard library alone. The options are those of NVIDIA's
"CUDA Compiler Driver NVCC". What has no counterpart in clang is refused by name: nothing is left out silently.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Long names, without dashes, and the short ones below. Both may have one dash or two.
LONG = """
compile=c compiler-bindir=ccbin compiler-options=Xcompiler
cudafe-options=Xcudafe debug=g define-macro=D dependency-output=MF dependency-target-name=MT device-c=dc device-debug=G
device-link=dlink device-w=dw disable-warnings=w display-error-number=err-no expt-extended-lambda=extended-lambda
forward-unknown-to-host-linker=forward-unknown-to-host-compiler generate-code=gencode generate-dependencies=M
generate-dependencies-with-compile=MD generate-dependency-targets=MP generate-line-info=lineinfo
generate-nonsystem-dependencies=MM generate-nonsystem-dependencies-with-compile=MMD gpu-architecture=arch gpu-code=code
help=h include-path=I library=l library-path=L linker-options=Xlinker machine=m nvlink-options=Xnvlink optimize=O
options-file=optf output-file=o pre-include=include preprocess=E ptxas-options=Xptxas relocatable-device-code=rdc
resource-usage=res-usage system-include=isystem threads=t undefine-macro=U verbose=v version=V link-time-opt=dlto
"""
NAMES = dict(pair.split("=") for pair in LONG.split())
# What ends before linking, and what it is for clang.
PHASES = {"c": "-c", "E": "-E", "M": "-M", "MM": "-MM", "ptx": "-S", "cubin": "-c"}
CODE_ONLY = ("ptx", "cubin")  # for one architecture, without host code
DEPENDENCIES = ("M", "MM")
# Options without a value, and what they are for clang. An empty translation is what clang does anyway, or what concerns
# speed and messages of NVIDIA's front end alone.
SWITCHES: dict[str, tuple[str, ...]] = {
    "G": ("-Xarch_device", "-g", "--cuda-noopt-device-debug"),
    "MD": ("-MD",),
    "MMD": ("-MMD",),
    "MP": ("-MP",),
    "Wno-deprecated-gpu-targets": (),
    "allow-unsupported-compiler": (),
    "err-no": (),
    "expt-relaxed-constexpr": (),
    "extended-lambda": (),
    "g": ("-Xarch_host", "-g"),
    "keep": (),
    "lineinfo": ("-Xarch_device", "-gline-tables-only"),
    "no-display-error-number": (),
    "res-usage": ("-Xcuda-ptxas", "-v"),
    "use_fast_math": (
        *("-Xarch_device", "-fgpu-flush-denormals-to-zero", "-Xarch_device", "-fgpu-approx-transcendentals"),
        *("-mllvm", "-nvptx-prec-divf32=0", "-mllvm", "-nvptx-prec-sqrtf32=0", "-Xarch_device", "-ffp-contract=fast"),
    ),
    "w": ("-w",),
}
# Options with a value, and what they are for clang with it in place of {}.
VALUES: dict[str, tuple[str, ...]] = {
    "D": ("-D{}",),
    "I": ("-I{}",),
    "MF": ("-MF", "{}"),
    "MT": ("-MT", "{}"),
    "O": ("-O{}",),
    "U": ("-U{}",),
    "diag-suppress": (),
    "diag-warn": (),
    "include": ("-include", "{}"),
    "isystem": ("-isystem", "{}"),
    "keep-dir": (),
    "maxrregcount": ("-Xcuda-ptxas", "-maxrregcount={}"),
    "std": ("-std={}",),
    "t": (),
}
# Options with one of a few values.
CHOICES: dict[str, dict[str, tuple[str, ...]]] = {
    "Werror": {
        "all-warnings": ("-Werror",),
        "cross-execution-space-call": (),
        "deprecated-declarations": ("-Werror=deprecated-declarations",),
        "reorder": ("-Werror=reorder",),
    },
    "cudart": {"none": (), "shared": (), "static": ()},
    "default-stream": {"legacy": ()},
    "fmad": {"true": ("-Xarch_device", "-ffp-contract=fast"), "false": ("-Xarch_device", "-ffp-contract=off")},
    "ftz": {
        "true": ("-Xarch_device", "-fgpu-flush-denormals-to-zero"),
        "false": ("-Xarch_device", "-fno-gpu-flush-denormals-to-zero"),
    },
    "m": {"64": ()},
    "prec-div": {"true": ("-mllvm", "-nvptx-prec-divf32=2"), "false": ("-mllvm", "-nvptx-prec-divf32=1")},
    "prec-sqrt": {"true": ("-mllvm", "-nvptx-prec-sqrtf32=1"), "false": ("-mllvm", "-nvptx-prec-sqrtf32=0")},
    "rdc": {"false": ()},
}
# Options with a list of words: what each one is for clang, and for the linker.
LISTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "L": ((), ("-L{}",)),
    "Xcompiler": (("{}",), ("{}",)),
    "Xlinker": ((), ("-Xlinker", "{}")),
    "Xptxas": (("-Xcuda-ptxas", "{}"), ()),
    "l": ((), ("-l{}",)),
}
NOTED = {"V", "h", "dryrun", "v", "shared", "lib", "forward-unknown-to-host-compiler"}
OTHERS = {"Xcudafe", "arch", "ccbin", "code", "gencode", "o", "x"}
WITH_VALUE = {*VALUES, *CHOICES, *LISTS, *OTHERS}
JOINED = re.compile(r"-([DUILlO])(.+)|-(t|m)(\d+)")
SEPARABLE = (
    "relocatable device code needs nvlink, which CUDA on PyPI lacks: compile each source as a whole (-rdc=false)"
)
REFUSED = dict.fromkeys(("dc", "dlink", "dlto", "dw", "Xnvlink"), SEPARABLE) | {
    "fatbin": "take -c for an object, or -cubin or -ptx for one architecture",
}


class NvccError(Exception):
    """The command line cannot be translated; the text says why, and what can."""


@dataclass(kw_only=True)
class Call:
    """A command line of nvcc, understood.

    ``values`` has, by short name, the values of options that are not words for clang: ``o``, ``x``, ``ccbin``...
    ``compiling`` and ``linking`` are words for clang and for the linker, ``real`` and ``virtual`` the architectures
    that get machine code and PTX ("80"), ``phase`` the option that ends early ("c"), empty for linking.
    """

    inputs: list[str] = field(default_factory=list)
    phase: str = ""
    compiling: list[str] = field(default_factory=list)
    linking: list[str] = field(default_factory=list)
    real: list[str] = field(default_factory=list)
    virtual: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    switches: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """The file to write, empty where the command line names none."""
        return self.values.get("o", "")

    @property
    def language(self) -> str:
        """The language of all sources ("cu", "c++"), empty where their names say it."""
        return self.values.get("x", "")


def understand(words: Sequence[str], *, archs: Sequence[str], ptx: str = "") -> Call:
    """Parse a command line; raise NvccError for what clang has no counterpart of.

    ``archs`` get machine code and ``ptx`` PTX where the command line names no architecture.
    """
    call = Call()
    waiting = list(_with_files(words))
    while waiting:
        _take(call, waiting)
    if call.unknown and "forward-unknown-to-host-compiler" not in call.switches:
        message = f"Unknown option '{call.unknown[0]}': what is for the host compiler goes behind -Xcompiler"
        raise NvccError(message)
    call.compiling += call.unknown
    call.linking += call.unknown
    _take_architecture(call)
    if not call.real and not call.virtual:
        call.real, call.virtual = list(archs), [ptx] if ptx else []
    found = list(dict.fromkeys([*call.real, *call.virtual]))
    if call.phase in CODE_ONLY and len(found) > 1:
        message = f"-{call.phase} is for one architecture, and these are {', '.join(found)}: add -arch"
        raise NvccError(message)
    return call


def _with_files(words: Iterable[str]) -> Iterator[str]:
    """Yield the words, and in place of each options file those in it."""
    found = iter(words)
    for word in found:
        name, _, value = word.lstrip("-").partition("=")
        if word.startswith("-") and NAMES.get(name, name) == "optf":
            for path in (value or next(found, "")).split(","):
                try:
                    yield from _with_files(shlex.split(Path(path).read_text(encoding="utf-8")))
                except (OSError, ValueError) as error:
                    message = f"the options file '{path}' cannot be read: {error}"
                    raise NvccError(message) from error
        else:
            yield word


def _take(call: Call, waiting: list[str]) -> None:
    """Take one word, and its value, from those that wait."""
    word = waiting.pop(0)
    if not word.startswith("-") or word == "-":
        call.inputs.append(word)
        return
    name, _, value = word[2 if word.startswith("--") else 1 :].partition("=")
    name = NAMES.get(name, name)
    joined = JOINED.fullmatch(word)
    if name in REFUSED:
        message = f"'{word}' is not supported: {REFUSED[name]}"
        raise NvccError(message)
    if name in PHASES:
        call.phase = name
    elif name in SWITCHES:
        call.compiling += SWITCHES[name]
        call.switches.add(name)
    elif name in NOTED:
        call.switches.add(name)
    elif name in WITH_VALUE:
        _take_value(call, name, value if "=" in word else _next(word, waiting))
    elif joined:
        _take_value(call, joined[1] or joined[3], joined[2] or joined[4])
    else:
        call.unknown.append(word)


def _next(word: str, waiting: list[str]) -> str:
    if not waiting:
        message = f"'{word}' needs a value"
        raise NvccError(message)
    return waiting.pop(0)


def _take_value(call: Call, name: str, value: str) -> None:
    if name in VALUES:
        call.compiling += [word.format(value) for word in VALUES[name]]
    elif name in CHOICES:
        _take_choices(call, name, value)
    elif name in LISTS:
        for_compiler, for_linker = LISTS[name]
        call.compiling += [word.format(part) for part in listed(value) for word in for_compiler]
        call.linking += [word.format(part) for part in listed(value) for word in for_linker]
    elif name == "gencode":
        found = re.fullmatch(r"arch=(\w+),code=(.+)", value.replace('"', ""))
        if not found:
            message = f"'-gencode {value}' is not of the form arch=compute_80,code=[compute_80,sm_80]"
            raise NvccError(message)
        _add_code(call, found[1], found[2].strip("[]").split(","))
    elif name == "Xcudafe" and not re.match(r'"?--?(diag_|display_error_number)', value):
        message = f"'-Xcudafe {value}' is not supported: clang takes the place of NVIDIA's front end"
        raise NvccError(message)
    else:
        call.values[name] = value


def _take_choices(call: Call, name: str, value: str) -> None:
    for choice in value.split(","):
        if choice not in CHOICES[name]:
            why = SEPARABLE if name == "rdc" else f"-{name} takes {', '.join(sorted(CHOICES[name]))}"
            message = f"'-{name} {choice}' is not supported: {why}"
            raise NvccError(message)
        call.compiling += CHOICES[name][choice]
        call.values[name] = choice


def for_host_code(words: Iterable[str]) -> list[str]:
    """Return the words of clang for a source without GPU code: those for the GPU's part are left out."""
    found, kept = iter(words), []
    for word in found:
        if word in ("-Xarch_device", "-Xcuda-ptxas"):
            next(found)
        elif word not in ("-Xarch_host", "--cuda-noopt-device-debug"):
            kept.append(word)
    return kept


def listed(value: str) -> list[str]:
    """Split a list at its commas as nvcc does: a backslash keeps the comma behind it, and quotes go."""
    return [word.replace("\\,", ",").replace('"', "") for word in re.split(r"(?<!\\),", value) if word.strip('"')]


def _take_architecture(call: Call) -> None:
    arch, code = call.values.get("arch", ""), call.values.get("code", "")
    if arch in ("native", "all", "all-major"):
        message = (
            f"'-arch={arch}' is not supported: name the architectures, as in -arch=sm_80; CUDAARCHS has the line's"
        )
        raise NvccError(message)
    if code and not arch:
        message = f"'-code={code}' needs -arch"
        raise NvccError(message)
    if arch:
        number = arch.partition("_")[2]
        both = [arch, f"compute_{number}"] if arch.startswith("sm_") else [arch]
        _add_code(call, f"compute_{number}", code.strip("[]").split(",") if code else both)


def _add_code(call: Call, arch: str, codes: Iterable[str]) -> None:
    for code in codes:
        found = re.fullmatch(r"(sm|compute)_(\d+[af]?)", code)
        if not found or arch not in (f"compute_{found[2]}", f"sm_{found[2]}"):
            message = f"'{code}' from '{arch}' is not supported: clang compiles sm_80 and compute_80 from compute_80"
            raise NvccError(message)
        kept = call.real if found[1] == "sm" else call.virtual
        kept += [found[2]] if found[2] not in kept else []
