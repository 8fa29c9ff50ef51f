"""Environments: what stops one before it is begun, and which requirements are for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.checks import environments
from tfwheel.checks.errors import GpuRequiredError
from tfwheel.config.targets import Line, Target

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("cuda", [None, "12.5.1"])
def test_without_a_gpu_a_required_one_is_an_error_before_anything_is_done(
    cuda: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "host_gpus", list)
    line = Line(name="some", label="l", base="tensorflow", cuda=cuda)
    target = Target(tensorflow="2.20.0", python="3.12", line=line, build=1)
    environment = environments.made(target, log=tmp_path / "logs" / "log", size=1, require_gpu=True)
    with pytest.raises(GpuRequiredError, match="lists no GPU" if cuda else "has no GPU code"), environment:
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("requirement", "found"),
    [
        ("numpy>=1.26", ["numpy>=1.26"]),
        ("requests[socks]<3,>=2.21", ["requests[socks]<3,>=2.21"]),
        ('nvidia-cudnn-cu12<10; extra == "and-cuda"', []),
        ('wrapt; python_version < "3.10"', []),
        ('wrapt>=1; python_version < "3.13" and sys_platform == "linux"', ["wrapt>=1"]),
        ('wrapt; python_full_version >= "3.9.0"', ["wrapt"]),
        ('pywin32; sys_platform == "win32"', []),
    ],
)
def test_only_what_the_python_needs_without_an_extra_is_installed_beforehand(
    requirement: str, found: list[str]
) -> None:
    assert environments.applicable([requirement], "3.12") == found
