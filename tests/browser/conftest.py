"""A real Chromium on the page, served from this machine; skipped, and that is said with a command, where none is."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

import needs
import pagedata
from tfwheel.index import documents, install_files, landing_page

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "dist" / "reports" / "screenshots"
AXE = "axe-core@4.14.1"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
DESKTOP = (1280, 900)
PHONE = (360, 780)
CLICKABLE = ("label", "button", "summary", "a")


class Browser:
    """Chromium on one page, with what a test does to it."""

    def __init__(self, driver: webdriver.Chrome, address: str) -> None:
        self.driver, self.address, self.clicks = driver, address, 0

    def open(self, *, size: tuple[int, int] = DESKTOP, dark: bool = False, scripts: bool = True) -> None:
        """Load the page afresh in a window of that size (CSS pixels)."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
        self.devtools("Emulation.setDeviceMetricsOverride", **metrics)
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])
        self.devtools("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.driver.get(self.address)

    def devtools(self, command: str, **options: Any) -> Any:  # noqa: ANN401 -- any JSON
        return self.driver.execute_cdp_cmd(command, options)

    def run(self, script: str, *values: Any) -> Any:  # noqa: ANN401 -- any JSON
        return self.driver.execute_script(script, *values)

    def click(self, words: str, *, inside: str = "ask") -> None:
        """Click what begins with these words and can be seen, with the mouse, inside an element."""
        own = f"starts-with(normalize-space(.), '{words}')"
        path = " | ".join(f"//*[@id='{inside}']//{name}[{own}]" for name in CLICKABLE)
        found = next(one for one in self.driver.find_elements("xpath", path) if one.is_displayed())
        self.run("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", found)
        found.click()
        self.clicks += 1

    def choose(self, field: str, words: str) -> None:
        """Pick the option of a list that begins with these words, which takes a person two clicks."""
        self.clicks += 2
        value = self.run(
            "return [...document.getElementById(arguments[0]).options]"
            ".find(one => one.textContent.trim().startsWith(arguments[1])).value",
            field,
            words,
        )
        self.run(
            "const box = document.getElementById(arguments[0]); box.value = arguments[1];"
            "box.dispatchEvent(new Event('change', {bubbles: true}))",
            field,
            value,
        )

    def text(self, name: str) -> str:
        return str(self.run("return document.getElementById(arguments[0]).innerText", name))

    def press(self, *keys: str) -> None:
        """Press keys on whatever has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def focused(self) -> str:
        return str(self.run("return document.activeElement.id || document.activeElement.tagName"))

    def clipboard(self) -> str:
        return str(self.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])"))

    def screenshot(self, name: str) -> Path:
        """The whole page as a PNG below ``dist/reports/screenshots``."""
        height = self.devtools("Page.getLayoutMetrics")["cssContentSize"]["height"]
        width = self.run("return innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
        picture = self.devtools("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        path.write_bytes(base64.b64decode(picture["data"]))
        return path

    def complaints(self) -> list[str]:
        """What the console received since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> set[str]:
        """The addresses asked for since the last call."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site with the landing page, its install material and the documents."""
    folder = tmp_path_factory.mktemp("site")
    entries = pagedata.release()
    files = install_files.render(entries, [], runtimes=pagedata.RUNTIMES, base_url="")
    files |= landing_page.render(
        entries,
        pagedata.listing(entries, base_url="", fits=pagedata.fits()),
        gpus=pagedata.GPUS,
        material=frozenset(files),
        documents=True,
        doctor=True,
        repository="owner/wheels",
    )
    files |= documents.render(documents.read())
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    with pagedata.served(folder) as url:
        yield url


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, chromedriver = needs.programs("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(chromedriver))
    yield started
    started.quit()


@pytest.fixture
def browser(driver: webdriver.Chrome, address: str) -> Browser:
    """The page as it opens on a desktop, with an empty console."""
    origin = address.removesuffix("/")
    browser = Browser(driver, address)
    browser.devtools(
        "Browser.grantPermissions", origin=origin, permissions=["clipboardReadWrite", "clipboardSanitizedWrite"]
    )
    browser.open()
    return browser


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, from the cache or through npm."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tfwheel" / "npm"
    kept = cache / f"{AXE.replace('@', '-')}.tgz"
    if not kept.exists():
        (npm,) = needs.programs("npm")
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run([npm, "pack", "--silent", AXE], cwd=cache, check=True)
    with tarfile.open(kept) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member
        return member.read().decode()
