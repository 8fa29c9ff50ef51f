"""Hunts for inputs that a reader takes for sound and others do not, or that end in an exception which is not ours.

The suite runs a few hundred inputs of a fixed seed per reader. By hand, with any seed and for as long as you like::

    PYTHONPATH=.:scripts:tests/support python tests/support/hunting.py wheel --seed 7 --seconds 60
"""

from __future__ import annotations

import argparse
import io
import resource
import shutil
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import fakeelf
import gpulibraries
import hostilewheels
from fakeelf import DT_NEEDED, DT_RUNPATH, SHT_STRTAB, SHT_SYMTAB, Part, dynamic_elf
from mutations import mutated, numbers_of_elf
from tfwheel.checks import byte_diff
from tfwheel.checks.gpu_gates import Retargeted
from tfwheel.config.schema import Retarget
from tfwheel.errors import FactoryError
from tfwheel.gpu import code_inventory, cuda_binutils, dynamic_symbols, elf, fatbin
from tfwheel.retarget import ptxas
from tfwheel.retarget.rewrite import retarget_library

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = ("nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90")
# What the libraries of these tests can be rewritten for without a compiler: less than they have.
WANTED = Retarget(archs=("70", "80"), generated=("70",), tools=TOOLS, ptx="90")
LOADED = dynamic_elf(
    (DT_NEEDED, "libc.so.6"), (DT_RUNPATH, "$ORIGIN"), versions=("GLIBC_2.4", "GLIBC_2.17", "GLIBCXX_3.4.19")
)
NAMED = fakeelf.elf(
    Part(name=".strtab", data=b"\0add\0mul\0", kind=SHT_STRTAB),
    Part(name=".symtab", data=bytes(24) + b"\1\0\0\0\x12\x10" + bytes(18), kind=SHT_SYMTAB, link=1, entry_size=24),
)
LINKED = fakeelf.linked_elf(
    fakeelf.Symbol(name="add", version="TF_1"),
    fakeelf.Symbol(name="sub", version="TF_2", hidden=True),
    fakeelf.Symbol(name="mul"),
    fakeelf.undefined("memcpy", "GLIBC_2.14", "libc.so.6"),
    fakeelf.undefined("div"),
    needed=("libc.so.6",),
    soname="libadd.so",
)
USUAL = gpulibraries.usual().to_bytes()
SLACK = gpulibraries.changed(stored=True, slack=64).to_bytes()


def wheel(choice: Random, folder: Path) -> bool:
    """Whether a hostile wheel is read, as zipfile, installer and (where there is one) unzip read it."""
    path = folder / hostilewheels.FILE
    path.write_bytes(hostilewheels.hostile(choice))
    try:
        ours = hostilewheels.seen_by_us(path)
    except FactoryError:
        return False
    assert hostilewheels.seen_by_zipfile(path) == ours
    assert hostilewheels.seen_by_installer(path) == ours
    assert not hostilewheels.faults_found_by_installer(path)
    return True


def unzipped(choice: Random, folder: Path) -> bool:
    """Whether a hostile wheel is read, as unzip reads it."""
    path, out = folder / hostilewheels.FILE, folder / "unzipped"
    path.write_bytes(hostilewheels.hostile(choice))
    try:
        ours = hostilewheels.seen_by_us(path)
    except FactoryError:
        return False
    shutil.rmtree(out, ignore_errors=True)
    assert hostilewheels.unpacked_by_unzip(str(shutil.which("unzip")), path, out) == ours
    return True


def library(choice: Random, _: Path) -> bool:
    """Whether everything that is asked of an ELF file can be read from a broken one."""
    whole = choice.choice((LOADED, LOADED, NAMED, USUAL))
    data = mutated(whole, choice, numbers_of_elf(whole, (64, min(len(whole), 600))))
    read = 0
    for question in (
        lambda: elf.dynamic(io.BytesIO(data)),
        lambda: elf.sections(io.BytesIO(data)),
        lambda: elf.is_x86_64(io.BytesIO(data)),
        lambda: elf.gpu_arch(data),
        lambda: list(elf.symbols(data)),
        lambda: cuda_binutils.read_cubin(data),
    ):
        with suppress(FactoryError):
            question()
            read += 1
    return read == 6


def symbols(choice: Random, folder: Path) -> bool:
    """Whether the dynamic symbols of a broken library can be read, both those that it has and those that it uses."""
    path = folder / "library.so"
    path.write_bytes(mutated(LINKED, choice, numbers_of_elf(LINKED, (64, len(LINKED) - 8 * 64))))
    try:
        dynamic_symbols.interface(path)
        list(dynamic_symbols.definitions(path))
    except FactoryError:
        return False
    return True


def images(choice: Random, folder: Path) -> bool:
    """Whether the GPU code of a broken library can be listed and unpacked."""
    data = _broken_library(choice)
    path = folder / "library.so"
    path.write_bytes(data)
    try:
        for entry in fatbin.entries(path):
            fatbin.image(entry, data[entry.offset : entry.end])
            fatbin.tightened(data[entry.header : entry.end])
        code_inventory.read(path)
    except FactoryError:
        return False
    return True


def rewritten(choice: Random, folder: Path) -> bool:
    """Whether a broken library can be rewritten for fewer GPUs; refused, it is as it was, and else the check agrees."""
    data = _broken_library(choice)
    official, path = folder / "official.so", folder / "library.so"
    official.write_bytes(data)
    path.write_bytes(data)
    compiler = ptxas.PtxCompiler(program=folder, nvfatbin=folder, packages=TOOLS, cache=folder / "cache")
    try:
        try:
            report = retarget_library(path, wanted=WANTED, compiler=compiler)
        finally:
            compiler.pool.cancel()
    except FactoryError:
        assert path.read_bytes() == data
        return False
    assert path.stat().st_size == len(data)
    _compare(official, path, symbols=report.symbols)
    return True


def compared(choice: Random, folder: Path) -> bool:
    """Whether a library that was changed at random passes for the official one."""
    official, path = folder / "official.so", folder / "library.so"
    official.write_bytes(choice.choice((USUAL, USUAL, USUAL, _broken_library(choice))))
    path.write_bytes(choice.choice((_broken_library(choice), mutated(USUAL, choice))))
    try:
        _compare(official, path, symbols=choice.random() < 0.5)
    except FactoryError:
        return False
    return True


def cached(choice: Random, folder: Path) -> bool:
    """Whether a broken entry of the cache passes for one."""
    path = folder / "entry"
    whole = gpulibraries.machine_code(120, "matmul")
    path.write_bytes(mutated(whole, choice, [(at, 4) for at in range(0, 64, 4)]))
    return ptxas._is_entry(path)


def _compare(official: Path, path: Path, *, symbols: bool) -> None:
    pair = Retargeted(original=official, patched=path, archs={}, symbols=symbols)
    found = []
    for one in (official, path):
        by_section: dict[str, list[fatbin.FatbinContainer]] = {}
        for container in fatbin.containers(one):
            by_section.setdefault(container.section, []).append(container)
        found.append(by_section)
    byte_diff.unchanged(pair, *found)


def _broken_library(choice: Random) -> bytes:
    whole = choice.choice((USUAL, SLACK))
    places = [at for at in range(len(whole)) if whole.startswith(fatbin.MAGIC, at)]
    spans = [(at, at + 16 + 64) for at in places]
    wrappers = [at for at in range(len(whole)) if whole.startswith(b"\xb1\x43\x62\x46", at)]
    numbers = numbers_of_elf(whole, *spans, *((at, at + 24) for at in wrappers), (64, 64 + 24 * 8))
    return mutated(whole, choice, numbers)


READERS: dict[str, Callable[[Random, Path], bool]] = {
    one.__name__: one for one in (wheel, unzipped, library, symbols, images, rewritten, compared, cached)
}


def hunt(name: str, folder: Path, *, seed: int, count: int = 0, seconds: float = 0) -> Counter[str]:
    """Give a reader ``count`` inputs, or as many as it takes in that time; raises what is not a FactoryError.

    The result counts what was "read" and "refused", and has the "slowest" in milliseconds.
    """
    choice, found, start = Random(seed), Counter[str](), time.monotonic()  # noqa: S311 -- the same in each run
    number = 0
    while number < count or time.monotonic() < start + seconds:
        number += 1
        one = Random(choice.getrandbits(64))  # noqa: S311
        began = time.monotonic()
        try:
            found["read" if READERS[name](one, folder) else "refused"] += 1
        except BaseException as error:
            error.add_note(f"{name}: input {number} of seed {seed}")
            raise
        found["slowest"] = max(found["slowest"], round(1000 * (time.monotonic() - began)))
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hunting-") as scratch:
        result = hunt(asked.reader, Path(scratch), seed=asked.seed, seconds=asked.seconds)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(asked.reader, dict(result), f"{memory} MiB at most")  # noqa: T201
