"""A checkout to release from: a git repository with settings and changelog, and small wheels as CI left them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fakewheels
from tfwheel.config import build_config, inputs
from tfwheel.config.paths import Paths
from tfwheel.system import files
from tfwheel.system.processes import run
from tfwheel.wheel import records, sbom
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from tfwheel.config.build_config import Config

ROOT = Path(__file__).parents[2]
VERSION = "2.20.0+cu125.2"
TAG = f"v{VERSION}"
IDS = ("tf2.20.0-cp311-cu12", "tf2.20.0-cp312-cu12")
OPS = "ops-tf2.20.0-cu12"
TARGETS = """\
[[release]]
tensorflow = "2.20.0"
build = 2
pythons = ["3.11", "3.12"]
lines = ["cu12"]
"""
# All that the wheels are called is acknowledged, so that no index is asked about it.
INDEX = "\n".join(
    f'[[acknowledge]]\nname = "{name}"\nreason = "A stand-in that nobody can ask for."'
    for name in ("tensorflow", "tfwheel-ops")
)
CHANGELOG = f"# Changelog\n\n## Unreleased\n\n- Something.\n\n## {VERSION}\n\n- Wheels for tests.\n"


def git(folder: Path, *words: str) -> str:
    """Run git as somebody."""
    who = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
    return run(["git", "-C", folder, *who, *words]).strip()


def checkout(root: Path) -> Path:
    """A checkout with one commit, and no wheels yet."""
    shutil.copytree(ROOT / "build_config", root / "build_config", ignore=shutil.ignore_patterns("src", "patches"))
    (root / "build_config" / "targets.toml").write_text(TARGETS)
    (root / "build_config" / "index.toml").write_text(INDEX)
    (root / "CHANGELOG.md").write_text(CHANGELOG)
    (root / ".gitignore").write_text("dist/\n")
    (root / "index").mkdir()
    (root / "index" / "ledger.jsonl").write_bytes(b"")
    git(root, "init", "-q", "-b", "main")
    commit(root)
    return root


def commit(root: Path) -> str:
    """Commit everything, and say the commit."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "A commit")
    return git(root, "rev-parse", "HEAD")


def settings(root: Path) -> Config:
    """What the checkout says."""
    return build_config.load(root / "build_config")


def paths(root: Path) -> Paths:
    """Where things stand in it."""
    return Paths(settings=root / "build_config", dist=root / "dist", cache=root / "cache")


def build(folder: Path, target: str, *, body: bytes = b"", version: str = VERSION, **facts: Any) -> Path:  # noqa: ANN401 -- the types of the fields
    """A small wheel of a target with its record, in ``folder/<target>``; ``facts`` are of the record."""
    is_ops = target.startswith("ops-")
    name, python = ("tfwheel_ops", "py3") if is_ops else ("tensorflow", target.split("-")[1])
    tag = f"{python}-{'none' if is_ops else python}-manylinux_2_17_x86_64"
    info = f"{name}-{version}.dist-info"
    document = b'{"metadata": {"component": {"name": "%s"}}}' % name.encode()
    members = {f"{name}/__init__.py": b"# a stand-in\n" + body, f"{info}/{sbom.MEMBER}": document}
    wheel = fakewheels.write_wheel(folder / target, members, name=name, version=version, tag=tag)
    sha256 = files.sha256_of(wheel)
    values: dict[str, Any] = {
        "target": target,
        "project": name.replace("_", "-"),
        "version": version,
        "line": "cu12",
        "python": None if is_ops else f"3.{python[3:]}",
        "file": wheel.name,
        "sha256": sha256,
        "size": wheel.stat().st_size,
        "key": "k",
        "gpu_code": {"ops": ["sm_75"]},
        "smoke": {"passed": True, "wheel_sha256": sha256, "gpu": "none"},
    }
    record = Record(**(values | facts))
    records.save(record, wheel)
    return wheel


def build_all(root: Path, **facts: Any) -> list[Path]:  # noqa: ANN401 -- as above
    """The wheels of the release, as a build of this checkout leaves them."""
    facts = {"source_commit": git(root, "rev-parse", "HEAD")} | facts
    config = settings(root)
    return [
        build(
            root / "dist" / "wheels",
            target,
            **({"inputs": inputs.digest(config, inputs.target_of(config, target))} | facts),
        )
        for target in (*IDS, OPS)
    ]


def download(root: Path) -> Path:
    """The same, as the artifacts of a run: each with its target's wheel and the ops, and the records of GPU jobs."""
    folder = root / "dist" / "run"
    commit_ = git(root, "rev-parse", "HEAD")
    for target in IDS:
        for name in (target, OPS):
            wheel = build(folder / f"wheel-{target}", name, source_commit=commit_)
            record = records.load(records.path_for(wheel))
            gpu = {"passed": True, "wheel_sha256": record.sha256, "gpu": {"name": "NVIDIA T4"}}
            path = folder / f"gpu-{target}" / name / wheel.name
            path.parent.mkdir(parents=True, exist_ok=True)
            records.save(record.grown(gpu_smoke=gpu), path)
    return folder
