#!/usr/bin/env -S uv run --script

# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.10.16"]
# [tool.nox]
# script-venv-backend = "uv|virtualenv"
# ///

"""Sessions of the wheel factory: `nox -l` lists them, the matrix included; words after `--` are passed on."""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

from tfwheel.config.targets import combinations, session_of, target_id  # noqa: E402 -- not installed: its folder was put on the path above

nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

GROUPS = nox.project.load_toml("pyproject.toml")
LOCKS = ROOT / "build_config" / "locks"
APART = ["colab"]  # groups that must not agree with the others
PATIENCE_S = 60  # how long a program may take to end after Ctrl-C
FACTORY = ROOT / ".nox" / "factory"
BOOTSTRAPS = [f"tests/container/{name}" for name in ("bootstrap-bazel", "bootstrap-image")]
CHANGED = 63  # of the watch: Colab changed, and every wheel that fitted still does


def targets(session: str) -> dict[str, bool]:
    """Return the targets of a session, and whether each is in the default set; the scripts validate the file.

    For an unreadable targets.toml the result is one dummy target; building it reports what is wrong with the file.
    """
    try:
        table = tomllib.loads((ROOT / "build_config" / "targets.toml").read_text(encoding="utf-8"))
        return {
            target_id(release["tensorflow"], python, name): release.get("default", False)
            for release, python, name in combinations(table)
            if session_of(name) == session
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"unreadable": True}


def from_source(target: str) -> bool:
    """Return whether the line of a target builds TensorFlow itself, which takes hours."""
    try:
        lines = tomllib.loads((ROOT / "build_config" / "lines.toml").read_text(encoding="utf-8"))
        return bool(lines[target.rpartition("-")[2]].get("builder") == "source")
    except (OSError, ValueError, KeyError, AttributeError):
        return False


CU12, CU13, CPU = targets("build-cuda12"), targets("build-cuda13"), targets("build-cpu")


def install(session: nox.Session, group: str, *, renewing: bool = False) -> None:
    """Install the locked packages of a dependency group, by hash, again only when the lock changed.

    A lock that is not the one of pyproject.toml stops the session, unless the locks are being renewed.
    """
    lock = LOCKS / f"{group}.txt"
    text = lock.read_text(encoding="utf-8") if lock.exists() else ""
    if lock_head(group) not in text and not renewing:
        words = "run `nox -s update-locks`, and commit both files"
        session.error(f"{lock.relative_to(ROOT)} does not lock the group `{group}` as pyproject.toml has it: {words}")
    stamp = Path(session.virtualenv.location) / "installed.txt"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != text:
        session.install("--require-hashes", "--only-binary", ":all:", "--requirement", str(lock))
        stamp.write_text(text, encoding="utf-8")


def lock_head(group: str) -> str:
    """Return the first lines of a group's lock, which say what it was made from."""
    needs = "".join(f"# needs: {requirement}\n" for requirement in nox.project.dependency_groups(GROUPS, group))
    return f"# Written by `nox -s update-locks` from the group `{group}` of pyproject.toml.\n{needs}"


def resolve(session: nox.Session, groups: list[str], lock: Path, *words: str) -> None:
    """Resolve dependency groups for every Python of the factory and every platform; versions in ``lock`` are kept."""
    named = [word for group in groups for word in ("--group", f"{ROOT / 'pyproject.toml'}:{group}")]
    oldest = GROUPS["project"]["requires-python"].removeprefix(">=")
    options = ["--universal", "--python-version", oldest, "--only-binary", ":all:", "--generate-hashes"]
    quiet = ["--quiet", "--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links"]
    session.run("uv", "pip", "compile", *options, *quiet, *named, "--output-file", str(lock), *words)


def enter(session: nox.Session, door: str, *words: str, home: Path = FACTORY, fine: Sequence[int] = (0,)) -> None:
    """Run a program of scripts/ with the Python of an environment, by default that of the session `factory`.

    ``fine`` are the exit codes that are no failure. Ctrl-C reaches it, too: it ends its own programs and removes its
    temporary folders, for which nox must wait.
    """
    python = str(home / "bin" / "python")
    command = (python, f"scripts/{door}.py", *words)
    session.run(*command, external=True, interrupt_timeout=PATIENCE_S, success_codes=fine)


def build(session: nox.Session, target: str, *, default: bool) -> None:
    """Build one target, unless it is outside the default set and was neither named nor covered by `-- --all`."""
    if others := [word for word in session.posargs if not word.startswith("-")]:
        name = session.name.partition("(")[0]
        session.error(f'a target is named in the session, not after `--`: nox -s "{name}({others[0]})"')
    named = any(target in word for word in sys.argv)
    if from_source(target) and not named:
        session.skip(f"{target} is built from source, for hours: name it")
    if not (default or named or "--all" in session.posargs):
        session.skip(f"{target} is not in the default set: add `-- --all`, or name it")
    enter(session, "build_wheel", target, *(word for word in session.posargs if word != "--all"))


@nox.session(default=False)
def factory(session: nox.Session) -> None:
    """Set up the environment that the other sessions use."""
    install(session, "factory")


@nox.session(name="build-cuda12", venv_backend="none", requires=["factory"], default=False)
@nox.parametrize("target", list(CU12), ids=list(CU12))
def build_cuda12(session: nox.Session, target: str) -> None:
    """Build, gate, smoke-test and list TensorFlow for CUDA 12 (`-- --all`, `--force`, `--require-gpu`, `--trial`)."""
    build(session, target, default=CU12[target])


@nox.session(name="build-cuda13", venv_backend="none", requires=["factory"], default=False)
@nox.parametrize("target", list(CU13), ids=list(CU13))
def build_cuda13(session: nox.Session, target: str) -> None:
    """Build, gate, smoke-test and list TensorFlow for CUDA 13 (`-- --all`, `--force`, `--require-gpu`, `--trial`)."""
    build(session, target, default=CU13[target])


@nox.session(name="build-cpu", venv_backend="none", requires=["factory"], default=False)
@nox.parametrize("target", list(CPU), ids=list(CPU))
def build_cpu(session: nox.Session, target: str) -> None:
    """Build, gate, smoke-test and list TensorFlow for machines without a GPU (`-- --all`, `--force`, `--trial`)."""
    build(session, target, default=CPU[target])


@nox.session(name="build-ops-container", requires=["factory"], default=False)
def build_ops_container(session: nox.Session) -> None:
    """Build the ops wheel with cibuildwheel in a docker or podman container (`-- TARGET --image NAME`)."""
    install(session, "container")
    words = session.posargs or ["tf2.20.0-cp312-cu12"]
    enter(session, "build_ops_container", *words)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def images(session: nox.Session) -> None:
    """Build the container images of build_config/containers/ (`-- --engine podman`), or one (`-- source`)."""
    enter(session, "build_images", *session.posargs)


@nox.session(name="build-source", venv_backend="none", requires=["factory"], default=False)
def build_source(session: nox.Session) -> None:
    """Build TensorFlow itself with Bazel in a container, then its wheel (`-- TARGET`), or print how (`--dry-run`)."""
    enter(session, "build_source", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def shell(session: nox.Session) -> None:
    """Open a shell in the container in which a target is built from source, with its tree and caches (`-- TARGET`)."""
    enter(session, "open_shell", *session.posargs)


@nox.session(name="plan", venv_backend="none", requires=["factory"], default=False)
def plan_session(session: nox.Session) -> None:
    """Print the targets (`-- --json`, `--line LINE`, `--default`), or the CI jobs of an event (`-- --event push`)."""
    enter(session, "plan_matrix", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def toolchain(session: nox.Session) -> None:
    """Set up only the CUDA toolchain of a line, and print what was chosen and why (`-- cu12`)."""
    enter(session, "setup_toolchain", *(session.posargs or ["cu12"]))


@nox.session(venv_backend="none", requires=["factory"], default=False)
def smoke(session: nox.Session) -> None:
    """Smoke-test a finished wheel again, here or in a container (`-- TARGET --require-gpu`, `--container [IMAGE]`)."""
    enter(session, "smoke_test", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def companions(session: nox.Session) -> None:
    """Try tensorflow-text, tf-keras and others beside finished wheels (`-- TARGET ...`, by default all in dist/)."""
    enter(session, "try_companions", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def serve(session: nox.Session) -> None:
    """Serve dist/site/ on this machine and print the install commands (`-- --port 8000`)."""
    enter(session, "serve_index", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def locks(session: nox.Session) -> None:
    """Lock each finished wheel with its dependencies, by hash, into index/install/."""
    enter(session, "lock_wheels", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def publish(session: nox.Session) -> None:
    """Publish finished wheels: assets, ledger, pages, verified from outside (`-- --dry-run`, `-- --help`)."""
    enter(session, "publish_wheels", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def release(session: nox.Session) -> None:
    """Release a version on GitHub (`-- 2.20.0+cu125.3`), or rehearse the release here (`--dry-run`)."""
    enter(session, "release_wheels", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def propose(session: nox.Session) -> None:
    """Propose changed files as one pull request (`-- PATH ... --branch NAME --title TEXT`)."""
    enter(session, "propose_change", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def upload(session: nox.Session) -> None:
    """Upload finished wheels to a private index with twine (`-- --repository-url URL [WHEEL ...]`)."""
    enter(session, "upload_wheels", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def summary(session: nox.Session) -> None:
    """Write dist/reports/summary.md, a row for each wheel (`-- --from DIR --expect ID ...`)."""
    enter(session, "write_summary", *session.posargs)


@nox.session(name="verify-index", venv_backend="none", requires=["factory"], default=False)
def verify_index(session: nox.Session) -> None:
    """Check a published index (`-- --base-url URL`), a copy (`--offline DIR`) or the releases (`--releases REPO`)."""
    enter(session, "verify_index", *session.posargs)


@nox.session(name="save-index", venv_backend="none", requires=["factory"], default=False)
def save_index(session: nox.Session) -> None:
    """Save a published index, checked against its manifest (`-- --base-url URL --to DIR`)."""
    enter(session, "save_index", *session.posargs)


@nox.session(name="deploy-pages", venv_backend="none", requires=["factory"], default=False)
def deploy_pages(session: nox.Session) -> None:
    """Deploy an artifact of a workflow run to GitHub Pages, as a version of its own (`-- ARTIFACT`)."""
    enter(session, "deploy_pages", *session.posargs)


@nox.session(name="verify-attestation", default=False)
def verify_attestation(session: nox.Session) -> None:
    """Verify a downloaded wheel with its release's attestation (`-- WHEEL --bundle FILE --repo OWNER/REPO`)."""
    install(session, "attest")
    session.run("python", "scripts/verify_attestation.py", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def ledger(session: nox.Session) -> None:
    """Check, yank, unyank, remove or merge in index/ledger.jsonl (`-- check`, `-- yank FILE --reason TEXT`)."""
    enter(session, "edit_ledger", *(session.posargs or ["check"]))


@nox.session(name="clean-cache", venv_backend="none", requires=["factory"], default=False)
def clean_cache(session: nox.Session) -> None:
    """List what is in the cache, or remove what was not used for some days (`-- --days 30`), or `-- --volumes`."""
    enter(session, "clean_cache", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def fit(session: nox.Session) -> None:
    """Print whether each wheel fits each runtime of Colab (`-- built`, `-- published`, `--line LINE`, `--json`)."""
    enter(session, "check_fit", *session.posargs)


@nox.session(name="watch-runtimes", venv_backend="none", requires=["factory"], default=False)
def watch_runtimes(session: nox.Session) -> None:
    """Compare newer files of Colab's runtimes with those here, and judge published wheels (`-- --from PATH`)."""
    enter(session, "watch_runtimes", *session.posargs, fine=(0, CHANGED))


@nox.session(name="update-distributions", tags=["update"], venv_backend="none", requires=["factory"], default=False)
def update_distributions(session: nox.Session) -> None:
    """Look up on PyPI what TensorFlow and its companions require, for build_config/colab/distributions.json."""
    enter(session, "update_distributions", *session.posargs)


@nox.session(name="update-pins", tags=["update"], venv_backend="none", requires=["factory"], default=False)
def update_pins(session: nox.Session) -> None:
    """Lock the official wheels of every target into build_config/bases.toml."""
    enter(session, "update_pins", *session.posargs)


@nox.session(name="xla-ceiling", tags=["update"], venv_backend="none", requires=["factory"], default=False)
def xla_ceiling(session: nox.Session) -> None:
    """Find the CUDA version that XLA in a TensorFlow was built with, and how to raise it (`-- 2.19.1`)."""
    enter(session, "find_xla_ceiling", *session.posargs)


@nox.session(name="update-locks", tags=["update"], default=False)
def update_locks(session: nox.Session) -> None:
    """Lock every dependency group by hash into build_config/locks/ (`-- --upgrade`, `-- --upgrade-package NAME`)."""
    if not set(session.posargs).isdisjoint({"-h", "--help"}):  # uv would show its own help, and nox would go on
        session.log("keeps the locked versions; -- --upgrade takes the newest, -- --upgrade-package NAME those of one")
        session.skip("nothing was locked")
    install(session, "bootstrap", renewing=True)
    together = [group for group in GROUPS["dependency-groups"] if group not in APART]
    everything = Path(session.create_tmp()) / "everything.txt"  # gives a package one version in all of them
    everything.write_text("".join(path.read_text("utf-8") for path in LOCKS.glob("*.txt") if path.stem not in APART))
    resolve(session, together, everything, *session.posargs)
    for group in [*together, *APART]:
        lock = LOCKS / f"{group}.txt"
        lock.unlink(missing_ok=True)
        resolve(session, [group], lock, *(["--constraints", str(everything)] if group in together else []))
        lock.write_text(lock_head(group) + lock.read_text(encoding="utf-8"), encoding="utf-8")


@nox.session(tags=["lint"])
def lint(session: nox.Session) -> None:
    """Check all of it: ruff with every rule family, mypy strict, schemas, actionlint, hadolint, shellcheck, zizmor."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(".github/workflows/*.yml"))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    session.run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    forms = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"))]
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-issue-forms", *forms)
    session.run("actionlint", *files)
    session.run(
        "hadolint", *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("build_config/**/*.Dockerfile")))
    )
    scripts = [".ci/run", ".ci/from-outside", "build_config/containers/credential-helper", *BOOTSTRAPS]
    session.run("shellcheck", "--severity=warning", *scripts)
    session.run("zizmor", "--offline", "--quiet", "--persona", "pedantic", ".")


@nox.session(venv_backend="none", requires=["factory"], default=False)
def rehearse(session: nox.Session) -> None:
    """Run jobs of a workflow here from its YAML, in clean clones (`-- ci.yml lint`, `-- --help`)."""
    enter(session, "rehearse_workflow", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run unit and integration tests; line coverage of scripts/tfwheel must be 95 % or more (from Python 3.12 on)."""
    install(session, "tests")
    session.run("python", "scripts/prepare_tests.py")
    workers = len(os.sched_getaffinity(0)) + 2  # more than cores: a third of a run is waiting for programs
    pytest = ("-m", "pytest", f"--numprocesses={workers}", "--dist=worksteal", "--durations=10", *session.posargs)
    if sys.version_info < (3, 12):  # tracing doubles the time there, and may end a thread that starts: CPython 98257
        session.run("python", *pytest)
        return
    session.run("coverage", "erase")
    session.run("coverage", "run", *pytest)
    session.run("coverage", "combine")
    session.run("coverage", "report", *([] if session.posargs else ["--fail-under=95"]))


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure the overlay and an unchanged build, or the index (`-- index`), with their peers, into dist/reports/."""
    install(session, "bench")
    if session.posargs[:1] == ["index"]:
        session.run("python", "scripts/bench_index.py", *session.posargs[1:])
    else:
        session.run("python", "scripts/run_bench.py", *session.posargs)


@nox.session(venv_backend="none", requires=["factory"], default=False)
def imitate(session: nox.Session) -> None:
    """Install finished wheels in imitations of Colab's runtimes, and compare what else changed (`-- 2026.07`)."""
    enter(session, "imitate_runtime", *session.posargs)


@nox.session(default=False)
def notebook(session: nox.Session) -> None:
    """Run index/colab.ipynb in an imitation of a Colab runtime (`-- 2026.07`), or `-- --fill` its parameters."""
    install(session, "notebook")
    enter(session, "run_notebook", *session.posargs, home=Path(session.virtualenv.location))


if __name__ == "__main__":
    nox.main()
