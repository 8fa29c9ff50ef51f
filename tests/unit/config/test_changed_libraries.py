"""Which libraries a line changes, by the locks of real official wheels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fixedconfig import CONFIG
from tfwheel.config import changed_libraries

if TYPE_CHECKING:
    from tfwheel.config.targets import Base

CC, FRAMEWORK = "tensorflow/libtensorflow_cc.so.2", "tensorflow/libtensorflow_framework.so.2"
COMMON = "tensorflow/python/lib_pywrap_tensorflow_common.so"
PLUGIN = "tensorflow/python/profiler/internal/_pywrap_profiler_plugin.so"
INTERNAL = "tensorflow/python/_pywrap_tensorflow_internal.so"
T4 = CONFIG.lines["cu12t4"]


def lock(version: str, project: str = "tensorflow") -> Base:
    """The lock of an official wheel."""
    return next(base for base in CONFIG.bases if (base.project, base.version) == (project, version))


@pytest.mark.parametrize(
    ("version", "found"),
    [("2.18.1", (CC, FRAMEWORK)), ("2.20.0", (FRAMEWORK,)), ("2.21.0", (FRAMEWORK,))],
)
def test_the_libraries_that_open_cuda_are_few(version: str, found: tuple[str, ...]) -> None:
    assert changed_libraries.loaders(lock(version)) == found


def test_a_wheel_for_cpus_opens_no_cuda() -> None:
    assert changed_libraries.loaders(lock("2.20.0", "tensorflow-cpu")) == ()


@pytest.mark.parametrize(
    ("member", "runpath", "leads"),
    [
        (FRAMEWORK, "$ORIGIN/../nvidia/cuda_runtime/lib", True),
        (FRAMEWORK, "$ORIGIN/:$ORIGIN/../nvidia/cuda_runtime/lib/", True),
        (FRAMEWORK, "$ORIGIN/../nvidia/cu13/lib", True),
        (FRAMEWORK, "$ORIGIN/../../nvidia/cuda_runtime/lib", False),
        (FRAMEWORK, "$ORIGIN/../nvidia/cudnn/lib", False),
        (FRAMEWORK, "/nvidia/cuda_runtime/lib", False),
        (FRAMEWORK, "", False),
        ("tensorflow/python/_x.so", "$ORIGIN/../../nvidia/cuda_runtime/lib", False),
        ("tensorflow/a/libtensorflow_x.so", "$ORIGIN/../nvidia/cuda_runtime/lib", False),
        ("tensorflow/a/libtensorflow_x.so", "$ORIGIN/../../nvidia/cuda_runtime/lib", True),
    ],
)
def test_a_core_library_counts_where_its_path_leads_to_the_package(member: str, runpath: str, *, leads: bool) -> None:
    base = replace(lock("2.20.0"), runpaths={member: runpath})
    assert changed_libraries.loaders(base) == ((member,) if leads else ())


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("2.18.1", (CC, FRAMEWORK, INTERNAL)),
        ("2.20.0", (CC, FRAMEWORK, COMMON, PLUGIN)),
        ("2.21.0", (CC, FRAMEWORK, COMMON, PLUGIN)),
    ],
)
def test_all_are_those_in_which_the_lock_found_gpu_code(version: str, found: tuple[str, ...]) -> None:
    assert T4.retarget
    wanted = T4.retarget.model_copy(update={"libraries": changed_libraries.ALL})
    assert changed_libraries.retargeted(wanted, lock(version)) == found
    assert changed_libraries.missing(wanted, lock(version)) == []


def test_names_are_found_in_any_folder_and_those_that_are_not_there_are_told() -> None:
    assert T4.retarget
    wanted = T4.retarget.model_copy(update={"libraries": ("_pywrap_profiler_plugin.so", "x.so")})
    assert changed_libraries.retargeted(wanted, lock("2.20.0")) == (PLUGIN,)
    assert changed_libraries.missing(wanted, lock("2.20.0")) == ["x.so"]


def test_a_line_changes_what_it_retargets_and_what_opens_cuda_once() -> None:
    base = lock("2.20.0")
    plain = replace(T4, retarget=None)
    assert changed_libraries.changed(plain, base) == ()
    assert changed_libraries.changed(replace(plain, rpath=True), base) == (FRAMEWORK,)
    assert changed_libraries.changed(T4, base) == changed_libraries.changed(replace(T4, rpath=True), base)
    assert T4.retarget
    one = T4.retarget.model_copy(update={"libraries": ("libtensorflow_cc.so.2",)})
    assert changed_libraries.changed(replace(T4, retarget=one, rpath=True), base) == (CC, FRAMEWORK)
