"""A runtime with a dozen distributions, what an index has beside them, and wheels to install, for tests of the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tfwheel.colab.distributions import Distributions
from tfwheel.colab.runtimes import Runtime
from tfwheel.colab.wheel_facts import WheelFacts
from tfwheel.config.gpu_support import Gpu

PINS = {
    "tensorflow": "2.20.0",
    "protobuf": "5.29.6",
    "numpy": "2.0.2",
    "h5py": "3.16.0",
    "keras": "3.13.2",
    "tf_keras": "2.20.1",
    "grpcio-status": "1.71.2",
    "nvidia-cuda-runtime-cu12": "12.8.90",
}
RUNTIME = Runtime(
    name="2026.07",
    python="3.12.13",
    pins=PINS,
    direct=("google-colab",),
    glibc="2.35",
    cuda="12.8",
    cudnn={"apt": "9.8.0", "pip": "9.10.2.21"},
    date="2026-07-14",
    newest=True,
)
REQUIRES = ("protobuf>=5.28.0", "numpy>=1.26.0", "h5py>=3.11.0", "keras>=3.10.0")
EXTRA = 'nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == "and-cuda"'
KNOWN = Distributions(
    date="2026-11-26",
    source="a test",
    pythons=("3.12", "3.13"),
    versions={
        "protobuf": {"6.33.0": "12 13", "6.31.1": "12", "5.29.6": "12", "4.25.0": "12"},
        "numpy": {"2.3.0": "12", "2.0.2": "12", "1.26.4": "12"},
        "h5py": {"3.16.0": "12", "3.14.0": "12", "3.13.0": "13"},
        "keras": {"3.14.0": "12", "3.13.2": "12"},
        "gast": {"0.7.0": "12"},
        "optree": {"0.18.0": "12"},
    },
    requires={
        "tensorflow": {"2.20.0": REQUIRES},
        "tf-keras": {"2.20.1": ("tensorflow<2.21,>=2.20",), "2.19.0": ("tensorflow<2.20,>=2.19",)},
        "grpcio-status": {"1.71.2": ("protobuf<6.0dev,>=5.26.1",)},
        "keras": {"3.13.2": ("numpy", "h5py"), "3.14.0": ("numpy", "h5py", "optree")},
        "h5py": {"3.16.0": ("numpy>=1.21.2",), "3.14.0": ("numpy>=1.19.3",)},
        "protobuf": dict.fromkeys(("6.33.0", "6.31.1", "5.29.6", "4.25.0"), ()),
        "numpy": dict.fromkeys(("2.3.0", "2.0.2", "1.26.4"), ()),
        "gast": {"0.7.0": ()},
    },
    gencode={"tensorflow": {"2.20.0": "5.28.3"}},
)
CODE = {"fatbin": ("sm_70", "sm_80", "compute_90")}
GPUS = (Gpu(name="T4", capability=(7, 5)), Gpu(name="K80", capability=(3, 7)))


def wheel(**changes: Any) -> WheelFacts:  # noqa: ANN401 -- as the fields
    """A wheel that fits the runtime."""
    fitting = WheelFacts(
        project="tensorflow",
        version="2.20.0+cu125.3",
        pythons=("3.12",),
        platforms=("manylinux2014_x86_64", "manylinux_2_17_x86_64"),
        requires_python=">=3.9",
        requires=(*REQUIRES, EXTRA),
        gencode="5.28.3",
        gpu_code=CODE,
        cuda="12.5.1",
    )
    return replace(fitting, **changes)
