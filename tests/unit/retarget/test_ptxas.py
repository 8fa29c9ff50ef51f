"""What is asked of ptxas and what is not asked again; the real one is in tests/integration/retarget/test_rewrite.py."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pytest

import hunting
from gpulibraries import machine_code, ptx
from tfwheel.gpu import fatbin
from tfwheel.gpu.errors import FatbinError
from tfwheel.retarget import gpu_image, ptxas
from tfwheel.retarget.errors import PtxError, UnknownArchError
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = ("nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90")


def compiler(folder: Path, packages: tuple[str, ...] = TOOLS) -> ptxas.PtxCompiler:
    """A compiler of which only the cache is there."""
    return ptxas.PtxCompiler(
        program=folder / "ptxas", nvfatbin=folder / "nvfatbin", packages=packages, cache=folder / "cache"
    )


def module(text: bytes, arch: str = "120") -> ptxas.PtxModule:
    """A module as a library gives it."""
    return ptxas.PtxModule(name="the code at byte 64", size=len(text), arch=arch, read=lambda: text)


@pytest.mark.parametrize("suffix", [b"a", b"f"])
def test_code_for_one_gpu_alone_becomes_portable(suffix: bytes) -> None:
    tied = ptx("add", suffix=suffix)
    assert fatbin.suffix(tied) == suffix.decode()
    assert gpu_image.portable(tied) == ptx("add").rstrip(b"\0")
    assert fatbin.suffix(gpu_image.portable(tied)) == ""


def test_portable_code_loses_its_end_mark_only() -> None:
    assert fatbin.suffix(ptx("add")) == ""
    assert gpu_image.portable(ptx("add")) == ptx("add")[:-1]


def test_a_name_that_looks_like_a_target_stays() -> None:
    text = ptx("sm_90a_kernel") + b"// .target sm_90a\n"
    assert gpu_image.portable(text) == text


def test_what_is_kept_is_not_compiled_again(tmp_path: Path) -> None:
    made = compiler(tmp_path)
    kept = made.place_of(gpu_image.portable(ptx("add")), "120")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(machine_code(120, "add"))
    tied = module(ptx("add", suffix=b"a"))
    assert ptxas.compile_all([module(ptx("add")), tied], made, name="test") == [kept, kept]


def test_the_place_depends_on_text_arch_and_tools(tmp_path: Path) -> None:
    made, other = compiler(tmp_path), compiler(tmp_path, ("nvidia-cuda-nvcc-cu12==12.9.41", TOOLS[1]))
    paths = [
        made.place_of(b"a", "120"),
        made.place_of(b"b", "120"),
        made.place_of(b"a", "100"),
        other.place_of(b"a", "120"),
    ]
    assert len(set(paths)) == 4


@pytest.mark.parametrize("left", [b"", bytes(400), machine_code(120, "add")[:-8]], ids=["empty", "zeros", "cut"])
def test_a_damaged_entry_counts_as_none(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "entry"
    path.write_bytes(machine_code(120, "add"))
    assert ptxas._is_entry(path)
    path.write_bytes(left)
    assert not ptxas._is_entry(path)


def test_no_work_is_no_trouble(tmp_path: Path) -> None:
    assert ptxas.compile_all([], compiler(tmp_path), name="test") == []


def test_a_crew_that_was_disbanded_begins_nothing_new(tmp_path: Path) -> None:
    made = compiler(tmp_path)
    made.pool.cancel()
    with pytest.raises(CancelledError):
        ptxas.compile_all([module(ptx("add")), module(ptx("mul"))], made, name="test")
    assert not made.cache.exists()


def test_what_is_there_already_is_taken_and_what_waits_is_dropped(tmp_path: Path) -> None:
    made, begun, go_on = compiler(tmp_path), threading.Semaphore(0), threading.Event()
    kept = made.place_of(gpu_image.portable(ptx("add")), "120")
    kept.parent.mkdir(parents=True)
    kept.write_bytes(machine_code(120, "add"))
    reads: list[int] = []

    def slow() -> bytes:
        reads.append(1)
        begun.release()
        go_on.wait(10)
        return ptx("add")

    modules = [ptxas.PtxModule(name="slow", size=1, arch="120", read=slow) for _ in range(1000)]
    with ThreadPoolExecutor(max_workers=1) as pool:
        asked = pool.submit(ptxas.compile_all, modules, made, name="test")
        assert begun.acquire(timeout=10)
        made.pool.cancel()
        go_on.set()
        with pytest.raises(CancelledError):
            asked.result(10)
    assert len(reads) <= len(os.sched_getaffinity(0))


def test_a_refusal_names_module_kernel_and_reason() -> None:
    said = CommandError("ptxas ended with exit code 255\nline 3; fatal: Unexpected", output="line 3; fatal: Unexpected")
    error = ptxas._compile_error(ptx("add"), module(ptx("add")), TOOLS, said)
    assert isinstance(error, PtxError)
    assert "12.9.86 cannot compile the code at byte 64 (kernel add) for sm_120" in error.message
    assert "fatal: Unexpected" in error.message


def test_an_arch_that_ptxas_does_not_know_is_another_error() -> None:
    said = CommandError("failed", output="ptxas fatal   : Value 'sm_999' is not defined for option 'gpu-name'")
    error = ptxas._compile_error(b"", module(b"", "999"), TOOLS, said)
    assert isinstance(error, UnknownArchError)
    assert "does not know the arch 999" in error.message


def test_an_nvfatbin_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FatbinError, match="accepts no cubin of 4 bytes for 120"):
        gpu_image.entry(compiler(tmp_path).nvfatbin, b"code", arch="120")


def test_as_much_runs_at_once_as_there_is_memory_for(tmp_path: Path) -> None:
    pool, lock = ptxas.WorkerPool(memory=100), threading.Lock()
    running: list[int] = []
    peaks: list[list[int]] = []

    def work(size: int) -> Path:
        with lock:
            running.append(size)
            peaks.append([*running])
        time.sleep(0.01)
        with lock:
            running.remove(size)
        return tmp_path

    for future in [pool.submit(partial(work, size), memory=size) for size in (60, 60, 500, 40, 40, 20)]:
        assert future.result(10) == tmp_path
    assert len(peaks) == 6
    assert all(sum(peak) <= 100 or peak == [500] for peak in peaks)


def test_what_does_not_fit_lets_others_pass_and_comes_when_there_is_room(tmp_path: Path) -> None:
    pool, go_on, done = ptxas.WorkerPool(memory=100), threading.Event(), []

    def work(name: str) -> Path:
        if name == "first":
            go_on.wait(10)
        done.append(name)
        return tmp_path

    asked = {name: pool.submit(partial(work, name), memory=size) for name, size in (("first", 60), ("large", 60))}
    asked["small"] = pool.submit(partial(work, "small"), memory=40)
    if len(os.sched_getaffinity(0)) > 1:
        asked["small"].result(10)
        assert done == ["small"]
    go_on.set()
    asked["large"].result(10)
    assert set(done) == {"first", "large", "small"}


def test_an_error_goes_to_who_asked_and_others_are_served(tmp_path: Path) -> None:
    pool = ptxas.WorkerPool()

    def fail() -> Path:
        raise FatbinError("no")  # noqa: EM101 -- as a damaged library would

    failed = pool.submit(fail, memory=1)
    assert pool.submit(lambda: tmp_path, memory=1).result(10) == tmp_path
    with pytest.raises(FatbinError):
        failed.result(10)


def test_memory_is_reckoned_as_it_was_measured() -> None:
    """PTX of TensorFlow 2.20 in MiB, and what ptxas 12.9.86 took for sm_120, in MiB."""
    measured = {9.96: 375, 8.75: 333, 3.88: 302, 3.30: 296, 1.46: 204, 0.42: 107, 0.004: 40}
    for size, taken in measured.items():
        module = ptxas.PtxModule(name="", size=int(size * (1 << 20)), arch="120", read=bytes)
        assert taken <= module.memory / (1 << 20) <= taken + 120


def test_hostile_entries_of_the_cache_are_taken_or_made_again(tmp_path: Path) -> None:
    found = hunting.hunt("cached", tmp_path, seed=1, count=300)
    assert min(found["read"], found["refused"]) > 30
