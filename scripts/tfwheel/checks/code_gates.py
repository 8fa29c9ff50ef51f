"""The gates of GPU code: what each library of a wheel has, and what all of them have of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.checks.errors import ArchGateError, PromiseGateError
from tfwheel.checks.wording import listed, some
from tfwheel.config import changed_libraries
from tfwheel.config.gpu_support import KINDS

if TYPE_CHECKING:
    from collections.abc import Collection

    from tfwheel.checks.opened_wheel import OpenedWheel


def arch(opened_wheel: OpenedWheel) -> str:
    """Check that the GPU code in its own libraries is what the line promises; a line without CUDA has none.

    That is exactly so, unless ops.toml promises something else of a library (``OpsRules.archs``). Leaves out libraries
    of TensorFlow that the line changes, which gpu_gates.py checks.
    """
    line, official = opened_wheel.target.line, opened_wheel.official
    promised = line.gpu_code
    others = changed_libraries.changed(line, official.locked) if official else ()
    own = [name for name in opened_wheel.libraries if name not in others]
    found = {name: opened_wheel.code[name].images for name in own}
    with_code = {name: archs for name, archs in found.items() if archs}
    for name, archs in found.items():
        rule = opened_wheel.arch_rule(name)
        if _breaks(rule, archs, promised):
            words = "ops.toml promises none" if rule == "none" else f"the line promises {listed(promised)}"
            message = f"{opened_wheel.name}: `{name}` has GPU code for {listed(archs)}; {words}"
            raise ArchGateError(message)
    if found and promised and not with_code and not opened_wheel.rules.ops.without_gpu_code:
        message = f"{opened_wheel.name}: no GPU code in {some(found)}; the line promises {listed(promised)}"
        raise ArchGateError(message)
    return f"{listed(promised) if with_code else 'no GPU code'} in {len(found)} libraries of its own"


def _breaks(rule: str | None, found: Collection[str], promised: Collection[str]) -> bool:
    """Return whether a library has other GPU code than its rule of ops.toml allows; without one it may have none."""
    if rule == "none" or not promised:
        return bool(found)
    if rule == "at-least":
        return not set(promised).issubset(found)
    return set(found) != set(promised) and bool(found or rule)


def promise(opened_wheel: OpenedWheel) -> str:
    """Check that the wheel has, of each kind of GPU code, all that the plan promises; say what each library has.

    What the plan promises is what `nox -s plan -- --gpus` and the documents show.
    """
    found = opened_wheel.gpu_code
    for kind, images in opened_wheel.promised.items():
        missing = [image for image in images if image not in found.get(kind, ())]
        if missing:
            message = (
                f"{opened_wheel.name}: the plan promises {listed(missing)} for all {KINDS[kind]}; "
                f"what all of them have is {listed(found.get(kind, ()))}"
            )
            raise PromiseGateError(message)
    parts = [f"{KINDS[kind]}: {listed(images)}" for kind, images in found.items()]
    parts += [f"`{name}`: {listed(code.images)}" for name, code in opened_wheel.code.items() if code.images]
    return "; ".join(parts) or "no GPU code"
