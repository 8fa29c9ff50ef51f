"""A Sigstore of one's own, thrown away after the test: certificate authority, certificate log, transparency log.

It makes bundles as GitHub's attest actions do (DSSE envelope, Fulcio certificate, entry of a Rekor v1 log) and the
trusted root that goes with them. Every part that a forger could change can be changed before it is signed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import rfc8785
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey as Key

ISSUER = "https://token.actions.githubusercontent.com"
PAYLOAD = "application/vnd.in-toto+json"
FULCIO = "1.3.6.1.4.1.57264.1"
SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
START = "2020-01-01T00:00:00Z"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sign(key: Key, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def spki(key: Key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: Key) -> bytes:
    return hashlib.sha256(spki(key)).digest()


def new_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What the certificate says about the workflow."""

    workflow: str
    repository: str
    issuer: str = ISSUER


@dataclass(frozen=True, kw_only=True)
class Sigstore:
    """The keys of all its parts, and the authority's certificate."""

    authority: Key = field(default_factory=new_key)
    certificates: Key = field(default_factory=new_key)
    log: Key = field(default_factory=new_key)
    root: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        """Make the authority's certificate."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "throw-away")])
        made = (
            x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=self.authority.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=365))
            .not_valid_after(NOW + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key()), critical=False)
            .sign(self.authority, hashes.SHA256())
        )
        object.__setattr__(self, "root", made)

    def trusted_root(self) -> dict[str, Any]:
        """What a verifier trusts, as Sigstore publishes it."""
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [_log(self.log)],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "nobody", "commonName": "throw-away"},
                    "uri": "https://fulcio.invalid",
                    "certChain": {"certificates": [{"rawBytes": b64(self.root.public_bytes(Encoding.DER))}]},
                    "validFor": {"start": START},
                }
            ],
            "ctlogs": [_log(self.certificates)],
            "timestampAuthorities": [],
        }

    def certificate(self, key: Key, identity: Identity, *, at: datetime = NOW) -> x509.Certificate:
        """A certificate for ten minutes from ``at``, with the embedded promise (SCT) of the certificate log."""
        builder = (
            x509.CertificateBuilder(
                issuer_name=self.root.subject, subject_name=x509.Name([]), public_key=key.public_key()
            )
            .serial_number(x509.random_serial_number())
            .not_valid_before(at)
            .not_valid_after(at + timedelta(minutes=10))
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()), critical=False
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.workflow)]), critical=True
            )
        )
        for number, text in [(8, identity.issuer), (12, identity.repository)]:
            value = x509.UnrecognizedExtension(ObjectIdentifier(f"{FULCIO}.{number}"), asn1.encode_der(text))
            builder = builder.add_extension(value, critical=False)
        unlogged = builder.sign(self.authority, hashes.SHA256())
        promise = self._promise(unlogged, at)
        listed = asn1.encode_der(struct.pack("!HH", len(promise) + 2, len(promise)) + promise)
        with_promise = builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, listed), critical=False)
        return with_promise.sign(self.authority, hashes.SHA256())

    def _promise(self, unlogged: x509.Certificate, at: datetime) -> bytes:
        """A signed certificate timestamp for a precertificate (RFC 6962, 3.2)."""
        body, milliseconds = unlogged.tbs_certificate_bytes, int(at.timestamp() * 1000)
        entry = key_id(self.authority) + len(body).to_bytes(3, "big") + body
        signed = struct.pack("!BBQH", 0, 0, milliseconds, 1) + entry + struct.pack("!H", 0)
        signature = sign(self.certificates, signed)
        head = struct.pack("!B32sQH", 0, key_id(self.certificates), milliseconds, 0)
        return head + struct.pack("!BBH", 4, 3, len(signature)) + signature  # sha256, ecdsa

    def attest(
        self,
        statement: bytes,
        identity: Identity,
        *,
        at: datetime = NOW,
        logged: datetime | None = None,
        payload_type: str = PAYLOAD,
    ) -> dict[str, Any]:
        """A bundle (v0.3) for a statement, signed at ``at`` and taken up by the log at ``logged``."""
        key = new_key()
        certificate = self.certificate(key, identity, at=at)
        encoded = f"DSSEv1 {len(payload_type)} {payload_type} {len(statement)} ".encode() + statement
        signature = sign(key, encoded)
        envelope = {
            "payload": b64(statement),
            "payloadType": payload_type,
            "signatures": [{"sig": b64(signature)}],
        }
        entry = self.entry(_dsse_entry(envelope, statement, certificate), logged or at + timedelta(seconds=5))
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))},
                "tlogEntries": [entry],
                "timestampVerificationData": {},
            },
            "dsseEnvelope": envelope,
        }

    def entry(self, body: bytes, logged: datetime) -> dict[str, Any]:
        """An entry of the log, the second of three, with its proof, the signed checkpoint and the log's promise."""
        leaves = [hashlib.sha256(b"\0" + leaf).digest() for leaf in (b"before", body, b"after")]
        pair = hashlib.sha256(b"\1" + leaves[0] + leaves[1]).digest()
        top = hashlib.sha256(b"\1" + pair + leaves[2]).digest()
        note = f"throw-away - 1\n3\n{b64(top)}\n"
        mark = b64(key_id(self.log)[:4] + sign(self.log, note.encode()))
        promised = {
            "body": b64(body),
            "integratedTime": int(logged.timestamp()),
            "logID": key_id(self.log).hex(),
            "logIndex": 1,
        }
        return {
            "logIndex": "1",
            "logId": {"keyId": b64(key_id(self.log))},
            "kindVersion": {"kind": "dsse", "version": "0.0.1"},
            "integratedTime": str(promised["integratedTime"]),
            "inclusionPromise": {"signedEntryTimestamp": b64(sign(self.log, rfc8785.dumps(promised)))},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": b64(top),
                "treeSize": "3",
                "hashes": [b64(leaves[0]), b64(leaves[2])],
                "checkpoint": {"envelope": f"{note}\n\u2014 throw-away {mark}\n"},
            },
            "canonicalizedBody": b64(body),
        }


def provenance_of(
    files: Sequence[tuple[str, bytes]], *, predicate_type: str = "https://slsa.dev/provenance/v1"
) -> bytes:
    """A statement about files, (name, bytes) each, in the form that GitHub's action signs."""
    subjects = [{"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}} for name, data in files]
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": predicate_type,
        "predicate": {"buildDefinition": {"buildType": "https://actions.github.io/buildtypes/workflow/v1"}},
    }
    return json.dumps(statement).encode()


def _dsse_entry(envelope: dict[str, Any], payload: bytes, certificate: x509.Certificate) -> bytes:
    """The canonical body of a log entry for an envelope (Rekor, dsse 0.0.1)."""
    pem = certificate.public_bytes(Encoding.PEM)
    return rfc8785.dumps(
        {
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "envelopeHash": _sha256(json.dumps(envelope).encode()),
                "payloadHash": _sha256(payload),
                "signatures": [{"signature": envelope["signatures"][0]["sig"], "verifier": b64(pem)}],
            },
        }
    )


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _log(key: Key) -> dict[str, Any]:
    return {
        "baseUrl": "https://log.invalid",
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": b64(spki(key)),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": {"start": START},
        },
        "logId": {"keyId": b64(key_id(key))},
    }


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
