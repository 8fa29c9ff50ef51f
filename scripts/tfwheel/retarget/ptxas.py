"""Compiles the portable GPU code of a library to machine code for further GPUs, many modules at once, each only once.

What is kept, in ``<cache>/gpu-code``, is the finished container entry that NVIDIA's libnvfatbin makes of a module,
under a digest of the module's text, the compiler, the arch and whatever else decides its bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin, nvidia_tools
from tfwheel.gpu.errors import FatbinError
from tfwheel.gpu.fatbinary_program import LIBRARY
from tfwheel.retarget import gpu_image
from tfwheel.retarget.errors import PtxError, UnknownArchError
from tfwheel.system import console, digests, sources
from tfwheel.system.errors import CommandError
from tfwheel.system.files import writing
from tfwheel.system.processes import Programs, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MEMORY = 640 << 20  # bytes that all running ptxas may take together, the gates of another library beside them
# What one takes at most: so many bytes, and so many times the square root of its source's (measured on the modules of
# TensorFlow 2.20, of up to 10 MB; the largest took 375 MiB, one of 3.3 MiB 295).
MEMORY_EACH, MEMORY_PER_ROOT = 60 << 20, 130 << 10
_KERNEL = re.compile(rb"\.entry\s+([\w$]+)")
_UNKNOWN_ARCH = re.compile(r"Value 'sm_\w+' is not defined for option 'gpu-name'")


@dataclass(frozen=True, kw_only=True)
class PtxModule:
    """Portable code to compile for one arch; ``name`` says where it is, ``size`` how many bytes ``read`` gives."""

    name: str
    size: int
    arch: str
    read: Callable[[], bytes]

    @property
    def memory(self) -> int:
        """The bytes that ptxas takes for it at most."""
        return MEMORY_EACH + MEMORY_PER_ROOT * isqrt(self.size)


class WorkerPool:
    """The threads that run ptxas, one for each core, for all who have something to compile at the same time.

    Who comes first is served first, as far as there is memory: a module that needs more than is left lets those behind
    it pass. After ``cancel`` nothing begins and nothing goes on, and who waits gets CancelledError. ``programs`` are
    those to be ended then.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        """``memory`` is in bytes; one module runs however much it needs. Threads start with the first work."""
        self.nvfatbin = threading.Lock()  # NVIDIA does not say whether two threads may use it at once
        self._pool = ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)), thread_name_prefix="ptxas")
        self._waiting: list[_Task] = []
        self._changed = threading.Condition()
        self._free, self._running = memory, 0
        self.programs = Programs()

    def submit(self, work: Callable[[], Path], *, memory: int) -> Future[Path]:
        """Have something done that needs so many bytes of memory."""
        task = _Task(work=work, memory=memory)
        with self._changed:
            self._waiting.append(task)
            self._changed.notify_all()
        self._pool.submit(self._do_one)
        return task.future

    def cancel(self) -> None:
        """Drop what has not begun, and end what runs."""
        self.programs.end()

    def _do_one(self) -> None:
        task = self._taken()
        try:
            if self.programs.ended:
                task.future.cancel()
            if task.future.set_running_or_notify_cancel():
                task.future.set_result(task.work())
        except BaseException as error:  # noqa: BLE001 -- it belongs to who asked
            task.future.set_exception(error)
        finally:
            with self._changed:
                self._free += task.memory
                self._running -= 1
                self._changed.notify_all()

    def _taken(self) -> _Task:
        with self._changed:
            task = self._changed.wait_for(self._first_that_fits)
            assert task  # noqa: S101 -- what the condition waited for
            self._waiting.remove(task)
            self._free -= task.memory
            self._running += 1
            return task

    def _first_that_fits(self) -> _Task | None:
        return next((task for task in self._waiting if not self._running or task.memory <= self._free), None)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """Something to do, the bytes of memory that it needs, and who waits for it."""

    work: Callable[[], Path]
    memory: int
    future: Future[Path] = field(default_factory=Future)


@dataclass(frozen=True, kw_only=True)
class PtxCompiler:
    """ptxas and NVIDIA's libnvfatbin, their pinned packages, the folder for what they made, and who runs them."""

    program: Path
    nvfatbin: Path
    packages: tuple[str, ...]
    cache: Path
    pool: WorkerPool = field(default_factory=WorkerPool, repr=False, compare=False)

    @cached_property
    def identity(self) -> str:
        """Digest of everything but a module and its arch that decides the bytes of an entry."""
        return digests.of_facts(packages=self.packages, code=sources.digest(gpu_image.__name__))

    def place_of(self, ptx: bytes, arch: str) -> Path:
        """Where the entry of a module for an arch is kept; ``ptx`` is what ``gpu_image.portable`` gives."""
        key = digests.of_facts(ptx=hashlib.sha256(ptx).hexdigest(), arch=arch, compiler=self.identity)
        return self.cache / key[:2] / key


def prepare(packages: tuple[str, ...], *, cache: Path) -> PtxCompiler:
    """Fetch the pinned packages that have ptxas and libnvfatbin once; from the second call on that takes no time.

    Raises DownloadError, and ToolchainError when one of the two is in none of them.
    """
    remedy = "Correct `tools` of the line's [retarget] in lines.toml."
    tree = nvidia_tools.fetch(packages, {"ptxas": "bin", LIBRARY: "lib"}, cache=cache, remedy=remedy)
    return PtxCompiler(program=tree / "ptxas", nvfatbin=tree / LIBRARY, packages=packages, cache=cache / "gpu-code")


def compile_all(modules: Sequence[PtxModule], compiler: PtxCompiler, *, name: str) -> list[Path]:
    """A file with the container entry of each module, from the cache or compiled, as many at once as there are cores.

    The largest begin first, and no more of them at a time than there is memory for. Raises PtxError with the module and
    ptxas's own words, UnknownArchError when ptxas does not know the arch, CancelledError when the crew was disbanded;
    what is finished by then is kept.
    """
    found: dict[int, Path] = {}
    order = sorted(range(len(modules)), key=lambda index: (-modules[index].size, index))
    with tempfile.TemporaryDirectory(prefix="tfwheel-ptxas-") as folder:
        work = _Work(compiler=compiler, folder=Path(folder))
        waiting = {
            compiler.pool.submit(partial(work.entry_of, modules[index], index), memory=modules[index].memory): index
            for index in order
        }
        try:
            for future in console.track(as_completed(waiting), name=name, total=len(waiting)):
                found[waiting[future]] = future.result()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)  # for those that run: they write into the folder
    return [found[index] for index in range(len(modules))]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """What the modules of one call share."""

    compiler: PtxCompiler
    folder: Path

    def entry_of(self, module: PtxModule, number: int) -> Path:
        ptx = gpu_image.portable(module.read())
        kept = self.compiler.place_of(ptx, module.arch)
        if not _is_entry(kept):
            code = self._compiled(ptx, module, number)
            with self.compiler.pool.nvfatbin:
                entry = gpu_image.entry(self.compiler.nvfatbin, code, arch=module.arch)
            with writing(kept) as stream:
                stream.write(entry)
        return kept

    def _compiled(self, ptx: bytes, module: PtxModule, number: int) -> bytes:
        source, cubin = self.folder / f"{number}.ptx", self.folder / f"{number}.cubin"
        programs = self.compiler.pool.programs
        words = [word.format(arch=module.arch) for word in gpu_image.ARGUMENTS]
        source.write_bytes(ptx)
        try:
            run([self.compiler.program, *words, source, "-o", cubin], among=programs)
            return cubin.read_bytes()
        except CommandError as error:
            if programs.ended:
                raise CancelledError from error
            raise _refusal(ptx, module, self.compiler.packages, error) from error
        finally:
            source.unlink()
            cubin.unlink(missing_ok=True)


def _refusal(
    ptx: bytes, module: PtxModule, packages: tuple[str, ...], error: CommandError
) -> PtxError | UnknownArchError:
    package = packages[0]
    if _UNKNOWN_ARCH.search(error.output):
        message = f"ptxas of {package} does not know the arch {module.arch}: {error.output.strip()}"
        return UnknownArchError(message)
    kernel = _KERNEL.search(ptx)
    which = f" (kernel {kernel[1].decode()})" if kernel else ""
    message = f"ptxas of {package} refuses {module.name}{which} for sm_{module.arch}\n{error.message}"
    return PtxError(message)


def _is_entry(path: Path) -> bool:
    """Whether a file is one whole container entry."""
    try:
        data = path.read_bytes()
        (entry,) = fatbin.parse(fatbin.pack([data])).entries
        fatbin.check(entry)
    except (OSError, ValueError, FatbinError):
        return False
    return True
