"""The answer of the selector, and the words of the command in the place where it is typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfwheel.doctor.wheel_rules import Wheel

OFFICIAL = "2.20.0"  # the official wheel for GPUs older than those of this index
OFFICIAL_CUDA = "12"
# How long PTX takes: the words of TensorFlow's gpu_device.cc, and what is known here.
JIT_TIME = (
    'TensorFlow\'s log says that its kernels "could take 30 minutes or longer"; this project has not measured it.'
)


@dataclass(frozen=True)
class Choice:
    """What to install: see ``select``.

    ``wheel`` is an entry of the listing or None, ``command`` what to type or None, ``rejected`` each other file with
    the reason, ``alternatives`` other wheels ("wheel", "command", "why"). ``restart``: the session must be restarted
    after the command. ``advice`` is what to do where no wheel serves; ``official``: the official wheel serves instead.
    """

    wheel: Any = None
    command: str | None = None
    notes: list[str] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)
    alternatives: list[dict[str, Any]] = field(default_factory=list)
    restart: bool = False
    advice: str | None = None
    official: bool = False


class Place:
    """Where the command is typed: its words before and after the name of the package."""

    def __init__(self, environment: Mapping[str, Any], base: str, installer: str, lines: Mapping[str, Any]) -> None:
        """See ``select`` for the parameters; ``lines`` maps the name of a line to its CUDA."""
        inner = bool(environment.get("colab") and environment.get("venv"))  # no cell of the notebook reaches into it
        self.cell = bool(environment.get("notebook")) and not inner
        self.colab = bool(environment.get("colab"))
        self.inner = inner
        self.cuda = environment.get("cuda") or False
        self.gpu = environment.get("gpu") is not None
        self.installed = environment.get("installed") or {}
        self.base, self.installer, self.lines = base, installer, lines
        words = ["uv pip install" if installer == "uv" else "pip install"]
        if installer == "uv" and not environment.get("venv") and (self.colab or self.cell):
            words.append("--system")
        sign = ("!" if installer == "uv" else "%") if self.cell else ""
        self.words = sign + " ".join(words)

    def command(self, wheel: Wheel) -> str:
        """Return what to type to install exactly this wheel."""
        extra = "[and-cuda]" if self.brings_cuda(wheel) else ""
        pin = f"{wheel['project']}{extra}=={wheel['version']}"
        return f'{self.words} --extra-index-url {self.base}{wheel["line"]}/ "{pin}"'

    def official(self) -> str:
        """Return what to type to install the official wheel."""
        extra = "[and-cuda]" if self.gpu and not self._has_cuda(OFFICIAL_CUDA) else ""
        return f'{self.words} "tensorflow{extra}=={OFFICIAL}"'

    def brings_cuda(self, wheel: Wheel) -> bool:
        """Return whether the command has to ask for CUDA's libraries, too."""
        needed = self.gpu and wheel["project"] == "tensorflow" and bool(wheel["gpu_code"])
        return needed and not self._has_cuda(self.lines.get(wheel["line"]) or "")

    def _has_cuda(self, cuda: str) -> bool:
        """Return whether the libraries of a CUDA ("12.5.1") are there; of an unknown one (""), whether any are."""
        return cuda.partition(".")[0] in self.cuda if cuda and isinstance(self.cuda, list) else bool(self.cuda)

    def has(self, wheel: Wheel) -> bool:
        """Return whether it is installed already."""
        return bool(self.installed.get(wheel["project"]) == wheel["version"])
