"""Assemble the PTX of a library for further GPUs with ptxas, in parallel and cached.

``<cache>/gpu-code`` holds the container entry that NVIDIA's libnvfatbin makes of each cubin, under a digest of the PTX,
the compiler, the arch and whatever else decides its bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import isqrt
from typing import TYPE_CHECKING

from tfwheel.gpu import fatbin, nvidia_tools
from tfwheel.gpu.errors import FatbinError
from tfwheel.gpu.fatbinary_program import LIBRARY
from tfwheel.retarget import gpu_image
from tfwheel.retarget.errors import PtxError, UnknownArchError
from tfwheel.system import console, digests, kept_folders, scratch, sources
from tfwheel.system.errors import CommandError
from tfwheel.system.files import writing
from tfwheel.system.processes import Programs, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MEMORY = 640 << 20  # bytes for all running ptxas together; the gates of another library may run beside them
# Upper bound for one ptxas in bytes: a constant plus a factor times the square root of the source's size. Measured on
# the modules of TensorFlow 2.20, of up to 10 MB: the largest took 375 MiB, one of 3.3 MiB took 295 MiB.
MEMORY_EACH, MEMORY_PER_ROOT = 60 << 20, 130 << 10
_KERNEL = re.compile(rb"\.entry\s+([\w$]+)")
_UNKNOWN_ARCH = re.compile(r"Value 'sm_\w+' is not defined for option 'gpu-name'")


@dataclass(frozen=True, kw_only=True)
class PtxModule:
    """A PTX module to assemble for one arch; ``name`` says where it is, ``size`` is that of ``read()`` in bytes."""

    name: str
    size: int
    arch: str
    read: Callable[[], bytes]

    @property
    def memory(self) -> int:
        """The memory that ptxas takes for it at most, in bytes."""
        return MEMORY_EACH + MEMORY_PER_ROOT * isqrt(self.size)


class WorkerPool:
    """The threads that run ptxas, one per core, shared by all callers of ``compile_all``.

    Tasks start in order of submission as far as there is memory: smaller tasks overtake one that does not fit. After
    ``cancel`` no task starts, running ones end, and callers get CancelledError. ``programs`` are the running ptxas.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        """Limit the tasks to ``memory`` bytes; a single task may need more. Threads start with the first task."""
        self.nvfatbin = threading.Lock()  # NVIDIA does not say whether two threads may use it at once
        self._pool = ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)), thread_name_prefix="ptxas")
        self._waiting: list[_Task] = []
        self._changed = threading.Condition()
        self._free, self._running = memory, 0
        self.programs = Programs()

    def submit(self, work: Callable[[], Path], *, memory: int) -> Future[Path]:
        """Submit a task that needs ``memory`` bytes; return its future."""
        task = _Task(work=work, memory=memory)
        with self._changed:
            self._waiting.append(task)
            self._changed.notify_all()
        self._pool.submit(self._do_one)
        return task.future

    def cancel(self) -> None:
        """Drop tasks that have not started, and end running programs."""
        self.programs.end()

    def _do_one(self) -> None:
        task = self._taken()
        try:
            if self.programs.ended:
                task.future.cancel()
            if task.future.set_running_or_notify_cancel():
                task.future.set_result(task.work())
        except BaseException as error:  # noqa: BLE001 -- the caller of result() gets it
            task.future.set_exception(error)
        finally:
            with self._changed:
                self._free += task.memory
                self._running -= 1
                self._changed.notify_all()

    def _taken(self) -> _Task:
        with self._changed:
            task = self._changed.wait_for(self._first_that_fits)
            assert task  # noqa: S101 -- wait_for returns when there is one
            self._waiting.remove(task)
            self._free -= task.memory
            self._running += 1
            return task

    def _first_that_fits(self) -> _Task | None:
        return next((task for task in self._waiting if not self._running or task.memory <= self._free), None)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Task:
    """A function to call, the memory it needs in bytes, and the future of its result."""

    work: Callable[[], Path]
    memory: int
    future: Future[Path] = field(default_factory=Future)


@dataclass(frozen=True, kw_only=True)
class PtxCompiler:
    """ptxas and NVIDIA's libnvfatbin, their pinned packages, the cache of results, and the threads that run them."""

    program: Path
    nvfatbin: Path
    packages: tuple[str, ...]
    cache: Path
    pool: WorkerPool = field(default_factory=WorkerPool, repr=False, compare=False)

    @cached_property
    def identity(self) -> str:
        """A digest of everything besides module and arch that decides the bytes of an entry."""
        return digests.of_facts(packages=self.packages, code=sources.digest(gpu_image.__name__))

    def place_of(self, ptx: bytes, arch: str) -> Path:
        """Return the path of a module's cached entry for an arch; ``ptx`` is the result of ``gpu_image.portable``."""
        key = digests.of_facts(ptx=hashlib.sha256(ptx).hexdigest(), arch=arch, compiler=self.identity)
        return self.cache / key[:2] / key


def prepare(packages: tuple[str, ...], *, cache: Path) -> PtxCompiler:
    """Return the compiler from the pinned packages; only the first call downloads them.

    Raises DownloadError, and ToolchainError if no package has ptxas or libnvfatbin.
    """
    remedy = "Correct `tools` of the line's [retarget] in lines.toml."
    tree = nvidia_tools.fetch(packages, {"ptxas": "bin", LIBRARY: "lib"}, cache=cache, remedy=remedy)
    return PtxCompiler(program=tree / "ptxas", nvfatbin=tree / LIBRARY, packages=packages, cache=cache / "gpu-code")


def compile_all(modules: Sequence[PtxModule], compiler: PtxCompiler, *, name: str) -> list[Path]:
    """Return a file with the container entry of each module, from the cache or compiled on all cores.

    Starts with the largest modules, as many at a time as there is memory for. Raises PtxError with the module and the
    message of ptxas, UnknownArchError if ptxas does not know the arch, CancelledError if the pool was cancelled;
    entries that are finished by then stay in the cache.
    """
    found: dict[int, Path] = {}
    order = sorted(range(len(modules)), key=lambda index: (-modules[index].size, index))
    with scratch.folder("ptxas") as folder:
        work = _Work(compiler=compiler, folder=folder)
        waiting = {
            compiler.pool.submit(partial(work.entry_of, modules[index], index), memory=modules[index].memory): index
            for index in order
        }
        try:
            for future in console.track(as_completed(waiting), name=name, total=len(waiting)):
                found[waiting[future]] = future.result()
        except (KeyboardInterrupt, SystemExit):
            compiler.pool.cancel()  # a large module takes half a minute
            raise
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)  # running tasks still write into the folder
    return [found[index] for index in range(len(modules))]


@dataclass(frozen=True, kw_only=True)
class _Work:
    """Makes the entries of one call of ``compile_all``."""

    compiler: PtxCompiler
    folder: Path

    def entry_of(self, module: PtxModule, number: int) -> Path:
        ptx = gpu_image.portable(module.read())
        kept = self.compiler.place_of(ptx, module.arch)
        if not kept_folders.use(kept, cache=self.compiler.cache.parent, kept=_is_entry):
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
            raise _compile_error(ptx, module, self.compiler.packages, error) from error
        finally:
            source.unlink()
            cubin.unlink(missing_ok=True)


def _compile_error(
    ptx: bytes, module: PtxModule, packages: tuple[str, ...], error: CommandError
) -> PtxError | UnknownArchError:
    package = packages[0]
    if _UNKNOWN_ARCH.search(error.output):
        message = f"ptxas of {package} does not know the arch {module.arch}: {error.output.strip()}"
        return UnknownArchError(message)
    kernel = _KERNEL.search(ptx)
    which = f" (kernel {kernel[1].decode()})" if kernel else ""
    message = f"ptxas of {package} cannot compile {module.name}{which} for sm_{module.arch}\n{error.message}"
    return PtxError(message)


def _is_entry(path: Path) -> bool:
    """Return whether a file is exactly one container entry."""
    try:
        fatbin.check(fatbin.only_entry(fatbin.pack([path.read_bytes()])))
    except (OSError, FatbinError):
        return False
    return True
