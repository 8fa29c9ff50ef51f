"""Only a sound attestation, of the right signer, about these very bytes, proves a wheel; each other is refused by name.

The bundles are signed here by a Sigstore of the test's own, and judged by the real library. Nothing is fetched.
"""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sigstore

import signing
from tfwheel.errors import FactoryError
from tfwheel.publish import attestation
from tfwheel.publish.attestation import Proof, Signer
from tfwheel.publish.errors import AttestationError, AttestationFileError, SignerError, SubjectError

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = "octo/wheels"
NAME = "tensorflow-2.20.0+cu125.2-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
CONTENT = b"the bytes of a wheel"
SIGNER = Signer(repository=REPOSITORY, workflow="release.yml", ref="refs/tags/v2.20.0+cu125.2")
IDENTITY = signing.Identity(workflow=SIGNER.identity, repository="https://github.com/octo/wheels")
STATEMENT = signing.provenance_of([("SHA256SUMS", b"sums"), (NAME, CONTENT)])


@dataclass(frozen=True, kw_only=True)
class Download:
    """What a person has on disk: a wheel, attestations, the roots of trust."""

    folder: Path

    @property
    def wheel(self) -> Path:
        return self.folder / NAME

    def verify(self, *bundles: dict[str, Any], signer: Signer = SIGNER, wheel: Path | None = None) -> Proof:
        """Write the bundles, one a line, and verify."""
        lines = self.folder / "sha256-download.jsonl"
        lines.write_text("".join(json.dumps(bundle) + "\n" for bundle in bundles))
        root = self.folder / "trusted_root.jsonl"
        return attestation.verify(wheel or self.wheel, lines, signer=signer, trusted_root=root)

    def trust(self, *roots: signing.Sigstore) -> None:
        """Write the roots of trust, one a line."""
        text = "\n".join(json.dumps(root.trusted_root()) for root in roots)
        (self.folder / "trusted_root.jsonl").write_text(text)


@pytest.fixture(scope="module")
def authority() -> signing.Sigstore:
    """The Sigstore that the person trusts."""
    return signing.Sigstore()


@pytest.fixture(scope="module")
def sound(authority: signing.Sigstore) -> dict[str, Any]:
    """A sound bundle of the right signer about the wheel. Read only."""
    return authority.attest(STATEMENT, IDENTITY)


@pytest.fixture
def download(tmp_path: Path, authority: signing.Sigstore) -> Download:
    """The wheel, and the roots of the authority."""
    (tmp_path / NAME).write_bytes(CONTENT)
    made = Download(folder=tmp_path)
    made.trust(authority)
    return made


def altered(bundle: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """A bundle after somebody changed it."""
    other = copy.deepcopy(bundle)
    change(other)
    return other


def entry(bundle: dict[str, Any]) -> dict[str, Any]:
    """The log entry of a bundle."""
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def flipped(text: str) -> str:
    """Base64 of bytes that differ in one bit."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def test_a_sound_attestation_proves_the_wheel_though_its_certificate_has_run_out_since(
    download: Download, sound: dict[str, Any]
) -> None:
    proof = download.verify(sound)
    assert proof.identity == "https://github.com/octo/wheels/.github/workflows/release.yml@refs/tags/v2.20.0+cu125.2"
    assert proof.signed == signing.NOW
    assert proof.sha256 == signing.provenance_of([(NAME, CONTENT)]).decode().partition('"sha256": "')[2][:64]


def test_one_document_over_many_lines_is_read_too(download: Download, sound: dict[str, Any]) -> None:
    path = download.folder / "bundle.json"
    path.write_text(json.dumps(sound, indent=4))
    root = download.folder / "trusted_root.jsonl"
    assert attestation.verify(download.wheel, path, signer=SIGNER, trusted_root=root) == download.verify(sound)


def test_one_sound_attestation_among_others_is_enough(
    download: Download, authority: signing.Sigstore, sound: dict[str, Any]
) -> None:
    foreign = authority.attest(STATEMENT, replace(IDENTITY, workflow="https://github.com/x/y"))
    other_kind = authority.attest(
        signing.provenance_of([(NAME, CONTENT)], predicate_type="https://x.invalid"), IDENTITY
    )
    assert download.verify({}, foreign, other_kind, sound) == download.verify(sound)


def test_one_fitting_root_among_others_is_enough(
    download: Download, authority: signing.Sigstore, sound: dict[str, Any]
) -> None:
    download.trust(signing.Sigstore(), authority)
    assert download.verify(sound).identity == SIGNER.identity


# --- the signature, the certificate and the log ----------------------------------------------------------


def test_another_authority_is_not_believed(download: Download) -> None:
    with pytest.raises(AttestationError, match="signature does not match"):
        download.verify(signing.Sigstore().attest(STATEMENT, IDENTITY))


@pytest.mark.parametrize(
    ("part", "words"), [("certificates", "SCT verify failed"), ("log", "checkpoint: invalid signature")]
)
def test_another_log_is_not_believed(download: Download, authority: signing.Sigstore, part: str, words: str) -> None:
    forger = replace(authority, **{part: signing.new_key()})
    with pytest.raises(AttestationError, match=words):
        download.verify(forger.attest(STATEMENT, IDENTITY))


def test_an_altered_statement_is_refused(download: Download, sound: dict[str, Any]) -> None:
    other = base64.b64encode(STATEMENT.replace(b"SHA256SUMS", b"sha256sums")).decode()
    with pytest.raises(AttestationError, match="DSSE: invalid signature"):
        download.verify(altered(sound, lambda bundle: bundle["dsseEnvelope"].update(payload=other)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(
                sig=flipped(bundle["dsseEnvelope"]["signatures"][0]["sig"])
            ),
            "DSSE: invalid signature",
        ),
        (lambda bundle: entry(bundle).update(integratedTime="1767323046"), "SET: invalid inclusion promise"),
        (
            lambda bundle: entry(bundle).update(canonicalizedBody=flipped(entry(bundle)["canonicalizedBody"])),
            "invalid root hash",
        ),
        (
            lambda bundle: entry(bundle)["inclusionProof"].update(
                rootHash=flipped(entry(bundle)["inclusionProof"]["rootHash"])
            ),
            "invalid root hash",
        ),
        (lambda bundle: entry(bundle)["inclusionProof"].update(hashes=[]), "inclusion proof has wrong size"),
        (lambda bundle: entry(bundle)["kindVersion"].update(kind="hashedrekord"), "Unsupported DSSE log entry type"),
    ],
    ids=["signature", "time", "entry", "root hash", "no hashes", "kind"],
)
def test_an_altered_bundle_is_refused(
    download: Download, sound: dict[str, Any], change: Callable[[dict[str, Any]], object], words: str
) -> None:
    with pytest.raises(AttestationError, match=words):
        download.verify(altered(sound, change))


def test_the_log_entry_of_another_attestation_does_not_count(
    download: Download, authority: signing.Sigstore, sound: dict[str, Any]
) -> None:
    other = authority.attest(signing.provenance_of([("other.whl", b"other")]), IDENTITY)
    with pytest.raises(AttestationError, match="log entry payload hash does not match bundle"):
        download.verify(altered(sound, lambda bundle: entry(bundle).update(entry(other))))


@pytest.mark.parametrize("late", [timedelta(minutes=11), timedelta(days=400), -timedelta(minutes=1)])
def test_a_certificate_that_was_not_valid_when_the_log_took_it_up_is_refused(
    download: Download, authority: signing.Sigstore, late: timedelta
) -> None:
    bundle = authority.attest(STATEMENT, IDENTITY, logged=signing.NOW + late)
    with pytest.raises(AttestationError, match="not valid at validation time"):
        download.verify(bundle)


# --- the signer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "words"),
    [
        (replace(IDENTITY, workflow=SIGNER.identity.replace("octo", "evil")), "it was signed by .*/evil/wheels/"),
        (replace(IDENTITY, workflow=SIGNER.identity.replace("release.yml", "ci.yml")), r"signed by .*/ci\.yml@"),
        (replace(IDENTITY, workflow=SIGNER.identity.replace("tags/v2.20.0+cu125.2", "heads/x")), "@refs/heads/x"),
        (replace(IDENTITY, workflow=SIGNER.identity.replace("cu125.2", "cu125.1")), r"@refs/tags/v2\.20\.0\+cu125\.1"),
        (replace(IDENTITY, issuer="https://accounts.example.org"), "OIDCIssuerV2 does not match"),
        (replace(IDENTITY, repository="https://github.com/evil/caller"), "OIDCSourceRepositoryURI does not match"),
    ],
    ids=["repository", "workflow", "branch", "other release", "issuer", "caller of the workflow"],
)
def test_another_signer_is_refused(
    download: Download, authority: signing.Sigstore, identity: signing.Identity, words: str
) -> None:
    with pytest.raises(SignerError, match=words):
        download.verify(authority.attest(STATEMENT, identity))


def test_the_ref_is_that_of_the_wheels_release(tmp_path: Path) -> None:
    assert attestation.tag_of(tmp_path / NAME) == SIGNER.ref
    with pytest.raises(AttestationFileError, match="is not a wheel"):
        attestation.tag_of(tmp_path / "SHA256SUMS")


# --- the claim -------------------------------------------------------------------------------------------


def test_another_wheel_is_refused(download: Download, sound: dict[str, Any]) -> None:
    download.wheel.write_bytes(CONTENT + b" ")
    with pytest.raises(SubjectError, match="is not among the 2 files that were signed"):
        download.verify(sound)


def test_a_signed_wheel_under_another_name_is_refused(download: Download, sound: dict[str, Any]) -> None:
    renamed = download.wheel.rename(download.folder / NAME.replace("cp312", "cp313"))
    with pytest.raises(SubjectError, match=r"these bytes were signed under another name: tensorflow-.*cp312"):
        download.verify(sound, wheel=renamed)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            signing.provenance_of([(NAME, CONTENT)], predicate_type="https://cyclonedx.org/bom"),
            "not build provenance but",
        ),
        (STATEMENT.replace(b"Statement/v1", b"Statement/v9"), "not build provenance but"),
        (b"[]", "is not an in-toto statement"),
        (b"{", "is not an in-toto statement"),
        (STATEMENT.replace(b'"digest"', b'"digests"'), "the subjects of the statement cannot be read: KeyError"),
        (STATEMENT.replace(b'"subject"', b'"subjects"'), "the subjects of the statement cannot be read: KeyError"),
    ],
)
def test_another_claim_is_refused(
    download: Download, authority: signing.Sigstore, statement: bytes, words: str
) -> None:
    with pytest.raises(SubjectError, match=words):
        download.verify(authority.attest(statement, IDENTITY))


def test_a_signed_text_of_another_kind_is_refused(download: Download, authority: signing.Sigstore) -> None:
    with pytest.raises(SubjectError, match=r"is not an in-toto statement \(text/plain\)"):
        download.verify(authority.attest(STATEMENT, IDENTITY, payload_type="text/plain"))


# --- files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda bundle: bundle["verificationMaterial"].update(tlogEntries=[]), "expected exactly one log entry"),
        (lambda bundle: entry(bundle).pop("inclusionProof"), "not a Sigstore bundle"),
        (lambda bundle: entry(bundle).pop("inclusionPromise"), "must contain an inclusion promise or signed timestamp"),
        (lambda bundle: bundle["verificationMaterial"].pop("certificate"), "not a Sigstore bundle"),
        (lambda bundle: bundle.pop("dsseEnvelope"), "not a Sigstore bundle"),
        (lambda bundle: bundle.update(mediaType="text/plain"), "not a Sigstore bundle"),
    ],
    ids=["no log entry", "no proof", "no promise", "no certificate", "no envelope", "media type"],
)
def test_a_bundle_that_lacks_a_part_is_refused(
    download: Download, sound: dict[str, Any], change: Callable[[dict[str, Any]], object], words: str
) -> None:
    with pytest.raises(AttestationFileError, match=words):
        download.verify(altered(sound, change))


@pytest.mark.parametrize("text", ["", "\n", "{", "not json", "{} x", "\udcff", "[" * 100_000])
@pytest.mark.parametrize("name", ["sha256-download.jsonl", "trusted_root.jsonl"])
def test_a_file_that_is_not_json_is_refused(download: Download, sound: dict[str, Any], name: str, text: str) -> None:
    download.verify(sound)
    path = download.folder / name
    path.write_bytes(text.encode(errors="surrogateescape"))
    bundles, root = (download.folder / part for part in ("sha256-download.jsonl", "trusted_root.jsonl"))
    with pytest.raises(AttestationFileError, match=f"{name} cannot be read as JSON"):
        attestation.verify(download.wheel, bundles, signer=SIGNER, trusted_root=root)


@pytest.mark.parametrize("change", [{"mediaType": "x"}, {"certificateAuthorities": []}, {"tlogs": []}, {"extra": 1}])
def test_what_is_no_trusted_root_is_refused(
    download: Download, authority: signing.Sigstore, sound: dict[str, Any], change: dict[str, Any]
) -> None:
    download.verify(sound)
    root = download.folder / "trusted_root.jsonl"
    root.write_text(json.dumps(authority.trusted_root() | change))
    with pytest.raises(AttestationFileError, match=r"trusted_root\.jsonl is not a trusted root"):
        attestation.verify(download.wheel, download.folder / "sha256-download.jsonl", signer=SIGNER, trusted_root=root)


def test_missing_files_are_refused(download: Download, sound: dict[str, Any]) -> None:
    download.verify(sound)
    for missing in ("sha256-download.jsonl", "trusted_root.jsonl", NAME):
        kept = (download.folder / missing).read_bytes()
        (download.folder / missing).unlink()
        with pytest.raises(AttestationFileError, match="No such file"):
            attestation.verify(
                download.wheel,
                download.folder / "sha256-download.jsonl",
                signer=SIGNER,
                trusted_root=download.folder / "trusted_root.jsonl",
            )
        (download.folder / missing).write_bytes(kept)


def test_sigstores_own_root_is_read(download: Download, sound: dict[str, Any]) -> None:
    """The root that the library brings is of the real form; it does not vouch for our authority."""
    (own,) = (Path(sigstore.__file__).parent / "_store").glob("*tuf-repo-cdn.sigstore.dev/trusted_root.json")
    (download.folder / "trusted_root.jsonl").write_bytes(own.read_bytes())
    with pytest.raises(AttestationError, match="failed to build timestamp certificate chain"):
        download.verify(sound)


def test_of_several_failures_the_one_that_came_furthest_is_told(
    download: Download, authority: signing.Sigstore, sound: dict[str, Any]
) -> None:
    foreign = authority.attest(STATEMENT, replace(IDENTITY, workflow="https://github.com/x/y"))
    unsound = altered(sound, lambda bundle: entry(bundle).update(integratedTime="1767323046"))
    with pytest.raises(SignerError, match=r"no attestation in sha256-download\.jsonl holds"):
        download.verify({}, unsound, foreign, unsound)


def test_whatever_is_altered_nothing_else_than_our_errors_comes_out(download: Download, sound: dict[str, Any]) -> None:
    """Every leaf of a bundle, replaced by what a forger may try."""
    for path in leaves(sound):
        for value in (None, "", "AAAA", 0, [], {}, True):

            def put(bundle: dict[str, Any], path: tuple[Any, ...] = path, value: object = value) -> None:
                node: Any = bundle
                for step in path[:-1]:
                    node = node[step]
                node[path[-1]] = value

            with pytest.raises(FactoryError):
                download.verify(altered(sound, put))


def leaves(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 -- any JSON
    """Where every plain value of a document stands."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = [leaf for key, child in items for leaf in leaves(child, (*path, key))]
    return found if isinstance(node, dict | list) else [path]
