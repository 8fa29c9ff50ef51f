from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

import pagedata
from tfwheel.colab.runtimes import Runtime
from tfwheel.index import install_files
from tfwheel.index.errors import LockError
from tfwheel.index.install_files import Lock
from tfwheel.system.errors import CommandError
from tfwheel.wheel.errors import IndexEntryError

if TYPE_CHECKING:
    from pathlib import Path

SHA = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"
REQUIREMENTS = f"six==1.17.0 \\\n    --hash=sha256:{SHA}\ntensorflow==2.20.0+cu125.1 \\\n    --hash=sha256:{SHA}\n"
WHEEL = "https://mirror.example.org/a%2Bb/six-1.17.0+x.1-py3-none-any.whl"
PYLOCK = f"""\
lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.12"

[[packages]]
name = "six"
version = "1.17.0"
index = "https://mirror.example.org/simple"
sdist = {{ url = "https://mirror.example.org/six-1.17.0.tar.gz", hashes = {{ sha256 = "{SHA}" }} }}
wheels = [{{ url = "{WHEEL}", size = 11, hashes = {{ sha256 = "{SHA}" }} }}]
"""
LOCK = Lock(
    line="cu12",
    project="tensorflow",
    version="2.20.0+cu125.1",
    python="3.12",
    requirements=REQUIREMENTS,
    pylock=install_files.portable_pylock(PYLOCK),
)


def files(**changes: object) -> dict[str, bytes]:
    options: dict[str, object] = {"runtimes": pagedata.RUNTIMES, "base_url": pagedata.BASE_URL}
    return install_files.render(pagedata.release(), [LOCK], **(options | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "pythons"),
    [
        ("tensorflow-2.20.0+cu125.1-cp313-cp313-manylinux_2_27_x86_64.whl", ("3.13",)),
        ("tensorflow-2.20.0-cp39.cp310-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl", ("3.9", "3.10")),
        ("tfwheel_ops-2.20.0-py3-none-manylinux_2_27_x86_64.whl", ()),
    ],
)
def test_the_tags_tell_the_pythons(file: str, pythons: tuple[str, ...]) -> None:
    assert install_files.pythons(file) == pythons


def test_each_version_of_a_line_gets_its_exact_pins_for_pip_and_uv() -> None:
    text = files()["install/cu12/2.20.0+cu125.1/commands.txt"].decode()
    commands = [line for line in text.splitlines() if not line.startswith("#")]
    index = "--extra-index-url https://example.org/index/cu12/"
    assert commands == [
        f'pip install {index} "tensorflow==2.20.0+cu125.1"',
        f'uv pip install {index} "tensorflow==2.20.0+cu125.1"',
        f'pip install {index} "tfwheel-ops==2.20.0+cu125.1"',
        f'uv pip install {index} "tfwheel-ops==2.20.0+cu125.1"',
    ]


def test_a_removed_version_has_nothing_to_install() -> None:
    gone = pagedata.entry("2.20.0+cu125.1", "313", "cu12", removed="a mistake")
    assert install_files.render([gone], [], runtimes=[], base_url="") == {}


def test_constraints_pin_everything_but_tensorflow_and_what_has_no_version() -> None:
    text = files()["install/constraints-colab-2025.07.txt"].decode()
    pins = {Requirement(line).name for line in text.splitlines() if not line.startswith("#")}
    runtime = next(one for one in pagedata.RUNTIMES if one.name == "2025.07")
    assert pins == set(runtime.pins) - {"tensorflow"}
    assert not pins & {"torch", "google-colab"}
    assert "#   cudf-cu12, en_core_web_sm, google-colab" in text
    assert "://" not in text.replace(pagedata.BASE_URL, "")


def test_a_runtime_without_direct_references_says_none() -> None:
    runtime = a_runtime(direct=())
    text = install_files.render([], [], runtimes=[runtime], base_url="")["install/constraints-colab-x.txt"].decode()
    assert "#   none\n" in text


def a_runtime(*, direct: tuple[str, ...]) -> Runtime:
    return Runtime(name="x", python="3.12.1", pins={"tensorflow": "2.20.0"}, direct=direct)


def test_a_lock_names_its_index_where_the_site_has_an_address() -> None:
    text = files()["install/cu12/2.20.0+cu125.1/requirements-tensorflow-cp312.txt"].decode()
    assert "--extra-index-url https://example.org/index/cu12/\n" in text
    assert text.endswith(REQUIREMENTS)


def test_a_lock_names_no_address_where_the_site_has_none() -> None:
    for name, data in files(base_url="").items():
        assert "://" not in data.decode(), name


def test_a_portable_lock_keeps_names_versions_sizes_and_hashes_alone() -> None:
    lock = tomllib.loads(LOCK.pylock)
    name = "six-1.17.0+x.1-py3-none-any.whl"
    wheel = {"name": name, "path": f"wheels/{name}", "size": 11, "hashes": {"sha256": SHA}}
    assert lock["packages"] == [{"name": "six", "version": "1.17.0", "wheels": [wheel]}]


def test_what_is_written_is_read_back_as_the_same_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for base_url in ("", pagedata.BASE_URL):
        for name, data in files(base_url=base_url).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
        monkeypatch.setattr(install_files, "run", None)  # a published lock is never made again
        entry = pagedata.entry("2.20.0+cu125.1", "312", "cu12")
        found = install_files.collect([entry], tmp_path, index_url="", platform="manylinux_2_35_x86_64")
        assert found == [LOCK]


def test_only_what_can_be_installed_is_locked(tmp_path: Path) -> None:
    entries = [
        pagedata.entry("2.20.0+cu125.1", None, "cu12"),  # any Python: whose dependencies?
        pagedata.entry("2.20.0+cu125.1", "312", "cu12", yanked=""),
        pagedata.entry("2.20.0+cu125.1", "313", "cu12", removed="gone"),
    ]
    assert install_files.collect(entries, tmp_path, index_url="", platform="manylinux_2_35_x86_64") == []


def stub_uv(monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> list[list[str]]:
    """Answer for uv: write what it would have; returns the command lines."""
    asked: list[list[str]] = []

    def run(argv: list[str], *, cwd: Path) -> str:
        asked.append([*argv, (cwd / "in.txt").read_text(encoding="utf-8")])
        name = argv[argv.index("--output-file") + 1]
        if name not in answers:
            message = "no solution found"
            raise CommandError(message)
        (cwd / name).write_text(answers[name], encoding="utf-8")
        return ""

    monkeypatch.setattr(install_files, "run", run)
    return asked


def collect_one(tmp_path: Path) -> list[Lock]:
    entry = pagedata.entry("2.20.0+cu125.1", "312", "cu12")
    url = "http://127.0.0.1:1/"
    return install_files.collect([entry], tmp_path, index_url=url, platform="manylinux_2_35_x86_64")


def test_uv_is_asked_for_wheels_of_that_python_and_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stub_uv(monkeypatch, {"requirements.txt": REQUIREMENTS, "pylock.toml": PYLOCK})
    assert collect_one(tmp_path) == [LOCK]
    words = " ".join(asked[0])
    assert "--extra-index-url http://127.0.0.1:1/cu12/ --only-binary :all: --python-version 3.12" in words
    assert "--python-platform x86_64-manylinux_2_35" in words
    assert "--generate-hashes" in asked[0]
    assert asked[0][-1] == "tensorflow[and-cuda]==2.20.0+cu125.1\n"


def test_what_has_no_gpu_code_is_locked_without_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stub_uv(monkeypatch, {"requirements.txt": REQUIREMENTS, "pylock.toml": PYLOCK})
    entry = pagedata.entry("2.20.0+cpu.1", "312", "cpu")
    install_files.collect([entry], tmp_path, index_url="", platform="manylinux_2_35_x86_64")
    assert asked[0][-1] == "tensorflow==2.20.0+cpu.1\n"


@pytest.mark.parametrize("answers", [{}, {"requirements.txt": REQUIREMENTS}])
def test_no_solution_is_a_lock_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]) -> None:
    stub_uv(monkeypatch, answers)
    with pytest.raises(LockError, match=r"tensorflow==2\.20\.0\+cu125\.1 for Python 3\.12 cannot be locked"):
        collect_one(tmp_path)


def test_a_lock_with_an_address_in_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = REQUIREMENTS + "thing @ https://mirror.example.org/thing.whl\n"
    stub_uv(monkeypatch, {"requirements.txt": text, "pylock.toml": PYLOCK})
    with pytest.raises(IndexEntryError, match="mirror"):
        collect_one(tmp_path)
