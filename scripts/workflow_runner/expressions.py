"""Evaluates the expressions ``${{ ... }}`` that our workflows use, by GitHub's rules; others raise WorkflowError.

Rules: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from workflow_runner.errors import WorkflowError

Function = Callable[..., Any]
Path = tuple[str, ...]

TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>&&|\|\||==|!=|[!().,*]))"
)
PLACE = re.compile(r"\$\{\{((?:[^'}]|'[^']*'|\}(?!\}))*)\}\}")
WORDS = {"true": True, "false": False, "null": None}
# Values that may be missing: a payload depends on its event, and a job or step that did not run has no outputs.
PAYLOAD, OUTPUTS = ("github", "event"), "outputs"


@dataclass(frozen=True, kw_only=True)
class Literal:
    """A text, a number, true, false or null."""

    value: str | float | bool | None


@dataclass(frozen=True, kw_only=True)
class Name:
    """A value of a context: ``needs.plan.outputs.any`` has four parts; ``*`` stands for every item of a list."""

    path: Path


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call of a function or of an operator ``! && || == !=``, with its arguments."""

    function: str
    given: tuple[Node, ...]


Node = Literal | Name | Call


def evaluate(text: str, context: Mapping[str, Any], functions: Mapping[str, Function] | None = None) -> Any:  # noqa: ANN401 -- JSON
    """Evaluate one expression (without its braces): text, number, bool, None, list or dict.

    ``functions`` are those that depend on the job, such as ``success``. Raises WorkflowError for syntax, functions or
    names that are not supported here.
    """
    return _value(parse(text), context, _BUILT_IN | dict(functions or {}))


def expand(template: str, context: Mapping[str, Any], functions: Mapping[str, Function] | None = None) -> Any:  # noqa: ANN401 -- JSON
    """Replace each ``${{ }}`` of a text; a text that is a single expression keeps the type of its value."""
    whole = PLACE.fullmatch(template.strip())
    if whole:
        return evaluate(whole[1], context, functions)
    return PLACE.sub(lambda place: as_text(evaluate(place[1], context, functions)), template)


def condition(text: str | bool, context: Mapping[str, Any], functions: Mapping[str, Function]) -> bool:  # noqa: FBT001 -- YAML has both
    """Evaluate an ``if:``; without a status function it also requires ``success()``."""
    written = as_text(text).strip()
    inner = PLACE.fullmatch(written)
    node = parse(inner[1] if inner else written)
    asks = {part.function for part in parts(node) if isinstance(part, Call)} & {
        "always",
        "cancelled",
        "failure",
        "success",
    }
    holds = truth(_value(node, context, _BUILT_IN | dict(functions)))
    return holds and (bool(asks) or bool(functions["success"]()))


def names(template: str) -> list[Path]:
    """Return the paths of all context values in the expressions of a text."""
    found = [part for place in PLACE.finditer(template) for part in parts(parse(place[1]))]
    return [part.path for part in found if isinstance(part, Name)]


def parts(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes below it."""
    yield node
    if isinstance(node, Call):
        for below in node.given:
            yield from parts(below)


# --- reading ---------------------------------------------------------------------------------------------


def parse(text: str) -> Node:
    """Parse one expression to a tree; WorkflowError for invalid or unsupported syntax."""
    reader = _Reader(text)
    node = reader.either()
    reader.end()
    return node


class _Reader:
    """Recursive-descent parser of an expression; each method parses one level of precedence."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, position = text, list[tuple[str, str]](), 0
        while text[position:].strip():
            match = TOKEN.match(text, position)
            if match is None:
                self.fail(f"`{text[position:].strip()}` is not understood")
            self.tokens.append((str(match.lastgroup), match[0].strip()))
            position = match.end()

    def fail(self, reason: str) -> NoReturn:
        message = f"the expression `{self.text.strip()}`: {reason}"
        raise WorkflowError(message)

    def take(self, *signs: str) -> str | None:
        """Take the next token if it is one of these signs."""
        if self.tokens and self.tokens[0] in {("sign", sign) for sign in signs}:
            return self.tokens.pop(0)[1]
        return None

    def need(self, sign: str) -> None:
        if self.take(sign) is None:
            self.fail(f"`{sign}` is missing before `{self.tokens[0][1] if self.tokens else 'the end'}`")

    def end(self) -> None:
        if self.tokens:
            self.fail(f"`{self.tokens[0][1]}` is unexpected")

    def either(self) -> Node:
        return self._chain(self.both, "||")

    def both(self) -> Node:
        return self._chain(self.equal, "&&")

    def equal(self) -> Node:
        return self._chain(self.inverse, "==", "!=")

    def _chain(self, below: Callable[[], Node], *signs: str) -> Node:
        node = below()
        while sign := self.take(*signs):
            node = Call(function=sign, given=(node, below()))
        return node

    def inverse(self) -> Node:
        if self.take("!"):
            return Call(function="!", given=(self.inverse(),))
        return self.operand()

    def operand(self) -> Node:
        if self.take("("):
            node = self.either()
            self.need(")")
            return node
        kind, word = self.tokens.pop(0) if self.tokens else ("sign", "the end")
        if kind == "text":
            return Literal(value=word[1:-1].replace("''", "'"))
        if kind == "number":
            return Literal(value=float(word))
        if kind == "sign":
            self.fail(f"a value is missing before `{word}`")
        if word in WORDS:
            return Literal(value=WORDS[word])
        return self.call(word) if self.take("(") else self.name(word)

    def call(self, function: str) -> Node:
        given: list[Node] = []
        while not self.take(")"):
            if given:
                self.need(",")
            given.append(self.either())
        return Call(function=function, given=tuple(given))

    def name(self, first: str) -> Node:
        path = [first]
        while self.take("."):
            kind, word = self.tokens.pop(0) if self.tokens else ("sign", "the end")
            if kind != "name" and word != "*":
                self.fail(f"a name is missing before `{word}`")
            path.append(word)
        return Name(path=tuple(path))


# --- values ----------------------------------------------------------------------------------------------


def _value(node: Node, context: Mapping[str, Any], functions: Mapping[str, Function]) -> Any:  # noqa: ANN401 -- JSON
    match node:
        case Literal():
            return node.value
        case Name():
            return _look_up(node.path, context)
        case Call(function=("&&" | "||") as sign, given=(left, right)):
            first = _value(left, context, functions)
            return _value(right, context, functions) if truth(first) == (sign == "&&") else first
    if node.function not in functions:
        message = f"the function `{node.function}` is not supported here"
        raise WorkflowError(message)
    return functions[node.function](*(_value(part, context, functions) for part in node.given))


def _look_up(path: Path, context: Mapping[str, Any]) -> Any:  # noqa: ANN401 -- JSON
    value: Any = context
    for index, part in enumerate(path):
        if part == "*":
            rest = path[index + 1 :]
            return [_look_up(rest, item) if rest else item for item in value or []]
        may_lack = path[:2] == PAYLOAD or OUTPUTS in path[:index]
        if not isinstance(value, dict) or part not in value:
            if may_lack and (value is None or isinstance(value, dict)):
                return None
            message = f"`{'.'.join(path)}`: there is no `{part}` here"
            raise WorkflowError(message)
        value = value[part]
    return value


def truth(value: object) -> bool:
    """Return whether a value is true by GitHub's rules: false, 0, the empty text and null are false, nothing else."""
    return isinstance(value, (dict, list)) or bool(value)


def as_text(value: object) -> str:
    """Convert a value to text by GitHub's rules."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case dict() | list():
            message = f"{json.dumps(value)[:60]} would become `Object` or `Array` in a text: write toJSON(...)"
            raise WorkflowError(message)
    return str(value)


def _number(value: object) -> float:
    match value:
        case None | "":
            return 0
        case bool() | int() | float():
            return float(value)
        case str():
            try:
                return float(value)
            except ValueError:
                return math.nan
    return math.nan


def _equal(left: object, right: object) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold() == right.casefold()
    return left is right if isinstance(left, (dict, list)) else _number(left) == _number(right)


def _contains(where: str | list[Any], what: object) -> bool:
    if isinstance(where, list):
        return any(_equal(item, what) for item in where)
    return as_text(what).casefold() in as_text(where).casefold()


_BUILT_IN: dict[str, Function] = {
    "!": lambda value: not truth(value),
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "contains": _contains,
    "fromJSON": json.loads,
    "join": lambda items, separator=",": separator.join(map(as_text, items or [])),
    "toJSON": lambda value: json.dumps(value, indent=2),
}
