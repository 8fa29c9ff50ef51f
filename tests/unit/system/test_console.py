"""Lines where no terminal is, bars where one is."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from rich.console import Console
from rich.table import Table

from tfwheel.system import console

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed where no terminal is."""
    out = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=out, highlight=False, soft_wrap=True))
    return out


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is drawn on a terminal."""
    out = io.StringIO()
    monkeypatch.setattr(console, "console", Console(file=out, force_terminal=True, width=100))
    return out


def test_text_is_printed_as_it_is(printed: io.StringIO) -> None:
    console.say("[[exclude]] of targets.toml, [red]not red[/red] " + "x" * 200)
    assert printed.getvalue() == "[[exclude]] of targets.toml, [red]not red[/red] " + "x" * 200 + "\n"


def test_a_warning_is_called_one(printed: io.StringIO) -> None:
    console.warn("no [ccache]")
    assert printed.getvalue() == "warning: no [ccache]\n"


def test_details_are_for_those_who_ask(printed: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    console.detail("quiet")
    monkeypatch.setattr(console, "verbose", True)
    console.detail("$ ld [x]")
    assert printed.getvalue() == "$ ld [x]\n"


def test_a_table_is_drawn(printed: io.StringIO) -> None:
    table = Table("target")
    table.add_row("tf2.20.0-cp312-cu12")
    console.show(table)
    assert "tf2.20.0-cp312-cu12" in printed.getvalue()


def test_a_step_tells_its_time_and_keeps_it(printed: io.StringIO) -> None:
    times: dict[str, float] = {}
    with console.step("merge", times):
        time.sleep(0.02)
    with console.step("gates"):
        pass
    assert 0.02 <= times["merge"] < 1
    assert printed.getvalue().splitlines()[0] == "  merge ..."
    assert printed.getvalue().splitlines()[-1] == "  gates: 0.0 s"


def test_a_step_that_fails_is_not_said_to_be_done(printed: io.StringIO) -> None:
    with pytest.raises(ZeroDivisionError), console.step("merge"):
        _ = 1 / 0
    assert printed.getvalue() == "  merge ...\n"


def test_tracked_items_come_through_unchanged(printed: io.StringIO) -> None:
    assert list(console.track(range(3), name="unpack")) == [0, 1, 2]
    assert printed.getvalue() == ""


def test_on_a_terminal_tracked_items_have_a_bar(drawn: io.StringIO) -> None:
    assert list(console.track(iter(range(3)), name="unpack", total=3)) == [0, 1, 2]
    assert "unpack" in drawn.getvalue()
    assert "3/3" in drawn.getvalue()


def test_bars_of_two_threads_stand_below_each_other_and_end_in_any_order(drawn: io.StringIO) -> None:
    outer = console.track(range(2), name="headers")
    assert next(outer) == 0
    with ThreadPoolExecutor(max_workers=1) as pool:
        inner = console.track(range(2), name="GPU code")
        assert pool.submit(next, inner).result() == 0
        console.say("a line between them")
        assert [*outer] == [1]
        assert pool.submit(list, inner).result() == [1]
    words = drawn.getvalue()
    assert words.index("headers") < words.index("GPU code")
    assert "a line between them" in words
    assert words.count("\x1b[?25l") == words.count("\x1b[?25h") == 1  # one display, and the cursor is back


def test_without_a_terminal_a_growing_folder_is_one_line(printed: io.StringIO, tmp_path: Path) -> None:
    with console.growing(tmp_path, total=10, name="download"):
        pass
    assert printed.getvalue() == "  download ...\n"


def test_on_a_terminal_a_growing_folder_has_a_bar_of_its_bytes(drawn: io.StringIO, tmp_path: Path) -> None:
    with console.growing(tmp_path, total=1000, name="download"):
        (tmp_path / "part").write_bytes(bytes(500))
        deadline = time.monotonic() + 5
        while "0.5/1.0 kB" not in drawn.getvalue() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert "0.5/1.0 kB" in drawn.getvalue()


def test_the_bar_ends_when_the_download_fails(drawn: io.StringIO, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), console.growing(tmp_path, total=10, name="download"):
        _ = 1 / 0
    assert "download" in drawn.getvalue()
