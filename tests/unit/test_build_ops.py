"""What a failed compile says."""

from __future__ import annotations

from tfwheel import build_ops

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
    said = build_ops.compiler_words(LOG).splitlines()
    assert said[0] == "/src/rms_norm.cc:20:3: error: expected ';' before '}' token"
    assert said[1].strip() == "20 |   bar()"
    assert said[4] == "/src/rms_norm.cc:10:3: error: 'foo' was not declared in this scope"


def test_a_cmake_error_is_found_too() -> None:
    said = build_ops.compiler_words("-- one\nCMake Error at CMakeLists.txt:3 (message):\n  no TensorFlow\n")
    assert said.startswith("CMake Error at CMakeLists.txt:3")


def test_without_any_error_line_the_end_of_the_log_is_shown_last_line_first() -> None:
    assert build_ops.compiler_words("a\nb\nc\n") == "c\nb\na"
