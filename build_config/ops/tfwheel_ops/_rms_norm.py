"""RMS normalisation: wrapper, gradient, reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfwheel_ops import _selftest
from tfwheel_ops._native import ops

if TYPE_CHECKING:
    from tensorflow.types.experimental import TensorLike

__all__ = ["rms_norm"]

EPSILON = 1e-6


def rms_norm(x: TensorLike, weight: TensorLike, *, epsilon: float = EPSILON, name: str | None = None) -> tf.Tensor:
    """RMS normalisation over the last axis, ``x * weight / sqrt(mean(x ** 2) + epsilon)``, in one kernel.

    Computes in float32 whatever the dtype. Differentiable once, in ``x`` and ``weight``; the gradient of ``weight``
    is summed in a fixed order, so equal inputs give equal bits on one kind of device.

    Args:
        x: float32, float16 or bfloat16, of shape ``[..., n]``. May be empty.
        weight: scale of each column, of the dtype of ``x`` and shape ``[n]``.
        epsilon: added to the mean square; finite, not negative.
        name: of the operation.

    Returns:
        A tensor of the shape and dtype of ``x``.

    Raises:
        tf.errors.InvalidArgumentError: shapes, dtypes or epsilon are not as above (ValueError or TypeError while a
            ``tf.function`` is traced).

    Source: Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019, arXiv:1910.07467.
    """
    y, _ = ops.tfwheel_rms_norm(x=x, weight=weight, epsilon=epsilon, name=name)
    return y


@tf.RegisterGradient("Tfwheel>RmsNorm")
def _gradient(op: Any, dy: tf.Tensor, _: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:  # noqa: ANN401
    x, weight = op.inputs
    dx, dweight = ops.tfwheel_rms_norm_grad(dy=dy, x=x, weight=weight, inv_rms=op.outputs[1])
    return dx, dweight


def _reference(dy: np.ndarray, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    columns = max(x.shape[-1], 1)
    inverse = 1.0 / np.sqrt(np.sum(x**2, axis=-1, keepdims=True) / columns + EPSILON)
    along_x = np.sum(dy * weight * x, axis=-1, keepdims=True) * inverse**2 / columns
    dweight = np.sum((dy * x * inverse).reshape(-1, x.shape[-1]), axis=0) if x.size else np.zeros_like(weight)
    return x * inverse * weight, inverse * (dy * weight - x * along_x), dweight


_selftest.register(
    _selftest.Case(
        name="rms_norm",
        op=rms_norm,
        reference=_reference,
        # A row per warp, a row per block, sums too large for shared memory; aligned and not; no rows, no columns.
        shapes=tuple(
            (shape, shape[-1:])
            for shape in [(64,), (5, 3, 7), (64, 128), (700, 1024), (9, 4097), (3, 16384), (0, 8), (2, 0)]
        ),
    )
)
