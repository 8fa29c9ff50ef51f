"""Writes a build from source as a script for another machine: the same commands, each option with its reason."""

from __future__ import annotations

import base64
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tfwheel.config import eras
from tfwheel.source import bazel
from tfwheel.source.machine import GIB, MEMORY_OF_A_JOB, MEMORY_OF_BAZEL, REMOTE_JOBS
from tfwheel.source.order import DOCKERFILE
from tfwheel.system import digests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfwheel.source.order import Remote, SourceOrder

HEAD = """\
#!/usr/bin/env bash
# Builds {what} from source, in hours.
# Printed by `nox -s build-source -- {target} --dry-run`. It needs docker or podman, git, {job} GiB of memory
# a job, and about {disk} GiB of disk (a guess), most of it where the engine keeps volumes. What it takes can be set:
#   ENGINE=podman JOBS=16 WORK=/big/disk bash THIS_FILE
# A second run goes on where the first one stopped. The wheel comes to $work/wheels; on the machine of the factory,
#   nox -s build-source -- {target} --wheel FILE
# adds the custom ops to it, checks and tests it.
set -euo pipefail

engine=${{ENGINE:-docker}}
work=${{WORK:-$PWD/{target}}}
case $work in *[,\\"]*) echo "no container can see a path with a comma or a quote: $work" >&2; exit 1 ;; esac
{jobs}image={image}
"""
JOBS_HERE = """\
cores=$(nproc)
memory=$(awk '/^MemTotal:/ {{ print int($2 / 1048576) }}' /proc/meminfo)
fit=$(( (memory - {bazel}) / {job} ))      # {job} GiB a job, and {bazel} for Bazel
jobs=${{JOBS:-$(( fit < 1 ? 1 : fit < cores ? fit : cores ))}}
"""
JOBS_THERE = """\
jobs=${{JOBS:-{remote}}}                       # the executor has the cores
"""
IMAGE = """\

# --- the environment: build_config/containers/{file}
"$engine" build --tag "$image" - <<'DOCKERFILE'
{text}
DOCKERFILE
"""
TREE = """\

# --- the tree: one commit, patched
tree=$work/tree-{key}                      # another commit or patch is another folder
if [ ! -e "$tree.done" ]; then
    rm -rf "$tree"
    mkdir -p "$tree"
{get}{patches}\
    touch "$tree.done"
fi
"""
COMMIT = """\
    git -C "$tree" init --quiet
    git -C "$tree" remote add origin {url}
    git -C "$tree" fetch --quiet --depth 1 origin {commit}
    git -C "$tree" -c advice.detachedHead=false checkout --quiet {commit}
    git -C "$tree" submodule --quiet update --init --recursive --depth 1
"""
FOLDER = """\
    cp -a {path}/. "$tree"                 # of the machine on which this was printed
"""
# git applies a patch whose lines have moved, which the factory does not.
PATCH = """\
    # {name}
    base64 --decode <<'PATCH' | git -C "$tree" apply --unidiff-zero --whitespace=nowarn -
{text}
PATCH
"""
CHECKS = """\

# --- what the options below were written for
bazel=$(cat "$tree/.bazelversion")
test "$bazel" = {bazel} || {{ echo "the tree asks for Bazel $bazel, and not {bazel}" >&2; exit 1; }}
test -e "$tree/requirements_lock_{python}.txt" || {{ echo "the tree has no lock for this Python" >&2; exit 1; }}
"""
RUN = """\

# --- the build: Bazel in a container, its caches in volumes
for volume in {volumes}; do
    "$engine" volume inspect "$volume" >/dev/null 2>&1 || "$engine" volume create "$volume" >/dev/null
done
options=(
    {mounts}
)
container=$("$engine" create "${{options[@]}}" --workdir={inside} \\
    --mount=type=bind,source="$tree",destination={inside},readonly "$image" "${{build[@]}}")
trap '"$engine" rm --force "$container" >/dev/null' EXIT
trap 'exit 130' INT TERM                   # an engine would hand them to bazelisk, which Bazel does not hear of
"$engine" start --attach "$container" &
wait "$!"

# --- the wheel
mkdir -p "$work/wheels"
"$engine" run --rm "${{options[@]}}" "$image" \\
    tar --dereference --directory={out}-bin/{wheels} --create . |
    tar --directory="$work/wheels" --extract --no-same-owner
ls -l "$work/wheels"
"""


def text(order: SourceOrder, *, remote: Remote | None = None) -> str:
    """Return the script, in the syntax of bash."""
    build = order.bazel(Path("tree"), remote=remote)
    line = order.target.line
    what = f"TensorFlow {order.target.tensorflow} for CPython {order.target.python}"
    jobs = JOBS_THERE if remote and remote.executor else JOBS_HERE
    head = HEAD.format(
        what=f"{what} and {f'CUDA {line.cuda}' if line.cuda else 'the CPU'}",
        target=order.target.id,
        disk=order.era.disk,
        job=MEMORY_OF_A_JOB // GIB,
        jobs=jobs.format(bazel=MEMORY_OF_BAZEL // GIB, job=MEMORY_OF_A_JOB // GIB, remote=REMOTE_JOBS),
        image=shlex.quote(order.image),
    )
    mounts = [f"--mount=type=volume,source={name},destination={at}" for at, name in build.volumes.items()]
    run = RUN.format(
        volumes=" ".join(map(shlex.quote, build.volumes.values())),
        mounts="\n    ".join([*map(_word, mounts), f"--env=HOME={bazel.OUT}", "--security-opt=label=disable"]),
        inside=bazel.TREE,
        out=bazel.LINKS,
        wheels=order.era.wheels,
    )
    image = IMAGE.format(file=DOCKERFILE.name, text=DOCKERFILE.read_text(encoding="utf-8").rstrip("\n"))
    python = order.target.python.replace(".", "_")
    checks = CHECKS.format(bazel=shlex.quote(order.era.bazel), python=python)
    return "".join([head, image, _tree(order), checks, *_array(order, build.argv()), run])


def _tree(order: SourceOrder) -> str:
    entry = order.entry
    get = COMMIT.format(url=shlex.quote(entry.git or ""), commit=entry.commit)
    if entry.path:
        get = FOLDER.format(path=shlex.quote(str(order.folder)))
    patches = "".join(
        PATCH.format(
            name=re.sub(r"[^\w.-]", "?", path.name, flags=re.ASCII),
            text=base64.encodebytes(path.read_bytes()).decode().rstrip("\n"),
        )
        for path in order.patches
    )
    return TREE.format(key=digests.of_facts(**order.tree_identity)[:12], get=get, patches=patches)


def _array(order: SourceOrder, argv: list[str]) -> Iterator[str]:
    """Yield the lines of the array `build`: the command line, with the reason of each option."""
    known = {option.flag: option for option in order.options}
    yield "\n# Known to be needed in this tree by its CUDA, and applied by a patch alone:\n" if order.fixes else ""
    for fix in order.fixes:
        yield f"#   {fix.what}\n#     {', '.join(fix.files)}\n#     {eras.whole(order.era, fix.source)}\n"
    yield "\nbuild=(\n"
    for word in argv:
        if option := known.get(word):
            yield f"    # {option.reason}\n    #   ({option.source})\n"
        elif reason := bazel.REASONS.get(word.partition("=")[0]):
            yield f"    # {reason}\n"
        yield f"    {_word(word)}\n"
        if word == "build":
            yield f'    # {bazel.REASONS["--jobs"]}\n    "--jobs=$jobs"\n'
    yield ")\n"


def _word(word: str) -> str:
    """Return a word as an array of bash has it: a comma in it would look like a separator (SC2054)."""
    return f"'{word}'" if "," in word and shlex.quote(word) == word else shlex.quote(word)
