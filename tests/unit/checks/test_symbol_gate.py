"""The gate of symbols on libraries whose every symbol is known: each way to find one, and each way not to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakeelf import Symbol, linked_elf, undefined
from fakewheels import FRAMEWORK, MANYLINUX, OP_LIBRARY, PYWRAP, RULES, locked, target, write_wheel
from gates import changed, judge_ops
from tfwheel.checks.errors import SymbolsGateError
from tfwheel.checks.linked_libraries import here
from tfwheel.checks.opened_wheel import opened, opened_ops
from tfwheel.checks.symbol_gate import symbols
from tfwheel.checks.symbol_hints import _before_parameters
from tfwheel.errors import BadWheelError

if TYPE_CHECKING:
    from pathlib import Path

CC = "tensorflow/libtensorflow_cc.so.2"
FRAMEWORK_NAME, CC_NAME = "libtensorflow_framework.so.2", "libtensorflow_cc.so.2"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An official wheel whose libraries have a few symbols."""
    framework = linked_elf(
        Symbol(name="TF_Framework"),
        Symbol(name="TF_More"),
        needed=("libc.so.6", "libm.so.6"),
        soname=FRAMEWORK_NAME,
    )
    cc = linked_elf(
        Symbol(name="TF_Version", version="tensorflow"),
        Symbol(name="TF_Old", version="tensorflow", hidden=True),
        needed=(FRAMEWORK_NAME,),
        soname=CC_NAME,
    )
    members = {"tensorflow/__init__.py": b"\n", FRAMEWORK: framework, CC: cc, PYWRAP: b"\x7fELF, so to say"}
    folder = tmp_path_factory.mktemp("base")
    return write_wheel(folder, members, name="tensorflow", version="2.20.0", tag=f"cp312-cp312-{MANYLINUX}")


def refused(folder: Path, base: Path, *asked: Symbol, needed: tuple[str, ...] = (FRAMEWORK_NAME, "libc.so.6")) -> str:
    """The error about a library that asks for these symbols."""
    with pytest.raises(SymbolsGateError) as caught:
        judge_ops(folder, base, {OP_LIBRARY: linked_elf(*asked, needed=needed)})
    assert f"`{OP_LIBRARY}` does not load beside TensorFlow 2.20.0" in caught.value.message
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        ((), ()),
        ((undefined("TF_Framework"), undefined("TF_More")), (FRAMEWORK_NAME,)),
        ((undefined("TF_Framework"),), (CC_NAME,)),  # through what it links
        ((undefined("TF_Version", "tensorflow", CC_NAME),), (CC_NAME,)),
        ((undefined("TF_Version"),), (CC_NAME,)),  # the default version
        ((undefined("TF_Old", "tensorflow", CC_NAME),), (CC_NAME,)),
        ((undefined("TF_Framework", "VERS_1", FRAMEWORK_NAME),), (FRAMEWORK_NAME,)),  # it has no versions: any will do
        ((undefined("nobody_has_this", binding=2),), (FRAMEWORK_NAME,)),  # weak
        ((undefined("memcpy", "GLIBC_2.14", "libc.so.6"),), ("libc.so.6",)),
        ((undefined("sqrt", "GLIBC_2.2.5", "libm.so.6"),), (FRAMEWORK_NAME,)),  # through what it links
        ((undefined("__tls_get_addr", "GLIBC_2.3", "ld-linux-x86-64.so.2"),), ("ld-linux-x86-64.so.2",)),
        ((undefined("_Znwm", "GLIBCXX_3.4", "libstdc++.so.6"),), ("libstdc++.so.6",)),
        ((undefined("cosh", "", ""),), ("libm.so.6",)),  # without a version, and as old as the tag
        ((undefined("PyObject_Repr"), undefined("_Py_NoneStruct"), undefined("Py_IncRef")), ()),
        ((undefined("cudaMalloc", "libcudart.so.12", "libcudart.so.12"),), ("libcudart.so.12",)),
        ((undefined("cuInit"), undefined("cuCtxCreate_v2")), ("libcuda.so.1",)),
        ((undefined("op"), Symbol(name="op")), ()),
    ],
)
def test_a_symbol_that_the_loader_finds_passes(
    base: Path, tmp_path: Path, asked: tuple[Symbol, ...], needed: tuple[str, ...]
) -> None:
    count = sum(not one.defined and one.binding == 1 for one in asked)
    found = judge_ops(tmp_path, base, {OP_LIBRARY: linked_elf(*asked, needed=needed)})
    assert found == f"{count} symbols of 1 libraries of its own, each in what they link"


@pytest.mark.parametrize(
    ("asked", "needed", "words"),
    [
        (undefined("nobody_has_this"), (FRAMEWORK_NAME,), "`nobody_has_this`: no library here has it"),
        (undefined("TF_Version"), (FRAMEWORK_NAME,), f"`TF_Version`: it is in `{CC_NAME}`, which is not linked"),
        (
            undefined("TF_Framework"),
            ("libc.so.6",),
            f"`TF_Framework`: it is in `{FRAMEWORK_NAME}`, which is not linked",
        ),
        (undefined("TF_Old"), (CC_NAME,), f"`TF_Old`: `{CC_NAME}` has it, but not so"),  # the version is no default
        (
            undefined("TF_Version", "tf3", CC_NAME),
            (CC_NAME,),
            f"`TF_Version` of version tf3 of `{CC_NAME}`: `{CC_NAME}` has",
        ),
        (undefined("cosh"), ("libc.so.6",), "`cosh`: it is in `libm.so.6`, which is not linked"),
        (
            undefined("cosh", "GLIBC_2.2.5", "libm.so.6"),
            ("libc.so.6",),
            "linked with that library, and does not link it",
        ),
        (undefined("f", "GLIBC_2.34", "libc.so.6"), ("libc.so.6",), "manylinux_2_17_x86_64 has no such version"),
        (undefined("f", "GLIBC_PRIVATE", "libc.so.6"), ("libc.so.6",), "manylinux_2_17_x86_64 has no such version"),
        (undefined("cudaMalloc"), ("libcudart.so.12",), "`cudaMalloc`: no library here has it"),
        (undefined("cuInit"), ("libcudart.so.12",), "`cuInit`: no library here has it"),
        (undefined("Pyramid_new"), (FRAMEWORK_NAME,), "`Pyramid_new`: no library here has it"),
        (undefined("ncclSend"), ("libnv.so.1",), "Not looked up, because not on this machine: `libnv.so.1`"),
    ],
)
def test_a_symbol_that_the_loader_does_not_find_is_refused_with_its_reason(
    base: Path, tmp_path: Path, asked: Symbol, needed: tuple[str, ...], words: str
) -> None:
    assert words in refused(tmp_path, base, asked, needed=needed)


def test_a_symbol_without_a_version_must_be_as_old_as_the_tag(base: Path, tmp_path: Path) -> None:
    """`gettid` came with glibc 2.30; the C library of this machine is newer."""
    assert here("libc.so.6")
    asked = linked_elf(undefined("gettid"), needed=("libc.so.6",))
    assert judge_ops(tmp_path, base, {OP_LIBRARY: asked}, tag="manylinux_2_31_x86_64").startswith("1 symbols")
    assert "`gettid`" in refused(tmp_path, base, undefined("gettid"))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("--help", "`--help`"),
        ("@/etc/passwd", "`@/etc/passwd`"),
        ("_Z1f --version", "`_Z1f --version`"),
        ("_Z1\x1b[2J\n", "`_Z1?[2J?`"),
        ("x" * 5000, f"`{'x' * 200}...`"),
    ],
)
def test_names_are_no_options_of_the_demangler_and_no_commands_of_the_terminal(
    base: Path, tmp_path: Path, name: str, words: str
) -> None:
    assert f"{words}: no library here has it" in refused(tmp_path, base, undefined(name))


def test_a_wheel_that_was_opened_without_its_tensorflow_is_not_judged(tmp_path: Path) -> None:
    wheel = write_wheel(tmp_path, {OP_LIBRARY: linked_elf()}, name="tfwheel_ops", version="1", tag="py3-none-any")
    with (
        opened_ops(wheel, target=target(), rules=RULES) as candidate,
        pytest.raises(ValueError, match="without the off"),
    ):
        symbols(candidate)


def test_of_many_missing_symbols_a_few_are_named_and_the_others_counted(base: Path, tmp_path: Path) -> None:
    said = refused(tmp_path, base, *(undefined(f"missing_{number:02}") for number in range(12)))
    assert "lacks 12" in said
    assert "missing_04" in said
    assert "missing_05" not in said
    assert said.endswith("and 7 more")


@pytest.mark.parametrize("name", ["libfoo.so.1", "libpython3.12.so.1.0", "/usr/lib/libc.so.6", "libc.musl-x86_64.so.1"])
def test_a_library_that_nobody_has_is_refused_by_name(base: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(
        SymbolsGateError, match=f"needs `{name}`, which is neither in this wheel, nor in TensorFlow 2.20.0"
    ):
        judge_ops(tmp_path, base, {OP_LIBRARY: linked_elf(needed=("libc.so.6", name))})


def test_an_excluded_library_need_not_be_there(base: Path, tmp_path: Path) -> None:
    data = linked_elf(undefined("GOMP_parallel", "GOMP_4.0", "libgomp.so.1"), needed=("libgomp.so.1",))
    with pytest.raises(SymbolsGateError, match=r"needs `libgomp\.so\.1`"):
        judge_ops(tmp_path, base, {OP_LIBRARY: data})
    rules = replace(RULES, exclude=(*RULES.exclude, "libgomp.so.1"))
    assert judge_ops(tmp_path, base, {OP_LIBRARY: data}, rules).startswith("1 symbols of 1 libraries")


def test_libraries_of_one_wheel_find_each_other_by_the_names_that_they_link(base: Path, tmp_path: Path) -> None:
    core = linked_elf(
        Symbol(name="core_run"), undefined("TF_Framework"), needed=(FRAMEWORK_NAME,), soname="libcore.so.1"
    )
    op = linked_elf(undefined("core_run"), undefined("TF_Framework"), needed=("libcore.so.1",))
    members = {OP_LIBRARY: op, "tfwheel_ops/lib/libcore.so": core}
    assert judge_ops(tmp_path, base, members).startswith("3 symbols of 2 libraries")
    lonely = {**members, OP_LIBRARY: linked_elf(undefined("core_run"), needed=(FRAMEWORK_NAME,))}
    with pytest.raises(SymbolsGateError, match=r"`core_run`: it is in `libcore\.so(\.1)?`, which is not linked"):
        judge_ops(tmp_path / "lonely", base, lonely)


def test_libraries_that_link_each_other_are_read_to_an_end(base: Path, tmp_path: Path) -> None:
    one = linked_elf(Symbol(name="one"), undefined("two"), needed=("libtwo.so",), soname="libone.so")
    two = linked_elf(Symbol(name="two"), undefined("one"), needed=("libone.so",), soname="libtwo.so")
    members = {"tfwheel_ops/libone.so": one, "tfwheel_ops/libtwo.so": two}
    assert judge_ops(tmp_path, base, members).startswith("2 symbols of 2 libraries")


def test_each_own_library_of_a_merged_wheel_is_checked_and_no_official_one(base: Path, tmp_path: Path) -> None:
    def said(changes: dict[str, bytes | None], name: str) -> str:
        merged = changed(tmp_path / name, base, changes)
        with opened(merged, base=base, locked=locked(base), target=target(), rules=RULES) as candidate:
            return symbols(candidate)

    good = linked_elf(undefined("TF_Framework"), needed=(FRAMEWORK_NAME,))
    bad = linked_elf(undefined("nobody_has_this"), needed=(FRAMEWORK_NAME,))
    assert said({OP_LIBRARY: good}, "good").startswith("1 symbols of 1 libraries")
    odd = linked_elf(Symbol(name="TF_Framework"), undefined("nobody_has_this"), soname=FRAMEWORK_NAME)
    assert said({OP_LIBRARY: good, FRAMEWORK: odd}, "retargeted").startswith("1 symbols of 1 libraries")
    with pytest.raises(SymbolsGateError, match=r"`tfwheel_ops/more\.so` does not load"):
        said({OP_LIBRARY: good, "tfwheel_ops/more.so": bad}, "bad")


def test_a_broken_library_is_no_library_without_symbols(base: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWheelError):
        judge_ops(tmp_path, base, {OP_LIBRARY: linked_elf(undefined("x"))[:-10]})


def test_a_wheel_without_libraries_passes(base: Path, tmp_path: Path) -> None:
    found = judge_ops(tmp_path, base, {"tfwheel_ops/__init__.py": b"\n"})
    assert found == "0 symbols of 0 libraries of its own, each in what they link"


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("_ZN10tensorflow8OpKernelC2EPNS_20OpKernelConstructionE", "_ZN10tensorflow8OpKernelC2E"),
        ("_ZNK10tensorflow8OpKernel4nameEv", "_ZNK10tensorflow8OpKernel4name"),
        ("_ZTVN10tensorflow8OpKernelE", "_ZTVN10tensorflow8OpKernel"),
        ("_ZN3fooEv", ""),
        ("TF_Version", ""),
        ("_Z", ""),
        ("_ZN9999x1yE", "_ZN9999x1yE"[:0]),
    ],
)
def test_the_name_before_the_parameters(name: str, start: str) -> None:
    assert _before_parameters(name) == start
