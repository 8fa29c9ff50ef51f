"""The bill of materials: sound by the official schema, the same every time, and refused when it is of another wheel."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

import fakewheels
from fakewheels import CPU, INFO, VERSION, Declared, fake_base, fake_final, locked, members_of, target
from tfwheel.checks import wheel_gates
from tfwheel.checks.opened_wheel import opened, opened_ops
from tfwheel.wheel import sbom
from tfwheel.wheel.errors import SbomGateError
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.targets import Line

TOOLS = {
    "host compiler": "g++ (Debian 12.2.0-14) 12.2.0",
    "nvidia-cuda-nvcc-cu12": "12.5.82",
    "zlib": "1.3",
    "cmake": "4.0.1",
}
PATCH = "--- a/tensorflow/x.py\n+++ b/tensorflow/x.py\n@@ -1 +1 @@\n-old\n+'@VERSION@' \u2713\n"
NAME = f"{INFO}/{sbom.MEMBER}"


def ops(*, tools: dict[str, str] | None = None, line: Line = fakewheels.LINE) -> bytes:
    """The document of an ops wheel."""
    tools = TOOLS if tools is None else tools
    return sbom.of_ops(project="tfwheel-ops", target=target(line), ops=["swiglu", "rms_norm"], tools=tools)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A small official wheel."""
    return fake_base(tmp_path, binary=False)


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """A folder with one patch, whose name needs quoting in an address."""
    folder = tmp_path / "patches" / "2.20.0"
    folder.mkdir(parents=True)
    (folder / "a label.patch").write_text(PATCH)
    return folder


def of_merged(base: Path, patches: Path, ops: bytes | None = None) -> bytes:
    """The document of a merged wheel."""
    return sbom.of_merged(project="tensorflow", target=target(), locked=locked(base), patches=patches, ops=ops)


def by_name(document: bytes) -> dict[str, dict[str, Any]]:
    """The components, by name."""
    return {one["name"]: one for one in json.loads(document)["components"]}


def values(component: dict[str, Any], name: str) -> list[str]:
    return [one["value"] for one in component["properties"] if one["name"] == f"tfwheel:{name}"]


@pytest.mark.parametrize("kind", ["ops", "ops on the CPU", "merged", "merged without ops or patches", "beside"])
def test_the_official_schema_finds_no_fault(base: Path, patches: Path, kind: str) -> None:
    documents = {
        "ops": ops(),
        "ops on the CPU": ops(tools={}, line=CPU),
        "merged": of_merged(base, patches, ops()),
        "merged without ops or patches": of_merged(base, patches / "none"),
        "beside": sbom.of_file(of_merged(base, patches, ops()), sha256="ab" * 32),
    }
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(documents[kind].decode())
    assert fault is None


def test_it_names_the_wheel_the_official_wheel_and_every_patch(base: Path, patches: Path) -> None:
    document = json.loads(of_merged(base, patches, ops()))
    subject = document["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("tensorflow", VERSION)
    assert subject["purl"] == "pkg:pypi/tensorflow@2.20.0%2Bcu125.1"
    assert "hashes" not in subject
    assert (values(subject, "target"), values(subject, "cuda")) == (["tf2.20.0-cp312-cu12"], ["12.5.1"])
    (ancestor,) = subject["pedigree"]["ancestors"]
    assert ancestor["hashes"] == [{"alg": "SHA-256", "content": locked(base).sha256}]
    assert PackageURL.from_string(ancestor["purl"]).qualifiers == {"file_name": base.name}
    (patch,) = subject["pedigree"]["patches"]
    assert patch["diff"] == {
        "text": {"contentType": "text/x-diff", "content": PATCH},
        "url": "patches/2.20.0/a%20label.patch",
    }


def test_the_parts_of_the_ops_become_parts_of_the_merged_wheel(base: Path, patches: Path) -> None:
    document = of_merged(base, patches, ops())
    parts = by_name(document)
    assert set(parts) == {"tensorflow", "tfwheel-ops", *TOOLS}
    assert values(parts["tfwheel-ops"], "op") == ["rms_norm", "swiglu"]
    assert values(parts["tfwheel-ops"], "gpu-code") == ["sm_75", "sm_80", "compute_90"]
    assert {name for name, part in parts.items() if part.get("scope") == "excluded"} == set(TOOLS)
    depends = {one["ref"]: one["dependsOn"] for one in json.loads(document)["dependencies"]}
    references = {name: part["bom-ref"] for name, part in parts.items()}
    assert depends["pkg:pypi/tensorflow@2.20.0%2Bcu125.1"] == [references["tensorflow"], references["tfwheel-ops"]]
    assert set(depends[references["tfwheel-ops"]]) == {references[name] for name in TOOLS}


def test_package_urls_are_canonical_and_only_for_packages() -> None:
    parts = by_name(ops())
    assert parts["nvidia-cuda-nvcc-cu12"]["purl"] == "pkg:pypi/nvidia-cuda-nvcc-cu12@12.5.82"
    assert "purl" not in parts["host compiler"]
    assert "purl" not in parts["zlib"]
    for address in (sbom.purl("Some_Name", "1!2.0+x.1"), sbom.purl("a", "1", file="a-1+x-py3-none-any.whl")):
        assert PackageURL.from_string(PackageURL.from_string(address).to_string()) == PackageURL.from_string(address)
    assert PackageURL.from_string(sbom.purl("Some_Name", "2.0+x.1")).version == "2.0+x.1"


def test_the_same_inputs_give_the_same_document_and_others_another_serial(base: Path, patches: Path) -> None:
    shuffled = dict(reversed(TOOLS.items()))
    assert of_merged(base, patches, ops(tools=shuffled)) == of_merged(base, patches, ops())
    documents = [ops(), of_merged(base, patches, ops()), of_merged(base, patches), ops(tools={"cmake": "4.0.2"})]
    serials = {json.loads(document)["serialNumber"] for document in documents}
    assert len(serials) == len(documents)
    assert {uuid.UUID(serial).version for serial in serials} == {5}
    assert json.loads(ops())["metadata"]["timestamp"] == "2020-01-01T00:00:00Z"


def test_the_document_beside_a_wheel_adds_its_hash_and_nothing_else(base: Path, patches: Path) -> None:
    inner = of_merged(base, patches, ops())
    outer = json.loads(sbom.of_file(inner, sha256="ab" * 32))
    assert outer["metadata"]["component"].pop("hashes") == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert outer.pop("serialNumber") != json.loads(inner)["serialNumber"]
    assert outer == {key: value for key, value in json.loads(inner).items() if key != "serialNumber"}


def test_embedding_changes_no_other_member(base: Path) -> None:
    before = members_of(base)
    sbom.embed(base, ops())
    after = members_of(base)
    folder = "tensorflow-2.20.0.dist-info"
    assert after.pop(f"{folder}/{sbom.MEMBER}") == ops()
    assert f"{folder}/{sbom.MEMBER},sha256=".encode() in after.pop(f"{folder}/RECORD")
    del before[f"{folder}/RECORD"]
    assert after == before
    first = base.read_bytes()
    base.unlink()
    sbom.embed(fake_base(base.parent, binary=False), ops())
    assert base.read_bytes() == first


# --- the gate --------------------------------------------------------------------------------------------


def judge(tmp_path: Path, base: Path, document: bytes | None) -> str:
    """What the gate says of a merged wheel with this document."""
    changes = {} if document is None else {NAME: document}
    declared = Declared(wheel=fake_final(tmp_path / "final", base, changes), added=tuple(changes))
    with opened(declared, base=base, locked=locked(base), target=target(), rules=fakewheels.RULES) as candidate:
        wheel_gates.contents(candidate)
        return wheel_gates.sbom(candidate)


def changed(document: bytes, **facts: Any) -> bytes:  # noqa: ANN401 -- any JSON
    """A document whose subject says something else."""
    data = json.loads(document)
    data["metadata"]["component"] |= facts
    return json.dumps(data).encode()


def test_the_document_of_the_wheel_passes_the_gate(tmp_path: Path, base: Path, patches: Path) -> None:
    assert judge(tmp_path, base, of_merged(base, patches, ops())) == "CycloneDX 1.6, 6 components"


def test_a_wheel_without_a_document_fails_the_gate(tmp_path: Path, base: Path) -> None:
    with pytest.raises(SbomGateError, match=r"has no SBOM \(`tensorflow-2\.20\.0\+cu125\.1\.dist-info/sboms/"):
        judge(tmp_path, base, None)


@pytest.mark.parametrize(
    "broken", [b"", b"\xff", b"[]", b"null", b"{}", b'{"metadata": {"component": 1}, "components": []}']
)
def test_what_is_no_document_fails_the_gate(tmp_path: Path, base: Path, broken: bytes) -> None:
    with pytest.raises(SbomGateError, match="is not a CycloneDX document"):
        judge(tmp_path, base, broken)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"purl": "pkg:pypi/tensorflow@2.20.0"}, "has the subject pkg:pypi/tensorflow@2.20.0; it should be"),
        ({"purl": "pkg:pypi/keras@2.20.0%2Bcu125.1"}, "has the subject pkg:pypi/keras"),
        ({"pedigree": {"ancestors": [{"hashes": [{"content": "00"}]}]}}, r"has the origin \['00'\]; it should be"),
        ({"pedigree": {}}, r"has the origin \[\]; it should be"),
        ({"pedigree": {"ancestors": [{}]}}, "is not a CycloneDX document: KeyError"),
    ],
)
def test_the_document_of_another_wheel_fails_the_gate(
    tmp_path: Path, base: Path, patches: Path, facts: dict[str, Any], words: str
) -> None:
    with pytest.raises(SbomGateError, match=words):
        judge(tmp_path, base, changed(of_merged(base, patches), **facts))


def test_another_format_fails_the_gate(tmp_path: Path, base: Path, patches: Path) -> None:
    other = of_merged(base, patches).replace(b'"specVersion": "1.6"', b'"specVersion": "1.4"')
    with pytest.raises(SbomGateError, match=r"has the format 1\.4; it should be 1\.6"):
        judge(tmp_path, base, other)


def test_an_ops_wheel_is_held_to_its_own_document(tmp_path: Path) -> None:
    tag = f"py3-none-{fakewheels.MANYLINUX}"
    wheel = fakewheels.fake_ops(tmp_path, tag=tag, library=b"stand-in")
    sbom.embed(wheel, ops())
    with opened_ops(wheel, target=target(), rules=fakewheels.RULES) as candidate:
        assert wheel_gates.sbom(candidate) == "CycloneDX 1.6, 4 components"
    other = replace(target(), build=2)
    with opened_ops(wheel, target=other, rules=fakewheels.RULES) as candidate, pytest.raises(SbomGateError):
        wheel_gates.sbom(candidate)


def test_reading_gives_the_document_inside(base: Path) -> None:
    sbom.embed(base, ops())
    with WheelReader(base) as wheel:
        assert sbom.read(wheel) == ops()
