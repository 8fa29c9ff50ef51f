"""Read a TOML file of ``build_config/`` as a type, or say in words what is wrong with it, and where.

Nothing that a file may hold ends in another exception than ConfigError.
"""

from __future__ import annotations

import difflib
import re
import reprlib
import tomllib
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from tfwheel.config.errors import ConfigError
from tfwheel.config.field_types import MASKED
from tfwheel.system import urls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic_core import ErrorDetails

Parsed = TypeVar("Parsed")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and newline
LONGEST_NUMBER = 63  # bits: TOML promises integers of 64 bits with a sign
LONGEST_SHOWN = 200  # characters of a bad value


class Number(float):
    """A float that remembers how it was written: ``3.10`` is the number 3.1."""

    def __new__(cls, written: str) -> Self:
        """Keep the text beside the number."""
        number = super().__new__(cls, written)
        number.written = written
        return number

    written: str

    def __repr__(self) -> str:
        """Return the number as it was written."""
        return self.written


def nearest(word: str, known: list[str]) -> str:
    """Return a hint for a misspelt word: the nearest known word, or all known words."""
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{match[0]}`?" if match else f"known: {', '.join(sorted(known)) or 'none'}"


def read(path: Path, shape: type[Parsed]) -> Parsed:
    """Read a TOML file as the type ``shape``; raise ConfigError with the file and each of its faults."""
    try:
        return _checked(tomllib.loads(text(path), parse_float=Number), shape)
    except ExceptionGroup as group:
        raise ConfigError("\n".join(f"{path}: {fault}" for fault in group.exceptions)) from group
    except ValueError as error:  # TOMLDecodeError is one; a number of 5,000 digits is another
        message = f"{path} is not TOML: {error}"
        raise ConfigError(message) from error
    except RecursionError as error:
        message = f"{path} cannot be read: its brackets or tables are nested too deeply"
        raise ConfigError(message) from error


def _checked(data: dict[str, Any], shape: type[Parsed]) -> Parsed:
    """Return the data as a type; raise a group with each fault."""
    faults = list(_unusable(data, ""))
    if not faults:
        try:
            checked: Parsed = _adapter(shape).validate_python(data)
        except ValidationError as error:
            faults = [_explain(detail, shape) for detail in error.errors()]
        else:
            return checked
    message = "faults"
    raise ExceptionGroup(message, [ValueError(fault) for fault in faults])


def text(path: Path) -> str:
    """Read a text file of the configuration; raise ConfigError if it is missing, unreadable or not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        message = f"{path} is missing"
        raise ConfigError(message) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise ConfigError(message, remedy="It must be a file that you may read.") from error
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
        raise ConfigError(message, remedy="Save it as UTF-8.") from error


def _unusable(value: object, place: str) -> Iterator[str]:
    """Yield what no key may hold: control characters, which reach file names and logs, and numbers beyond 64 bits."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if CONTROL.search(key):
                yield f"the key {key!r} has a control character"
            yield from _unusable(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _unusable(inner, f"{place}[{number}]")
    elif isinstance(value, str) and (found := CONTROL.search(value)):
        yield f"`{place}` has a control character, {found[0]!r}"
    elif isinstance(value, int) and value.bit_length() > LONGEST_NUMBER:
        yield f"`{place}` is a number of {value.bit_length()} bits; TOML has 64"


def _adapter(shape: Any) -> TypeAdapter[Any]:  # noqa: ANN401 -- any annotation pydantic takes
    """Return pydantic's checker of a type; it takes milliseconds to make."""
    if shape not in _ADAPTERS:
        _ADAPTERS[shape] = TypeAdapter(shape)
    return _ADAPTERS[shape]


def _explain(detail: ErrorDetails, shape: Any) -> str:  # noqa: ANN401 -- any annotation pydantic takes
    place = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in detail["loc"]).replace(".[", "[")
    given = detail["input"]
    if detail["type"] == "extra_forbidden":
        return f"unknown key `{place}`; {nearest(str(detail['loc'][-1]), _keys_near(detail['loc'], shape))}"
    if detail["loc"][-1:] == ("[key]",):
        return f"`{detail['loc'][-2]}` is no name here; {detail['msg'].removeprefix('Value error, ')}"
    if detail["type"] == "missing":
        return f"`{place}` is missing"
    if detail["type"] == "string_type" and isinstance(given, Number):
        return f'`{place}` must be quoted: write "{given.written}" (unquoted it is the number {float(given)})'
    if detail["type"] == "string_type" and type(given) is int:
        return f'`{place}` must be quoted: write "{given}"'
    said = detail["msg"].removeprefix("Value error, ").replace("Tuple", "List")  # TOML has lists
    if isinstance(given, str):
        given = urls.masked_address(given) if detail["type"] == MASKED else urls.masked(given)
    shown = _SHORT.repr(given)
    return f"`{place}`: {said[0].lower()}{said[1:]} (got {shown})"


def _keys_near(place: tuple[int | str, ...], shape: Any) -> list[str]:  # noqa: ANN401 -- as above
    """Return the keys that the table at ``place`` may have, according to the JSON schema of the whole file."""
    schema = node = _adapter(shape).json_schema()
    for part in place[:-1]:
        if isinstance(part, int):
            node = node["items"]
        else:
            node = node.get("properties", {}).get(part) or node["additionalProperties"]
        node = next((choice for choice in node.get("anyOf", ()) if "$ref" in choice), node)  # an optional table
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return list(node["properties"])


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = LONGEST_SHOWN
