"""Which compiler is found or asked for, on machines made of stub programs; nothing is really run."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tfwheel.build import compilers
from tfwheel.build.errors import NoCompilerError
from tfwheel.system import distribution
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence

GXX_SAYS = "g++ (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022\n"
NVCC_SAYS = "nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release {0}, V{0}.88\n"
CLANGS_OF_DEBIAN = "clang-14 - C compiler\nclang-16 - C compiler\nclang-19 - C compiler\nclang-22 - C compiler\n"


class Machine:
    """A PATH of stub programs, each with the words it says when it is run."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.says: dict[str, str] = {}
        self.ran: list[list[str]] = []
        self.apt_brings: dict[str, tuple[str, str]] = {}

    def add(self, name: str, says: str, folder: Path | None = None) -> Path:
        """Put a program on PATH, or elsewhere."""
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o755)
        self.says[str(path)] = self.says[name] = says
        return path

    def run(self, argv: Sequence[str | Path], **_: object) -> str:
        """As ``run.run``."""
        words = [str(word) for word in argv]
        self.ran.append(words)
        if words[:2] == ["apt-get", "install"]:
            if words[-1] not in self.apt_brings:
                message = "`apt-get install` ended with exit code 100"
                raise CommandError(message)
            self.add(*self.apt_brings[words[-1]])
        return self.says[words[0]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """An empty Debian machine, used by somebody who is not root."""
    found = Machine(tmp_path)
    monkeypatch.setattr(compilers, "run", found.run)
    monkeypatch.setattr(distribution, "run", found.run)
    monkeypatch.setattr(distribution, "APT_LOCK", tmp_path / "lock")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(found.bin))
    for name in ("CXX", "CUDA_HOME", "CUDA_PATH"):
        monkeypatch.delenv(name, raising=False)
    release_of(monkeypatch, ID="debian")
    return found


@pytest.fixture
def debian_root(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The same machine, used by root, with apt."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.add("apt-get", "done\n")
    machine.add("apt-cache", CLANGS_OF_DEBIAN)
    machine.apt_brings = {"g++": ("g++", GXX_SAYS), "clang-19": ("clang++-19", "Debian clang version 19.1.7\n")}
    return machine


def release_of(monkeypatch: pytest.MonkeyPatch, **release: str) -> None:
    """Make the machine one of that os-release."""
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)


# --- the host compiler -----------------------------------------------------------------------------------


def test_the_host_compiler_is_gxx(machine: Machine) -> None:
    path = machine.add("g++", GXX_SAYS)
    assert compilers.host() == compilers.Compiler(path=path, version="g++ (Debian 12.2.0-14) 12.2.0")
    assert str(compilers.host()) == f"{path} (g++ (Debian 12.2.0-14) 12.2.0)"


def test_cxx_names_another(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add("g++", GXX_SAYS)
    path = machine.add("clang++-19", "clang version 19.1.7\n")
    monkeypatch.setenv("CXX", "clang++-19")
    assert compilers.host().path == path


def test_a_wrong_cxx_is_an_error_even_where_gxx_is(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add("g++", GXX_SAYS)
    monkeypatch.setenv("CXX", "g++-99")
    with pytest.raises(NoCompilerError, match=r"CXX names `g\+\+-99`") as caught:
        compilers.host()
    assert "unset" in caught.value.remedy


def test_without_gxx_the_error_has_the_command(machine: Machine) -> None:
    machine.add("apt-cache", "")
    with pytest.raises(NoCompilerError) as caught:
        compilers.host()
    assert "`sudo apt-get install g++`" in caught.value.remedy
    assert not [words for words in machine.ran if words[0] == "apt-get"]


def test_root_on_debian_gets_it_installed_and_is_told(debian_root: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(distribution.console, "say", told.append)
    assert compilers.host().path == debian_root.bin / "g++"
    assert [words[1] for words in debian_root.ran if words[0] == "apt-get"] == ["update", "install"]
    assert any("g++ with apt-get" in line for line in told)


def test_apt_that_fails_is_an_error_with_the_command(debian_root: Machine) -> None:
    debian_root.apt_brings = {}
    with pytest.raises(NoCompilerError, match="exit code 100") as caught:
        compilers.host()
    assert "`sudo apt-get install g++`" in caught.value.remedy


# --- nvcc ------------------------------------------------------------------------------------------------


def test_an_nvcc_of_the_same_major_will_do(machine: Machine) -> None:
    path = machine.add("nvcc", NVCC_SAYS.format("12.8"))
    assert compilers.nvcc("12.5.1") == (compilers.Compiler(path=path, version="nvcc 12.8.88"), [])


def test_cuda_home_comes_before_cuda_path_before_path(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add("nvcc", NVCC_SAYS.format("12.1"))
    second = machine.add("nvcc", NVCC_SAYS.format("12.2"), tmp_path / "path" / "bin")
    first = machine.add("nvcc", NVCC_SAYS.format("12.3"), tmp_path / "home" / "bin")
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "path"))
    assert compilers.nvcc("12.5.1")[0] == compilers.Compiler(path=second, version="nvcc 12.2.88")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "home"))
    assert compilers.nvcc("12.5.1")[0] == compilers.Compiler(path=first, version="nvcc 12.3.88")


def test_what_is_passed_over_is_noted(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.add("nvcc", NVCC_SAYS.format("13.0"))
    machine.add("nvcc", "a wrapper of somebody\n", tmp_path / "path" / "bin")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "empty"))
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "path"))
    found, notes = compilers.nvcc("12.5.1")
    assert found is None
    assert notes == [
        f"CUDA_HOME={tmp_path}/empty holds no bin/nvcc",
        f"the nvcc of CUDA_PATH={tmp_path}/path is of no known version",
        "the nvcc of PATH is of CUDA 13.0.88",
    ]


def test_a_machine_without_nvcc_has_nothing_to_note(machine: Machine) -> None:
    assert compilers.nvcc("12.5.1") == (None, [])
    assert machine.ran == []


def test_the_toolkit_is_where_nvcc_says(machine: Machine) -> None:
    path = machine.add("nvcc", "#$ _HERE_=/usr/local/cuda-13.0/bin\n#$ TOP=/usr/local/cuda-13.0/bin/..\n")
    assert compilers.cuda_root(path) == Path("/usr/local/cuda-13.0")


def test_the_toolkit_is_above_an_nvcc_that_does_not_say(machine: Machine) -> None:
    assert compilers.cuda_root(machine.add("nvcc", "#$ _SPACE_=\n")) == machine.bin.parent.resolve()


# --- clang -----------------------------------------------------------------------------------------------


def test_the_tested_clang_comes_before_newer_and_older_ones(machine: Machine) -> None:
    for number in (17, 22, 18, 19, 14):
        machine.add(f"clang++-{number}", f"clang version {number}.1.0\n")
    machine.add("clang++", "clang version 21.1.0\n")
    assert compilers.clang() == compilers.Compiler(path=machine.bin / "clang++-19", version="clang version 19.1.0")


def test_a_plain_clang_must_be_new_enough(machine: Machine) -> None:
    machine.add("clang++", "Debian clang version 14.0.6\n")
    machine.add("apt-cache", CLANGS_OF_DEBIAN)
    with pytest.raises(NoCompilerError, match="no clang on PATH") as caught:
        compilers.clang()
    assert "`sudo apt-get install clang-19`" in caught.value.remedy
    assert "CUDA_HOME" in caught.value.remedy
    machine.add("clang++", "clang version 20.1.0\n")
    assert compilers.clang().path == machine.bin / "clang++"


def test_root_on_debian_gets_the_best_clang_there_is(debian_root: Machine) -> None:
    assert compilers.clang().path == debian_root.bin / "clang++-19"
    assert debian_root.ran[2][-1] == "clang-19"


def test_a_distribution_without_a_new_clang_is_an_error(debian_root: Machine) -> None:
    debian_root.add("apt-cache", "clang-11 - C compiler\nclang-14 - C compiler\n")
    with pytest.raises(NoCompilerError, match="this distribution has none") as caught:
        compilers.clang()
    assert "Install clang 17 or newer" in caught.value.remedy


def test_a_clang_that_installs_but_is_not_there_is_an_error(debian_root: Machine) -> None:
    debian_root.apt_brings["clang-19"] = ("something-else", "")
    with pytest.raises(NoCompilerError, match="was installed, but"):
        compilers.clang()


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ({"ID": "rocky", "ID_LIKE": "rhel centos fedora"}, "`sudo dnf install gcc-c++ clang`"),
        ({"ID": "arch"}, "`sudo pacman -S gcc clang`"),
        ({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, "`sudo zypper install gcc-c++ clang`"),
        ({"ID": "ubuntu", "ID_LIKE": "debian"}, "`sudo apt-get install clang-19`"),
        ({"ID": "nixos"}, "Install clang 17 or newer and see that it is on PATH"),
    ],
)
def test_each_distribution_is_told_its_own_command(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, release: dict[str, str], command: str
) -> None:
    machine.add("apt-cache", CLANGS_OF_DEBIAN)
    release_of(monkeypatch, **release)
    with pytest.raises(NoCompilerError) as caught:
        compilers.clang()
    assert command in caught.value.remedy


@pytest.mark.usefixtures("machine")
def test_a_linux_without_os_release_is_told_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise FileNotFoundError

    monkeypatch.setattr(platform, "freedesktop_os_release", missing)
    with pytest.raises(NoCompilerError) as caught:
        compilers.host()
    assert caught.value.remedy == "Install g++ and see that it is on PATH."
