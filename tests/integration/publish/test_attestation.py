"""The door that a person uses, as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import signing
from tfwheel.publish.errors import SignerError
from tfwheel.system.errors import DownloadError

DOOR = Path(__file__).parents[3] / "scripts" / "verify_attestation.py"
NAME = "tensorflow-2.20.0+cu125.2-cp312-cp312-manylinux_2_17_x86_64.whl"
IDENTITY = signing.Identity(
    workflow="https://github.com/octo/wheels/.github/workflows/release.yml@refs/tags/v2.20.0+cu125.2",
    repository="https://github.com/octo/wheels",
)
CLOSED = "http://127.0.0.1:9"  # the discard port: nobody listens


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A wheel, its attestation, and the roots of trust."""
    authority = signing.Sigstore()
    (tmp_path / NAME).write_bytes(b"wheel")
    bundle = authority.attest(signing.provenance_of([(NAME, b"wheel")]), IDENTITY)
    (tmp_path / "bundle.jsonl").write_text(json.dumps(bundle) + "\n")
    (tmp_path / "root.jsonl").write_text(json.dumps(authority.trusted_root()) + "\n")
    return tmp_path


def verify(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the door in a folder, with the network out of reach and no cache of earlier roots."""
    paths = {name: str(folder / "xdg") for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME")}
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), CLOSED)
    return subprocess.run(
        [sys.executable, DOOR, NAME, "--bundle", "bundle.jsonl", *words],
        cwd=folder,
        env=os.environ | paths | proxies | {"NO_PROXY": "", "no_proxy": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_proven_wheel_is_said_to_be_proven_offline(folder: Path) -> None:
    done = verify(folder, "--repo", "octo/wheels", "--trusted-root", "root.jsonl")
    assert done.returncode == 0, done.stderr
    assert f"{NAME}: proven" in done.stderr
    assert f"signed by {IDENTITY.workflow}, 2026-01-02 03:04 UTC" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "words",
    [
        ("--repo", "octo/other"),
        ("--repo", "octo/wheels", "--workflow", "ci.yml"),
        ("--repo", "octo/wheels", "--ref", "refs/heads/main"),
    ],
)
def test_every_way_to_name_another_signer_fails(folder: Path, words: tuple[str, ...]) -> None:
    done = verify(folder, *words, "--trusted-root", "root.jsonl")
    assert done.returncode == SignerError.exit_code
    assert "(SignerError, " in done.stderr
    assert "what to do: Do not install the wheel" in done.stderr


def test_without_roots_and_network_it_says_how_to_go_on(folder: Path) -> None:
    done = verify(folder, "--repo", "octo/wheels")
    assert done.returncode == DownloadError.exit_code
    assert "--trusted-root FILE" in done.stderr
