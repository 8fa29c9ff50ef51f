"""What this machine and this Python are: read from files and the interpreter, without starting anything."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import sysconfig
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

from tfwheel.doctor.fatbins import searches_own_folders_first
from tfwheel.doctor.files import found_in, is_there, text_of
from tfwheel.doctor.settings import settings_of

CPU_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile")
CUDA_LIBRARIES = ("libcudart.so.12", "libcudart.so.13", "libcudnn.so.9", "libcublas.so.12", "libcublas.so.13")
LOADER = "tensorflow/libtensorflow_framework.so.2"  # opens CUDA's libraries
COLAB_DRIVER_FOLDER = "/usr/lib64-nvidia"
# Modules that a kernel keeps in memory, and the distribution that each comes from.
WATCHED = {
    "tensorflow": "tensorflow",
    "keras": "keras",
    "tf_keras": "tf-keras",
    "numpy": "numpy",
    "google.protobuf": "protobuf",
    "h5py": "h5py",
    "ml_dtypes": "ml-dtypes",
    "jax": "jax",
}


def normalize(name: str) -> str:
    """Return the one spelling of a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def collect_facts() -> dict[str, Any]:
    """Return all facts that need no other process, ready for JSON."""
    installed, twice = distributions_on(sys.path)
    folder = site_folder()
    return {
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "executable": sys.executable,
        "venv": sys.prefix != sys.base_prefix,
        "managed": is_there(Path(sys.base_prefix) / "lib" / f"python{python_minor()}" / "EXTERNALLY-MANAGED")
        and sys.prefix == sys.base_prefix,
        "system": f"{platform.system()} {platform.release()}",
        "machine": machine_words(),
        "glibc": glibc_version(),
        "cpu": cpu_facts(),
        "memory_gb": memory_gb(),
        "disk_free_gb": {
            name: _free_gb(path) for name, path in {"packages": folder, "temporary": _temporary()}.items()
        },
        "driver": driver_version(),
        "colab": is_colab(installed),
        "notebook": "JPY_PARENT_PID" in os.environ or in_kernel(),
        "release_tag": os.environ.get("COLAB_RELEASE_TAG"),
        "site": str(folder),
        "libraries": library_places(folder),
        "settings": settings_of(os.environ),
        "uv": shutil.which("uv"),
        "pip": installed.get("pip"),
        "pip_files": [str(path) for path in _pip_files() if is_there(path)],
        "distributions": installed,
        "twice": twice,
        "loaded": loaded_modules(installed) if in_kernel() else None,
    }


def python_minor() -> str:
    """Return the minor version of this Python, for example "3.12"."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def python_words() -> str:
    """Return the Python that a wheel must be for: "3.12", or with more words one that no such wheel is for."""
    if sys.implementation.name != "cpython":
        return f"{python_minor()} ({sys.implementation.name})"
    return f"{python_minor()}t" if sysconfig.get_config_var("Py_GIL_DISABLED") else python_minor()


def site_folder() -> Path:
    """Return the folder of this Python where TensorFlow is, or would be installed."""
    for place in sys.path:
        if place and is_there(Path(place) / "tensorflow" / "__init__.py"):
            return Path(place)
    folders = [Path(place) for place in sys.path if place.endswith(("site-packages", "dist-packages"))]
    return next((one for one in folders if os.path.isdir(one)), Path(sys.prefix))  # noqa: PTH112 -- as is_there


def distributions_on(path: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return version by normalized name, as the first folder of a path has it, and what several folders have.

    The name and the version are in the name of the folder with the metadata (PEP 376); a file is read where not.
    """
    found: dict[str, str] = {}
    twice = []
    for place in dict.fromkeys(path):
        for folder in _metadata_folders(place):
            stem = folder.name.rpartition(".")[0]
            name, _, version = stem.partition("-")
            if folder.name.endswith(".egg-info") or not version:
                name, version = _read_metadata(folder)
            key = normalize(name)
            if key in found:
                twice.append(f"{key} {found[key]} hides {version} in {place}")
            elif key:
                found[key] = version
    return dict(sorted(found.items())), twice


def _metadata_folders(place: str) -> list[Path]:
    try:
        return sorted(path for path in Path(place or ".").iterdir() if path.name.endswith((".dist-info", ".egg-info")))
    except OSError:
        return []


def _read_metadata(folder: Path) -> tuple[str, str]:
    try:
        metadata = PathDistribution(folder).metadata
        name, version = (metadata.get_all(field) or [""] for field in ("Name", "Version"))  # [] is to raise KeyError
    except (OSError, TypeError, ValueError):
        return "", ""
    return str(name[0]), str(version[0])


def machine_words() -> str:
    """Return "x86_64" on Linux with glibc; other words for every other kind of machine."""
    system, machine = platform.system(), platform.machine()
    if system != "Linux":
        return f"{system} {machine}"
    return machine if glibc_version() else f"musl {machine}"


def glibc_version() -> str | None:
    """Return the version of glibc, None without one."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (AttributeError, OSError, ValueError):
        return None
    return version if name == "glibc" else None


def cpu_facts() -> dict[str, Any]:
    """Return model, number of cores, and the instruction sets that matter to TensorFlow."""
    text = text_of("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:\s*(.+)$", text, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    has = [flag for flag in CPU_FLAGS if flag in known]
    return {"model": model[1] if model else platform.machine(), "cores": os.cpu_count(), "flags": has}


def memory_gb() -> dict[str, float | None]:
    """Return total and available memory in gigabytes."""
    text = text_of("/proc/meminfo")
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE))
    names = {"total": "MemTotal", "available": "MemAvailable"}
    return {key: round(int(sizes[name]) / 1e6, 1) if name in sizes else None for key, name in names.items()}


def driver_version() -> str | None:
    """Return the version of NVIDIA's kernel driver, None without one."""
    version = text_of("/sys/module/nvidia/version").strip()
    if version:
        return version
    found = re.search(r"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", text_of("/proc/driver/nvidia/version"))
    return found[1] if found else None


def is_colab(installed: dict[str, str]) -> bool:
    """Return whether this is Google Colab."""
    return "COLAB_RELEASE_TAG" in os.environ or "google-colab" in installed


def in_kernel() -> bool:
    """Return whether this runs in a notebook's own process: pasted, or by %run."""
    return "ipykernel" in sys.modules and "IPython" in sys.modules


def loaded_modules(installed: dict[str, str]) -> list[dict[str, str]]:
    """Return each watched module in memory whose version is not the installed one."""
    found = []
    for module, project in WATCHED.items():
        version = getattr(sys.modules.get(module), "__version__", None)
        now = installed.get(project)
        if isinstance(version, str) and now and version != now and not now.startswith(f"{version}+"):
            found.append({"module": module, "loaded": version, "installed": now})
    return found


def library_places(site: Path) -> dict[str, list[str]]:
    """Return where CUDA's libraries are, in the order in which TensorFlow's wheels find them.

    That is LD_LIBRARY_PATH, then the RUNPATH of the wheels (NVIDIA's packages beside them), then the system's folders.
    A wheel with DT_RPATH searches those packages first.
    """
    places = [Path(one) for one in os.environ.get("LD_LIBRARY_PATH", "").split(":") if one]
    packages = found_in(site / "nvidia", "*/lib")
    first = searches_own_folders_first(site / LOADER)
    places = [*packages, *places] if first else [*places, *packages]
    places += [Path(one) for one in _system_folders()]
    found: dict[str, list[str]] = {}
    for library in CUDA_LIBRARIES:
        there = [str(place / library) for place in dict.fromkeys(places) if is_there(place / library)]
        if there:
            found[library] = there
    return found


def shadowed_libraries(places: dict[str, list[str]]) -> list[str]:
    """Return a sentence for each library of NVIDIA's packages that LD_LIBRARY_PATH hides."""
    hiding = [one for one in os.environ.get("LD_LIBRARY_PATH", "").split(":") if one]
    found = []
    for paths in places.values():
        folder = os.path.dirname(paths[0])  # noqa: PTH120 -- as written in the variable
        if folder in hiding and any("/nvidia/" in path for path in paths[1:]):
            found.append(f"LD_LIBRARY_PATH loads {paths[0]} before the one that pip installed.")
    return found


def cuda_majors(places: dict[str, list[str]]) -> list[str]:
    """Return of which CUDA ("12") the libraries are there that TensorFlow needs on a GPU."""
    return [major for major in ("12", "13") if {f"libcudart.so.{major}", "libcudnn.so.9"} <= places.keys()]


def _system_folders() -> list[str]:
    folders = ["/usr/local/cuda/lib64", COLAB_DRIVER_FOLDER]
    for path in found_in(Path("/etc/ld.so.conf.d"), "*.conf"):
        folders += [line.strip() for line in text_of(str(path)).splitlines() if line.startswith("/")]
    return [*folders, "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib"]


def _pip_files() -> list[Path]:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 -- Path.home() raises without a home
    places = [
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
        Path(sys.prefix) / "pip.conf",
    ]
    return [*places, home / ".config/uv/uv.toml", Path("/etc/uv/uv.toml")]


def _temporary() -> Path:
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 -- as pip does


def _free_gb(path: Path) -> float | None:
    try:
        return round(shutil.disk_usage(path).free / 1e9, 1)
    except OSError:
        return None
