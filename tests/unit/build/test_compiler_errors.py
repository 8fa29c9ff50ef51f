"""What a failed compile says."""

from __future__ import annotations

import pytest

from tfwheel.build import compiler_errors

LOG = """\
[1/4] Building CXX object rms_norm.cc.o
FAILED: rms_norm.cc.o
/src/rms_norm.cc:10:3: error: 'foo' was not declared in this scope
   10 |   foo();
      |   ^~~
/src/rms_norm.cc:20:3: error: expected ';' before '}' token
   20 |   bar()
      |        ^
      |        ;
/src/rms_norm.cc: In function 'void g()':
ninja: build stopped: subcommand failed.
"""


def test_the_last_error_comes_first_with_its_source_lines() -> None:
    said = compiler_errors.words(LOG).splitlines()
    assert said[0] == "/src/rms_norm.cc:20:3: error: expected ';' before '}' token"
    assert said[1].strip() == "20 |   bar()"
    assert said[4] == "/src/rms_norm.cc:10:3: error: 'foo' was not declared in this scope"


def test_what_nvcc_refuses_is_found_below_the_error_of_cmake() -> None:
    said = compiler_errors.words(
        "CMake Error at CMakeLists.txt:3:\n  one\n  two\n  three\n    nvcc fatal   : no -arch=x\n"
    )
    assert said.splitlines()[0].strip() == "nvcc fatal   : no -arch=x"


def test_a_cmake_error_is_found_too() -> None:
    said = compiler_errors.words("-- one\nCMake Error at CMakeLists.txt:3 (message):\n  no TensorFlow\n")
    assert said.startswith("CMake Error at CMakeLists.txt:3")


def test_without_any_error_line_the_end_of_the_log_is_shown_last_line_first() -> None:
    assert compiler_errors.words("a\nb\nc\n") == "c\nb\na"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (
            "op.cc:26:22: error: \u2018OK\u2019 is not a member of \u2018tensorflow::Status\u2019",
            "Write `absl::OkStatus()` for `Status::OK()`.",
        ),
        ("op.cc:26: error: no member named 'OK' in 'absl::Status'", "Write `absl::OkStatus()` for `Status::OK()`."),
        (
            "fatal error: third_party/eigen3/unsupported/Eigen/CXX11/Tensor: No such file or directory",
            "Leave `third_party/eigen3/` out.",
        ),
        (
            "k.cu.cc:3: fatal error: 'gpu/cub/device.h' file not found",
            "Write `cub/` for `gpu/cub/`.",
        ),
    ],
)
def test_names_that_tensorflow_had_once_have_a_hint(output: str, said: str) -> None:
    assert compiler_errors.hints(output) == [said]
    assert compiler_errors.hints("error: expected ';' before 'OK'") == []


def test_all_that_cmake_says_in_one_message_is_shown() -> None:
    text = "".join(f"  line {number}\n" for number in range(9))
    said = compiler_errors.words(f"CMake Error at x:3 (message):\n{text}Call Stack (most recent call first):\n  y:1\n")
    assert said == f"CMake Error at x:3 (message):\n{text}".strip()
