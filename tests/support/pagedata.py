"""A ledger as a release would have it, and a static host, for tests of the page and of the install material."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from fixedconfig import CONFIG
from tfwheel.colab.distributions import load as load_distributions
from tfwheel.colab.runtimes import load as load_runtimes
from tfwheel.config.gpu_support import load as load_gpus
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.index import wheel_list
from tfwheel.index.ledger_entry import LedgerEntry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE_URL = "https://example.org/index/"
LINES = CONFIG.lines
GPUS = load_gpus(CONFIG.directory)
RUNTIMES = load_runtimes(CONFIG_DIR / "colab")
KNOWN = load_distributions(CONFIG_DIR / "colab")
OPS = ("sm_75", "sm_80", "sm_89", "sm_90", "compute_90")
BIG = ("sm_70", "sm_80", "sm_89", "sm_90", "sm_120", "compute_90")
RETARGETED = {"fatbin": BIG, "generated": ("sm_70", "sm_80", "sm_120", "compute_90"), "ops": OPS}  # of the line cu12
T4 = {"fatbin": ("sm_70",), "generated": ("sm_70",), "ops": ("sm_75",)}  # of the line cu12t4
MANYLINUX = "manylinux_2_27_x86_64"


def entry(version: str, python: str | None, line: str, **changes: Any) -> LedgerEntry:  # noqa: ANN401 -- as the fields
    """A wheel of TensorFlow for one Python ("313"), or the ops wheel for all of them (None)."""
    project, name = ("tensorflow", "tensorflow") if python else ("tfwheel-ops", "tfwheel_ops")
    tag = f"cp{python}-cp{python}" if python else "py3-none"
    file = f"{name}-{version}-{tag}-{MANYLINUX}.whl"
    facts: dict[str, Any] = {
        "project": project,
        "version": version,
        "file": file,
        "line": line,
        "url": "",
        "sha256": hashlib.sha256(file.encode()).hexdigest(),
        "size": 620_833_511 if python else 263_247,
        "uploaded": "2026-11-21T04:00:00Z",
        "requires_python": ">=3.9",
        "metadata_sha256": hashlib.sha256(b"metadata").hexdigest(),
        "target": "a-target",
        "gpu_code": {"cu12": RETARGETED if python else {"ops": OPS}, "cu12t4": T4}.get(line, {}),
        "smoke": {"passed": True, "python": f"3.{(python or '312')[1:]}.1", "date": "2026-11-21"},
    }
    return LedgerEntry(**(facts | changes))


def release() -> list[LedgerEntry]:
    """What ``build_config/`` makes by default, one rebuild, one yank, and one run on a GPU."""
    wheels = [entry("2.20.0+cu125.1", python, "cu12") for python in ("311", "312", "313", None)]
    wheels += [entry("2.20.0+cpu.1", python, "cpu", size=262_114_020) for python in ("311", "312", "313")]
    wheels += [entry("2.20.0+cpu.1", None, "cpu")]
    wheels += [entry("2.20.0+cu125t4.1", python, "cu12t4", size=358_104_020) for python in ("312", "313")]
    wheels += [entry("2.21.0+cu125.1", python, "cu12") for python in ("312", "313")]
    wheels += [entry("2.18.1+cu125.1", "311", "cu12", uploaded="2026-11-02T09:30:00Z")]
    report = {"passed": True, "gpu": {"name": "NVIDIA H200", "driver": "580.82.07"}, "date": "2026-11-20"}
    wheels += [entry("2.20.0+cu125.2", "313", "cu12", gpu_smoke=report)]
    wheels += [entry("2.18.1+cu125.2", "311", "cu12", yanked="built with the wrong label")]
    return wheels


def listing(entries: list[LedgerEntry], **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- as there
    """The wheels.json of these entries."""
    usual = {"lines": LINES, "runtimes": RUNTIMES, "known": KNOWN, "gpus": GPUS, "base_url": BASE_URL, "fits": {}}
    return wheel_list.listing(entries, **(usual | changes))


def fits() -> dict[str, dict[str, Any]]:
    """What the wheels of ``release`` would change in Colab's runtimes, by file and runtime: as wheels.json has it."""
    found: dict[str, dict[str, Any]] = {}
    for one in release():
        for runtime in RUNTIMES:
            if f"-cp{runtime.python_minor.replace('.', '')}-" in one.file:
                found.setdefault(one.file, {})[runtime.name] = _fit(one.version, str(runtime.tensorflow))
    return found


def _fit(version: str, installed: str) -> dict[str, Any]:
    if version.startswith("2.21"):
        changes = [["protobuf", "5.29.6", "6.33.0"], ["h5py", "3.16.0", "3.14.0"]]
        return {"verdict": "breaks", "reasons": ["tf_keras 2.20.1 requires tensorflow<2.21"], "changes": changes}
    if version[:4] != installed[:4]:
        return {"verdict": "changes", "reasons": [], "changes": [["keras", "3.10.0", "3.13.2"]]}
    return {"verdict": "fits", "reasons": [], "changes": []}


class Quiet(SimpleHTTPRequestHandler):
    """Static files without a word."""

    def log_message(self, *_: object) -> None: ...


@contextmanager
def served(folder: Path, handler: type[SimpleHTTPRequestHandler] = Quiet) -> Iterator[str]:
    """Serve a folder on this machine while the block runs; yields the address, ending with a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
