"""A tree that imitates TensorFlow's contract with Bazel, an image with a real Bazel, and a configuration for both.

The contract: a target, a config, variables of repository rules, a wheel in a folder of its own with a library in it.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import engines
import fakewheels
import needs
from tfwheel.config import build_config, plan
from tfwheel.config.paths import CONFIG_DIR, ROOT, Paths
from tfwheel.source import bazel
from tfwheel.source.order import SourceOrder
from tfwheel.system import containers
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.config.targets import Target
    from tfwheel.source.bazel import BazelBuild
    from tfwheel.source.build_events import BuildReport
    from tfwheel.system.containers import ContainerHost

DATA = Path(__file__).parents[1] / "data"
PYTHON = "{}.{}".format(*sys.version_info)
TAG = f"cp{PYTHON.replace('.', '')}"
TARGET = f"tf2.99.0-{TAG}-src"
BAZEL = "7.7.1"  # of Debian
# Debian has the rules that Bazel would fetch for a workspace of the older kind, which TensorFlow's is.
RULES = {
    "bazel_features": "tools/features",
    "bazel_skylib": "tools/skylib",
    "platforms": "platforms/platforms",
    "rules_cc": "rules/cc",
    "rules_java": "rules/java",
    "rules_license": "rules/license",
    "rules_proto": "rules/proto",
    "rules_python": "rules/python",
}
BAZELRC = (
    "common --noenable_bzlmod --enable_workspace\n"
    "common --spawn_strategy=standalone\n"  # TensorFlow has it: argonne-lcf/conda_install_scripts@87c50c5, 2.21.0
    + "".join(f"common --override_repository={name}=/usr/share/bazel/{path}\n" for name, path in RULES.items())
    + "build:release_cpu_linux --copt=-DRELEASED=1\n"
)
WORKSPACE = """
workspace(name = "org_tensorflow")
load("//:facts.bzl", "wheel_facts")
wheel_facts(name = "wheel_facts")
"""
FACTS = """
def _impl(ctx):
    ctx.file("BUILD", "")
    python, name = ctx.os.environ["HERMETIC_PYTHON_VERSION"], ctx.os.environ["WHEEL_NAME"]
    ctx.file("facts.bzl", "PYTHON = %r\\nNAME = %r\\n" % (python.replace(".", ""), name))

wheel_facts = repository_rule(implementation = _impl, environ = ["HERMETIC_PYTHON_VERSION", "WHEEL_NAME"])
"""
PARTS, SLOW = 4, 24
LIBRARY = f"""
cc_binary(
    name = "libtensorflow_framework.so.2",
    srcs = ["framework.c"] + ["part%d.c" % n for n in range({PARTS})],
    copts = ["-Itensorflow/include"],
    linkopts = [
        "-Wl,-soname,libtensorflow_framework.so.2",
        "-Wl,--enable-new-dtags,-rpath,$$ORIGIN/../nvidia/cuda_runtime/lib",
    ],
    linkshared = True,
    visibility = ["//visibility:public"],
)
exports_files(["__init__.py", "version.py", "op.h"])
[genrule(
    name = "slow%d" % n,
    srcs = ["round.txt"],
    outs = ["slow%d.txt" % n],
    cmd = "sleep 1; echo %d $$(cat $<) > $@" % n,
) for n in range({SLOW})]
filegroup(name = "slow", srcs = [":slow%d" % n for n in range({SLOW})])
"""
WHEEL = """
load("@wheel_facts//:facts.bzl", "NAME", "PYTHON")

FILES = ["//tensorflow:" + name for name in ["libtensorflow_framework.so.2", "__init__.py", "version.py", "op.h"]]

genrule(
    name = "wheel",
    srcs = FILES + ["make_wheel.py"],
    outs = ["wheel_house/%s-2.99.0-cp%s-cp%s-linux_x86_64.whl" % (NAME, PYTHON, PYTHON)],
    cmd = "python3 $(location make_wheel.py) $@ " + " ".join(["$(location %s)" % name for name in FILES]),
)
"""
MAKE_WHEEL = '''
import base64, hashlib, sys, zipfile
from pathlib import Path

out, *files = map(Path, sys.argv[1:])
tag = "-".join(out.stem.split("-")[2:])
info = "tensorflow-2.99.0.dist-info"
folders = {".h": "tensorflow/include/tensorflow/core/"}
members = {folders.get(one.suffix, "tensorflow/") + one.name: one.read_bytes() for one in files}
members[f"{info}/METADATA"] = b"""METADATA_TEXT"""
head = "Wheel-Version: 1.0\\nGenerator: imitation\\nRoot-Is-Purelib: false\\n"
members[f"{info}/WHEEL"] = f"{head}Tag: {tag}\\n".encode()
rows = ""
for name, data in members.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    rows += f"{name},sha256={digest},{len(data)}\\n"
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
    for name, data in {**members, f"{info}/RECORD": f"{rows}{info}/RECORD,,\\n".encode()}.items():
        archive.writestr(zipfile.ZipInfo(name), data)
'''
ERA = f"""\
tensorflow = "2.99"
bazel = "{BAZEL}"
pythons = ["{PYTHON}"]
target = "//tensorflow/tools/pip_package:wheel"
wheels = "tensorflow/tools/pip_package/wheel_house"
actions = 20
disk = 1
trees = {{}}

[[option]]
flag = "--repo_env=HERMETIC_PYTHON_VERSION={{python}}"
reason = "the Python of the wheel"
source = "this test's own tree"

[[option]]
flag = "--repo_env=WHEEL_NAME=tensorflow"
reason = "the name of the wheel"
source = "this test's own tree"

[[option]]
flag = "--config=release_cpu_linux"
reason = "as wheels that are released"
source = "this test's own tree"
when = "cpu"
"""
TARGETS = f"""\
[[release]]
tensorflow = "2.99.0"
build = 1
pythons = ["{PYTHON}"]
lines = ["src"]
"""
LINES = '[src]\nlabel = "src"\nbase = "tensorflow"\nbuilder = "source"\n'
REPAIR = 'ceiling = "manylinux_2_40_x86_64"\nmax_bytes = 10_000_000\nexclude = ["libtensorflow_framework.so.2"]\n'
IMAGE = f"localhost/tfwheel-bazel-test-{os.getpid()}"
OPTIONS = [f"--repo_env=HERMETIC_PYTHON_VERSION={PYTHON}", "--repo_env=WHEEL_NAME=tensorflow"]
OPTIONS += ["--config=release_cpu_linux"]
WHEEL_FILE = f"tensorflow/tools/pip_package/wheel_house/tensorflow-2.99.0-{TAG}-{TAG}-linux_x86_64.whl"


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files, by their paths in a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make_tree(folder: Path, *, version: int = 220) -> Path:
    """Make the tree; ``version`` is what its library returns."""
    stubs = "".join(f"void {name}(void) {{}}\n" for name in fakewheels.CUDA_STUBS)
    code = (DATA / "fake_tensorflow.py").read_text().replace("2.20.0", "2.99.0")
    metadata = fakewheels.METADATA.format(name="tensorflow", version="2.99.0", extra="Requires-Dist: numpy\n")
    files = {
        "WORKSPACE": WORKSPACE,
        "BUILD": "",
        "facts.bzl": FACTS,
        ".bazelrc": BAZELRC,
        ".bazelversion": f"{BAZEL}\n",
        f"requirements_lock_{PYTHON.replace('.', '_')}.txt": "",
        "tensorflow/tf_version.bzl": 'TF_VERSION = "2.99.0"\n',
        "tensorflow/BUILD": LIBRARY,
        "tensorflow/framework.c": f"int tf_version(void) {{ return RELEASED ? {version} : -1; }}\n{stubs}",
        "tensorflow/__init__.py": f"{code}\nfrom tensorflow import version\n",
        "tensorflow/version.py": 'BUILD_LABEL = "source"\n',
        "tensorflow/round.txt": "0\n",
        "tensorflow/op.h": "#define FROM_THE_HEADER 1\n",
        "tensorflow/tools/pip_package/BUILD": WHEEL,
        "tensorflow/tools/pip_package/make_wheel.py": MAKE_WHEEL.replace("METADATA_TEXT", metadata),
        **{f"tensorflow/part{n}.c": f"int part{n}(void) {{ return {n}; }}\n" for n in range(PARTS)},
    }
    write(folder, files)
    return folder


def make_settings(folder: Path, source: str) -> Paths:
    """Make a configuration whose one target is built from the tree that ``source`` names in TOML."""
    settings = folder / "settings"
    files = {"targets.toml": TARGETS, "lines.toml": LINES, "repair.toml": REPAIR, "eras/2.99.toml": ERA}
    files["sources.toml"] = f'[[source]]\ntensorflow = "2.99.0"\n{source}\n'
    write(settings, files)
    shutil.copytree(DATA / "fake_ops", settings / "ops")
    shutil.copytree(CONFIG_DIR / "ops" / "backend", settings / "ops" / "backend")
    return Paths(settings=settings, dist=folder / "dist", cache=folder / "cache")


def target_of(paths: Paths) -> Target:
    """The one target of such a configuration."""
    return plan.find(plan.targets(build_config.load(paths.settings)), TARGET)


def order_of(paths: Paths) -> SourceOrder:
    """What is to be built for it."""
    return SourceOrder.of(target_of(paths), paths.settings)


@contextmanager
def image() -> Iterator[ContainerHost]:
    """An image of a container engine that has a real Bazel; without an engine, or root, the test is skipped."""
    needs.programs("debootstrap")
    if os.geteuid() != 0:
        pytest.skip("only root can make an image from packages: run `sudo nox -s tests`")
    with engines.working() as engine:
        run([ROOT / "tests" / "container" / "bootstrap-bazel", IMAGE, engine])
        try:
            yield containers.find_place(engine, IMAGE)
        finally:
            containers.ask([engine, "rmi", "--force", IMAGE])


def built(build: BazelBuild, place: ContainerHost, folder: Path, **options: float) -> BuildReport:
    """Build, with the log beside the folder."""
    return bazel.build(build, place, folder=folder, log=folder.with_name("log"), **options)  # type: ignore[arg-type]


def volumes(engine: str, name: str) -> list[str]:
    """The volumes whose names begin so."""
    found = containers.ask([engine, "volume", "ls", "--quiet"]).split()
    return [one for one in found if one.startswith(name)]
