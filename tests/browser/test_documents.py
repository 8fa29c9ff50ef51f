"""The documents in a real browser: readable without a script, on any width, light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tfwheel.index import documents

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Browser(Protocol):
        """See conftest.py."""

        address: str
        open: Callable[..., None]
        run: Callable[..., Any]
        screenshot: Callable[[str], Any]
        complaints: Callable[[], list[str]]
        requests: Callable[[], set[str]]


WIDE, NARROW = (1280, 900), (360, 780)
PAGES = sorted(documents.page_of(name) for name in documents.read() if name.endswith(".md"))


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_wider_than_the_window_and_nothing_is_asked_of_others(browser: Browser, page: str) -> None:
    site = browser.address
    browser.requests(), browser.complaints()
    browser.address = f"{site}docs/{page}"
    for size in (WIDE, NARROW):
        browser.open(size=size)
        assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    asked = {url for url in browser.requests() if not url.startswith("data:")}
    assert browser.address in asked
    assert all(url == browser.address or url.startswith(f"{site}docs/images/") for url in asked)
    assert browser.complaints() == []


def test_the_landing_page_leads_to_the_documents_and_they_lead_back(browser: Browser) -> None:
    browser.run("document.querySelector('.top a').click()")
    assert browser.run("return document.querySelector('h1').textContent") == "Documentation"
    browser.run("document.querySelector('.top a').click()")
    assert browser.run("return document.querySelector('h1').textContent") == "TensorFlow wheels"


def test_without_scripts_all_the_text_is_there_to_search(browser: Browser) -> None:
    browser.address += "docs/gpu.html"
    browser.open(scripts=False)
    assert browser.run("return window.find('CUDA_ERROR_INVALID_PTX')")
    assert browser.run("return [...document.images].every(image => image.naturalWidth > 0)")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["desktop", "phone"])
@pytest.mark.parametrize("page", ["install.html", "gpu.html"])
def test_axe_finds_no_violation(browser: Browser, axe: str, page: str, size: tuple[int, int], *, dark: bool) -> None:
    browser.address += f"docs/{page}"
    browser.open(size=size, dark=dark)
    browser.screenshot(f"docs-{page.removesuffix('.html')}-{size[0]}-{'dark' if dark else 'light'}")
    browser.run(axe)
    found = browser.run("return axe.run().then(result => result.violations)")
    assert [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found] == []
