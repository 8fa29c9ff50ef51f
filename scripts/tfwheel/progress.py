"""The only console: steps with their time, bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rich.console import RenderableType

Item = TypeVar("Item")
console = Console(stderr=True, highlight=False, soft_wrap=True)
verbose = False


def is_terminal() -> bool:
    """Whether a person watches: a terminal that can redraw lines."""
    return console.is_terminal


def say(text: str) -> None:
    """Print one line of news."""
    console.print(escape(text))


def detail(text: str) -> None:
    """Print one line that only matters when something is being looked into (``--verbose``)."""
    if verbose:
        console.print(escape(text), style="dim")


def warn(text: str) -> None:
    """Print one line that the reader should act on."""
    console.print(f"[yellow]warning:[/] {escape(text)}")


def show(renderable: RenderableType) -> None:
    """Print a table or another rich renderable."""
    console.print(renderable)


@contextmanager
def growing(folder: Path, *, total: int | None, name: str) -> Iterator[None]:
    """Show how many of ``total`` bytes have arrived in a folder while the body runs (off a terminal: one line)."""
    if not is_terminal() or total is None:
        say(f"  {name} ...")
        yield
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task, done = bar.add_task(name, total=total), threading.Event()

        def look() -> None:
            while not done.wait(0.2):
                bar.update(task, completed=_bytes_in(folder))

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # files come and go while they are counted
            total += path.stat().st_size
    return total


@contextmanager
def step(name: str, times: dict[str, float] | None = None) -> Iterator[None]:
    """Announce a step, then say how many seconds it took; ``times`` receives them under its name."""
    say(f"  {name} ...")
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    if times is not None:
        times[name] = round(seconds, 2)
    say(f"  {name}: {seconds:.1f} s")


def track(items: Iterable[Item], *, name: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items while a bar shows how many are done (no bar where no terminal is)."""
    if not is_terminal():
        yield from items
        return
    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        yield from bar.track(items, total=total, description=name)
