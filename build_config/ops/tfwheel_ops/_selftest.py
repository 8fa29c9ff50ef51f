"""Checks every op on this machine, forward and gradient, against float64 references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Case", "register", "registered", "selftest"]

# The greatest error allowed, relative where the reference is above 1: two roundings of the dtype, and for float32
# the sums of a row besides.
TOLERANCES = {"float32": 5e-5, "float16": 2e-3, "bfloat16": 1.6e-2}


@dataclass(frozen=True)
class Case:
    """One op and what it must compute.

    ``reference`` takes the gradient of the output and the inputs, all float64, and returns the output and the
    gradient of each input. Each of ``shapes`` holds the shapes of the inputs of one trial.
    """

    name: str
    op: Callable[..., tf.Tensor]
    reference: Callable[..., tuple[np.ndarray, ...]]
    shapes: tuple[tuple[tuple[int, ...], ...], ...]


_cases: dict[str, Case] = {}


def register(case: Case) -> None:
    """Have ``selftest`` and the unit tests check an op."""
    _cases[case.name] = case


def registered() -> list[Case]:
    """Every op that is checked."""
    return list(_cases.values())


def selftest(device: str | None = None) -> list[dict[str, Any]]:
    """Compare every op with its float64 reference, for every dtype.

    Args:
        device: where to run, such as ``"/GPU:0"``; None leaves it to TensorFlow.

    Returns:
        For each op, dtype and direction (``"forward"``, ``"gradient"``) a dictionary with the keys ``op``,
        ``dtype``, ``direction``, ``device`` (where TensorFlow says the results came from), ``max_error``,
        ``tolerance`` and ``passed``. Errors are absolute up to a reference of 1 and relative above.
    """
    return [row for case in registered() for dtype in TOLERANCES for row in check(case, dtype, device)]


def check(case: Case, dtype: str, device: str | None) -> Iterator[dict[str, Any]]:
    """The rows of ``selftest`` for one op and dtype."""
    errors: dict[str, list[float]] = {"forward": [0.0], "gradient": [0.0]}
    ran_on: set[str] = set()
    random = np.random.default_rng(2002)
    for shapes in case.shapes:
        got, wanted = _trial(case, dtype, device, [random.normal(size=shape) for shape in shapes], random)
        ran_on.update(tensor.device for tensor in got)
        measured = [error_of(tensor.numpy(), reference) for tensor, reference in zip(got, wanted, strict=True)]
        errors["forward"].append(measured[0])
        errors["gradient"].extend(measured[1:])
    for direction, found in errors.items():
        worst = float(np.max(found))
        yield {
            "op": case.name,
            "dtype": dtype,
            "direction": direction,
            "device": ",".join(sorted(ran_on)),
            "max_error": worst,
            "tolerance": TOLERANCES[dtype],
            "passed": worst <= TOLERANCES[dtype],
        }


def _trial(
    case: Case, dtype: str, device: str | None, arrays: Sequence[np.ndarray], random: np.random.Generator
) -> tuple[list[tf.Tensor], tuple[np.ndarray, ...]]:
    """What the op and what the reference make of the same inputs: the output and the gradient of each input."""
    with tf.device(device):
        inputs = [tf.constant(array, dtype) for array in arrays]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            y = case.op(*inputs)
        dy = tf.constant(random.normal(size=y.shape), dtype)
        got = [y, *tape.gradient(y, inputs, output_gradients=dy)]
    return got, case.reference(*(tensor.numpy().astype(np.float64) for tensor in [dy, *inputs]))


def error_of(got: np.ndarray, wanted: np.ndarray) -> float:
    """The greatest error of an element; infinite where a shape or a number is not one."""
    if got.shape != wanted.shape:
        return float("inf")
    difference = np.abs(got.astype(np.float64) - wanted) / np.maximum(np.abs(wanted), 1.0)
    return float(np.max(np.nan_to_num(difference, nan=np.inf), initial=0.0))
