"""Small stand-ins for the official TensorFlow wheel and for the ops wheel, with real libraries inside (made by gcc)."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RUNPATH = "$ORIGIN/../nvidia/cuda_runtime/lib:$ORIGIN/../nvidia/cudnn/lib"
FRAMEWORK = "tensorflow/libtensorflow_framework.so.2"
PYWRAP = "tensorflow/python/_pywrap_tfe.so"
OP_LIBRARY = "tfwheel_ops/_ops.so"
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


def compile_library(path: Path, source: str, *flags: str) -> Path:
    """Compile C to a shared library."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(path), "-x", "c", "-", *flags], input=source, text=True, check=True)
    return path


def framework(folder: Path) -> Path:
    """A ``libtensorflow_framework.so.2`` with TensorFlow's RUNPATH."""
    flags = ["-Wl,-soname,libtensorflow_framework.so.2", f"-Wl,--enable-new-dtags,-rpath,{RUNPATH}"]
    return compile_library(folder / "libtensorflow_framework.so.2", "int tf_version(void) { return 220; }", *flags)


def op_library(folder: Path) -> Path:
    """An op library that needs the framework, finds it by RUNPATH, and calls glibc."""
    framework(folder)
    source = "#include <string.h>\nint tf_version(void);\nvoid *op(void *a, void *b) { return memcpy(a, b, tf_version()); }"
    flags = [f"-L{folder}", "-l:libtensorflow_framework.so.2", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/../tensorflow"]
    return compile_library(folder / "_ops.so", source, *flags)


def write_wheel(
    folder: Path, members: Mapping[str, bytes], *, name: str, version: str, tag: str, extra: str = ""
) -> Path:
    """Write a valid wheel (METADATA, WHEEL and RECORD are added; ``extra`` are more METADATA lines)."""
    python, abi, platforms = tag.split("-")
    info = f"{name}-{version}.dist-info"
    tags = "".join(f"Tag: {python}-{abi}-{platform}\n" for platform in platforms.split("."))
    wheel_text = f"Wheel-Version: 1.0\nGenerator: fake\nRoot-Is-Purelib: false\n{tags}"
    everything = {
        **members,
        f"{info}/METADATA": METADATA.format(name=name, version=version, extra=extra).encode(),
        f"{info}/WHEEL": wheel_text.encode(),
    }
    everything[f"{info}/RECORD"] = record_of(everything, info)
    path = folder / f"{name}-{version}-{tag}.whl"
    write_zip(path, everything)
    return path


def record_of(members: Mapping[str, bytes], info: str) -> bytes:
    """The RECORD of these members."""
    rows = []
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*rows, f"{info}/RECORD,,\n"]).encode()


def write_zip(path: Path, members: Mapping[str, bytes]) -> None:
    """Write members with fixed dates and modes, libraries executable."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(name, DATE)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = (0o100755 if ".so" in name else 0o100644) << 16
            archive.writestr(member, data)


def fake_base(
    folder: Path, *, version: str = "2.20.0", python: str = "cp312", project: str = "tensorflow", binary: bool = True
) -> Path:
    """A small "official" wheel. ``binary=False`` leaves the compiler out: its libraries are then just bytes."""
    library = framework(folder / "build").read_bytes() if binary else b"\x7fELF stand-in"
    members = {
        "tensorflow/__init__.py": b'__version__ = "%b"\n' % version.encode(),
        "tensorflow/tools/pip_package/label.py": b"BUILD_LABEL = ''\nOTHER = 1\n",
        "tensorflow/include/tensorflow/core/op.h": b"#pragma once\n" * 40,
        FRAMEWORK: library,
        PYWRAP: library + b"\0",
    }
    extra = "Requires-Dist: numpy>=1.26.0\nRequires-Dist: protobuf>=5.28.0\n"
    tag = f"{python}-{python}-manylinux_2_17_x86_64.manylinux2014_x86_64"
    return write_wheel(folder, members, name=project, version=version, tag=tag, extra=extra)


def fake_ops(folder: Path, *, version: str = "2.20.0+cu125.1", tag: str = "py3-none-linux_x86_64") -> Path:
    """A small thin ops wheel as the compiler leaves it, before auditwheel."""
    members = {
        "tfwheel_ops/__init__.py": b'"""Ops."""\n',
        OP_LIBRARY: op_library(folder / "build").read_bytes(),
    }
    return write_wheel(folder, members, name="tfwheel_ops", version=version, tag=tag, extra="Requires-Dist: tensorflow==2.20.*\n")
