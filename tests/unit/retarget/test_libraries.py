"""Libraries of an official wheel made once: for every Python that shares their bytes, and never half."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakeelf
import fakewheels
from gpulibraries import machine_code, ptx, usual
from tfwheel.build import gpu_code
from tfwheel.checks.errors import RetargetGateError
from tfwheel.config.schema import Retarget
from tfwheel.retarget import gpu_image, libraries, ptxas
from tfwheel.retarget.errors import DoesNotFitError, NoGpuCodeError, SearchPathError
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.retarget.libraries import Replacement

TOOLS = ("nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90")
WANTED = Retarget(archs=("70", "80", "120"), generated=("70", "120"), tools=TOOLS, ptx="90")
CC = "tensorflow/libtensorflow_cc.so.2"
TAG = f"cp312-cp312-{fakewheels.MANYLINUX}"


def a_base(folder: Path, *, tag: str = TAG, library: bytes | None = None) -> Path:
    """An official wheel with one library that has GPU code."""
    members = {CC: library or usual().to_bytes(), "tensorflow/__init__.py": tag.encode()}
    return fakewheels.write_wheel(folder, members, name="tensorflow", version="2.20.0", tag=tag)


def compiler(folder: Path) -> ptxas.PtxCompiler:
    """A compiler whose work is all done."""
    made = ptxas.PtxCompiler(
        program=folder / "ptxas", nvfatbin=folder / "nvfatbin", packages=TOOLS, cache=folder / "code"
    )
    for name in ("matmul", "conv", "reduce", "add", "mul"):
        kept = made.place_of(gpu_image.portable(ptx(name)), "120")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(machine_code(120, name))
    return made


def sizes(result: libraries.RetargetResult) -> dict[str, str]:
    """A gate that both files pass, for they are there."""
    return {"sizes": f"{result.official.stat().st_size} and {result.patched.stat().st_size}"}


CHECK = libraries.Check(key="sizes", run=sizes)


def make(folder: Path, base: Path, wanted: Retarget = WANTED, check: libraries.Check = CHECK) -> Replacement:
    """The replacement of the library."""
    work = folder / "work"
    work.mkdir(exist_ok=True)
    (made,) = libraries.replacements(
        base,
        [CC],
        wanted=wanted,
        compiler=compiler(folder),
        ceiling=None,
        cache=folder / "cache",
        work=work,
        check=check,
    )
    assert list(work.iterdir()) == []
    return made


def streams(folder: Path) -> list[Path]:
    """What is kept."""
    return sorted((folder / "cache").rglob("*.deflate"))


def test_the_stream_is_the_library_with_other_gpu_code(tmp_path: Path) -> None:
    base = a_base(tmp_path)
    made = make(tmp_path, base)
    data = zlib.decompress(b"".join(made.deflated.chunks()), wbits=-zlib.MAX_WBITS)
    assert made.member == CC
    assert b"matmul for 120" in data
    assert len(data) == made.deflated.size == len(usual().to_bytes())


def test_the_facts_say_what_was_done(tmp_path: Path) -> None:
    base = a_base(tmp_path)
    made = make(tmp_path, base)
    with WheelReader(base) as wheel:
        before = wheel.record[CC].digest.hex()
    assert made.facts["sha256"] == {"before": before, "after": made.deflated.sha256}
    assert made.facts["families"]["fatbin"]["new"] == {"sm_120": 3}
    assert (made.facts["xla"], made.facts["library"]) == ([], "libtensorflow_cc.so.2")
    record = libraries.RetargetedLibraries(libraries=(made,), requires=("x>=1",)).record
    assert record == {"libraries": {CC: made.facts}, "requires": ["x>=1"]}


def test_what_a_gate_found_is_kept_and_what_it_refuses_is_not(tmp_path: Path) -> None:
    base, size = a_base(tmp_path), len(usual().to_bytes())
    assert make(tmp_path, base).facts["gates"] == {"sizes": f"{size} and {size}"}

    def refuse(_: libraries.RetargetResult) -> dict[str, str]:
        message = "no"
        raise DoesNotFitError(message)

    with pytest.raises(DoesNotFitError):
        make(tmp_path, base, check=libraries.Check(key="other", run=refuse))
    assert len(streams(tmp_path)) == 1
    assert list((tmp_path / "work").iterdir()) == []


def test_another_python_with_the_same_library_is_served_from_the_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make(tmp_path, a_base(tmp_path))
    capsys.readouterr()
    second = make(tmp_path, a_base(tmp_path, tag=TAG.replace("312", "313")))
    assert second.deflated == first.deflated
    assert second.facts["families"] == first.facts["families"]
    said = capsys.readouterr().err
    assert "libtensorflow_cc.so.2: from the cache" in said
    assert "unpack" not in said


# --- the search path -------------------------------------------------------------------------------------

FRAMEWORK = fakewheels.FRAMEWORK
LIBRARY = fakeelf.dynamic_elf((fakeelf.DT_NEEDED, "libm.so.6"), (fakeelf.DT_RUNPATH, fakewheels.RUNPATH))


def searching(folder: Path, library: bytes = LIBRARY, check: libraries.Check | None = None) -> Replacement:
    """The library that opens CUDA's, on a line that asks for nothing but `rpath`."""
    members = {FRAMEWORK: library, "tensorflow/__init__.py": b""}
    base = fakewheels.write_wheel(folder, members, name="tensorflow", version="2.20.0", tag=TAG)
    work = folder / "work"
    work.mkdir(exist_ok=True)
    native = libraries.native(
        replace(fakewheels.LINE, rpath=True),
        tensorflow="2.20.0",
        base=base,
        locked=fakewheels.locked(base),
        ceilings=folder / "none",
        compiler=None,
        cache=folder / "cache",
        work=work,
        check=check or gpu_code.check(None, folder),
    )
    (made,) = native.libraries
    assert (native.requires, list(work.iterdir())) == ((), [])
    return made


def test_one_byte_is_another_where_a_line_asks_for_rpath_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = searching(tmp_path)
    data = zlib.decompress(b"".join(made.deflated.chunks()), wbits=-zlib.MAX_WBITS)
    changes = [(at, was, now) for at, (was, now) in enumerate(zip(LIBRARY, data, strict=True)) if was != now]
    ((at, was, now),) = changes
    assert (made.member, was, now) == (FRAMEWORK, fakeelf.DT_RUNPATH, fakeelf.DT_RPATH)
    what = "DT_RUNPATH becomes DT_RPATH: pip's CUDA packages before LD_LIBRARY_PATH"
    assert made.facts["search_path"] == [{"what": what, "offset": at, "bytes": "0f"}]
    assert (made.facts["xla"], made.facts["families"]) == ([], {})
    size = len(LIBRARY)
    words = f"{size - 1:,} of {size:,} bytes must be the official ones and are; 0 pointers follow their containers"
    assert made.facts["gates"] == {"untouched": words}
    capsys.readouterr()
    assert searching(tmp_path).deflated == made.deflated
    assert "libtensorflow_framework.so.2: from the cache" in capsys.readouterr().err


def test_a_library_without_the_one_tag_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(SearchPathError, match="has DT_RPATH; one DT_RUNPATH"):
        searching(tmp_path, fakeelf.dynamic_elf((fakeelf.DT_RPATH, fakewheels.RUNPATH)))
    assert streams(tmp_path) == []


def test_a_byte_that_nobody_declared_fails_the_gate(tmp_path: Path) -> None:
    def meddle(result: libraries.RetargetResult) -> dict[str, str]:
        data = bytearray(result.patched.read_bytes())
        data[100] ^= 1
        result.patched.write_bytes(data)
        return dict(gpu_code.check(None, tmp_path).run(result))

    with pytest.raises(RetargetGateError, match="byte 100: changed from"):
        searching(tmp_path, check=libraries.Check(key="meddle", run=meddle))
    assert streams(tmp_path) == []


def test_new_gpu_code_and_the_search_path_are_made_together_or_not_at_all(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    with pytest.raises(SearchPathError, match=r"libtensorflow_cc\.so\.2 has no search path"):
        libraries.replacements(
            a_base(tmp_path),
            [CC],
            rpath=[CC],
            wanted=WANTED,
            compiler=compiler(tmp_path),
            ceiling=None,
            cache=tmp_path / "cache",
            work=work,
            check=CHECK,
        )
    assert (list(work.iterdir()), streams(tmp_path)) == ([], [])


def test_other_wishes_make_another_stream(tmp_path: Path) -> None:
    first = make(tmp_path, a_base(tmp_path))
    second = make(tmp_path, a_base(tmp_path), WANTED.model_copy(update={"symbols": False}))
    assert first.deflated.sha256 != second.deflated.sha256
    assert len(streams(tmp_path)) == 2


@pytest.mark.parametrize("name", ["facts.json", "member.deflate"])
def test_what_is_damaged_in_the_cache_is_made_again(tmp_path: Path, name: str) -> None:
    first = make(tmp_path, a_base(tmp_path))
    path = next((tmp_path / "cache").rglob(name))
    path.write_bytes(path.read_bytes()[:-1])
    assert make(tmp_path, a_base(tmp_path)).deflated == first.deflated


@pytest.mark.parametrize(
    "facts",
    [b"[]", b"[" * 100_000, b"null", b"\xff", b'{"facts": [1]}', b'{"deflated": {"size": 1}, "facts": {}}', None],
)
def test_facts_in_the_cache_that_are_none_are_made_again(tmp_path: Path, facts: bytes | None) -> None:
    first = make(tmp_path, a_base(tmp_path))
    path = next((tmp_path / "cache").rglob("facts.json"))
    path.write_bytes(path.read_bytes().replace(b'"sha256": "', b'"sha256": "x', 1) if facts is None else facts)
    assert make(tmp_path, a_base(tmp_path)).deflated == first.deflated


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    wanted = WANTED.model_copy(update={"archs": ("60", "70", "80", "90", "120")})
    with pytest.raises(DoesNotFitError):
        libraries.replacements(
            a_base(tmp_path),
            [CC],
            wanted=wanted,
            compiler=compiler(tmp_path),
            ceiling=None,
            cache=tmp_path / "cache",
            work=work,
            check=CHECK,
        )
    assert list(work.iterdir()) == []
    assert streams(tmp_path) == []


def test_the_libraries_are_found_by_name_where_the_lock_lists_gpu_code(tmp_path: Path) -> None:
    wanted = WANTED.model_copy(update={"libraries": ("libtensorflow_cc.so.2",)})
    locked = replace(fakewheels.locked(a_base(tmp_path)), archs={CC: ("sm_60",), "tensorflow/python/x.so": ("sm_60",)})
    assert libraries.members(locked, wanted) == [CC]
    with pytest.raises(
        NoGpuCodeError, match=r"has no library libx\.so with GPU code; it has libtensorflow_cc\.so\.2, x"
    ):
        libraries.members(locked, wanted.model_copy(update={"libraries": ("libx.so",)}))
