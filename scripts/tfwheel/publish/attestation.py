"""Verifies a wheel against its release's signed attestation with Sigstore's library, without trusting this project.

A bundle proves that the holder of a certificate for that identity, at a time recorded in a public log, claimed to have
built exactly these bytes. ``sigstore`` checks certificate, log and signature; this module checks identity and claim.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.x509 import SubjectAlternativeName, UniformResourceIdentifier
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from sigstore.errors import Error, VerificationError
from sigstore.models import Bundle, ClientTrustConfig, TrustedRoot
from sigstore.verify import Verifier, policy
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootText

from tfwheel.errors import FactoryError
from tfwheel.publish.errors import AttestationError, AttestationFileError, SignerError, SubjectError
from tfwheel.system.errors import DownloadError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from cryptography.x509 import Certificate

ISSUER = "https://token.actions.githubusercontent.com"  # the OIDC provider of GitHub Actions
GITHUB = "https://github.com"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
STEPS = (AttestationFileError, AttestationError, SignerError, SubjectError)  # the errors of each step, in order


@dataclass(frozen=True, kw_only=True)
class Signer:
    """The only accepted signer: a workflow file of a repository ("OWNER/REPO"), run for one ref."""

    repository: str
    workflow: str
    ref: str

    @property
    def identity(self) -> str:
        """The subject alternative name in its Fulcio certificate."""
        return f"{GITHUB}/{self.repository}/.github/workflows/{self.workflow}@{self.ref}"

    def verify(self, certificate: Certificate) -> None:
        """Check the certificate (called by sigstore); SignerError names the actual signer.

        The repository is checked too: another repository can call this workflow, and then has the same identity.
        """
        rules = (
            policy.OIDCIssuerV2(ISSUER),
            policy.Identity(identity=self.identity),
            policy.OIDCSourceRepositoryURI(f"{GITHUB}/{self.repository}"),
        )
        try:
            for rule in rules:
                rule.verify(certificate)
        except VerificationError as error:
            names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
            signer = ", ".join(names.get_values_for_type(UniformResourceIdentifier)) or "nobody known"
            message = f"it was signed by {signer}, and must be by {self.identity}, run by that repository: {error}"
            raise SignerError(message) from error


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A verified claim: the wheel's sha256, the signer, and when the certificate was issued (for minutes)."""

    sha256: str
    identity: str
    signed: datetime


def tag_of(wheel: Path) -> str:
    """Return the ref of a wheel's release: ``refs/tags/v`` and its version."""
    try:
        return f"refs/tags/v{parse_wheel_filename(wheel.name)[1]}"
    except InvalidWheelFilename as error:
        message = f"{wheel} is not a wheel: {error}"
        raise AttestationFileError(message) from error


def verify(wheel: Path, bundles: Path, *, signer: Signer, trusted_root: Path | None = None) -> Proof:
    """Verify that ``signer`` released this wheel; returns the proof.

    ``bundles`` is the output of `gh attestation download`: Sigstore bundles, one per line, of which one must be valid.
    ``trusted_root`` is the output of `gh attestation trusted-root`: with it nothing is fetched, without it the roots
    come from Sigstore's update server (TUF). Raises AttestationFileError, AttestationError, SignerError or
    SubjectError; of several failures, the one from the latest step. DownloadError when the roots cannot be fetched.
    """
    sha256 = _sha256(wheel)
    verifiers = [Verifier(trusted_root=root) for root in _roots(trusted_root)]
    failures: list[FactoryError] = []
    for text, verifier in itertools.product(_documents(bundles), verifiers):
        try:
            bundle = _bundle(text)
            _check_claim(_claim(verifier, bundle, signer), wheel.name, sha256)
        except FactoryError as error:
            failures.append(error)
        else:
            signed = bundle.signing_certificate.not_valid_before_utc
            return Proof(sha256=sha256, identity=signer.identity, signed=signed)
    furthest = max(failures, key=lambda error: STEPS.index(type(error)))
    message = f"{wheel.name}: no attestation in {bundles.name} holds: {furthest.message}"
    raise type(furthest)(message) from furthest


def _claim(verifier: Verifier, bundle: Bundle, signer: Signer) -> dict[str, Any]:
    """Return the statement in a bundle after verifying log, certificate, signer and signature."""
    try:
        kind, payload = verifier.verify_dsse(bundle, signer)
    except FactoryError:
        raise
    except Exception as error:  # hostile bytes can make the library raise anything
        message = f"the attestation proves nothing: {error}"
        raise AttestationError(message) from error
    try:
        statement = json.loads(payload)
    except ValueError:
        statement = None
    if kind != PAYLOAD or not isinstance(statement, dict):
        message = f"the signed payload is not an in-toto statement ({kind})"
        raise SubjectError(message)
    return statement


def _check_claim(statement: dict[str, Any], name: str, sha256: str) -> None:
    """Check that the statement is build provenance and has these bytes among its subjects under this name."""
    found = (statement.get("_type"), statement.get("predicateType"))
    if found != (STATEMENT, PREDICATE):
        message = f"the signed statement is not build provenance but {found[1]} in {found[0]}"
        raise SubjectError(message)
    try:
        names = [one["name"] for one in statement["subject"] if one["digest"].get("sha256") == sha256]
    except (KeyError, TypeError, AttributeError) as error:
        message = f"the subjects of the statement cannot be read: {error!r}"
        raise SubjectError(message) from error
    if not names:
        message = f"its sha256 {sha256} is not among the {len(statement['subject'])} files that were signed"
        raise SubjectError(message)
    if name not in names:
        message = f"these bytes were signed under another name: {', '.join(map(str, names))}"
        raise SubjectError(message)


def _roots(path: Path | None) -> list[TrustedRoot]:
    """Load the roots of trust from a file, or from Sigstore's update server (TUF)."""
    if path is None:
        try:
            return [ClientTrustConfig.production().trusted_root]
        except Error as error:
            message = f"Sigstore's roots of trust could not be fetched: {error} ({error.__cause__})"
            remedy = "Fetch them with `gh attestation trusted-root > FILE` elsewhere, and pass --trusted-root FILE."
            raise DownloadError(message, remedy=remedy) from error
    try:
        roots = [TrustedRoot(TrustedRootText.from_json(text)) for text in _documents(path)]
        for root in roots:
            Verifier(trusted_root=root)
    except (Error, ValueError) as error:
        message = f"{path} is not a trusted root: {error}"
        raise AttestationFileError(message) from error
    return roots


def _bundle(text: str) -> Bundle:
    try:
        return Bundle.from_json(text)
    except (Error, ValueError) as error:
        message = f"not a Sigstore bundle with a certificate and one log entry: {error}"
        raise AttestationFileError(message) from error


def _documents(path: Path) -> list[str]:
    """Return the JSON documents of a file, at least one: a single one, or one per line (JSONL)."""
    decoder = json.JSONDecoder()
    found: list[str] = []
    try:
        rest = path.read_text(encoding="utf-8").strip()
        while rest or not found:
            _, end = decoder.raw_decode(rest)
            found.append(rest[:end])
            rest = rest[end:].lstrip()
    except (OSError, ValueError, RecursionError) as error:
        message = f"{path} cannot be read as JSON: {error}"
        raise AttestationFileError(message) from error
    return found


def _sha256(wheel: Path) -> str:
    try:
        with wheel.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        message = f"{wheel} cannot be read: {error}"
        raise AttestationFileError(message) from error
