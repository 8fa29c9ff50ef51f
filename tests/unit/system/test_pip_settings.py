"""What is taken over from pip's configuration, and what a container must be shown for it to work there."""

from __future__ import annotations

from configparser import RawConfigParser
from pathlib import Path

from tfwheel.system.pip_settings import PipSettings

LISTING = """\
global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'
global.find-links='/from/the/file'
global.require-virtualenv='true'
install.timeout='30'
global.timeout='10'
freeze.timeout='1'
:env:.find-links='/from/the/environment'
:env:.cache-dir='/elsewhere'
"""


def test_the_environment_counts_more_than_a_file_and_a_command_more_than_all() -> None:
    assert PipSettings.parse(LISTING).options == {
        "extra-index-url": "https://one.example/simple\nhttps://two.example/simple",
        "find-links": "/from/the/environment",
        "timeout": "30",
    }


def test_without_any_configuration_there_is_nothing_to_say() -> None:
    settings = PipSettings.parse("")
    assert settings.options == {}
    assert settings.paths() == ()


def test_the_file_says_the_same_to_a_parser_as_pip_has_one() -> None:
    settings = PipSettings.parse(LISTING + "global.index-url='https://user:50%25@host.example/simple'\n")
    parser = RawConfigParser()
    parser.read_string(settings.text())
    assert dict(parser["global"]) == settings.options


def test_places_on_this_machine_are_found_and_others_left(tmp_path: Path) -> None:
    for name in ("index/simple", "my wheels"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ca.pem").touch()
    settings = PipSettings(
        options={
            "cert": f"{tmp_path}/ca.pem",
            "extra-index-url": f"https://one.example/simple file://{tmp_path}/index/simple",
            "find-links": f"file://{tmp_path}/my%20wheels {tmp_path}/gone relative https://three.example/",
        }
    )
    assert settings.paths() == (tmp_path / "ca.pem", tmp_path / "index", tmp_path / "my wheels")


def test_an_index_at_the_root_does_not_show_the_whole_machine() -> None:
    assert PipSettings(options={"index-url": "file:///usr"}).paths() == (Path("/usr"),)
