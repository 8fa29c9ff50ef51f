"""The page for people in a real browser: choosing, copying, searching, sorting, reading without a script."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.keys import Keys

import pagedata
from tfwheel.config import gpu_support

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Browser(Protocol):
        """See conftest.py."""

        address: str
        open: Callable[..., None]
        run: Callable[..., Any]
        choose: Callable[[str, str], None]
        text: Callable[[str], str]
        press: Callable[..., None]
        focused: Callable[[], str]
        clipboard: Callable[[], str]
        screenshot: Callable[[str], Any]
        complaints: Callable[[], list[str]]
        requests: Callable[[], set[str]]


def command(browser: Browser, pin: str, *, line: str = "cu12", before: str = "pip install") -> str:
    return f'{before} --extra-index-url {browser.address}{line}/ "{pin}"'


def rejected(browser: Browser) -> dict[str, str]:
    rows = browser.run(
        "return [...document.querySelectorAll('#rejected li')]"
        ".map(row => [...row.children].map(part => part.textContent))"
    )
    return dict(rows)


def visible_wheels(browser: Browser) -> list[str]:
    return list(
        browser.run(
            "return [...document.querySelectorAll('#table tbody tr')].filter(row => row.checkVisibility())"
            ".map(row => row.querySelector('.pin').textContent + ' ' + row.cells[1].textContent)"
        )
    )


# --- choosing --------------------------------------------------------------------------------------------


def test_it_opens_on_colabs_runtime_with_the_command_that_works(browser: Browser) -> None:
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.2")
    assert "for Python 3.13, 621 MB" in browser.text("verdict")
    assert "Native GPU code for T4 (compute capability 7.5): big kernels SASS sm_70" in browser.text("notes")
    assert browser.text("evidence") == "CPU smoke test: Python 3.13.1, 2026-11-21. GPU: NVIDIA H200, 2026-11-20."


def test_what_was_never_on_a_gpu_says_so_beside_its_command(browser: Browser) -> None:
    browser.choose("where", "colab 2026.07")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.1")
    assert browser.text("evidence") == "CPU smoke test: Python 3.12.1, 2026-11-21. Never run on a GPU."
    assert "Never run on a GPU" in browser.run("return document.querySelector('article').innerText")


@pytest.mark.parametrize(
    ("where", "pin"),
    [
        ("colab 2026.07", "tensorflow==2.20.0+cu125.1"),
        ("colab 2025.07", "tensorflow==2.18.1+cu125.1"),
        ("python 3.13", "tensorflow[and-cuda]==2.21.0+cu125.1"),
        ("python 3.11", "tensorflow[and-cuda]==2.20.0+cu125.1"),
    ],
)
def test_a_runtime_gets_its_own_tensorflow_and_a_plain_python_the_newest(
    browser: Browser, where: str, pin: str
) -> None:
    browser.choose("where", where)
    assert browser.text("command") == command(browser, pin)


def test_every_other_wheel_says_why_not(browser: Browser) -> None:
    why = rejected(browser)
    assert len(why) == 12
    tag = "cp313-cp313-manylinux_2_27_x86_64"
    assert why[f"tensorflow 2.20.0+cu125.1 {tag}"] == "older than 2.20.0+cu125.2"
    assert why[f"tensorflow 2.21.0+cu125.1 {tag}"].startswith("further from TensorFlow 2.20.0")
    assert why[f"tensorflow 2.20.0+cpu.1 {tag}"] == "for the line cpu"
    assert why["tensorflow 2.20.0+cu125.1 cp311-cp311-manylinux_2_27_x86_64"] == "for Python 3.11, not 3.13"
    assert why["tensorflow 2.18.1+cu125.2 cp311-cp311-manylinux_2_27_x86_64"] == "yanked: built with the wrong label"
    assert why["tfwheel-ops 2.20.0+cu125.1 py3-none-manylinux_2_27_x86_64"] == "another package"


def test_each_gpu_is_told_what_it_runs_of_each_kind_of_code(browser: Browser) -> None:
    for gpu in pagedata.GPUS:
        browser.choose("gpu", gpu.label)
        row = gpu_support.row(gpu, pagedata.RETARGETED, tensorflow="2.20.0", wheel="cu12")
        facts = zip(gpu_support.KINDS.values(), row[4:], strict=False)
        assert ", ".join(f"{kind} {runs}" for kind, runs in facts) in browser.text("notes")


def test_a_gpu_with_some_ptx_is_told_of_which_kind(browser: Browser) -> None:
    browser.choose("gpu", "G4 / RTX PRO 6000")
    notes = browser.text("notes")
    assert "On G4 / RTX PRO 6000 (compute capability 12.0): big kernels SASS, generated kernels SASS" in notes
    assert "The driver compiles the PTX (custom ops) on first use" in notes


def test_another_minor_than_the_runtimes_says_what_will_not_fit(browser: Browser) -> None:
    browser.choose("where", "colab 2026.04")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.1")
    assert "TensorFlow 2.19.0" in browser.text("notes")
    assert "tf_keras 2.19.0" in browser.text("notes")


def test_where_nothing_fits_the_page_says_so_and_offers_what_would(browser: Browser) -> None:
    browser.choose("line", "cpu")
    assert browser.text("verdict") == "No wheel fits this choice."
    assert not browser.run("return document.getElementById('panel').checkVisibility()")
    assert "no GPU code" in rejected(browser)["tensorflow 2.20.0+cpu.1 cp313-cp313-manylinux_2_27_x86_64"]
    browser.run("[...document.querySelectorAll('#ways button')].find(b => b.textContent == 'without a GPU').click()")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cpu.1", line="cpu")


def test_uv_and_holding_other_packages(browser: Browser) -> None:
    browser.run("document.querySelector('input[value=uv]').click()")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.2", before="uv pip install --system")
    browser.run("document.getElementById('hold').click()")
    constraints = f"{browser.address}install/constraints-colab-2026.08.txt"
    before = f"uv pip install --system -c {constraints}"
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.2", before=before)
    assert browser.run("return fetch(arguments[0]).then(() => 1, () => 0)", constraints) == 0  # the policy allows none
    browser.complaints()
    browser.choose("where", "python 3.13")
    assert browser.text("command") == command(browser, "tensorflow[and-cuda]==2.21.0+cu125.1", before="uv pip install")
    assert "installs the CUDA libraries" in browser.text("notes")
    browser.choose("gpu", "")
    assert browser.text("command") == command(browser, "tensorflow==2.21.0+cu125.1", before="uv pip install")


def test_the_ops_alone_fit_any_python(browser: Browser) -> None:
    browser.choose("project", "tfwheel-ops")
    assert browser.text("command") == command(browser, "tfwheel-ops==2.20.0+cu125.1")


# --- copying ---------------------------------------------------------------------------------------------


def test_the_command_is_copied_and_that_is_announced(browser: Browser) -> None:
    browser.run("document.getElementById('copy').focus()")
    browser.press(Keys.ENTER)
    assert browser.clipboard() == command(browser, "tensorflow==2.20.0+cu125.2")
    assert browser.run("return document.getElementById('toast').textContent") == "Copied the command"
    assert browser.run("return document.getElementById('toast').getAttribute('role')") == "status"


def test_a_hash_shows_whole_when_focused_and_is_copied_whole(browser: Browser) -> None:
    browser.run("document.querySelector('.hash').focus()")
    assert browser.run("return document.querySelector('.hash .full').checkVisibility({visibilityProperty: true})")
    browser.press(Keys.ENTER)
    assert browser.clipboard() == browser.run("return document.querySelector('.hash').dataset.copy")


def test_a_clipboard_that_refuses_is_admitted(browser: Browser) -> None:
    browser.run("navigator.clipboard.writeText = () => Promise.reject(new Error('no'))")
    browser.run("document.getElementById('copy').click()")
    told = browser.run("return new Promise(r => setTimeout(() => r(document.getElementById('toast').textContent), 50))")
    assert told == "Could not copy: select the text instead"


# --- the table -------------------------------------------------------------------------------------------


def search(browser: Browser, words: str) -> list[str]:
    browser.run("document.getElementById('search').value = ''; document.getElementById('search').focus()")
    browser.press(words)
    return visible_wheels(browser)


def test_all_words_of_a_search_must_be_there(browser: Browser) -> None:
    assert search(browser, "2.20 CP313 cu12") == ["tensorflow 2.20.0+cu125.2 3.13", "tensorflow 2.20.0+cu125.1 3.13"]
    assert browser.text("count") == "2 of 13 wheels"
    assert search(browser, "H200") == ["tensorflow 2.20.0+cu125.2 3.13"]
    assert len(search(browser, "sm_120 G4")) == len(search(browser, "cu12 cp3"))  # all but the ops alone
    assert search(browser, "yanked") == ["tensorflow 2.18.1+cu125.2 3.11"]


def test_a_search_without_a_hit_says_so(browser: Browser) -> None:
    assert search(browser, "windows") == []
    assert browser.text("nothing") == "No wheel matches."


def header(browser: Browser, key: str) -> str | None:
    sort = f"return document.querySelector('th[data-key={key}]').getAttribute('aria-sort')"
    found: str | None = browser.run(sort)
    return found


def test_columns_sort_both_ways_by_keyboard(browser: Browser) -> None:
    browser.run("document.querySelector('th[data-key=size] button').focus()")
    browser.press(Keys.ENTER)
    assert header(browser, "size") == "ascending"
    assert visible_wheels(browser)[0].startswith("tfwheel-ops")
    browser.press(Keys.SPACE)
    assert header(browser, "size") == "descending"
    assert visible_wheels(browser)[0].startswith("tensorflow")
    browser.run("document.querySelector('th[data-key=date] button').click()")
    assert header(browser, "size") is None
    assert visible_wheels(browser)[0] == "tensorflow 2.18.1+cu125.1 3.11"


def test_versions_sort_as_versions(browser: Browser) -> None:
    before = visible_wheels(browser)
    browser.run("document.querySelector('th[data-key=wheel] button').click()")
    assert visible_wheels(browser) == before[::-1]


# --- for everybody ---------------------------------------------------------------------------------------


def test_the_keyboard_reaches_everything_in_reading_order(browser: Browser) -> None:
    reached = []
    for _ in range(11):
        browser.press(Keys.TAB)
        reached.append(browser.focused())
    assert reached == ["A", *["A"] * 3, "where", "line", "gpu", "project", "INPUT", "hold", "copy"]


def test_without_a_script_everything_is_there_to_read(browser: Browser) -> None:
    browser.open(scripts=False)
    assert browser.screenshot("no-script").stat().st_size > 10_000
    # A debugger may still look at the page.
    shown = browser.run("return document.body.innerText")
    assert 'pip install --extra-index-url ADDRESS/cu12/ "tensorflow==2.20.0+cu125.2"' in shown
    assert "Replace ADDRESS/ with the URL of this page" in shown
    assert shown.lower().count("never run on a gpu") == 8 + 4
    assert not browser.run("return document.getElementById('chooser').checkVisibility()")


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_sticks_out_at_any_width(browser: Browser, width: int) -> None:
    browser.open(size=(width, 800))
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_the_page_asks_for_itself_alone_and_the_console_stays_empty(browser: Browser) -> None:
    browser.requests(), browser.complaints()
    browser.open()
    browser.choose("gpu", "L4")
    asked = {url for url in browser.requests() if not url.startswith("data:")}
    assert asked == {browser.address}
    assert browser.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), (360, 780)], ids=["desktop", "phone"])
def test_axe_finds_no_violation(browser: Browser, axe: str, scheme: str, size: tuple[int, int]) -> None:
    browser.open(size=size, dark=scheme == "dark")
    browser.screenshot(f"{'desktop' if size[0] > 1000 else 'phone'}-{scheme}")
    browser.choose("gpu", "G4 / RTX PRO 6000")
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    browser.run(axe)
    found = browser.run("return axe.run().then(result => [result.violations, result.passes.length])")
    violations, passes = found
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in violations] == []
    assert passes > 20


def test_where_nothing_fits_axe_finds_no_violation(browser: Browser, axe: str) -> None:
    browser.choose("line", "cpu")
    browser.screenshot("nothing-fits")
    browser.run(axe)
    assert browser.run("return axe.run().then(result => result.violations.map(one => one.id))") == []
