"""The printed command becomes an argument list: this Python's pip, or uv for this Python, without a shell."""

from __future__ import annotations

import sys

import pytest

from tfwheel.doctor import installing

URL, PIN = "https://example.org/index/cu12/", "tensorflow==2.20.0+cu125.3"


@pytest.mark.parametrize("sign", ["", "%"])
def test_pip_is_that_of_this_python(sign: str) -> None:
    argv = installing.install_command(
        f'{sign}pip install --extra-index-url {URL} "{PIN}"', {"colab": False, "uv": None}
    )
    assert argv == [sys.executable, "-m", "pip", "install", "--extra-index-url", URL, PIN]


@pytest.mark.parametrize(("colab", "extra"), [(True, ["--break-system-packages"]), (False, [])])
def test_uv_is_told_which_python(*, colab: bool, extra: list[str]) -> None:
    command = f'!uv pip install --system --extra-index-url {URL} "{PIN}"'
    argv = installing.install_command(command, {"colab": colab, "uv": "/opt/uv"})
    assert argv == ["/opt/uv", "pip", "install", "--python", sys.executable, *extra, "--extra-index-url", URL, PIN]


@pytest.mark.parametrize(("free", "short"), [(100.0, False), (None, False), (1.0, True)])
def test_a_full_disk_is_told_before_the_download(*, free: float | None, short: bool) -> None:
    said = installing.room_for({"size": 616_000_000}, {"disk_free_gb": {"packages": free}})
    assert bool(said) is short
    assert said in (None, "The disk has 1.0 GB free, and this wheel needs about 2.5 GB.")
