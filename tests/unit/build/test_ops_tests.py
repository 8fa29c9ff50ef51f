"""Which test programs of custom-op projects are refused, because they would pass without having run a test."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tfwheel.build import ops_tests
from tfwheel.build.errors import OpsSourceError

if TYPE_CHECKING:
    from pathlib import Path

PYTEST = '''\
"""Tests."""
import numpy as np
import pytest
try:
    import tensorflow as tf
except ImportError:
    tf = None
SEED: int = 3
CASES = [np.float32(1), dict(a=1)]
pytestmark = pytest.mark.skipif(tf is None, reason="x")
@pytest.fixture(params=CASES)
def case(request): return request.param
def test_it(case): assert case == 2
'''
CASE = "import tensorflow as tf\nclass ZeroOut(tf.test.TestCase):\n    def testIt(self): self.assertEqual(1, 2)\n"
FUNCTIONS = "def test_a(): assert 0\ndef test_b(): assert 0\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        '"""Nothing."""\n',
        "import their_ops\nRESULT = their_ops.zero_out([1])\n",
        PYTEST,
        CASE,
        FUNCTIONS + "import numpy as np\nSEED = 7\nnp.random.seed(SEED)\n",
        FUNCTIONS + "import sys\nsys.path.insert(0, '.')\nif sys.version_info < (3, 8):\n    import tensorflow\n",
        FUNCTIONS + 'if __name__ == "__main__":\n    pass\n',
        "class TestIt(Base):\n    pass\nwith open('x') as stream:\n    x = stream.read()\n",
        "import pytest\nasync def test_a(): assert 0\npytest.importorskip('x')\n",
    ],
)
def test_a_program_that_runs_none_of_its_tests_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.py"
    path.write_text(text)
    with pytest.raises(OpsSourceError) as caught:
        ops_tests.require_running([("theirs", path)])
    assert f"the test {path} of the custom-op project `theirs` would pass without" in caught.value.message
    assert 'if __name__ == "__main__":' in caught.value.remedy
    assert "tf.test.main()" in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    [
        CASE + 'if __name__ == "__main__":\n    tf.test.main()\n',
        CASE + "tf.test.main()\n",
        CASE + "import sys\nif __name__ != '__main__':\n    pass\nelse:\n    sys.exit(3)\n",
        PYTEST + "raise SystemExit(pytest.main([__file__]))\n",
        PYTEST + "import sys\ncode = pytest.main([__file__])\nsys.exit(code)\n",
        FUNCTIONS + "test_a()\n",
        FUNCTIONS + "for test in (test_a, test_b):\n    test()\n",
        FUNCTIONS + "ALL = [test_a, test_b]\nfor test in ALL:\n    test()\n",
        FUNCTIONS + "[value() for name, value in list(globals().items()) if name.startswith('test')]\n",
        FUNCTIONS + "try:\n    test_a()\nfinally:\n    print('end')\n",
        FUNCTIONS + "def go(): test_a()\nwith open('x') as stream:\n    go()\n",
        "import their_ops\nassert their_ops.zero_out([1]) == [0]\n",
        FUNCTIONS + "import their_ops\nassert their_ops.zero_out([1]) == [0]\n",
        "import their_ops\nif their_ops.zero_out([1]) != [0]:\n    raise ValueError\n",
        "def main(): pass\nmatch 1:\n    case 1:\n        main()\n",
        "from absl.testing import absltest\nclass A(absltest.TestCase): pass\nabsltest.main()\n",
    ],
)
def test_a_program_that_runs_something_is_taken(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.py"
    path.write_text(text)
    ops_tests.require_running([("theirs", path)])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"def f(:\n    pass\n", r"is no program of Python 3\.\d+\.\d+ in line 1: "),
        (b"print(1)\n\0", r"is no program of Python 3"),
        (b"# coding: nothing-such\n", r"unknown encoding: nothing-such"),
        (b"x = '\xff'\n", r"is no program of Python .*utf-8"),
        (b"print('\\d')\nassert 1 is 1\n", ""),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_python_is_named_with_its_line(tmp_path: Path, data: bytes, words: str) -> None:
    good, path = tmp_path / "good.py", tmp_path / "t.py"
    good.write_text("print(1)\n")
    path.write_bytes(data)
    tests = [("mine", good), ("theirs", path)]
    if words:
        with pytest.raises(OpsSourceError, match=words) as caught:
            ops_tests.require_running(tests)
        assert f"the test {path} of the custom-op project `theirs`" in caught.value.message
    else:
        ops_tests.require_running(tests)


def test_a_program_may_be_judged_by_its_tree() -> None:
    assert ops_tests.runs_something(ast.parse("print(1)"))
