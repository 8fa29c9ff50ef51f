"""Verify downloaded wheels against the signed attestation of their release."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tfwheel import cli
from tfwheel.publish import attestation
from tfwheel.system import console


def main(arguments: argparse.Namespace) -> None:
    """Verify each wheel and print its proof."""
    for wheel in arguments.wheel:
        ref = arguments.ref or attestation.tag_of(wheel)
        signer = attestation.Signer(repository=arguments.repo, workflow=arguments.workflow, ref=ref)
        proof = attestation.verify(wheel, arguments.bundle, signer=signer, trusted_root=arguments.trusted_root)
        console.say(f"{wheel.name}: proven")
        console.say(f"  sha256 {proof.sha256}")
        console.say(f"  signed by {proof.identity}, {proof.signed:%Y-%m-%d %H:%M} UTC")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", nargs="+", type=Path, help="a wheel, under its published name")
    parser.add_argument("--bundle", required=True, type=Path, help="output of `gh attestation download` (JSONL)")
    parser.add_argument("--repo", required=True, metavar="OWNER/REPO", help="the repository that released it")
    parser.add_argument("--workflow", default="release.yml", help="the workflow that signed (default: release.yml)")
    parser.add_argument("--ref", help="the ref it ran for (default: refs/tags/v and the version of the wheel)")
    parser.add_argument("--trusted-root", type=Path, metavar="FILE", help="of `gh attestation trusted-root`: offline")
    sys.exit(cli.enter(parser, main))
