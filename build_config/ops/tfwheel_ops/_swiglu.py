"""SwiGLU: wrapper, gradient, reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfwheel_ops import _selftest
from tfwheel_ops._native import ops

if TYPE_CHECKING:
    from tensorflow.types.experimental import TensorLike

__all__ = ["swiglu"]


def swiglu(gate: TensorLike, up: TensorLike, *, name: str | None = None) -> tf.Tensor:
    """The gated activation of SwiGLU, ``gate * sigmoid(gate) * up``, element by element in one kernel.

    Computes in float32 whatever the dtype. Differentiable once, in both arguments.

    Args:
        gate: float32, float16 or bfloat16, of any shape. May be empty.
        up: of the shape and dtype of ``gate``; it is not broadcast.
        name: of the operation.

    Returns:
        A tensor of the shape and dtype of ``gate``.

    Raises:
        tf.errors.InvalidArgumentError: shapes or dtypes are not as above (ValueError or TypeError while a
            ``tf.function`` is traced).

    Source: Shazeer, "GLU Variants Improve Transformer", 2020, arXiv:2002.05202.
    """
    return ops.tfwheel_swiglu(gate=gate, up=up, name=name)


@tf.RegisterGradient("Tfwheel>Swiglu")
def _gradient(op: Any, dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:  # noqa: ANN401
    gate, up = op.inputs
    dgate, dup = ops.tfwheel_swiglu_grad(dy=dy, gate=gate, up=up)
    return dgate, dup


def _reference(dy: np.ndarray, gate: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, ...]:
    sigmoid = 1.0 / (1.0 + np.exp(-gate))
    return gate * sigmoid * up, dy * up * sigmoid * (1.0 + gate * (1.0 - sigmoid)), dy * gate * sigmoid


_selftest.register(
    _selftest.Case(
        name="swiglu",
        op=swiglu,
        reference=_reference,
        # One element, a tail after full packs, more than a block, nothing.
        shapes=tuple((shape, shape) for shape in [(), (7,), (3, 33), (129, 515), (0, 4)]),
    )
)
