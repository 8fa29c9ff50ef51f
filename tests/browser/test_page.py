"""The page for people in a real browser: asking, answering, copying, searching, reading without a script."""

from __future__ import annotations

import itertools
import json
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.keys import Keys

import fakewheels
import pagedata
from tfwheel.config.paths import ROOT
from tfwheel.doctor import gpu_rules, selector
from tfwheel.index import local_index
from tfwheel.system.files import sha256_of
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Protocol

    class Browser(Protocol):
        """See conftest.py."""

        address: str
        clicks: int
        open: Callable[..., None]
        run: Callable[..., Any]
        click: Callable[..., None]
        choose: Callable[[str, str], None]
        text: Callable[[str], str]
        press: Callable[..., None]
        focused: Callable[[], str]
        clipboard: Callable[[], str]
        screenshot: Callable[[str], Any]
        complaints: Callable[[], list[str]]
        requests: Callable[[], set[str]]


DATA = ROOT / "tests" / "data"
WIDE, NARROW = (1280, 900), (390, 844)


def command(browser: Browser, pin: str, *, line: str = "cu12", before: str = "%pip install") -> str:
    return f'{before} --extra-index-url {browser.address}{line}/ "{pin}"'


def shown(browser: Browser, name: str) -> bool:
    return bool(browser.run("return document.getElementById(arguments[0]).checkVisibility()", name))


def rejected(browser: Browser) -> dict[str, str]:
    rows = browser.run(
        "return [...document.querySelectorAll('#rejected li')].map(row => [row.title, row.lastChild.textContent])"
    )
    return dict(rows)


def visible_wheels(browser: Browser) -> list[str]:
    return list(
        browser.run(
            "return [...document.querySelectorAll('#groups tbody tr')].filter(row => row.checkVisibility())"
            ".map(row => row.closest('article').querySelector('h3').innerText + ' ' + row.querySelector('a').innerText)"
        )
    )


# --- five tasks, with the clicks that each takes -----------------------------------------------------------


@pytest.mark.parametrize(
    ("clicks", "expected"),
    [
        ([], '%pip install --extra-index-url BASE/cu12/ "tensorflow==2.20.0+cu125.2"'),
        (["G4"], '%pip install --extra-index-url BASE/cu12/ "tensorflow==2.20.0+cu125.2"'),
        (
            ["My own Linux machine", "3.12", "RTX 50"],
            'pip install --extra-index-url BASE/cu12/ "tensorflow[and-cuda]==2.21.0+cu125.1"',
        ),
        (["No GPU"], '%pip install --extra-index-url BASE/cpu/ "tensorflow==2.20.0+cpu.1"'),
        (["My own Linux machine", "3.10", "Another GPU: P100"], 'pip install "tensorflow[and-cuda]==2.20.0"'),
    ],
    ids=["Colab as it comes: 0", "G4: 1", "RTX 5090 and Python 3.12 on Linux: 3", "CPU only: 1", "P100 and 3.10: 4"],
)
def test_a_task_takes_so_many_clicks(
    browser: Browser, clicks: list[str], expected: str, request: pytest.FixtureRequest
) -> None:
    for words in clicks:
        if words.startswith("Another GPU: "):
            browser.choose("gpu", words.removeprefix("Another GPU: "))
        else:
            browser.click(words)
    assert browser.text("command") == expected.replace("BASE/", browser.address)
    assert f": {browser.clicks}]" in request.node.name
    assert "$" not in browser.text("panel")


# --- the same answers as the selector ----------------------------------------------------------------------


def test_the_script_answers_every_case_of_the_table_in_one_load(browser: Browser) -> None:
    listing = json.loads((DATA / "selector_wheels.json").read_bytes())
    cases = json.loads((DATA / "selector_cases.json").read_bytes())
    answers = browser.run(
        "return arguments[0].map(({environment, expect, name, ...options}) =>"
        " select(environment, arguments[1], options))",
        cases,
        listing,
    )
    assert len(cases) > 50
    for case, answer in zip(cases, answers, strict=True):
        options = {key: case[key] for key in ("project", "installer") if key in case}
        choice = selector.select(case["environment"], listing, **options)
        expect, reasons = case["expect"], dict(answer["rejected"])
        assert (answer["wheel"] or {}).get("file") == expect["file"], case["name"]
        assert answer["command"] == expect["command"], case["name"]
        assert answer["official"] is expect["official"], case["name"]
        assert all(words in reasons[file] for file, words in expect["reasons"].items()), case["name"]
        # What the table does not spell out is the same, too.
        found = {key: answer[key] for key in ("notes", "alternatives", "restart", "advice")}
        same = {key: getattr(choice, key) for key in found}
        assert found == same, case["name"]
        assert reasons == dict(choice.rejected), case["name"]


def test_what_is_chosen_on_the_page_is_what_the_selector_answers(browser: Browser) -> None:
    """Each runtime and some Pythons, with each GPU of the page."""
    asked = browser.run("""
        const found = [];
        const ask = () => {
            update();
            found.push([environmentNow(), at("panel").hidden ? null : at("command").textContent]);
        };
        const set = (name, value) => {
            document.querySelector(`input[name=${name}][value="${value}"]`).checked = true;
        };
        const each = (name, values, gpus) => { for (const value of values) { set(name, value); for (const gpu of gpus) {
            if (gpu === "none") { at("gpu").value = ""; set("gpu", "none"); } else at("gpu").value = gpu;
            ask(); } } };
        const gpus = [...at("gpu").options].map(one => one.value).filter(Boolean);
        each("runtime", listing.runtimes.map(one => one.name), ["none", ...gpus.slice(0, 5)]);
        set("where", "linux");
        each("python", ["3.10", "3.13"], ["none", ...gpus]);
        return [found, listing];
    """)
    answers, listing = asked
    assert len(answers) > 6 * 6 + 2 * 31
    for environment, said in answers:
        choice = selector.select(environment, listing, base=browser.address)
        assert said == choice.command, environment
    assert len({said for _, said in answers}) > 6


def test_the_script_has_the_rule_for_gpu_code(browser: Browser) -> None:
    images = [
        "sm_60",
        "sm_70",
        "sm_75",
        "sm_90a",
        "sm_120",
        "sm_120f",
        "compute_80",
        "compute_90a",
        "compute_100f",
        "sm_8",
    ]
    sets = [list(chosen) for size in range(4) for chosen in itertools.combinations(images, size)]
    capabilities = [(6, 0), (7, 0), (7, 5), (8, 9), (9, 0), (10, 0), (10, 3), (12, 0), (12, 1)]
    found = browser.run(
        "return arguments[0].map(images => arguments[1].map(gpu => fit(images, gpu)))", sets, capabilities
    )
    assert found == [[gpu_rules.fit(one, gpu) for gpu in capabilities] for one in sets]


# --- asking and answering ----------------------------------------------------------------------------------


def test_it_opens_on_the_newest_known_runtime_and_says_what_to_know(browser: Browser) -> None:
    assert browser.text("verdict") == "tensorflow 2.20.0+cu125.2, 621 MB, CUDA 12.5.1"
    notes = browser.text("notes").splitlines()
    assert notes == [
        "Fits runtime 2026.08: no other package changes.",
        "T4 (compute capability 7.5) runs big kernels: SASS sm_70, generated kernels: SASS sm_70, custom ops: SASS.",
        "Restart the session after installing, so that the new version is loaded.",
        "CPU smoke test: Python 3.13.1, 2026-11-21. GPU: NVIDIA H200, 2026-11-20.",
    ]
    asked = browser.text("ask")
    assert "newest known, Python 3.13" in asked
    assert "current" not in asked


def test_what_was_never_on_a_gpu_says_so_beside_its_command(browser: Browser) -> None:
    browser.click("2026.07")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.1")
    assert browser.text("notes").endswith("CPU smoke test: Python 3.12.1, 2026-11-21. Never run on a GPU.")


def test_a_small_wheel_is_one_click_away_and_so_is_the_way_back(browser: Browser) -> None:
    browser.click("2026.07")
    browser.click("T4 only, 358 MB instead of 621 MB", inside="alternatives")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125t4.1", line="cu12t4")
    assert browser.text("verdict").startswith("tensorflow 2.20.0+cu125t4.1, 358 MB")
    browser.click("Back to 2.20.0+cu125.1", inside="alternatives")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.1")
    browser.click("L4")
    assert browser.text("alternatives") == ""


def test_what_a_wheel_changes_in_a_runtime_is_said(browser: Browser) -> None:
    browser.click("2026.04")
    notes = browser.text("notes")
    assert "Changes other packages of runtime 2026.04: keras 3.10.0 -> 3.13.2." in notes
    assert "The runtime has TensorFlow 2.19.0; packages built for it may stop working: " in notes
    assert "tf-keras 2.19.0" in notes


def test_every_other_wheel_says_why_not(browser: Browser) -> None:
    why, tag = rejected(browser), "cp313-cp313-manylinux_2_27_x86_64.whl"
    assert len(why) == 14
    assert why[f"tensorflow-2.20.0+cu125.1-{tag}"] == "older than 2.20.0+cu125.2"
    assert why[f"tensorflow-2.21.0+cu125.1-{tag}"] == "breaks runtime 2026.08: tf_keras 2.20.1 requires tensorflow<2.21"
    assert browser.text("others-count") == "Why not the other 14"


@pytest.mark.parametrize("python", ["3.10", "3.14"])
def test_a_python_without_a_wheel_is_answered(browser: Browser, python: str) -> None:
    browser.click("My own Linux machine")
    browser.click(python)
    browser.click("RTX 40")
    assert browser.text("verdict") == "No wheel here fits."
    assert f"No wheel here is for Python {python}." in browser.text("advice")
    assert not shown(browser, "panel")
    browser.click("Python 3.12", inside="alternatives")
    assert browser.text("command") == command(browser, "tensorflow[and-cuda]==2.21.0+cu125.1", before="pip install")


def test_a_gpu_that_no_wheel_serves_is_told_what_to_do_instead(browser: Browser) -> None:
    browser.choose("gpu", "P100")
    assert browser.text("advice").startswith(
        "Keep the runtime's own TensorFlow 2.20.0: no wheel here has code for P100"
    )
    browser.click("Runs on the CPU", inside="alternatives")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cpu.1", line="cpu")
    browser.choose("gpu", "GB10")
    assert "x86_64 Linux" in browser.text("advice")
    browser.click("My own Linux machine")
    browser.choose("gpu", "K80")
    assert "No TensorFlow from 2.18 on has code for K80" in browser.text("advice")


def test_the_list_and_the_buttons_are_one_choice_of_gpu(browser: Browser) -> None:
    browser.choose("gpu", "5.2")
    assert browser.run("return document.querySelector('input[name=gpu]:checked')") is None
    browser.click("L4")
    assert browser.run("return document.getElementById('gpu').value") == ""
    browser.click("My own Linux machine")  # which has no button for an L4
    assert browser.run("return at('gpu').selectedOptions[0].textContent") == "L4, 8.9"
    assert "L4 (compute capability 8.9)" in browser.text("notes")


def test_what_nvidia_smi_prints_is_read(browser: Browser) -> None:
    browser.click("Which GPU do I have?")
    asked = "nvidia-smi --query-gpu=name,compute_cap,driver_version --format=csv,noheader"
    assert browser.text("ask-gpu") == f"!{asked}"
    browser.click("My own Linux machine")
    assert browser.text("ask-gpu") == asked
    browser.run("at('smi').focus()")
    browser.press("NVIDIA GeForce RTX 3090, 8.6, 470.82.01")
    assert browser.text("read") == "Compute capability 8.6, driver 470.82.01."
    assert "Update the NVIDIA driver to 525.60.13 or newer" in browser.text("advice")
    browser.click("RTX 30")  # chosen by hand, the driver is unknown again
    assert shown(browser, "panel")
    browser.run("at('smi').value = ''; at('smi').focus()")
    browser.press("sm_121")
    assert browser.text("read") == "Compute capability 12.1."
    assert "compute capability 12.1" in browser.text("notes")
    browser.run("at('smi').value = ''; at('smi').focus()")
    browser.press("Tesla")
    assert browser.text("read").startswith("No compute capability in it")


SMI = "| NVIDIA-SMI 580.82.07   Driver Version: 580.82.07   CUDA Version: 13.0 |"
ROW = "| 0 {} Off | 00000000:A1:04.0 Off | 0 | | N/A 41C P4 9W / 70W | 2MiB / 15360MiB | 0% Default |"
NAMED = {
    SMI: None,
    f"{SMI} {ROW.format('Tesla T4')}": "7.5",
    f"{SMI} {ROW.format('NVIDIA A100-SXM4-40GB')}": "8.0",
    f"{SMI} {ROW.format('NVIDIA H100 80GB HBM3')} {ROW.format('NVIDIA L4')}": "8.9",
    "GPU 0: NVIDIA L4 (UUID: GPU-c8a7-f4a6-p4-a10)": "8.9",
    "Tesla T4, 7.5, 580.82.07NVIDIA A100-SXM4-40GB, 8.0, 580.82.07": "7.5",  # a field of one line drops newlines
    "NVIDIA GeForce RTX 5090, 12.0, 580.82.07 NVIDIA GeForce RTX 3090, 8.6, 580.82.07": "8.6",
    "GPU 0: Tesla T4 (7.5)": "7.5",
    "compute capability: 7.5.": "7.5",
    "sm_90a": "9.0",
    "NVIDIA GeForce RTX 4060 Laptop GPU": "8.9",
    "NVIDIA RTX 6000 Ada Generation": "8.9",
    "NVIDIA RTX A6000": "8.6",
    "NVIDIA RTX PRO 6000 Blackwell": "12.0",
    "GeForce GTX 970": "5.2",
    "CUDA 12.8": None,
    "15.0 GiB": None,
}


def test_the_least_capable_gpu_of_an_answer_counts_and_cuda_is_no_capability(browser: Browser) -> None:
    found = browser.run("return arguments[0].map((text) => gpuIn(text, listing.gpus).capability)", list(NAMED))
    assert dict(zip(NAMED, found, strict=True)) == NAMED
    browser.click("Which GPU do I have?")
    browser.run("at('smi').focus()")
    browser.press(f"{SMI} {ROW.format('Tesla T4')}")
    assert browser.text("read") == "T4, compute capability 7.5, driver 580.82.07."
    assert browser.run("return at('gpu').selectedOptions[0].textContent") == "T4, 7.5"


def test_what_is_wrong_in_a_runtime_by_itself_stands_apart(browser: Browser) -> None:
    browser.click("What is wrong in this runtime", inside="result")
    assert "tensorflow-metadata 1.21.0" in browser.text("faults-list")
    assert "raise VersionError" in browser.text("faults-list")
    browser.click("2026.04")
    assert not shown(browser, "faults")


def test_uv_and_holding_other_packages(browser: Browser) -> None:
    browser.click("uv", inside="result")
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.2", before="!uv pip install --system")
    browser.click("Hold every other package", inside="result")
    constraints = f"{browser.address}install/constraints-colab-2026.08.txt"
    before = f"!uv pip install --system -c {constraints}"
    assert browser.text("command") == command(browser, "tensorflow==2.20.0+cu125.2", before=before)
    assert "names what stands in the way" in browser.text("hold-label")
    assert browser.run("return fetch(arguments[0]).then(() => 1, () => 0)", constraints) == 0  # the policy allows none
    browser.complaints()
    browser.click("My own Linux machine")
    assert not shown(browser, "hold-label")
    browser.click("RTX 50")
    assert browser.text("command") == command(browser, "tensorflow[and-cuda]==2.21.0+cu125.1", before="uv pip install")
    assert "Needs at least glibc 2.27 and NVIDIA driver 525.60.13." in browser.text("notes")
    browser.click("CUDA 12 and cuDNN 9 are installed", inside="result")
    assert browser.text("command") == command(browser, "tensorflow==2.21.0+cu125.1", before="uv pip install")


def test_the_ops_alone_fit_any_python(browser: Browser) -> None:
    browser.click("tfwheel-ops")
    assert browser.text("command") == command(browser, "tfwheel-ops==2.20.0+cu125.1")


# --- in a project ------------------------------------------------------------------------------------------


def test_a_project_gets_the_wheel_from_this_index_and_nothing_else(browser: Browser) -> None:
    browser.click("My own Linux machine")
    browser.click("3.12")
    browser.click("RTX 50")
    browser.click("In a project", inside="result")
    uv = tomllib.loads(browser.text("snippet"))
    assert uv["project"] == {
        "requires-python": "==3.12.*",
        "dependencies": ["tensorflow[and-cuda]==2.21.0+cu125.1"],
    }
    assert uv["tool"]["uv"] == {
        "sources": {"tensorflow": {"index": "tfwheel-cu12"}},
        "index": [{"name": "tfwheel-cu12", "url": f"{browser.address}cu12/", "explicit": True}],
    }
    browser.click("Poetry", inside="result")
    poetry = tomllib.loads(browser.text("snippet"))["tool"]["poetry"]
    asked = {"version": "2.21.0+cu125.1", "source": "tfwheel-cu12", "extras": ["and-cuda"]}
    assert poetry["dependencies"] == {"python": ">=3.12,<3.13", "tensorflow": asked}
    assert poetry["source"] == [{"name": "tfwheel-cu12", "url": f"{browser.address}cu12/", "priority": "explicit"}]
    browser.click("PDM", inside="result")
    source = tomllib.loads(browser.text("snippet"))["tool"]["pdm"]["source"]
    assert source == [{"name": "tfwheel-cu12", "url": f"{browser.address}cu12/", "include_packages": ["tensorflow"]}]
    browser.click("pip-tools", inside="result")
    pin = "tensorflow[and-cuda]==2.21.0+cu125.1"
    assert browser.text("snippet").split("\n")[:2] == [f"--extra-index-url {browser.address}cu12/", pin]
    browser.click("hashes", inside="result")
    assert "For a new environment, not for Colab's own" in browser.text("snippet-hint")


def test_uv_locks_the_wheel_of_the_snippet_by_its_hash(browser: Browser, tmp_path: Path) -> None:
    extra = "Provides-Extra: and-cuda\n"
    options = {"name": "tensorflow", "version": "2.20.0+cu125.1", "tag": "py3-none-manylinux_2_27_x86_64"}
    wheel = fakewheels.write_wheel(tmp_path / "wheels", {}, extra=extra, **options)
    python = f"3.{sys.version_info.minor}"
    with local_index.serve_alone(wheel, line="cu12", workdir=tmp_path) as index:
        asked = {"wheel": {"project": "tensorflow", "version": "2.20.0+cu125.1", "line": "cu12"}, "lock": ""}
        asked |= {"extra": "[and-cuda]", "index": index, "python": python}
        text = browser.run("return snippetsOf(arguments[0]).uv.text", asked)
        named = text.replace("[project]\n", '[project]\nname = "mine"\nversion = "0"\n')
        (tmp_path / "pyproject.toml").write_text(named, encoding="utf-8")
        run([sys.executable, "-m", "uv", "-q", "lock", "--python", sys.executable], cwd=tmp_path)
    locked = tomllib.loads((tmp_path / "uv.lock").read_text(encoding="utf-8"))["package"]
    found = next(one for one in locked if one["name"] == "tensorflow")
    assert found["wheels"][0]["hash"] == f"sha256:{sha256_of(wheel)}"
    assert found["source"] == {"registry": index}


# --- copying -----------------------------------------------------------------------------------------------


def test_the_command_is_copied_and_the_button_says_so(browser: Browser) -> None:
    browser.run("document.getElementById('copy').focus()")
    browser.press(Keys.ENTER)
    assert browser.clipboard() == command(browser, "tensorflow==2.20.0+cu125.2")
    assert browser.text("copy") == "Copied"
    assert browser.run("return document.getElementById('told').getAttribute('role')") == "status"
    assert browser.run("return document.getElementById('told').textContent") == "Copied"


@pytest.mark.parametrize(
    "no_clipboard",
    [
        "navigator.clipboard.writeText = () => Promise.reject(new Error('no'))",
        "Object.defineProperty(navigator, 'clipboard', {value: undefined})",  # as on a page that is not secure
    ],
    ids=["refused", "missing"],
)
def test_without_a_clipboard_the_text_is_selected(browser: Browser, no_clipboard: str) -> None:
    browser.run(no_clipboard)
    browser.click("Copy", inside="result")
    assert browser.text("copy") == "Selected"
    assert browser.run("return getSelection().toString()") == command(browser, "tensorflow==2.20.0+cu125.2")
    assert "Ctrl+C" in browser.run("return document.getElementById('told').textContent")


def test_a_hash_shows_whole_when_focused_and_is_copied_whole(browser: Browser) -> None:
    browser.run("document.querySelector('.hash').focus()")
    assert browser.run("return document.querySelector('.hash .full').checkVisibility({visibilityProperty: true})")
    browser.press(Keys.ENTER)
    assert browser.clipboard() == browser.run("return document.querySelector('.hash').dataset.copy")
    assert browser.run("return document.querySelector('.hash .short').textContent") == "Copied"


# --- all wheels --------------------------------------------------------------------------------------------


def search(browser: Browser, words: str) -> list[str]:
    browser.run("document.getElementById('search').value = ''; document.getElementById('search').focus()")
    browser.press(words)
    return visible_wheels(browser)


def test_all_words_of_a_search_must_be_there(browser: Browser) -> None:
    found = ["tensorflow 2.20.0+cu125.2 Python 3.13", "tensorflow 2.20.0+cu125.1 Python 3.13"]
    assert search(browser, "2.20.0+cu125. CP313") == found
    assert browser.text("count") == "2 of 15 wheels"
    assert search(browser, "NVIDIA H200") == ["tensorflow 2.20.0+cu125.2 Python 3.13"]
    assert len(search(browser, "sm_120 G4")) == 8  # those of TensorFlow for the line of all GPUs
    assert search(browser, "yanked") == ["tensorflow 2.18.1+cu125.2 Python 3.11"]
    assert search(browser, "windows") == []
    assert browser.text("nothing") == "No wheel matches."
    assert not browser.run("return document.querySelector('article').checkVisibility()")


def test_a_wheel_is_a_line_or_three_on_a_phone(browser: Browser) -> None:
    browser.open(size=NARROW)
    heights = browser.run("return [...document.querySelectorAll('#groups tbody tr')].map(row => row.offsetHeight)")
    assert max(heights) <= 100
    assert browser.run("return document.getElementById('groups').offsetHeight") < 15 * 200


# --- for everybody -----------------------------------------------------------------------------------------


def test_the_keyboard_reaches_everything_in_reading_order(browser: Browser) -> None:
    reached = []
    for _ in range(18):
        browser.press(Keys.TAB)
        name = "return document.activeElement.name || document.activeElement.id || document.activeElement.tagName"
        reached.append(browser.run(name))
    links = ["A"] * 7
    asked = ["where", "runtime", "SUMMARY", "gpu", "gpu", "SUMMARY", "project"]
    assert reached == [*links, *asked, "tool", "copy", "PRE", "hold"]
    browser.run("document.querySelector('input[name=gpu]:checked').focus()")
    browser.press(Keys.ARROW_RIGHT)
    assert "A100 (compute capability 8.0)" in browser.text("notes")


def test_without_a_script_every_command_is_there_to_read(browser: Browser) -> None:
    browser.open(scripts=False)
    assert browser.screenshot("no-script").stat().st_size > 10_000
    # A debugger may still look at the page.
    text = browser.run("return document.body.innerText")
    assert '%pip install --extra-index-url cu12/ "tensorflow==2.20.0+cu125.2"' in text
    assert "copy the address of the link" in text
    links = browser.run("return [...new Set([...document.querySelectorAll('a.address')].map(link => link.href))]")
    assert set(links) == {f"{browser.address}{one}" for one in ("cu12/", "cu12t4/", "cpu/", "doctor.py", "index.html")}
    assert "ADDRESS" not in text
    assert "Linux, Python 3.14" in text
    assert not shown(browser, "chooser")


def test_with_a_script_every_command_has_the_address(browser: Browser) -> None:
    browser.click("Every command", inside="commands")
    text = browser.text("commands")
    assert command(browser, "tensorflow==2.20.0+cu125.2") in text
    assert "address of the link" not in text
    doctor = f"!curl -fsSL {browser.address}doctor.py | python3 - --index {browser.address}"
    assert browser.text("doctor-command") == doctor


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280])
def test_nothing_sticks_out_at_any_width(browser: Browser, width: int) -> None:
    browser.open(size=(width, 800))
    for where in ("Google Colab", "My own Linux machine"):
        browser.click(where)
        browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert browser.run("return document.documentElement.scrollWidth") <= width


def test_the_page_asks_for_itself_alone_and_the_console_stays_empty(browser: Browser) -> None:
    browser.requests(), browser.complaints()
    browser.open()
    browser.click("L4")
    asked = {url for url in browser.requests() if not url.startswith("data:")}
    assert asked == {browser.address}
    assert browser.complaints() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["desktop", "phone"])
def test_axe_finds_no_violation(browser: Browser, axe: str, scheme: str, size: tuple[int, int]) -> None:
    browser.open(size=size, dark=scheme == "dark")
    browser.screenshot(f"{'desktop' if size[0] > 1000 else 'phone'}-{scheme}")
    browser.click("G4")
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    browser.run(axe)
    found = browser.run("return axe.run().then(result => [result.violations, result.passes.length])")
    violations, passes = found
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in violations] == []
    assert passes > 20


def test_where_nothing_fits_axe_finds_no_violation(browser: Browser, axe: str) -> None:
    browser.open(dark=True)
    browser.click("My own Linux machine")
    browser.click("3.14")
    browser.choose("gpu", "P100")
    browser.screenshot("nothing-fits")
    browser.run(axe)
    assert browser.run("return axe.run().then(result => result.violations.map(one => one.id))") == []


def test_the_wheels_of_the_page_are_those_of_its_ledger(browser: Browser) -> None:
    files = browser.run("return listing.wheels.map(wheel => wheel.file)")
    assert sorted(files) == sorted(entry.file for entry in pagedata.release())
