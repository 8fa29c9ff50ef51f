"""TensorFlow from source the whole way: a patched commit, a real Bazel in a container, ops, gates, smoke test."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import bazelworld
import fakewheels
import ledgers
import opsworld
from tfwheel.build import pipeline, recheck, source_base, source_build
from tfwheel.build.errors import SourceWheelError
from tfwheel.build.source_build import SourceOptions
from tfwheel.config import build_config, inputs, plan
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import ROOT
from tfwheel.index import ledger
from tfwheel.index.errors import NameTakenError
from tfwheel.source import script, trees
from tfwheel.source.errors import BuildStoppedError, CheckoutError, SourceCompileError, TooSmallError
from tfwheel.system import containers
from tfwheel.system.errors import ContainerImageError
from tfwheel.wheel import provenance, records
from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.paths import Paths
    from tfwheel.system.containers import ContainerHost

PATCH = """\
--- a/tensorflow/framework.c
+++ b/tensorflow/framework.c
@@ -1,1 +1,1 @@
-int tf_version(void) { return RELEASED ? 0 : -1; }
+int tf_version(void) { return RELEASED ? 220 : -1; }
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A configuration whose tree is a commit of a repository, and a patch."""
    tree = bazelworld.make_tree(tmp_path / "repository", version=0)
    commit = opsworld.committed(tree)
    bazelworld.write(tmp_path / "settings", {"tree-patches/version.patch": PATCH})
    source = f'git = "{tree.as_uri()}"\ncommit = "{commit}"\npatches = "tree-patches"'
    return bazelworld.make_settings(tmp_path, source)


def options(place: ContainerHost, **others: object) -> SourceOptions:
    return SourceOptions(engine=place.engine, image=place.image, **others)  # type: ignore[arg-type] # its own fields


def test_a_patched_commit_becomes_a_wheel_in_the_index(
    place: ContainerHost, volumes: str, paths: Paths, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    record = pipeline.build(bazelworld.TARGET, source=options(place), paths=paths)
    assert record.file.startswith(f"tensorflow-2.99.0+src.1-{bazelworld.TAG}-{bazelworld.TAG}-manylinux")
    assert record.passed_smoke
    assert record.base
    assert record.base["file"].startswith(f"tensorflow-2.99.0-{bazelworld.TAG}-{bazelworld.TAG}-manylinux")
    wheel = next((paths.wheels / bazelworld.TARGET).glob("*.whl"))
    members = fakewheels.members_of(wheel)
    source = record.base["source"]
    where = rf"with patches sha256:[0-9a-f]{{64}}, built in {re.escape(place.image)}"
    assert re.fullmatch(rf"git\+file://\S+@[0-9a-f]{{40}} {where}", source)
    notice = next(data for name, data in members.items() if name.endswith("licenses/NOTICE")).decode()
    assert f", built from {source}\n" in notice
    bill = json.loads(next(data for name, data in members.items() if name.endswith(".cdx.json")))
    (ancestor,) = bill["metadata"]["component"]["pedigree"]["ancestors"]
    assert ancestor["purl"].startswith("pkg:generic/tensorflow@2.99.0?vcs_url=git%2Bfile")
    assert "pkg:generic" in provenance.statement(record).decode()
    said = capfd.readouterr().err
    assert re.search(r"\d+ actions ran, 0 came from a cache", said)
    assert (paths.site / "src" / "tensorflow" / "index.html").is_file()
    staged = tmp_path / "staged"
    staged.mkdir()
    for file in (
        one for folder in paths.wheels.iterdir() for one in folder.iterdir() if one.suffix in {".whl", ".json"}
    ):
        shutil.copyfile(file, staged / file.name)
    assert record.file in recheck.recheck(staged, "2.99.0+src.1", paths)
    again = pipeline.build(bazelworld.TARGET, source=options(place), paths=paths)
    assert again.sha256 == record.sha256
    assert "from source is in the cache" in capfd.readouterr().err
    with pytest.raises(ContainerImageError, match="no image `localhost/tfwheel-none`"):  # another image is another base
        pipeline.build(
            bazelworld.TARGET, source=SourceOptions(engine=place.engine, image="localhost/tfwheel-none"), paths=paths
        )
    assert (
        pipeline.build(bazelworld.TARGET, paths=paths).sha256 == record.sha256
    )  # the image of this repository was not asked for

    # Another patch is another tree: what it does not touch comes from the caches of the first build.
    patch = paths.settings / "tree-patches/version.patch"
    patch.write_text(PATCH.replace("-int tf", "-int odd_tf"))
    with pytest.raises(PatchError) as caught:
        pipeline.build(bazelworld.TARGET, source=options(place), paths=paths)
    assert "against the tree of that commit or folder" in caught.value.remedy
    patch.write_text(PATCH.replace("220 :", "nothing :"))
    with pytest.raises(SourceCompileError, match=r"framework\.c:1:\d+: error: .nothing. undeclared"):
        pipeline.build(bazelworld.TARGET, source=options(place), paths=paths)
    assert records.load(records.path_for(next((paths.wheels / bazelworld.TARGET).glob("*.whl")))) == record
    assert not [
        one for one in bazelworld.volumes(place.engine, volumes) if not one.endswith(("out", "disk", "fetched"))
    ]


def test_the_printed_script_builds_that_wheel_and_the_factory_takes_it(
    place: ContainerHost, volumes: str, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM {place.image}\n")
    monkeypatch.setattr(script, "DOCKERFILE", dockerfile)
    wanted = bazelworld.order_of(paths)
    monkeypatch.setattr(type(wanted), "image", f"localhost/{volumes}")
    program = tmp_path / "build.sh"
    program.write_text(script.text(wanted))
    env = {**source_build.machine.os.environ, "ENGINE": place.engine, "WORK": str(tmp_path / "work")}
    begun = subprocess.Popen(["/bin/bash", program], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while begun.poll() is None and not containers.ask(
        [place.engine, "ps", "--quiet", "--filter", f"volume={volumes}-disk"]
    ):
        time.sleep(0.2)
    begun.send_signal(signal.SIGINT)  # Ctrl-C, with bazelisk in Bazel's place or not
    assert begun.wait(60) == 130
    assert not containers.ask([place.engine, "ps", "--all", "--quiet", "--filter", f"volume={volumes}-disk"])
    done = subprocess.run(["/bin/bash", program], env=env, capture_output=True, text=True, check=False)
    subprocess.run([place.engine, "rmi", "--force", f"localhost/{volumes}"], check=False, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (tmp_path / "work/wheels").glob("*.whl")
    assert wheel.name == f"tensorflow-2.99.0-{bazelworld.TAG}-{bazelworld.TAG}-linux_x86_64.whl"
    record = pipeline.build(bazelworld.TARGET, source=SourceOptions(wheel=wheel), paths=paths)
    assert record.passed_smoke
    assert record.base
    assert record.base["source"].endswith(", built elsewhere")
    with pytest.raises(
        SourceWheelError, match=r"there is no file .*other\.whl"
    ):  # one that is named is never passed over
        source_base.require(bazelworld.target_of(paths), SourceOptions(wheel=tmp_path / "other.whl"), paths)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("tensorflow/tf_version.bzl", 'TF_VERSION = "2.98.7"\n', r"is TensorFlow 2\.98\.7"),
        (".bazelversion", "7.4.1\n", r"asks for Bazel 7\.4\.1, and its era for 7\.7\.1"),
        (".bazelrc", "build:release_cpu --copt=-O2\n", r"has no `release_cpu_linux` in its \.bazelrc"),
        (f"requirements_lock_{bazelworld.PYTHON.replace('.', '_')}.txt", None, r"has no requirements_lock_3_\d+\.txt"),
    ],
)
def test_a_tree_of_another_era_is_refused_before_bazel_starts(
    tmp_path: Path, file: str, text: str | None, words: str
) -> None:
    tree = bazelworld.make_tree(tmp_path / "tree")
    if text is None:
        (tree / file).unlink()
    else:
        (tree / file).write_text(text)
    paths = bazelworld.make_settings(tmp_path, 'path = "../tree"')
    with pytest.raises(CheckoutError, match=words):
        trees.bring(bazelworld.order_of(paths), paths.cache, tmp_path / "work")


def test_a_folder_is_copied_and_an_edit_of_it_is_another_tree(tmp_path: Path) -> None:
    tree = bazelworld.make_tree(tmp_path / "tree")
    (tree / ".venv").mkdir()
    paths = bazelworld.make_settings(tmp_path, 'path = "../tree"')
    wanted = bazelworld.order_of(paths)
    copy = trees.bring(wanted, paths.cache, tmp_path / "work")
    assert (copy / "tensorflow/op.h").is_file()
    assert not (copy / ".venv").exists()
    (tree / "tensorflow/op.h").write_text("#define FROM_THE_HEADER 2\n")
    assert bazelworld.order_of(paths).tree_identity != wanted.tree_identity
    with pytest.raises(CheckoutError, match="changed while it was copied"):
        trees.bring(wanted, paths.cache, tmp_path / "again")
    assert inputs.digest(build_config.load(paths.settings), wanted.target)


def test_another_tree_patch_or_option_is_another_input_of_what_is_published(tmp_path: Path) -> None:
    tree = bazelworld.make_tree(tmp_path / "tree")
    paths = bazelworld.make_settings(tmp_path, 'path = "../tree"\npatches = "mine"')
    found = []
    bazelworld.write(paths.settings, {"mine/a.patch": "one"})
    changes = [lambda: None, lambda: bazelworld.write(tree, {"x": ""})]
    changes += [lambda: bazelworld.write(paths.settings, {"mine/a.patch": "two"})]
    era = paths.settings / "eras/2.99.toml"
    changes += [lambda: era.write_text(era.read_text().replace("WHEEL_NAME=tensorflow", "WHEEL_NAME=tensorflows"))]
    for change in changes:
        change()
        settings = build_config.load(paths.settings)
        found.append(inputs.digest(settings, plan.targets(settings)[0]))
    assert len(set(found)) == len(changes)


def test_a_machine_that_is_too_small_is_refused_before_anything_is_fetched_and_not_when_a_build_goes_on(
    place: ContainerHost, volumes: str, paths: Paths
) -> None:
    era = paths.settings / "eras/2.99.toml"
    era.write_text(era.read_text().replace("disk = 1\n", "disk = 900000\n"))
    with pytest.raises(TooSmallError, match=r"needs 900000 GiB of free disk, and there are \d+"):
        source_base.require(bazelworld.target_of(paths), options(place), paths)
    assert not (paths.cache / "source-trees").exists()
    for name in (
        bazelworld.order_of(paths).bazel(paths.cache).volumes.values()
    ):  # it has a part of what is needed already
        containers.ask([place.engine, "volume", "create", name])
    source_base.require(bazelworld.target_of(paths), options(place), paths)
    assert volumes in bazelworld.order_of(paths).bazel(paths.cache).name


def test_a_version_that_is_published_from_another_tree_is_refused_before_the_hours(paths: Paths) -> None:
    config = build_config.load(paths.settings)
    version, file = "2.99.0+src.1", f"tensorflow-2.99.0+src.1-{bazelworld.TAG}-{bazelworld.TAG}-linux_x86_64.whl"
    address = f"https://example.org/releases/download/v1/{file.replace('+', '%2B')}"
    now = inputs.digest(config, bazelworld.target_of(paths))
    ledger.append(paths.published, [ledgers.entry(1, version=version, file=file, url=address, line="src", inputs=now)])
    (paths.settings / "tree-patches/version.patch").write_text(PATCH.replace("220 :", "221 :"))
    with pytest.raises(NameTakenError, match=r"2\.99\.0\+src\.1 is published from other"):  # no engine was asked for
        pipeline.build(bazelworld.TARGET, source=SourceOptions(image="localhost/tfwheel-none"), paths=paths)
    assert (paths.dist / "reports/summary.md").is_file()


def test_a_version_that_nobody_knows_how_to_build_is_refused(paths: Paths) -> None:
    (paths.settings / "eras/2.99.toml").unlink()
    with pytest.raises(ConfigError, match=r"not known how TensorFlow 2\.99 is built from source"):
        source_base.require(bazelworld.target_of(paths), SourceOptions(), paths)


def test_a_part_of_a_chain_of_jobs_says_whether_another_must_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    stopped = BuildStoppedError("`bazel build //x` was stopped; 3 of 9 actions were done")
    with source_build.in_parts(to_be_told=True):
        raise stopped
    with source_build.in_parts(to_be_told=True):
        pass
    assert output.read_text().split() == ["again=true", "again=false"]
    with pytest.raises(BuildStoppedError), source_build.in_parts(to_be_told=False):
        raise stopped


def test_a_shell_has_the_tree_and_the_caches(place: ContainerHost, volumes: str, paths: Paths) -> None:
    code = "from pathlib import Path; from tfwheel.build import source_build; from tfwheel.source import order\n"
    code += "from tfwheel.build.source_build import SourceOptions; from tfwheel.config.paths import Paths\n"
    code += f"order.VOLUMES = {volumes!r}\n"
    code += f"paths = Paths(settings=Path({str(paths.settings)!r}), dist=Path({str(paths.dist)!r}), "
    code += f"cache=Path({str(paths.cache)!r}))\n"
    code += f"options = SourceOptions(engine={place.engine!r}, image={place.image!r})\n"
    code += f"source_build.enter({bazelworld.TARGET!r}, options, paths)\n"
    env = {**source_build.machine.os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    ask = "grep -c RELEASED tensorflow/framework.c; touch /bazel/disk/mine && echo $HOME\n"
    done = subprocess.run([sys.executable, "-c", code], env=env, input=ask, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["1", "/bazel/out"], done.stderr
    assert "to build here: bazel --output_base=/bazel/out/base build" in done.stderr
    assert bazelworld.volumes(place.engine, volumes)
    containers.remove_volumes_of(place.engine, volumes)
    assert not bazelworld.volumes(place.engine, volumes)
