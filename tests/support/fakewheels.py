"""Small stand-ins for the official TensorFlow wheel, the ops wheel and their merger; gcc makes their libraries."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.build.job import Job
from tfwheel.config import build_config
from tfwheel.config.paths import Paths
from tfwheel.config.targets import Base, Line, RepairRules, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNPATH = "$ORIGIN/../nvidia/cuda_runtime/lib:$ORIGIN/../nvidia/cudnn/lib"
FRAMEWORK = "tensorflow/libtensorflow_framework.so.2"
PYWRAP = "tensorflow/python/_pywrap_tfe.so"
OP_LIBRARY = "tfwheel_ops/_ops.so"
MANYLINUX = "manylinux_2_17_x86_64.manylinux2014_x86_64"
VERSION = "2.20.0+cu125.1"
INFO = f"tensorflow-{VERSION}.dist-info"
DATE = (2020, 1, 1, 0, 0, 0)
METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: A stand-in for tests.
Requires-Python: >=3.9
Description-Content-Type: text/markdown
{extra}
A stand-in.
"""
RULES = RepairRules(
    ceiling="manylinux_2_35_x86_64",
    max_bytes=1_000_000,
    exclude=("libtensorflow_framework.so.2", "libtensorflow_cc.so.2", "libcud*", "libnv*"),
)
LINE = Line(name="cu12", label="cu125", base="tensorflow", cuda="12.5.1", archs=("75", "80"), ptx="90")
CPU = Line(name="cpu", label="cpu", base="tensorflow-cpu")


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A merged wheel with the member names that were declared to have changed."""

    wheel: Path
    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def target(line: Line = LINE, *, tensorflow: str = "2.20.0", python: str = "3.12") -> Target:
    """A target on the line that the stand-ins are for."""
    return Target(tensorflow=tensorflow, python=python, line=line, build=1)


def job(folder: Path) -> Job:
    """A build with its settings, output and cache in that folder; its official wheel is nowhere."""
    paths = Paths(settings=folder, dist=folder / "dist", cache=folder / "cache")
    base = Base(
        project="tensorflow",
        version="2.20.0",
        python="3.12",
        file="x.whl",
        sha256="ab" * 32,
        size=1,
        platforms=(),
        requires_python="",
        requires_dist=(),
    )
    return Job(config=build_config.load(), paths=paths, target=target(), base=base)


def locked(base: Path, *, runpaths: Mapping[str, str] | None = None) -> Base:
    """The lock entry of a stand-in official wheel."""
    project, version, python = base.name.split("-")[:3]
    return Base(
        project=project.replace("_", "-"),
        version=version,
        python=f"3.{python.removeprefix('cp3')}",
        file=base.name,
        sha256=hashlib.sha256(base.read_bytes()).hexdigest(),
        size=base.stat().st_size,
        platforms=tuple(base.stem.split("-")[-1].split(".")),
        requires_python=">=3.9",
        requires_dist=("numpy>=1.26.0", "protobuf>=5.28.0"),
        runpaths={FRAMEWORK: RUNPATH, PYWRAP: RUNPATH} if runpaths is None else dict(runpaths),
    )


# --- libraries -------------------------------------------------------------------------------------------


def compile_library(path: Path, source: str, *flags: str) -> Path:
    """Compile C to a shared library with gcc."""
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["gcc", "-shared", "-fPIC", "-o", str(path), "-x", "c", "-", *flags]
    subprocess.run(argv, input=source, text=True, check=True)
    return path


# Of the CUDA runtime, which TensorFlow's library exports: what GPU code calls.
CUDA_STUBS = ("__cudaRegisterFatBinary", "__cudaRegisterFatBinaryEnd", "__cudaRegisterFunction", "cudaLaunchKernel")
CUDA_STUBS += ("__cudaUnregisterFatBinary", "__cudaPushCallConfiguration", "__cudaPopCallConfiguration")


def framework(folder: Path, *, runpath: str = RUNPATH) -> Path:
    """A ``libtensorflow_framework.so.2`` with TensorFlow's RUNPATH, and its stubs of the CUDA runtime."""
    flags = ["-Wl,-soname,libtensorflow_framework.so.2", f"-Wl,--enable-new-dtags,-rpath,{runpath}"]
    source = "int tf_version(void) { return 220; }\n" + "".join(f"void {name}(void) {{}}\n" for name in CUDA_STUBS)
    return compile_library(folder / "libtensorflow_framework.so.2", source, *flags)


def op_library(folder: Path, source: str = "") -> Path:
    """An op library that needs the framework, finds it by RUNPATH, and calls glibc; ``source`` is added to it."""
    framework(folder)
    code = "#include <string.h>\nint tf_version(void);\n"
    code += "void *op(void *to, void *from) { return memcpy(to, from, tf_version()); }\n"
    flags = [f"-L{folder}", "-l:libtensorflow_framework.so.2", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../tensorflow"]
    return compile_library(folder / "_ops.so", code + source, *flags)


# --- wheels ----------------------------------------------------------------------------------------------


def write_wheel(
    folder: Path, members: Mapping[str, bytes], *, name: str, version: str, tag: str, extra: str = ""
) -> Path:
    """Write a valid wheel: METADATA, WHEEL and RECORD are added unless given; ``extra`` are more METADATA lines."""
    info = f"{name}-{version}.dist-info"
    everything = {
        f"{info}/METADATA": METADATA.format(name=name, version=version, extra=extra).encode(),
        f"{info}/WHEEL": _wheel_text(tag),
        **members,
    }
    everything[f"{info}/RECORD"] = record_of(everything, info)
    path = folder / f"{name}-{version}-{tag}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    write_zip(path, everything)
    return path


def _wheel_text(tag: str) -> bytes:
    python, abi, platforms = tag.split("-")
    tags = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
    return f"Wheel-Version: 1.0\nGenerator: fake\nRoot-Is-Purelib: false\n{tags}".encode()


def record_of(members: Mapping[str, bytes], info: str) -> bytes:
    """The RECORD of these members."""
    rows = []
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*rows, f"{info}/RECORD,,\n"]).encode()


def write_zip(path: Path, members: Mapping[str, bytes], *, executable: str = ".so") -> None:
    """Write members with fixed dates and modes; those with ``executable`` in their names are executable."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name, DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = (0o100755 if executable in name else 0o100644) << 16
            archive.writestr(member, data)


def members_of(wheel: Path) -> dict[str, bytes]:
    """Every member of a wheel, unpacked."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def fake_base(
    folder: Path, *, version: str = "2.20.0", python: str = "cp312", project: str = "tensorflow", binary: bool = True
) -> Path:
    """A small "official" wheel. ``binary=False`` leaves the compiler out: its libraries are then just bytes."""
    library = framework(folder / "build").read_bytes() if binary else b"\x7fELF, so to say"
    members = {
        "tensorflow/__init__.py": f'__version__ = "{version}"\n'.encode(),
        "tensorflow/tools/pip_package/label.py": b"BUILD_LABEL = ''\nOTHER = 1\n",
        "tensorflow/include/tensorflow/core/op.h": b"#pragma once\n" * 40,
        FRAMEWORK: library,
        PYWRAP: library + b"\0",
    }
    extra = "Requires-Dist: numpy>=1.26.0\nRequires-Dist: protobuf>=5.28.0\n"
    return write_wheel(
        folder, members, name=project, version=version, tag=f"{python}-{python}-{MANYLINUX}", extra=extra
    )


def fake_ops(
    folder: Path, *, version: str = VERSION, tag: str = "py3-none-linux_x86_64", library: bytes | None = None
) -> Path:
    """A small thin ops wheel as the compiler leaves it, before auditwheel."""
    members = {
        "tfwheel_ops/__init__.py": b'"""Ops."""\n',
        OP_LIBRARY: op_library(folder / "build").read_bytes() if library is None else library,
    }
    extra = "Requires-Dist: tensorflow==2.20.*\n"
    return write_wheel(folder, members, name="tfwheel_ops", version=version, tag=tag, extra=extra)


def fake_final(
    folder: Path,
    base: Path,
    changes: Mapping[str, bytes | None] | None = None,
    *,
    version: str = VERSION,
    tag: str | None = None,
) -> Path:
    """What merging gives: a base under a new version, with members added or replaced (None: left out)."""
    old_info = "-".join(base.name.split("-")[:2]) + ".dist-info/"
    tag = tag or "-".join(base.stem.split("-")[2:])
    kept = {name: data for name, data in members_of(base).items() if not name.startswith(old_info)}
    members = {**kept, **(changes or {})}
    return write_wheel(
        folder,
        {name: data for name, data in members.items() if data is not None},
        name="tensorflow",
        version=version,
        tag=tag,
        extra="Requires-Dist: numpy>=1.26.0\n",
    )
