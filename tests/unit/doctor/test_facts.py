"""Facts of this machine, and the environment that the selector asks for."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

import fakeelf
from tfwheel.config.paths import ROOT
from tfwheel.doctor import environment, facts, probes, settings

if TYPE_CHECKING:
    from pathlib import Path

LISTING = json.loads((ROOT / "tests" / "data" / "selector_wheels.json").read_bytes())


def distribution(folder: Path, name: str, text: str | None = None) -> None:
    (folder / name).mkdir(parents=True)
    if text:
        (folder / name / ("PKG-INFO" if name.endswith(".egg-info") else "METADATA")).write_text(text)


def test_distributions_are_read_from_the_names_of_their_folders_and_the_first_one_counts(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    distribution(first, "tf_keras-2.20.0.dist-info")
    distribution(first, "tensorflow-2.20.0+cu125.3.dist-info")
    distribution(first, "old.egg-info", "Name: Old.Name\nVersion: 1.0\n")
    distribution(second, "tensorflow-2.19.0.dist-info")
    distribution(second, "broken.dist-info")
    found, twice = facts.distributions_on([str(first), str(second), str(tmp_path / "none"), ""])
    assert {key: found[key] for key in ("tf-keras", "tensorflow", "old-name")} == {
        "tf-keras": "2.20.0",
        "tensorflow": "2.20.0+cu125.3",
        "old-name": "1.0",
    }
    assert twice == [f"tensorflow 2.20.0+cu125.3 hides 2.19.0 in {second}"]


def test_libraries_are_found_in_the_order_of_the_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hiding, site = tmp_path / "old", tmp_path / "site"
    for folder in (hiding, site / "nvidia" / "cudnn" / "lib"):
        folder.mkdir(parents=True)
        (folder / "libcudnn.so.9").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{hiding}:")
    places = facts.library_places(site)
    assert places["libcudnn.so.9"][:2] == [str(hiding / "libcudnn.so.9"), str(site / "nvidia/cudnn/lib/libcudnn.so.9")]
    assert facts.shadowed_libraries(places) == [
        f"LD_LIBRARY_PATH loads {hiding}/libcudnn.so.9 before the one that pip installed."
    ]
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    assert facts.library_places(site)["libcudnn.so.9"][0] == str(site / "nvidia/cudnn/lib/libcudnn.so.9")
    assert facts.shadowed_libraries(facts.library_places(site)) == []


@pytest.mark.parametrize(
    ("tags", "first"),
    [
        ([(fakeelf.DT_RPATH, "$ORIGIN")], True),
        ([(fakeelf.DT_RUNPATH, "$ORIGIN")], False),
        ([(fakeelf.DT_RPATH, "$ORIGIN"), (fakeelf.DT_RUNPATH, "$ORIGIN")], False),
        ([], False),
        (None, False),
    ],
)
def test_a_wheel_with_rpath_is_not_concerned_by_the_variable(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tags: list[tuple[int, str]] | None,
    *,
    first: bool,
) -> None:
    hiding, site = tmp_path / "old", tmp_path / "site"
    for folder in (hiding, site / "nvidia" / "cudnn" / "lib", site / "tensorflow"):
        folder.mkdir(parents=True)
        (folder / "libcudnn.so.9").touch()
    data = b"no library" if tags is None else fakeelf.dynamic_elf(*tags)
    (site / "tensorflow" / "libtensorflow_framework.so.2").write_bytes(data)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(hiding))
    places = facts.library_places(site)
    assert places["libcudnn.so.9"][0].startswith(str(site if first else hiding))
    assert bool(facts.shadowed_libraries(places)) is not first


@pytest.mark.parametrize(
    ("there", "majors"),
    [
        (["libcudart.so.12", "libcudnn.so.9"], ["12"]),
        (["libcudart.so.13", "libcudnn.so.9"], ["13"]),
        (["libcudart.so.12", "libcudart.so.13", "libcudnn.so.9"], ["12", "13"]),
        (["libcudart.so.12", "libcudart.so.13"], []),
        (["libcudnn.so.9"], []),
    ],
)
def test_each_cuda_whose_libraries_are_there_is_known(there: list[str], majors: list[str]) -> None:
    assert facts.cuda_majors({name: [f"/usr/lib/{name}"] for name in there}) == majors


def test_what_a_kernel_has_in_memory_is_compared_with_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("tf_keras")
    module.__version__ = "2.19.0"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tf_keras", module)
    assert facts.loaded_modules({"tf-keras": "2.20.0"}) == [
        {"module": "tf_keras", "loaded": "2.19.0", "installed": "2.20.0"}
    ]
    assert facts.loaded_modules({"tf-keras": "2.19.0+label.1"}) == []  # TensorFlow says no label of itself
    assert facts.loaded_modules({}) == []


def test_a_python_that_no_wheel_is_for_has_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts.python_words() == facts.python_minor()
    monkeypatch.setattr(facts.sysconfig, "get_config_var", lambda _: 1)
    assert facts.python_words() == f"{facts.python_minor()}t"
    monkeypatch.setattr(facts.sys.implementation, "name", "pypy")
    assert facts.python_words() == f"{facts.python_minor()} (pypy)"


def test_a_path_that_is_too_long_or_may_not_be_read_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = str(tmp_path / ("x" * 300))
    closed = tmp_path / "closed"
    (closed / "nvidia" / "a" / "lib").mkdir(parents=True)
    closed.chmod(0)
    for name in ("HOME", "LD_LIBRARY_PATH", "PIP_CONSTRAINT", "PATH"):
        monkeypatch.setenv(name, f"{long}:{closed}")
    monkeypatch.setattr(facts.sys, "path", [long, str(closed), *facts.sys.path])
    found = facts.collect_facts()
    closed.chmod(0o700)
    assert found["distributions"]["pytest"]
    assert probes.find_ptxas(tmp_path / long, ask=False)["path"] in (None, "/usr/local/cuda/bin/ptxas")
    assert settings.obeyed_settings({"PIP_CONSTRAINT": long})[0].endswith("a file that is not there: unset it.")


def test_all_facts_are_json_and_say_what_this_machine_is() -> None:
    found = json.loads(json.dumps(facts.collect_facts()))
    assert found["python"].startswith(facts.python_minor())
    assert found["distributions"]["pytest"]
    assert found["cpu"]["cores"] >= 1
    assert found["disk_free_gb"]["packages"] > 0
    assert "." in found["glibc"]
    assert found["loaded"] is None


@pytest.mark.parametrize(
    ("system", "machine", "glibc", "words"),
    [
        ("Linux", "x86_64", "2.35", "x86_64"),
        ("Linux", "x86_64", None, "musl x86_64"),
        ("Darwin", "arm64", None, "Darwin arm64"),
        ("Windows", "AMD64", None, "Windows AMD64"),
    ],
)
def test_a_machine_that_is_not_linux_with_glibc_has_other_words(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, glibc: str | None, words: str
) -> None:
    monkeypatch.setattr(facts.platform, "system", lambda: system)
    monkeypatch.setattr(facts.platform, "machine", lambda: machine)
    monkeypatch.setattr(facts, "glibc_version", lambda: glibc)
    assert facts.machine_words() == words


# --- the environment -------------------------------------------------------------------------------------


def colab(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- as the facts
    installed = {"tensorflow": "2.20.0", "tf-keras": "2.20.0", "tensorflow-text": "2.20.1"}
    known = {"python": "3.12.13", "glibc": "2.35", "driver": "580.82.07", "colab": True, "libraries": {}, "venv": False}
    return known | {"machine": "x86_64", "notebook": True, "distributions": installed, "release_tag": None} | changes


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "2026.07"),
        ({"python": "3.12.1"}, "2026.07"),
        ({"python": "3.13.15"}, "2026.08"),
        ({"python": "3.10.12"}, None),
        ({"distributions": {"tf-keras": "2.20.1", "tensorflow-text": "2.20.1"}, "python": "3.13.15"}, "2026.08"),
        ({"distributions": {"tensorflow": "2.20.0"}}, None),
        ({"distributions": {"tf-keras": "2.20.0", "tensorflow-text": "2.21.0"}}, "2026.07"),
        ({"distributions": {"tf-keras": "2.21.0", "tensorflow-text": "2.21.0"}}, None),
        ({"release_tag": "release-colab-external_20260102-060101_RC00"}, "2025.10"),
        ({"release_tag": "release-colab-external_20260315-060101_RC00"}, "2026.01"),
        ({"release_tag": "release-colab-external_20260501-060101_RC00"}, "2026.04"),
    ],
)
def test_a_runtime_is_known_by_its_python_and_companions_and_then_by_its_day(
    changes: dict[str, Any], name: str
) -> None:
    older = {"tf-keras": "2.19.0", "tensorflow-text": "2.19.0", "tensorflow-decision-forests": "1.12.0"}
    known = {"distributions": older} if "release_tag" in changes else {}
    assert environment.runtime_of(colab(**known, **changes), LISTING) == name


def test_of_several_gpus_the_least_capable_counts() -> None:
    gpus = [{"capability": "12.0"}, {"capability": "8.9"}, {"capability": "9.0"}]
    found = environment.environment_of(colab(), {"gpus": gpus, "driver": "575.1"}, LISTING)
    assert (found["gpu"], found["driver"], found["runtime"]) == ("8.9", "575.1", "2026.07")
    without = environment.environment_of(colab(colab=False), None, LISTING)
    assert (without["gpu"], without["driver"], without["runtime"]) == (None, "580.82.07", None)


def test_a_probe_without_an_answer_is_not_a_machine_without_a_gpu() -> None:
    assert environment.unknown_gpu({"gpus": None, "error": "no answer in 20 s"}) == "no answer in 20 s"
    assert environment.unknown_gpu({"gpus": [], "error": "x"}) is None
    assert environment.unknown_gpu(None) is None
