"""A stand-in for TensorFlow: the few calls that smoke_checks.py makes, computed by numpy on one device."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from types import SimpleNamespace

import numpy as np

__version__ = "2.20.0"
version = SimpleNamespace()
GPUS = []
devices = ["CPU:0"]


class Tensor:
    """A value on the device that was current when it was made."""

    def __init__(self, value):
        self.array = np.asarray(value)
        self.device = f"/job:localhost/replica:0/task:0/device:{devices[-1]}"

    @property
    def value(self):
        return self

    def numpy(self):
        return self.array


@contextlib.contextmanager
def device(name):
    devices.append(name.lstrip("/"))
    yield
    devices.pop()


load_op_library = ctypes.CDLL
# What ops_checks.py asks of TensorFlow's own modules: this one has no ops.
sys.modules["tensorflow.python.client.pywrap_tf_session"] = SimpleNamespace(
    TF_LoadLibrary=ctypes.CDLL, TF_GetOpList=lambda _handle: b"", TF_DeleteLibraryHandle=lambda _handle: None
)
sys.modules["tensorflow.core.framework.op_def_pb2"] = SimpleNamespace(
    OpList=SimpleNamespace(FromString=lambda _data: SimpleNamespace(op=[]))
)


def constant(value):
    return Tensor(value)


int32 = "int32"


def add(a, b):
    return Tensor(a.array + b.array)


def cast(x, dtype):
    return Tensor(x.array.astype(dtype))


def square(x):
    return Tensor(x.array**2)


def matmul(a, b):
    return Tensor(a.array @ b.array)


def tanh(x):
    return Tensor(np.tanh(x.array))


def reduce_sum(x, axis):
    return Tensor(x.array.sum(axis=axis))


def function(body, *, jit_compile):
    assert jit_compile
    return body


def conv2d(images, kernels, *, strides, padding):
    assert (strides, padding) == (1, "VALID")
    windows = np.lib.stride_tricks.sliding_window_view(images.array, kernels.array.shape[:2], axis=(1, 2))
    return Tensor(np.einsum("nhwcij,ijco->nhwo", windows, kernels.array))


class Sequential:
    """A model that learns: its loss halves with each epoch."""

    def __init__(self, layers):
        self.trainable_variables = [Tensor(1.0) for layer in layers if layer == "dense"]

    def compile(self, *, optimizer, loss):
        assert (optimizer, loss) == ("sgd", "mse")

    def fit(self, features, labels, *, epochs, verbose):
        assert len(features) == len(labels)
        assert not verbose
        return SimpleNamespace(history={"loss": [0.5**epoch for epoch in range(epochs)]})


nn = SimpleNamespace(conv2d=conv2d)
keras = SimpleNamespace(
    Input=lambda _shape: "input",
    Sequential=Sequential,
    layers=SimpleNamespace(Dense=lambda _units: "dense"),
    utils=SimpleNamespace(set_random_seed=np.random.seed),
)
config = SimpleNamespace(
    list_physical_devices=lambda _kind: GPUS,
    set_soft_device_placement=lambda _allowed: None,
    experimental=SimpleNamespace(
        get_device_details=lambda _gpu: {"device_name": "Stand-in GPU", "compute_capability": (7, 5)},
        enable_tensor_float_32_execution=lambda **_options: None,
    ),
)
