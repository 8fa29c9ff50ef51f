"""All gates, with real libraries, real twine, and auditwheel's opinion beside them."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakewheels import (
    CPU,
    FRAMEWORK,
    LINE,
    METADATA,
    OP_LIBRARY,
    RULES,
    Declared,
    compile_library,
    fake_final,
    fake_ops,
    framework,
    locked,
    members_of,
    op_library,
    target,
)
from tfwheel.build.repair import repair
from tfwheel.checks.errors import (
    ArchGateError,
    MetadataGateError,
    PlatformGateError,
    RunpathGateError,
    SymbolsGateError,
)
from tfwheel.checks.wheel_gates import run_gates, run_ops_gates
from tfwheel.system.processes import run
from tfwheel.wheel import sbom

if TYPE_CHECKING:
    from pathlib import Path

CPU_VERSION = "2.20.0+cpu.1"
ORDER = ["contents", "runpath", "graft", "platform", "symbols", "arch", "promise", "size", "metadata", "sbom"]


@pytest.fixture(scope="module")
def repaired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ops wheel as auditwheel leaves it, with its SBOM."""
    made = fake_ops(tmp_path_factory.mktemp("ops"))
    wheel = repair(made, tmp_path_factory.mktemp("repaired"), RULES, epoch=0, log=None)[0]
    sbom.embed(wheel, sbom.of_ops(project="tfwheel-ops", target=target(LINE), ops=["op"], tools={}))
    return wheel


def merged(folder: Path, base: Path, changes: dict[str, bytes]) -> Declared:
    """A merged wheel with everything declared."""
    theirs = members_of(base)
    return Declared(
        wheel=fake_final(folder, base, changes, version=CPU_VERSION),
        added=tuple(name for name in changes if name not in theirs),
        replaced=tuple(name for name in changes if name in theirs),
    )


def ops_members(wheel: Path) -> dict[str, bytes]:
    """The package of an ops wheel."""
    return {
        name: data for name, data in members_of(wheel).items() if name.startswith("tfwheel_ops/") and name[-1] != "/"
    }


def test_a_merged_wheel_passes_every_gate_and_auditwheel_agrees_with_its_tag(
    fake_base: Path, repaired: Path, tmp_path: Path
) -> None:
    bill = sbom.of_merged(
        project="tensorflow", target=target(CPU), locked=locked(fake_base), patches=tmp_path / "none", ops=None
    )
    info = f"tensorflow-{CPU_VERSION}.dist-info"
    made = merged(tmp_path, fake_base, ops_members(repaired) | {f"{info}/{sbom.MEMBER}": bill})
    found = run_gates(made, base=fake_base, locked=locked(fake_base), target=target(CPU), rules=RULES).findings
    assert list(found) == ORDER
    assert found["contents"] == "11 files: 5 as in the official wheel, 6 declared"
    assert found["runpath"] == "2 libraries of TensorFlow as locked"
    assert found["metadata"] == f"tensorflow {CPU_VERSION}, 1 requirements, twine check --strict passed"
    assert found["symbols"] == "2 symbols of 1 libraries of its own, each in what they link"
    assert not any("\n" in finding for finding in found.values())
    output = run([sys.executable, "-m", "auditwheel", "show", "--json", made.wheel])
    shown = json.loads(output[output.index("{") : output.rindex("}") + 1])
    assert shown["overall_tag"] == found["platform"].split(",")[0]


def test_a_repaired_ops_wheel_passes_every_gate(fake_base: Path, repaired: Path) -> None:
    with pytest.raises(ArchGateError, match=f"no GPU code in {OP_LIBRARY}"):
        run_ops_gates(repaired, base=fake_base, target=target(LINE), rules=RULES)
    found = run_ops_gates(repaired, base=fake_base, target=target(replace(CPU, label="cu125")), rules=RULES).findings
    assert list(found) == ORDER
    assert found["contents"].endswith("0 as in the official wheel, 6 declared")


def test_an_ops_wheel_of_another_version_fails_the_metadata_gate(fake_base: Path, repaired: Path) -> None:
    with pytest.raises(MetadataGateError, match=r"disagree on the version: 2.20.0"):
        run_ops_gates(repaired, base=fake_base, target=target(CPU), rules=RULES)


def test_a_library_that_cannot_be_loaded_passes_repair_and_fails_the_symbols_gate(
    fake_base: Path, tmp_path: Path
) -> None:
    broken = op_library(tmp_path / "op", "int nobody_has_this(void);\nint more(void) { return nobody_has_this(); }\n")
    unrepaired = fake_ops(tmp_path / "ops", library=broken.read_bytes())
    wheel = repair(unrepaired, tmp_path / "repaired", RULES, epoch=0, log=None)[0]
    words = (
        r"`tfwheel_ops/_ops.so` does not load beside TensorFlow 2.20.0(.|\n)*`nobody_has_this`: no library here has it"
    )
    with pytest.raises(SymbolsGateError, match=words):
        run_ops_gates(wheel, base=fake_base, target=target(), rules=RULES)
    made = merged(tmp_path, fake_base, ops_members(wheel))
    with pytest.raises(SymbolsGateError, match=words):
        run_gates(made, base=fake_base, locked=locked(fake_base), target=target(CPU), rules=RULES)


def test_a_library_whose_runpath_a_tool_rewrote_fails_the_runpath_gate(fake_base: Path, tmp_path: Path) -> None:
    library = framework(tmp_path, runpath="$ORIGIN/../tensorflow.libs").read_bytes()
    made = merged(tmp_path, fake_base, {FRAMEWORK: library})
    with pytest.raises(RunpathGateError, match=r"has the RUNPATH \$ORIGIN/../tensorflow.libs; locked is"):
        run_gates(made, base=fake_base, locked=locked(fake_base), target=target(CPU), rules=RULES)


def test_a_library_that_needs_a_newer_glibc_than_the_tag_fails_the_platform_gate(
    fake_base: Path, tmp_path: Path
) -> None:
    # A libc that offers a newer symbol, so that the test needs no newer distribution.
    script = tmp_path / "versions"
    script.write_text("GLIBC_2.34 { newer; };\n")
    flags = [f"-Wl,--version-script={script}", "-Wl,-soname,libc.so.6", "-nostdlib"]
    compile_library(tmp_path / "libnewer.so", "int newer(void) { return 1; }", *flags)
    code = "int newer(void); int op(void) { return newer(); }"
    library = compile_library(tmp_path / "op.so", code, f"-L{tmp_path}", "-lnewer")
    made = merged(tmp_path, fake_base, {OP_LIBRARY: library.read_bytes()})
    with pytest.raises(PlatformGateError, match=r"needs manylinux_2_34_x86_64 for .*GLIBC_2.34"):
        run_gates(made, base=fake_base, locked=locked(fake_base), target=target(CPU), rules=RULES)


def test_what_twine_refuses_fails_the_metadata_gate(fake_base: Path, tmp_path: Path) -> None:
    text = METADATA.format(name="tensorflow", version=CPU_VERSION, extra="").replace("text/markdown", "text/x-rst")
    broken = text.replace("A stand-in.\n", "", 1).rstrip() + "\n\n``unfinished\n"
    made = merged(tmp_path, fake_base, {f"tensorflow-{CPU_VERSION}.dist-info/METADATA": broken.encode()})
    with pytest.raises(MetadataGateError, match=r"twine rejects its metadata\n(.|\n)*Inline literal start-string"):
        run_gates(made, base=fake_base, locked=locked(fake_base), target=target(CPU), rules=RULES)
