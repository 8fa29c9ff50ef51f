"""What no installer looks at: protobuf, numpy, CUDA, cuDNN and GPU code of a wheel against those of a runtime."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from tfwheel.colab import requirements, snapshots
from tfwheel.config import gpu_support
from tfwheel.wheel.gencode import is_refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.colab.wheel_facts import WheelFacts
    from tfwheel.config.gpu_support import Gpu

PROTOBUF, NUMPY = "protobuf", "numpy"
# Distributions that install a folder `tensorflow/`: of two, the later one overwrites files of the other.
OWNERS = {
    *("intel-tensorflow", "tensorflow", "tensorflow-cpu", "tensorflow-cuda13", "tensorflow-gpu", "tensorflow-intel"),
    *("tensorflow-macos", "tensorflow-rocm", "tf-nightly", "tf-nightly-cpu", "tf-nightly-cuda13"),
}
NUMPY_2_SINCE = Version("2.18")  # the first TensorFlow whose extensions load with numpy 2 (its release notes)


def refusing(
    there: Mapping[str, str], runtime: Runtime, known: Distributions, gencodes: Mapping[str, str]
) -> list[str]:
    """Return which distributions have generated modules that refuse the protobuf that is there."""
    protobuf = there.get(PROTOBUF, "")
    if not protobuf or snapshots.version(protobuf) is None:
        return []
    found = []
    for name, version in there.items():
        made = gencodes.get(name)
        if made is None:
            made = runtime.gencode.get(name) if runtime.installed.get(name) == version else None
        made = known.gencode_of(name, version) if made is None else made
        if made and is_refused(made, protobuf):
            words = f"has modules made for protobuf {made}: with protobuf {protobuf} they raise VersionError"
            found.append(f"{name} {version.partition('+')[0]} {words}.")
    return found


def gencode_faults(
    wheel: WheelFacts, before: Mapping[str, str], after: Mapping[str, str], runtime: Runtime, known: Distributions
) -> list[str]:
    """Return which modules refuse protobuf after the installation and did not before, those of the wheel first."""
    name: str = canonicalize_name(wheel.project)
    refuses = partial(refusing, runtime=runtime, known=known)
    own = {} if wheel.gencode is None else {name: wheel.gencode}
    old = {line.partition(" has modules")[0] for line in refuses(before, gencodes={})}
    new = [line for line in refuses(after, gencodes=own) if line.partition(" has modules")[0] not in old]
    return sorted(new, key=lambda line: not line.startswith(f"{name} "))


def numpy_faults(wheel: WheelFacts, after: Mapping[str, str]) -> Iterator[str]:
    """Yield that extensions for numpy 1 meet numpy 2."""
    numpy = snapshots.version(after.get(NUMPY, ""))
    if canonicalize_name(wheel.project) not in OWNERS or numpy is None:
        return
    if Version(wheel.public) < NUMPY_2_SINCE and numpy.major > 1:
        yield f"Its extensions are built for numpy 1, and numpy {numpy} is there."


def unusable(wheel: WheelFacts, runtime: Runtime, gpus: Sequence[Gpu]) -> Iterator[str]:
    """Yield what keeps the GPU code of a wheel from running in a runtime, whatever is installed by pip."""
    if not wheel.cuda:
        return
    major = wheel.cuda.partition(".")[0]
    there = cuda_majors(runtime)
    if there and major not in there:
        has = " and ".join(sorted(there))
        yield f"It is built with CUDA {wheel.cuda}, and this runtime has the libraries of CUDA {has}."
    floor, loaded = cudnn_floor(wheel.requires), runtime.cudnn.get("pip") or runtime.cudnn.get("apt")
    if floor and loaded and not _is_cudnn_for(loaded, floor):
        yield f"It needs cuDNN {floor} or newer of the same major version, and this runtime loads {loaded}."
    if gpus and wheel.gpu_code and not any(gpu_support.serves(wheel.gpu_code, gpu.capability) for gpu in gpus):
        yield "No GPU of Colab runs its GPU code."


def cuda_majors(runtime: Runtime) -> set[str]:
    """Return the major versions of CUDA whose runtime library is there, from apt or from pip."""
    pip = {found[1] for name in runtime.installed if (found := re.fullmatch(r"nvidia-cuda-runtime-cu(\d+)", name))}
    return pip | ({runtime.cuda.partition(".")[0]} if runtime.cuda else set())


def cudnn_floor(requires: Sequence[str]) -> str | None:
    """Return the cuDNN that a wheel is built with, as its extra ``and-cuda`` says: "9.3.0"; None if it says none."""
    for one in filter(None, map(requirements.parsed, requires)):
        if one.name.startswith("nvidia-cudnn-cu"):
            found = [spec.version for spec in one.specifier if spec.operator in ("==", ">=", "~=")]
            built = snapshots.version(found[0].removesuffix(".*")) if found else None
            return ".".join(map(str, built.release[:3])) if built else None
    return None


def _is_cudnn_for(loaded: str, floor: str) -> bool:
    """Return whether a cuDNN serves what was built with ``floor``: same major, not older (TensorFlow's own rule).

    One that has no version serves: nothing is known against it.
    """
    there, built = snapshots.version(loaded), Version(floor)
    return there is None or (there.major == built.major and there.release[:3] >= built.release[:3])


def notes(wheel: WheelFacts, gpus: Sequence[Gpu]) -> Iterator[str]:
    """Yield which GPUs of Colab run nothing of some kind of the wheel's GPU code."""
    for gpu in gpus if wheel.gpu_code else ():
        if not gpu_support.serves(wheel.gpu_code, gpu.capability):
            yield f"{gpu.label} runs nothing of some of its GPU code."
