"""Reads ``.github/workflows/``: the part of GitHub's format that we use, as types; the rest raises WorkflowError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from tfwheel.config.paths import ROOT
from workflow_runner.errors import WorkflowError

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / ".github" / "workflows"


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Scalar = str | bool | int | float
Values = dict[str, Scalar]
Names = Annotated[list[str], BeforeValidator(_as_list)]


class _Part(BaseModel):
    """A part of a workflow; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Step(_Part):
    """One step: an action (``uses``) or a program (``run``, bash)."""

    id: str | None = None
    name: str | None = None
    condition: str | bool = Field(True, alias="if")  # noqa: FBT003 -- a default
    uses: str | None = None
    run: str | None = None
    given: Values = Field(default_factory=dict, alias="with")
    env: Values = Field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name of the step in messages."""
        return self.name or self.run or self.uses or self.id or "a step without a name"


class DeploymentEnvironment(_Part):
    """A protected environment that a job runs in."""

    name: str
    url: str | None = None


class Strategy(_Part):
    """The matrix rows of a job: an expression whose value is ``{"include": [row, ...]}``."""

    fail_fast: bool = Field(True, alias="fail-fast")  # noqa: FBT003 -- a default
    matrix: str


class WorkflowJob(_Part):
    """One job: steps on a runner, or a call of another workflow of this repository."""

    name: str | None = None
    needs: Names = Field(default_factory=list)
    condition: str | bool = Field(True, alias="if")  # noqa: FBT003 -- a default
    runs_on: str | None = Field(None, alias="runs-on")
    timeout: int | str | None = Field(None, alias="timeout-minutes")
    permissions: dict[str, Literal["read", "write", "none"]] | None = None
    environment: DeploymentEnvironment | None = None
    strategy: Strategy | None = None
    env: Values = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    steps: list[Step] = Field(default_factory=list)
    uses: str | None = None
    given: Values = Field(default_factory=dict, alias="with")


class Input(_Part):
    """An input of a workflow that is called or started by hand."""

    description: str | None = None
    type: Literal["string", "boolean", "number", "choice"]
    required: bool = False
    default: Scalar | None = None


class Concurrency(_Part):
    """The concurrency group of a run, and whether it cancels an older run."""

    group: str
    cancel: bool | str = Field(alias="cancel-in-progress")


class Workflow(_Part):
    """One workflow file; ``on`` is the unparsed table by event."""

    name: str
    on: dict[str, Any]
    permissions: dict[str, str]
    concurrency: Concurrency | None = None
    env: Values = Field(default_factory=dict)
    jobs: dict[str, WorkflowJob]

    def inputs(self, event: str) -> dict[str, Input]:
        """Return the inputs declared for ``workflow_call`` or ``workflow_dispatch``."""
        found = (self.on.get(event) or {}).get("inputs") or {}
        return {name: Input.model_validate(value) for name, value in found.items()}


def load(path: Path) -> Workflow:
    """Read one workflow; WorkflowError names each key or value that is wrong or not supported here."""
    try:
        content = YAML(typ="safe", pure=True).load(path.read_bytes())
        return Workflow.model_validate(content)
    except OSError as error:
        known = ", ".join(sorted(file.name for file in path.parent.glob("*.yml"))) or "none"
        message = f"there is no workflow {path}; known: {known}"
        raise WorkflowError(message) from error
    except YAMLError as error:
        message = f"{path} is not YAML: {error}"
        raise WorkflowError(message) from error
    except ValidationError as error:
        faults = [f"  {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        message = f"{path} is not valid or not supported here:\n" + "\n".join(faults)
        raise WorkflowError(message) from error
