"""Format the targets as rows for programs (JSON) and as a table for users (Markdown, also in the documents)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tfwheel.config import eras, gpu_support, plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfwheel.config.build_config import Config

# Of Markdown and HTML, but not `a<2,>=1`, `x[extra]` or `tf_keras`.
MARKUP = re.compile(r"<[A-Za-z/!?]|[@`|&\\*#]|~~|\]\(|\]\[|!\[|://|www\.|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")

COLUMNS = {
    "TensorFlow": "tensorflow",
    "Python": "python",
    "line": "line",
    "CUDA": "cuda",
    "GPU code of the ops": "gpu_code",
    "version to pin": "version",
    "target id": "id",
}


def rows(config: Config, *, line: str | None = None, default: bool = False) -> list[dict[str, Any]]:
    """Return one row per target, sorted."""
    return [
        {
            "id": target.id,
            "tensorflow": target.tensorflow,
            "python": target.python,
            "line": target.line.name,
            "cuda": target.line.cuda or "none",
            "gpu_code": ", ".join(target.line.gpu_code) or "none",
            "version": target.version,
            "builder": target.builder,
            "default": target.default,
            "requires": list(target.requires),
            "locked": plan.locked(config, target) is not None,
            **({"fault": eras.fault_of(config.directory, target)} if target.builder == "source" else {}),
        }
        for target in plan.select(plan.targets(config), line=line, default=default)
    ]


def table(entries: Sequence[dict[str, Any]]) -> str:
    """Return the rows of ``rows`` as an aligned Markdown table."""
    return markdown(tuple(COLUMNS), [[str(entry[key]) for key in COLUMNS.values()] for entry in entries])


def text(config: Config, *, kind: str, line: str | None = None, default: bool = False) -> str:
    """Return the targets as a table, as JSON, or (``kind`` "gpus") what each GPU of Colab runs of their wheels.

    Below a table are the requirements that releases change, and the targets that cannot be built yet.
    """
    entries = rows(config, line=line, default=default)
    if kind == "json":
        return json.dumps(entries, indent=2)
    if kind == "gpus":
        ready = {entry["id"] for entry in entries if entry["locked"] and entry["builder"] != "source"}
        targets = [target for target in plan.targets(config) if target.id in ready]
        found = gpu_support.rows(config, targets, gpu_support.of_colab(gpu_support.load(config.directory)))
        none = (
            "None of these wheels has GPU code."
            if ready or not entries
            else "Nothing of these is known before it is built."
        )
        return "\n\n".join([gpu_table(found) if found else none, *_not_ready(entries)])
    return "\n\n".join([table(entries), *_requirements(entries), *_not_ready(entries)])


def gpu_table(entries: Sequence[Sequence[str]]) -> str:
    """Return the rows of ``gpu_support.rows`` as a Markdown table."""
    return markdown(gpu_support.COLUMNS, entries)


def markdown(columns: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table of these columns, padded so that it is aligned as plain text, too."""
    widths = [max(map(len, column)) for column in zip(columns, *body, strict=True)]
    ruler = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (columns, ruler, *body)
    )


def shown(text: str, *, in_table: bool = False) -> str:
    """Return a text that others wrote as it may stand in Markdown, in an issue and on a terminal.

    What could be markup, a link or a mention becomes a code span; what cannot be printed becomes `?`.
    """
    plain = "".join(letter if letter.isprintable() else "?" for letter in text)
    if not MARKUP.search(plain):
        return plain
    span = plain.replace("`", "'")
    return f"`{span.replace('|', chr(92) + '|') if in_table else span}`"


def _requirements(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line for each set of requirements that releases change."""
    by_words: dict[str, list[str]] = {}
    for entry in entries:
        if entry["requires"]:
            by_words.setdefault(", ".join(entry["requires"]), []).append(entry["id"])
    return [f"Requires {words}: {', '.join(ids)}" for words, ids in by_words.items()]


def _not_ready(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Return a line about the targets whose official wheel is not locked, and one about those that nothing builds."""
    source = [entry["id"] for entry in entries if entry["builder"] == "source" and not entry.get("fault")]
    faults: dict[str, list[str]] = {}
    for entry in entries:
        if entry.get("fault"):
            faults.setdefault(entry["fault"].removeprefix(f"{entry['id']}: "), []).append(entry["id"])
    unlocked = [entry["id"] for entry in entries if not entry["locked"] and entry["builder"] != "source"]
    return [
        *([f"Not locked yet, `nox -s update-pins` does that: {', '.join(unlocked)}"] if unlocked else []),
        *([f"Built from source, by `nox -s build-source`: {', '.join(source)}"] if source else []),
        *(
            [
                "\n".join(
                    ["Cannot be built as configured:", *(f"- {', '.join(ids)}: {one}" for one, ids in faults.items())]
                )
            ]
            if faults
            else []
        ),
    ]
