"""Say of symbols that are missing where they are, or what TensorFlow has in their place."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from tfwheel.checks.linked_libraries import TENSORFLOW, here
from tfwheel.gpu import dynamic_symbols
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfwheel.checks.linked_libraries import Libraries, Scope
    from tfwheel.gpu.dynamic_symbols import Reference

MOST_ALIKE = 100  # symbols of one name, each with other parameters
LONGEST = 200  # characters of a symbol in a message
# A name in the C++ ABI (Itanium C++ ABI, "Mangling"): of a table or a type, then a nested name up to its parameters.
_MANGLED = re.compile(r"_Z[A-Za-z0-9_.$]+")
_BEFORE_PARTS = re.compile(r"_Z(?:T[VTIS])?N?K?(?:St)?")
_PART = re.compile(r"([1-9][0-9]{0,3})(?=[A-Za-z_])")
_CONSTRUCTOR = re.compile(r"[CD][0-5]E")
CXX11 = ("__cxx11", "B5cxx11")  # what only names of the newer ABI of libstdc++ have
OLD_STRING = "std::basic_string<char, std::char_traits<char>, std::allocator<char> >"


def explained(missing: Sequence[Reference], scope: Scope, libraries: Libraries) -> list[str]:
    """Return a line for each symbol: its name, and as far as it can be found out why it is missing."""
    elsewhere = {one: _elsewhere(one, scope, libraries) for one in missing}
    alike = _alike([one.name for one in missing if not elsewhere[one]], libraries)
    plain = _demangled([*(one.name for one in missing), *(name for names in alike.values() for name, _ in names)])
    lines = []
    for one in missing:
        why = elsewhere[one] or _other(one.name, alike.get(one.name, []), plain)
        version = f" of version {shown(one.version)} of `{shown(str(one.library))}`" if one.version else ""
        lines.append(f"`{shown(plain[one.name])}`{version}: {why}")
    absent = _absent(missing, scope, libraries)
    if absent:
        lines.append(
            f"Not looked up, because not on this machine: {', '.join(absent)}. Install them to have that done."
        )
    return lines


def _elsewhere(one: Reference, scope: Scope, libraries: Libraries) -> str:
    """Return in which library a symbol is, or what is wrong with its version; empty if no library has its name."""
    if one.library in scope.system:
        return f"{libraries.policy.name} has no such version"
    if one.library and one.library not in scope.held:
        return "it was linked with that library, and does not link it any more"
    for name in libraries.linkable:
        if name in scope.held or name in scope.system:
            continue
        path = libraries.held(name)
        if one.name in libraries.defined(path) if path else libraries.has_here(name, one.name):
            return f"it is in `{shown(name)}`, which is not linked"
    of_other_version = [name for name, path in scope.held.items() if one.name in libraries.defined(path)]
    return f"`{shown(of_other_version[0])}` has it, but not so" if of_other_version else ""


def _alike(names: Sequence[str], libraries: Libraries) -> dict[str, list[tuple[str, str]]]:
    """Return for each symbol those of TensorFlow with the same name before the parameters, each with its library."""
    starts = {name: start.encode() for name in names if (start := _before_parameters(name))}
    begins = tuple(starts.values())
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in starts}
    for library in TENSORFLOW if starts else ():
        path = libraries.held(library)
        for one in dynamic_symbols.definitions(path) if path else ():
            if one.name.startswith(begins):
                for name, begin in starts.items():
                    if one.name.startswith(begin) and len(found[name]) < MOST_ALIKE:
                        found[name].append((one.name.decode(errors="replace"), library))
    return found


def _before_parameters(name: str) -> str:
    """Return the mangled name up to its parameters, empty for what has no name in a namespace or class.

    >>> _before_parameters("_ZN10tensorflow8OpKernelC2EPNS_20OpKernelConstructionE")
    '_ZN10tensorflow8OpKernelC2E'
    """
    begin = _BEFORE_PARTS.match(name)
    if not begin:
        return ""
    at, parts = begin.end(), 0
    while part := _PART.match(name, at):
        at, parts = part.end() + int(part[1]), parts + 1
    if constructor := _CONSTRUCTOR.match(name, at):
        at = constructor.end()
    return name[:at] if parts > 1 else ""


def _other(name: str, alike: Sequence[tuple[str, str]], plain: dict[str, str]) -> str:
    """Say which symbol TensorFlow has in the place of one."""
    ours = any(word in name for word in CXX11)
    for other, library in alike:
        if any(word in other for word in CXX11) != ours and _without_abi(plain[other]) == _without_abi(plain[name]):
            return (
                f"`{library}` has it for the other ABI of std::string; this library was compiled with "
                f"_GLIBCXX_USE_CXX11_ABI={int(ours)}"
            )
    if alike:
        nearest = difflib.get_close_matches(plain[name], [plain[other] for other, _ in alike], n=1, cutoff=0)
        other, library = next(one for one in alike if plain[one[0]] in nearest)
        return f"`{library}` has `{shown(plain[other])}`; this library was compiled for another TensorFlow"
    return "no library here has it"


def _absent(missing: Sequence[Reference], scope: Scope, libraries: Libraries) -> list[str]:
    """Return the linked libraries that could have a symbol without a version, and are not on this machine."""
    if all(one.version for one in missing):
        return []
    versioned = {one.library for _, found in libraries.own.values() for one in found.references}
    return sorted(
        f"`{shown(name)}`" for name in scope.system | scope.excluded if name not in versioned and not here(name)
    )


def _demangled(names: Sequence[str]) -> dict[str, str]:
    """Return names of C++ as they are written there, as c++filt knows them; others, and without c++filt all, as is."""
    mangled = [name for name in dict.fromkeys(names) if _MANGLED.fullmatch(name)]
    found: list[str] = []
    if mangled:
        try:
            found = run(["c++filt", *mangled]).splitlines()
        except CommandError:
            found = []
    plain = dict(zip(mangled, found, strict=True)) if len(found) == len(mangled) else {}
    return {name: plain.get(name, name) for name in names}


def _without_abi(plain: str) -> str:
    return plain.replace("std::__cxx11::", "std::").replace("[abi:cxx11]", "").replace(OLD_STRING, "std::string")


def shown(text: str) -> str:
    """Return a name from a file as a message may have it: of bounded length, on one line."""
    plain = "".join(one if one.isprintable() else "?" for one in text[:LONGEST])
    return plain if len(text) <= LONGEST else f"{plain}..."
