"""Finds the TensorFlow wheel for this machine, explains logs, and inspects what is installed.

    curl -fsSL URL/doctor.py | python3 -                       choose: one command, and why
    curl -fsSL URL/doctor.py | python3 - --install             run it, and prove the result
    curl -fsSL URL/doctor.py | python3 - explain --log FILE    the cause that a log shows (`-` reads standard input)
    curl -fsSL URL/doctor.py | python3 - inspect               what is installed, and what this GPU runs of it
    curl -fsSL URL/doctor.py | python3 - --report              all of it as Markdown, for an issue

In a notebook write `!` before each, or paste the file into a cell. It needs Python 3.9 and its standard library, never
imports TensorFlow in its own process, and sends nothing anywhere: it reads the index's wheels.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from dataclasses import asdict
from typing import Any

from tfwheel.doctor.environment import environment_of, unknown_gpu
from tfwheel.doctor.explain import explain
from tfwheel.doctor.facts import collect_facts, in_kernel, normalize, shadowed_libraries
from tfwheel.doctor.inspection import inspect_installed
from tfwheel.doctor.installing import install_command, prove, room_for, run_install
from tfwheel.doctor.listing import ListingError, fetch_listing, site_root
from tfwheel.doctor.log_file import read_log
from tfwheel.doctor.probes import probe_gpu
from tfwheel.doctor.report import (
    choice_lines,
    explanation_lines,
    fact_lines,
    inspection_lines,
    markdown_report,
    without_any_secrets,
)
from tfwheel.doctor.selector import select
from tfwheel.doctor.settings import obeyed_settings

BASE_URL = ""  # the site that this file came from; written when the site is made
EXIT_CODES = {
    0: "an answer was found, or nothing is wrong",
    1: "no wheel of the index fits here",
    2: "the command line is wrong",
    3: "explain: nothing known found",
    4: "inspect: something is wrong with what is installed",
    5: "the list of wheels, or the log, cannot be read, or the log is empty, or the answer not be written",
    6: "--install: the installation or its proof failed",
    7: "this Python is older than 3.9",  # said by the first lines of the one file
    8: "choose: whether there is a GPU is unknown; what is said is for a machine without one",
    130: "stopped by Ctrl-C",
}
MODES = ("choose", "explain", "inspect")


def parse_words(words: list[str] | None) -> argparse.Namespace:
    """Return the options of a command line."""
    codes = "\n".join(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())
    parser = argparse.ArgumentParser(
        prog="doctor.py",
        description="Finds the TensorFlow wheel for this machine, explains logs, inspects what is installed.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("mode", nargs="?", choices=MODES, default=None, help="choose (the default), explain or inspect")
    parser.add_argument("--index", default="", metavar="URL", help="the site with the wheels, or a wheels.json")
    parser.add_argument("--project", type=normalize, default="tensorflow", help="the package to choose")
    parser.add_argument("--uv", action="store_true", help="print the command for uv instead of pip")
    parser.add_argument("--install", action="store_true", help="choose: run the command, and prove the result")
    parser.add_argument(
        "--log", metavar="FILE", help="explain: the log of an installation or a run, `-` for standard input"
    )
    parser.add_argument("--report", action="store_true", help="print Markdown for an issue")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--no-probes", action="store_true", help="start no process: neither GPU nor cuDNN is asked")
    found = parser.parse_args(words)
    found.mode = found.mode or ("explain" if found.log else "choose")
    if found.mode == "explain" and not found.log:
        parser.error("explain needs --log FILE")
    return found


def main(words: list[str] | None = None) -> int:
    """Run the program and return its exit code (EXIT_CODES)."""
    try:
        try:
            return _answer(parse_words(words))
        finally:
            if sys.stdout:
                sys.stdout.flush()
    except ListingError as error:
        print(f"doctor: {error}", file=sys.stderr)
        return 5
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # of the output: whatever else is read or written has its own handler
        if not in_kernel():
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- nobody reads any more
        if isinstance(error, BrokenPipeError):
            return 0
        print(f"doctor: {error}", file=sys.stderr)
        return 5


def _answer(options: argparse.Namespace) -> int:
    if options.report:
        return _report(options)
    return {"choose": _choose, "explain": _explain, "inspect": _inspect}[options.mode](options)


def _listing(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Return the list of wheels and the URL of its site; a cell has no command line to run again."""
    index = options.index or BASE_URL
    if not index and in_kernel():
        message = (
            "which index? In a cell: `%run doctor.py --index URL` or `!python3 doctor.py --index URL`, with this file"
        )
        raise ListingError(message)
    return fetch_listing(index)


def _base(listing: dict[str, Any], site: str) -> str:
    """Return the URL that commands name: that of the site, else the one that the list has; ListingError without one."""
    base = site or str(listing["base_url"])
    if not base:
        message = "this list does not say where the index is: give `--index URL`"
        raise ListingError(message)
    return base


def _installer(options: argparse.Namespace, facts: dict[str, Any]) -> str:
    """Return "uv" where it was asked for, or is what there is: `uv venv` makes environments without pip."""
    return "uv" if options.uv or (facts["uv"] and not facts["pip"]) else "pip"


def _no_installer(facts: dict[str, Any]) -> list[str]:
    """Return what to do where nothing is here that could install a wheel."""
    if facts["uv"] or facts["pip"]:
        return []
    remedy = "run `python -m ensurepip` with this Python, or make the environment with `uv venv --seed`"
    return [f"This Python has no pip, and uv is not here: {remedy}."]


def _gather(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the facts, and what the probe of the GPU found, None if it was not asked."""
    facts = collect_facts()
    cudnn = facts["libraries"].get("libcudnn.so.9") or [None]
    return facts, None if options.no_probes else probe_gpu(cudnn[0])


def _choose(options: argparse.Namespace) -> int:
    listing, site = _listing(options)
    base = _base(listing, site)
    facts, probe = _gather(options)
    environment = environment_of(facts, probe, listing)
    installer = _installer(options, facts)
    choice = select(environment, listing, project=options.project, base=base, installer=installer)
    if options.json:
        _print_json({"facts": facts, "gpu": probe, "environment": environment, "choice": asdict(choice)})
    else:
        lines = [*_doubt(probe), *choice_lines(choice, site)]
        lines += ["", *fact_lines(facts, probe), *_warnings(facts, environment, listing)]
        print("\n".join(lines))
    if _doubt(probe):
        return 8
    if options.install and choice.command:
        with contextlib.redirect_stdout(sys.stderr if options.json else sys.stdout):
            return _install(choice, facts, options)
    return 0 if choice.command else 1


def _doubt(probe: dict[str, Any] | None) -> list[str]:
    """Return a warning where a choice may be wrong because nobody knows whether there is a GPU."""
    why = unknown_gpu(probe)
    if why is None:
        return []
    remedy = "See `nvidia-smi`, mend or update the driver (where there is no GPU: --no-probes), and run this again"
    return [f"WARNING: the GPU could not be asked ({why}). This is for a machine WITHOUT one. {remedy}.", ""]


def _warnings(facts: dict[str, Any], environment: dict[str, Any], listing: dict[str, Any]) -> list[str]:
    """Return what stands in the way of any wheel here: of this Python, of its libraries, of the runtime itself."""
    lines = _no_installer(facts) + shadowed_libraries(facts["libraries"]) + obeyed_settings(os.environ)
    if facts["managed"] and not facts["colab"]:
        lines.append("This Python belongs to the system, and pip will not change it: first `python3 -m venv tf`.")
    runtime = next((one for one in listing["runtimes"] if one["name"] == environment["runtime"]), None)
    if runtime and not environment["venv"]:
        lines += [f"Runtime {runtime['name']} has a fault of its own: {fault}." for fault in runtime["faults"]]
    return lines


def _install(choice: Any, facts: dict[str, Any], options: argparse.Namespace) -> int:  # noqa: ANN401 -- a Choice, in one file with this
    short = room_for(choice.wheel, facts) if choice.wheel else None
    missing = [*_no_installer(facts), *([short] if short else [])]
    if missing:
        print("", *missing, sep="\n")
        return 6
    argv = install_command(choice.command, facts)
    print(f"\nRunning: {' '.join(argv)}\n", flush=True)
    code, log = run_install(argv, lambda line: print(line, flush=True))
    if code:
        print(f"\nThe installation ended with exit code {code}.")
        print("\n".join(explanation_lines(explain(f"$ {choice.command}\n{log}", _site(options)))))
        return 6
    if choice.wheel and choice.wheel["project"] != "tensorflow":
        return 0
    found = prove(lambda line: print(f"\n{line}", flush=True))
    if "error" in found:
        print(f"The proof failed: {found['error']}\n{found['log'][-3000:]}")
        print("\n".join(explanation_lines(explain(f"import tensorflow\n{found['log']}\n{found['error']}"))))
        return 6
    on = f"{found['gpus']} GPU" if found["gpus"] else "the CPU; no GPU was found"
    name = found["label"] or found["version"]
    print(f"Proven: TensorFlow {name} imports in {found['import_s']} s and computes on {on}.")
    print("Restart the session now." if choice.restart else "No restart is needed.")
    return 0


def _explain(options: argparse.Namespace) -> int:
    found = explain(read_log(options.log), _site(options))
    if options.json:
        _print_json({"explanation": asdict(found) if found else None})
    else:
        print("\n".join(explanation_lines(found)))
    return 0 if found else 3


def _site(options: argparse.Namespace) -> str:
    """Return the URL of the index for a remedy, empty if it is a file or none is known."""
    index = options.index or BASE_URL
    return site_root(index) if "://" in index else ""


def _inspect(options: argparse.Namespace) -> int:
    facts, probe = _gather(options)
    listing = _listing(options)[0] if options.index or BASE_URL else None
    found = _installed(options, facts, listing, probe)
    if options.json:
        _print_json({"facts": facts, "gpu": probe, "installed": found})
    else:
        print("\n".join([*inspection_lines(found), "", *fact_lines(facts, probe)]))
    return 4 if found["problems"] else 0


def _installed(options: argparse.Namespace, facts: dict[str, Any], listing: Any, probe: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON or None
    gpus = (probe or {}).get("gpus") or []
    capability = gpus[0]["capability"] if gpus else None
    return inspect_installed(facts, listing, capability, ask=not options.no_probes)


def _report(options: argparse.Namespace) -> int:
    """Print everything as Markdown; whatever cannot be found out is said, and stops nothing."""
    facts, probe = _gather(options)
    settings = [f"{key}={value}" for key, value in facts["settings"].items()]
    parts = {"Machine": fact_lines(facts, probe), "Settings": [*settings, *facts["pip_files"]] or ["none"]}
    listing = None
    try:
        listing, site = _listing(options)
        environment = environment_of(facts, probe, listing)
        base, installer = _base(listing, site), _installer(options, facts)
        choice = select(environment, listing, project=options.project, base=base, installer=installer)
        parts["Choice"] = [*_doubt(probe), *choice_lines(choice, site), *_no_installer(facts)]
    except ListingError as error:
        parts["Choice"] = [str(error)]
    parts["Installed"] = inspection_lines(_installed(options, facts, listing, probe))
    if options.log:
        try:
            parts["Log"] = explanation_lines(explain(read_log(options.log), _site(options)))
        except ListingError as error:
            parts["Log"] = [str(error)]
    print(markdown_report(parts, facts["distributions"]))
    return 0


def _print_json(found: dict[str, Any]) -> None:
    """Print JSON; the command in a choice is for use, and what else is said is without secrets."""
    known = {key: value if key == "choice" else without_any_secrets(value) for key, value in found.items()}
    print(json.dumps(known, indent=1, sort_keys=True, default=str))


def run() -> None:
    """Run as a program; in a notebook's own process, where nobody has typed a command line, with the defaults."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # whatever the encoding, names can be written
            stream.reconfigure(errors="backslashreplace")
    pasted = in_kernel() and not sys.argv[0].endswith("doctor.py")
    code = main([] if pasted else None)
    if not in_kernel():
        sys.exit(code)


if __name__ == "__main__":
    run()
