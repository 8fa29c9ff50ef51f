"""What a GPU runs of some GPU code: SASS, PTX compiled by the driver, or nothing.

``runs`` is the one rule: the plan asks it about what the configuration promises, the pages and the summary about what
was found in the finished wheel, a smoke test on a GPU and the doctor about what was installed.

The rules are NVIDIA's (CUDA C++ Programming Guide, "Binary compatibility" and "PTX compatibility"): SASS runs on its
compute capability and on later ones of the same major number; PTX runs on its own and all later ones. The suffix "a"
("sm_90a") ties both to one compute capability, "f" to one and its family (CUDA 12.9, "Family-specific features").
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NAMED = re.compile(r"(sm|compute)_(\d+)(\d)([af]?)")
NOTHING = "nothing"  # the wheel has such code, and this GPU can run none of it
NONE = "none"  # the wheel has no such code
JIT = "PTX (JIT)"
OPS = "ops"
KINDS = {"fatbin": "big kernels", "generated": "generated kernels", OPS: "custom ops"}  # kinds of GPU code, for users


def fit(images: Iterable[str], capability: tuple[int, int]) -> str:
    """Return what a GPU runs of these images ("sm_80", "compute_90a"): "SASS", "SASS sm_80", "PTX (JIT)" or "nothing".

    The driver prefers SASS to PTX, and among SASS images the one nearest to the GPU.
    """
    return _fit(tuple(images), capability)


@cache  # many wheels have the same code
def _fit(images: tuple[str, ...], capability: tuple[int, int]) -> str:
    major, minor = capability
    found = [
        (kind, (int(high), int(low)), mark)
        for kind, high, low, mark in (match.groups() for match in map(NAMED.fullmatch, images) if match)
        if not mark or (int(high) == major and (int(low) == minor or (mark == "f" and int(low) < minor)))
    ]
    native = [low for kind, (high, low), _ in found if kind == "sm" and high == major and low <= minor]
    if native:
        return "SASS" if max(native) == minor else f"SASS sm_{major}{max(native)}"
    return JIT if any(kind == "compute" and one <= capability for kind, one, _ in found) else NOTHING


def runs(gpu_code: Mapping[str, Sequence[str]], capability: tuple[int, int]) -> dict[str, str]:
    """Return what a GPU runs of each kind of code (the keys of KINDS): the answer of ``fit``, "none" without such code.

    ``gpu_code`` maps a kind to the images that a wheel has of it.
    """
    return {kind: fit(gpu_code[kind], capability) if gpu_code.get(kind) else NONE for kind in KINDS}


def serves(gpu_code: Mapping[str, Sequence[str]], capability: tuple[int, int]) -> bool:
    """Return whether a GPU runs something of every kind of GPU code that a wheel has, and the wheel has any."""
    answers = set(runs(gpu_code, capability).values())
    return NOTHING not in answers and answers != {NONE}
