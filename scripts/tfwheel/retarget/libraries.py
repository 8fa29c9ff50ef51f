"""Make official libraries with other GPU code or search path, deflated for the wheel, and keep them in the cache.

A library that several Pythons share byte for byte is made once for all of them.
"""

from __future__ import annotations

import json
import re
import shutil
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tfwheel.config import changed_libraries
from tfwheel.retarget import rewrite, search_path, xla_ceiling
from tfwheel.retarget.errors import NoGpuCodeError
from tfwheel.retarget.rewrite import Report
from tfwheel.system import console, digests, kept_folders, sources
from tfwheel.wheel.deflate import LEVEL, Deflated, deflate
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.schema import Retarget
    from tfwheel.config.targets import Base, Line
    from tfwheel.gpu.byte_edit import ByteEdit
    from tfwheel.retarget.ptxas import PtxCompiler
    from tfwheel.retarget.xla_ceiling import Ceiling

_SHA256 = re.compile(r"[0-9a-f]{64}")
FACTS, STREAM = "facts.json", "member.deflate"


@dataclass(frozen=True, kw_only=True)
class Replacement:
    """The replacement of one member, deflated, and its facts for the record."""

    member: str
    deflated: Deflated
    facts: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RetargetResult:
    """A changed library and the official one; both files are deleted after the check.

    ``retargeted`` says whether it has other GPU code, and not declared edits alone.
    """

    official: Path
    patched: Path
    report: Report
    edits: Sequence[ByteEdit]
    retargeted: bool = True


@dataclass(frozen=True, kw_only=True)
class Check:
    """The check of a library before it is kept: a function that returns findings or raises, and its digest."""

    key: str
    run: Callable[[RetargetResult], Mapping[str, str]]


@dataclass(frozen=True, kw_only=True)
class RetargetedLibraries:
    """The changed libraries of a wheel, and additional requirements."""

    libraries: tuple[Replacement, ...] = ()
    requires: tuple[str, ...] = ()

    @property
    def deflated(self) -> dict[str, Deflated]:
        """The replacement of each member."""
        return {library.member: library.deflated for library in self.libraries}

    @property
    def record(self) -> dict[str, Any] | None:
        """The facts for the record, by member; None if no library was changed."""
        facts = {library.member: dict(library.facts) for library in self.libraries}
        return {"libraries": facts, "requires": list(self.requires)} if facts else None


def native(
    line: Line,
    *,
    tensorflow: str,
    base: Path,
    locked: Base,
    ceilings: Path,
    compiler: PtxCompiler | None,
    cache: Path,
    work: Path,
    check: Check,
) -> RetargetedLibraries:
    """Return the libraries of an official wheel with the GPU code and the search path that a line asks for.

    ``ceilings`` is the folder with the data about XLA in each TensorFlow version, ``cache`` the folder for results,
    ``work`` a scratch folder for two copies of each library; ``compiler`` may be None for a line that does not
    retarget. Raises what ``replacements`` raises, and NoGpuCodeError.
    """
    wanted = line.retarget
    ceiling = xla_ceiling.load(ceilings, tensorflow) if wanted and wanted.xla else None
    made = replacements(
        base,
        members(locked, wanted) if wanted else [],
        rpath=changed_libraries.with_rpath(line, locked),
        wanted=wanted,
        compiler=compiler,
        ceiling=ceiling,
        cache=cache,
        work=work,
        check=check,
    )
    requires = xla_ceiling.requirements(ceiling, locked.requires_dist)
    return RetargetedLibraries(libraries=tuple(made), requires=requires)


def members(locked: Base, wanted: Retarget) -> list[str]:
    """Return the members of an official wheel that a line retargets; raise NoGpuCodeError for one without GPU code."""
    if missing := changed_libraries.missing(wanted, locked):
        there = ", ".join(PurePosixPath(member).name for member in locked.archs)
        message = f"{locked.file} has no library {missing[0]} with GPU code; it has {there or 'none'}"
        raise NoGpuCodeError(message, remedy="Correct `libraries` of the line's [retarget] in lines.toml.")
    return list(changed_libraries.retargeted(wanted, locked))


def replacements(
    base: Path,
    names: Sequence[str],
    *,
    rpath: Collection[str] = (),
    wanted: Retarget | None,
    compiler: PtxCompiler | None,
    ceiling: Ceiling | None,
    cache: Path,
    work: Path,
    check: Check,
) -> list[Replacement]:
    """Return the replacements of these members of an official wheel, from the cache or made in ``work``.

    ``names`` get the GPU code that is ``wanted``, and those of ``rpath`` DT_RPATH. Makes two at a time, so that one
    keeps the cores busy while the other is unpacked or checked. ``ceiling`` is the data about XLA in that TensorFlow,
    None to leave XLA unchanged. Raises what ``rewrite.retarget_library``, ``xla_ceiling.edits``, ``search_path.edits``
    and ``check`` raise, BadWheelError and DiskFullError; work on the other library then stops.
    """
    with WheelReader(base) as wheel, ThreadPoolExecutor(max_workers=2) as pool:
        makers = [
            _Maker(
                wheel=wheel,
                member=name,
                wanted=wanted if name in names else None,
                rpath=name in rpath,
                compiler=compiler,
                ceiling=ceiling,
                work=work,
                check=check,
            )
            for name in dict.fromkeys([*names, *rpath])
        ]
        making = [pool.submit(maker.kept, cache) for maker in makers]
        done, _ = wait(making, return_when=FIRST_EXCEPTION)
        if failed := next((one for one in making if one in done and one.exception()), None):
            if compiler:
                compiler.pool.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            failed.result()
        return [one.result() for one in making]


@dataclass(frozen=True, kw_only=True)
class _Maker:
    """Makes the replacement of one member; without ``wanted`` its GPU code stays as it is."""

    wheel: WheelReader
    member: str
    wanted: Retarget | None
    rpath: bool
    compiler: PtxCompiler | None
    ceiling: Ceiling | None
    work: Path
    check: Check

    @property
    def sha256(self) -> str:
        """The official library's sha256, from RECORD; extraction checks it."""
        return self.wheel.record[self.member].digest.hex()

    @property
    def edits_of(self) -> Ceiling | None:
        """The data about XLA's ceiling, if it is in this library."""
        return self.ceiling if self.wanted and self.ceiling and self.ceiling.member == self.member else None

    def key(self) -> str:
        """Return a digest of everything that decides the bytes of the stream."""
        return digests.of_facts(
            library=self.sha256,
            wanted=self.wanted.model_dump(exclude={"libraries"}) if self.wanted else None,
            rpath=self.rpath,
            compiler=self.compiler.identity if self.wanted and self.compiler else None,
            ceiling=repr(self.edits_of),
            compression={"level": LEVEL, "zlib-ng": version("zlib-ng"), "lz4": version("lz4")},
            code=sources.digest(__name__),
            check=self.check.key,
        )

    def kept(self, cache: Path) -> Replacement:
        """Return the replacement from the cache, or make it; the merge checks the stream's hash."""
        made = []
        name = PurePosixPath(self.member).name

        def make(empty: Path) -> None:
            self._make(empty)
            made.append(empty)

        folder = kept_folders.keep(
            cache / "libraries" / self.key(),
            make,
            cache=cache,
            busy=f"another run makes another {name}",
            kept=lambda folder: kept_folders.is_whole(folder) and self._read(folder) is not None,
        )
        if not made:
            console.say(f"  {name}: from the cache")
        found = self._read(folder)
        assert found is not None  # noqa: S101 -- it was just made or read
        return found

    def _read(self, folder: Path) -> Replacement | None:
        """Return the replacement in the cache, None if its facts are not sound."""
        try:
            data = json.loads((folder / FACTS).read_bytes())
            deflated = Deflated(**data["deflated"] | {"path": folder / STREAM})
            facts = dict(data["facts"])
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return None
        return Replacement(member=self.member, deflated=deflated, facts=facts) if _is_sound(deflated) else None

    def _make(self, folder: Path) -> None:
        """Make the replacement in an empty folder."""
        name = PurePosixPath(self.member).name
        official, library = self.work / f"official-{name}", self.work / name
        with ExitStack() as stack:
            for path in (official, library):
                stack.callback(path.unlink, missing_ok=True)
            with console.step(f"unpack {name}"):
                self.wheel.extract(self.member, official)
                shutil.copyfile(official, library)
            xla, search = self._edits(library)
            report = self._retargeted(library)
            _apply([*xla, *search], library)
            with ThreadPoolExecutor(max_workers=1) as aside:  # its result counts only after the gates
                deflating = aside.submit(deflate, library, folder / STREAM)
                with console.step(f"gates of {name}"):
                    passed = self.check.run(
                        RetargetResult(
                            official=official,
                            patched=library,
                            report=report,
                            edits=[*xla, *search],
                            retargeted=self.wanted is not None,
                        )
                    )
                with console.step(f"deflate {name}"):
                    deflated = deflating.result()
        facts = asdict(report) | {
            "sha256": {"before": self.sha256, "after": deflated.sha256},
            "size": deflated.size,
            "xla": [_shown(edit) for edit in xla],
            "search_path": [_shown(edit) for edit in search],
            "gates": dict(passed),
        }
        shown = asdict(deflated) | {"path": STREAM}
        (folder / FACTS).write_text(json.dumps({"facts": facts, "deflated": shown}, indent=2), encoding="utf-8")

    def _edits(self, library: Path) -> tuple[Sequence[ByteEdit], Sequence[ByteEdit]]:
        """Return the edits of XLA and of the search path in an official library, checked before anything is written."""
        lifted = self.wanted.xla if self.wanted else None
        xla = xla_ceiling.edits(self.edits_of, library, cuda=lifted or "") if self.edits_of else ()
        return xla, search_path.edits(library) if self.rpath else ()

    def _retargeted(self, library: Path) -> Report:
        """Rewrite the GPU code of a library, if that is wanted."""
        if self.wanted is None or self.compiler is None:
            return Report.of_untouched(library)
        with console.step(f"new GPU code for {library.name}"):
            return rewrite.retarget_library(library, wanted=self.wanted, compiler=self.compiler)


def _is_sound(deflated: Deflated) -> bool:
    """Return whether values from a file have their types: the writer puts them into a wheel."""
    numbers = (deflated.size, deflated.crc, deflated.packed_size)
    texts = (deflated.sha256, deflated.packed_sha256)
    return all(isinstance(one, int) and one >= 0 for one in numbers) and all(map(_SHA256.fullmatch, texts))


def _shown(edit: ByteEdit) -> dict[str, Any]:
    return {"what": edit.what, "offset": edit.offset, "bytes": edit.replacement.hex()}


def _apply(edits: Sequence[ByteEdit], library: Path) -> None:
    with library.open("r+b") as stream:
        for edit in edits:
            stream.seek(edit.offset)
            stream.write(edit.replacement)
