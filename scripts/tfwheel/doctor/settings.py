"""The variables that pip, uv, TensorFlow and the loader obey, without what may be secret in them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tfwheel.doctor.files import is_there

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS = ("PIP_", "UV_", "XLA_", "CUDA_", "NVIDIA_")
# Settings whose values are shown; of any other only that it is set, for nobody knows which have secrets.
SHOWN = re.compile(
    r"TF_(CPP_MIN_LOG_LEVEL|CUDNN_DETERMINISTIC|DETERMINISTIC_OPS|ENABLE_ONEDNN_OPTS|FORCE_GPU_ALLOW_GROWTH"
    r"|GPU_ALLOCATOR|USE_LEGACY_KERAS|XLA_FLAGS)|XLA_FLAGS|LD_LIBRARY_PATH|LD_PRELOAD|CUDA_(VISIBLE_DEVICES"
    r"|CACHE_MAXSIZE|CACHE_DISABLE|FORCE_PTX_JIT|DISABLE_PTX_JIT|MODULE_LOADING|HOME|PATH)"
    r"|NVIDIA_(VISIBLE_DEVICES|DRIVER_CAPABILITIES|TF32_OVERRIDE)"
    r"|(PIP|UV)_((EXTRA_|DEFAULT_)?INDEX(_URL)?|FIND_LINKS|NO_INDEX|(BUILD_)?CONSTRAINT|(ONLY|NO)_BINARY|PRE(RELEASE)?"
    r"|REQUIRE_VIRTUALENV|OFFLINE|EXCLUDE_NEWER|INDEX_STRATEGY|LINK_MODE|TARGET|USER|PYTHON)"
)
URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)(\S+)")
HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?")
OBEYED = (
    "PIP_CONSTRAINT",
    "PIP_NO_INDEX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ONLY_BINARY",
    "PIP_NO_BINARY",
    "UV_CONSTRAINT",
    "UV_BUILD_CONSTRAINT",
    "UV_NO_INDEX",
    "UV_OFFLINE",
    "UV_EXCLUDE_NEWER",
)
UNSET = ("", "0", "false", "no", "off", "n", "f")


def settings_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that installers, TensorFlow and the loader read, without what may be secret."""
    mine = {key: value for key, value in sorted(variables.items()) if key.startswith(SETTINGS) or SHOWN.fullmatch(key)}
    return {key: shown(value) if SHOWN.fullmatch(key) else "set" for key, value in mine.items()}


def shown(value: str) -> str:
    """Return a setting's value with only the hosts of its URLs; "set" for what looks like the rest of an address."""
    value = without_paths(value)
    return "set" if "@" in value or "//" in URL.sub("", value) else value


def without_paths(text: str) -> str:
    """Return a text with the scheme and the host of each URL alone: keys are in user names, paths and queries."""
    return URL.sub(_origin, text)


def _origin(url: re.Match[str]) -> str:
    authority, rest = re.fullmatch(r"([^/?#\\]*)(.*)", url[2], re.DOTALL).groups()  # type: ignore[union-attr]
    host = authority.rpartition("@")[2]
    if "@" in rest or not HOST.fullmatch(host):  # a "/" in a password
        return f"{url[1]}(hidden)"
    return f"{url[1]}{host}{'/...' if rest.strip('/') else rest}"


def obeyed_settings(variables: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that makes installers refuse or choose otherwise."""
    found = []
    for name in OBEYED:
        value = variables.get(name, "")
        if value.lower() in UNSET:
            continue
        gone = name.endswith("CONSTRAINT") and not any("://" in one or is_there(one) for one in value.split())
        found.append(f"{name} is set to {shown(value)}{', a file that is not there: unset it' if gone else ''}.")
    return found
