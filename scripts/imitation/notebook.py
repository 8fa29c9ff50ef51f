"""Fills in the notebook of the index, index/colab.ipynb, and checks what its cells printed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from imitation.errors import NoTargetError, NotebookError
from tfwheel.config import plan
from tfwheel.config.paths import ROOT

if TYPE_CHECKING:
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.build_config import Config

    Notebook = dict[str, Any]

NOTEBOOK = ROOT / "index" / "colab.ipynb"
PLACE = "index/colab.ipynb"
INDEX = "https://example.org/index/"  # stands for the URL of the index where none is configured, as in the documents
REPOSITORY = "OWNER/REPO"
COLAB = "https://colab.research.google.com"
BADGE = f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({COLAB}/github/{{}}/blob/main/{PLACE})"
NO_REPOSITORY = (
    f"\n\n{REPOSITORY} stands for the repository of this index, which `build_config/index.toml` does not name yet."
)
PNG = "iVBORw0KGgo"  # how every PNG begins in base64
# What the cells print, by their ids, where {version} was installed; a picture has no text of its own.
PROMISES = {
    "install": r"Successfully installed tensorflow-{version}\b",
    "installed": r"^tensorflow {version} is installed\. Nothing needs a restart\.$",
    "running": r"^build: {version}$[\s\S]*^a product of matrices was computed on [CG]PU:0$",
    "ops": r"^([0-9]+) of \1 comparisons hold on [CG]PU:0$",
    "model": r"^loss with the fused ops [0-9.]+ -> [0-9.]+",
    "speed": r"^rms_norm on [CG]PU:0, .* times as long .*\n\n?swiglu on [CG]PU:0, ",
}
PICTURES = ("model", "speed")
WRONG = re.compile(r"dependency resolver does not|Traceback|^ERROR|WRONG|doctor", re.MULTILINE)


class Output(msgspec.Struct):
    """What must hold of an output of a cell."""

    text: str | list[str] = ""
    data: dict[str, Any] = {}
    traceback: list[str] = []


class Cell(msgspec.Struct):
    """What must hold of a cell."""

    id: str
    cell_type: str
    source: str | list[str]
    outputs: list[Output] = []


class Shape(msgspec.Struct):
    """What must hold of a notebook; there is more in one, which is kept."""

    cells: list[Cell]


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a user fills in: the URL of the index, the line, and the exact version."""

    index: str
    line: str
    version: str

    def source(self, lines: list[str]) -> str:
        """Return the cell that sets them, with Colab's form fields; ``lines`` are those to choose from."""
        choices = json.dumps(lines)
        return (
            f'INDEX = {json.dumps(self.index)}  # @param {{type:"string"}}\n'
            f"LINE = {json.dumps(self.line)}  # @param {choices}\n"
            f'VERSION = {json.dumps(self.version)}  # @param {{type:"string"}}'
        )


def filled(text: str, config: Config, newest: Runtime) -> str:
    """Return the notebook with the badge and the parameters of this configuration, and without outputs.

    The wheel is the default one for the ``newest`` runtime, of the first line with a GPU. One from source is left out:
    nobody knows here whether it was ever built. Raises NotebookError for a
    text that is no notebook with these cells, and NoTargetError where no target is for that runtime.
    """
    wanted = (newest.tensorflow, newest.python_minor)
    targets = [one for one in plan.targets(config) if one.builder != "source"]
    found = [one for one in targets if (one.tensorflow, one.python) == wanted]
    if not found:
        message = (
            f"no target is for the runtime {newest.name}: TensorFlow {newest.tensorflow}, Python {newest.python_minor}"
        )
        raise NoTargetError(message)
    best = min(found, key=lambda one: (not one.default, not one.line.cuda, one.line.name))
    lines = [one.line.name for one in sorted(found, key=lambda one: (one.line.cuda is None, one.line.name))]
    parameters = Parameters(index=config.index.base_url or INDEX, line=best.line.name, version=best.version)
    notebook = read(text)
    badge = BADGE.format(config.index.repository or REPOSITORY)
    put(notebook, "badge", badge if config.index.repository else badge + NO_REPOSITORY)
    put(notebook, "parameters", parameters.source(lines))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return written(notebook)


def check(notebook: Notebook, version: str) -> None:
    """Check the outputs of an executed notebook in which ``version`` was to be installed; raise NotebookError."""
    for name, pattern in PROMISES.items():
        text = text_of(cell_of(notebook, name))
        if WRONG.search(text) or not re.search(pattern.replace("{version}", re.escape(version)), text, re.MULTILINE):
            message = f"the cell `{name}` of the notebook printed: {text.strip()[-2000:] or 'nothing'}"
            raise NotebookError(message)
    for name in PICTURES:
        outputs = cell_of(notebook, name).get("outputs", ())
        pictures = [data for output in outputs if (data := output.get("data", {}).get("image/png"))]
        if len(pictures) != 1 or not str(pictures[0]).startswith(PNG):
            message = f"the cell `{name}` of the notebook shows {len(pictures)} pictures where it must show one"
            raise NotebookError(message)


def check_failure(notebook: Notebook, version: str, *, advice: str) -> None:
    """Check that a notebook in which a version that does not exist was to be installed says so.

    The doctor must have answered with ``advice``, "" where the index has none. Raises NotebookError.
    """
    said = text_of(cell_of(notebook, "install")), text_of(cell_of(notebook, "installed"))
    if "No matching distribution found" not in said[0] or f"This is not {version}" not in said[1]:
        message = f"the notebook does not say that {version} is not there, but: {' '.join(said)[-2000:]}"
        raise NotebookError(message)
    if advice not in said[1]:
        message = f"the doctor does not say `{advice}` in the notebook, but: {said[1].strip()[-2000:]}"
        raise NotebookError(message)


def read(text: str) -> Notebook:
    """Parse a notebook; raise NotebookError for anything else."""
    try:
        notebook: Notebook = json.loads(text)
        msgspec.convert(notebook, Shape)
    except (ValueError, RecursionError) as error:  # msgspec's is a ValueError
        message = f"{PLACE} is no notebook: {error}"
        raise NotebookError(message) from error
    return notebook


def written(notebook: Notebook) -> str:
    """Return the text of a notebook as Colab and Jupyter write it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def cell_of(notebook: Notebook, name: str) -> Notebook:
    """Return the cell with an id; raise NotebookError without one."""
    for cell in notebook["cells"]:
        if cell["id"] == name:
            found: Notebook = cell
            return found
    message = f"{PLACE} has no cell `{name}`"
    raise NotebookError(message)


def text_of(cell: Notebook) -> str:
    """Return all that a cell printed, errors included, without colours."""
    parts = []
    for output in cell.get("outputs", ()):
        parts.append("".join(output.get("text", "")))
        parts.extend("".join(output.get("data", {}).get("text/plain", "")) + "\n" if "data" in output else "")
        parts.extend(f"{line}\n" for line in output.get("traceback", ()))
    return re.sub(r"\x1b\[[0-9;]*m", "", "".join(parts))


def put(notebook: Notebook, name: str, source: str) -> None:
    """Write the source of the cell with an id; raise NotebookError without one."""
    cell_of(notebook, name)["source"] = source.splitlines(keepends=True)
