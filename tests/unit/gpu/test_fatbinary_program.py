"""What the ``fatbinary`` program understands; with the real library in tests/integration/build/test_toolchain.py."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from tfwheel.gpu import fatbinary_program
from tfwheel.gpu.fatbinary_program import CompiledKernel


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("profile=sm_80,file=/some/k-sm_80-1a2b.o", CompiledKernel("elf", "80", Path("/some/k-sm_80-1a2b.o"))),
        ("profile=compute_90,file=k.s", CompiledKernel("ptx", "90", Path("k.s"))),
        ("kind=elf,sm=90a,file=k.o", CompiledKernel("elf", "90a", Path("k.o"))),
        ("kind=ptx,sm=120f,file=odd,name=k.s", CompiledKernel("ptx", "120f", Path("odd,name=k.s"))),
    ],
)
def test_reads_the_forms_of_old_and_new_clangs(text: str, expected: CompiledKernel) -> None:
    assert fatbinary_program.image(text) == expected


def test_reads_the_command_line_of_clang_19() -> None:
    words = ["-64", "--create", "k.fatbin", "--image=profile=sm_80,file=a.o", "--image=profile=compute_90,file=b.s"]
    wanted = fatbinary_program.parse(words)
    assert wanted.create == Path("k.fatbin")
    assert wanted.images == [CompiledKernel("elf", "80", Path("a.o")), CompiledKernel("ptx", "90", Path("b.s"))]
    assert not wanted.debug


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-64", "--create", "k", "--image=profile=lto_80,file=a"], "not understood: profile=lto_80,file=a"),
        (["-64", "--create", "k", "--image3=kind=elf,sm=80"], "not understood"),
        (
            ["-64", "--create", "k", "--image=profile=sm_80,file=a", "--cmdline=x"],
            "unrecognized arguments: --cmdline=x",
        ),
        (["-64", "--create", "k"], "required: --image"),
        (["--create", "k", "--image=profile=sm_80,file=a"], "required: -64"),
        (["-64", "--image=profile=sm_80,file=a"], "required: --create"),
    ],
)
def test_refuses_what_it_would_otherwise_leave_out(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        fatbinary_program.parse(words)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_without_its_library_it_says_so_and_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-64", "--create", str(tmp_path / "k.fatbin"), "--image=profile=sm_80,file=a.o"]
    assert fatbinary_program.main(words, tmp_path / "libnvfatbin.so.12") == 1
    assert "libnvfatbin.so.12" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_imports_nothing_that_a_bare_python_lacks() -> None:
    tree = ast.parse(Path(fatbinary_program.__file__).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
