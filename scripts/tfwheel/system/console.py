"""Print to the console (no other module does): timed steps, progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
from operator import length_hint
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from tfwheel.system import urls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from rich.console import RenderableType
    from rich.progress import Task

Item = TypeVar("Item")


class _Stderr(Console):
    """The console; where its reader has gone, that is an error in the thread that prints, as with any other file."""

    def on_broken_pipe(self) -> None:
        """Print no more, and let the door end as programs do whose reader has gone."""
        self.quiet = True
        raise BrokenPipeError


console = _Stderr(stderr=True, highlight=False, soft_wrap=True)
verbose = False


def is_terminal() -> bool:
    """Return whether stderr is a terminal, which can redraw lines."""
    return console.is_terminal


def say(text: str) -> None:
    """Print one line."""
    console.print(_shown(text))


def detail(text: str) -> None:
    """Print one line of detail, with ``--verbose`` only."""
    if verbose:
        console.print(_shown(text), style="dim")


def warn(text: str) -> None:
    """Print a warning that the user should act on."""
    console.print(f"[yellow]warning:[/] {_shown(text)}")


def _shown(text: str) -> str:
    """Return a text as it is printed: no markup of rich, no password of a URL."""
    return escape(urls.masked(text))


def size(number: int) -> str:
    """Return a number of bytes for people ("1.2 GB")."""
    return decimal(number)


def show(renderable: RenderableType) -> None:
    """Print a table or another rich renderable."""
    console.print(renderable)


@contextmanager
def growing(folder: Path, *, total: int | None, name: str) -> Iterator[None]:
    """Show how many of ``total`` bytes a folder holds while the block runs (one line where there is no terminal)."""
    if not is_terminal() or total is None:
        say(f"  {name} ...")
        yield
        return
    done = threading.Event()
    with _display.bar(name, total=total, amount=_bytes) as advance_to:

        def look() -> None:
            while not done.wait(0.2):
                advance_to(_bytes_in(folder))

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
    """Print the start of a step and then its duration in seconds, which also goes into ``times`` under its name."""
    say(f"  {name} ...")
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    if times is not None:
        times[name] = round(seconds, 2)
    say(f"  {name}: {seconds:.1f} s")


def track(items: Iterable[Item], *, name: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items while a bar shows how many are done (no bar where there is no terminal)."""
    if not is_terminal():
        yield from items
        return
    with _display.bar(name, total=total if total is not None else length_hint(items), amount=_items) as advance_to:
        for number, item in enumerate(items, start=1):
            yield item
            advance_to(number)


def _bytes(task: Task) -> Text:
    return Text.assemble(DownloadColumn().render(task), " ", TransferSpeedColumn().render(task))


def _items(task: Task) -> Text:
    return Text.assemble(MofNCompleteColumn().render(task), " ", TimeElapsedColumn().render(task))


class _AmountColumn(ProgressColumn):
    """The progress of a bar, in bytes or in items."""

    def render(self, task: Task) -> Text:
        shown: Text = task.fields["amount"](task)
        return shown


class _Display:
    """The progress bars of all threads, one below the other; drawn while there is at least one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._screen: Progress | None = None

    @contextmanager
    def bar(self, name: str, *, total: int, amount: Callable[[Task], Text]) -> Iterator[Callable[[int], None]]:
        """Draw a bar while the block runs; the block calls the yielded function with the amount done so far."""
        with self._lock:
            if self._screen is None:
                columns = (TextColumn("  {task.description}"), BarColumn(), _AmountColumn())
                self._screen = Progress(*columns, console=console, transient=True)
                self._screen.start()
            screen, task = self._screen, self._screen.add_task(name, total=total, amount=amount)
        try:
            yield lambda done: screen.update(task, completed=done)
        finally:
            with self._lock:
                screen.refresh()
                screen.remove_task(task)
                if not screen.tasks:
                    screen.stop()
                    self._screen = None


_display = _Display()
