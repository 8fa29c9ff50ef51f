"""Small finished wheels with their records, and what publishing them takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakewheels
from tfwheel.publish.publication import Publication
from tfwheel.publish.stores import FolderStore
from tfwheel.publish.trial import Trial
from tfwheel.system import files
from tfwheel.wheel import records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfwheel.config.targets import Target

UPLOADED = "2026-11-21T04:00:00Z"
TAG = "py3-none-manylinux_2_17_x86_64"


def finish(
    folder: Path,
    build: int,
    *,
    passed: bool = True,
    body: bytes = b"",
    tag: str = TAG,
    target: Target | None = None,
    inputs: str = "",
) -> Path:
    """A wheel that any Python installs, with its record, as a build leaves them; of a target where one is given."""
    version = target.version if target else f"2.20.0+cu125.{build}"
    members = {"tensorflow/__init__.py": b"# a stand-in\n" + body}
    wheel = fakewheels.write_wheel(folder, members, name="tensorflow", version=version, tag=tag)
    sha256 = files.sha256_of(wheel)
    record = Record(
        target=target.id if target else "tf2.20.0-cp312-cu12",
        project="tensorflow",
        version=version,
        line=target.line.name if target else "cu12",
        python="3.12",
        file=wheel.name,
        sha256=sha256,
        size=wheel.stat().st_size,
        key="k",
        gpu_code={"ops": ["sm_75"]},
        inputs=inputs,
        smoke={"passed": passed, "reason": "so ordered", "wheel_sha256": sha256},
    )
    records.save(record, wheel)
    return wheel


def publication(
    root: Path, wheels: Iterable[Path], *, assets: str = "https://assets.example/v1/", pages: str | None = None
) -> Publication:
    """Publish to ``root``: store, ledger and site; ``pages`` is where the site is served, None where nowhere."""
    return Publication(
        wheels=tuple(wheels),
        ledger=root / "ledger.jsonl",
        site=root / "site",
        store=FolderStore(folder=root / "assets" / "v1", address=assets),
        uploaded=UPLOADED,
        address=pages,
    )


def note(job: Publication) -> Path:
    """The file that says what is on trial; it is there only while something is."""
    return Trial(ledger=job.ledger, site=job.site).note


def state(root: Path) -> dict[str, bytes]:
    """All that was published, by path: the site as readers see it, the ledger and the store."""
    files = {f"site/{path.relative_to(root / 'site')}": path for path in (root / "site").rglob("*")}
    files |= {
        path.relative_to(root).as_posix(): path for path in [*(root / "assets").rglob("*"), root / "ledger.jsonl"]
    }
    return {name: path.read_bytes() for name, path in files.items() if path.is_file() and path.name != ".lock"}
