"""Fused TensorFlow ops with gradients, for CPU and GPU.

The import fails, and says what to install, on a TensorFlow that the ops were not built for.
"""

from tfwheel_ops import _build_info
from tfwheel_ops._native import ops as raw_ops  # first: it checks TensorFlow's version before anything loads it
from tfwheel_ops._rms_norm import rms_norm
from tfwheel_ops._selftest import selftest
from tfwheel_ops._swiglu import swiglu

__all__ = ["__version__", "raw_ops", "rms_norm", "selftest", "swiglu"]

__version__ = _build_info.VERSION
