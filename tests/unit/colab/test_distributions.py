from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.colab import distributions
from tfwheel.colab.distributions import Distributions
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR

if TYPE_CHECKING:
    from pathlib import Path

DATA = Distributions(
    date="2026-11-26",
    source="PyPI",
    pythons=("3.12", "3.13"),
    versions={"numpy": {"2.3.0": "12 13", "1.26.4": "12"}, "gast": {}},
    requires={"numpy": {"2.3.0": ()}, "tensorflow": {"2.20.0": ("numpy>=1.26.0",)}},
    gencode={"tensorflow": {"2.20.0": "5.28.3", "2.18.1": ""}},
)


def test_what_is_written_is_read() -> None:
    assert distributions.parse(distributions.encode(DATA), source="data") == DATA
    assert distributions.parse(distributions.encode(Distributions()), source="data") == Distributions()


def test_each_project_is_one_line_of_the_file() -> None:
    lines = distributions.encode(DATA).decode().splitlines()
    assert '  "numpy": {"2.3.0":"12 13","1.26.4":"12"}' in lines


def test_an_installer_is_offered_what_its_python_has() -> None:
    assert DATA.offered("numpy", "3.12") == ("2.3.0", "1.26.4")
    assert DATA.offered("numpy", "3.13") == ("2.3.0",)
    assert DATA.offered("gast", "3.13") == ()
    assert DATA.offered("numpy", "3.14") is None
    assert DATA.offered("h5py", "3.12") is None


def test_a_local_version_is_known_by_its_public_one() -> None:
    assert DATA.requires_of("tensorflow", "2.20.0+cu125.3") == ("numpy>=1.26.0",)
    assert DATA.requires_of("tensorflow", "2.21.0") is None
    assert [DATA.gencode_of("tensorflow", version) for version in ("2.20.0+x", "2.18.1", "1")] == ["5.28.3", "", None]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"versions": {"NumPy": {}}}',
        '{"versions": {"numpy": {"2004d": ""}}}',
        '{"other": 1}',
        '{"gencode": {"numpy": {"1": "abc"}}}',
        '{"versions": {"numpy": {"1": "abc"}}}',
        '{"pythons": ["abc"]}',
        '{"versions": {"numpy": {"' + "1" * 5000 + '": ""}}}',
        '{"requires": {"numpy": {"1": [' + ",".join(['"x"'] * 5001) + "]}}}",
        "[" * 5000,
    ],
)
def test_other_data_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="data is not data about distributions"):
        distributions.parse(text.encode(), source="data")


def test_a_folder_without_the_file_knows_nothing(tmp_path: Path) -> None:
    assert distributions.load(tmp_path) == Distributions()


def test_the_data_of_this_repository_is_as_it_was_written() -> None:
    path = CONFIG_DIR / "colab" / distributions.NAME
    assert distributions.encode(distributions.load(path.parent)) == path.read_bytes()
