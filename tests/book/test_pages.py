"""The built pages in a real browser: figures and maths are drawn, nothing fails, no request leaves.

`python tests/book/test_pages.py screenshots DIR` saves a picture of every page, to be looked at.
"""

import base64
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import chromium, chromium_or_skip, complaints, requests, served

HTML = Path(__file__).parents[2] / "_build" / "html"
PAGES = sorted(page.name for page in HTML.glob("*.html"))
DRAWN = """
const done = (outer, inner) => [...document.querySelectorAll(outer)].every(e => e.querySelector(inner));
return document.readyState === "complete"
    && done(".plotly-graph-div", ".main-svg") && done("span.math, div.math", "mjx-container svg");
"""
MATH_ERRORS = "return [...document.querySelectorAll('[data-mml-node=merror]')].map(e => e.textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    yield from chromium_or_skip()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with served(HTML) as address:
        yield address


def open_page(driver, url: str) -> None:
    """Open a page and wait until every figure and formula on it is drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(url)
    WebDriverWait(driver, 30).until(lambda d: d.execute_script(DRAWN), f"figures or maths of {url} not drawn")


@pytest.mark.skipif(not PAGES, reason="no _build/html: run `make book` first")
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_page_stands_alone(scheme: str, page: str, browser, server: str) -> None:
    origin = server if scheme == "http" else HTML.as_uri()
    requests(browser), complaints(browser)  # what earlier pages left
    open_page(browser, f"{origin}/{page}")
    asked = requests(browser)
    assert any(page in url for url in asked)
    assert [url for url in asked if not url.startswith((origin, "data:", "blob:"))] == []
    assert complaints(browser) == []
    assert browser.execute_script(MATH_ERRORS) == []


EYES = (
    "return [...document.querySelectorAll('.plotly-graph-div')].map(f => f._fullLayout.scene?.camera.eye.x)"
)
TAKE = """document.querySelectorAll(".plotly-graph-div").forEach(
    (figure) => figure.dispatchEvent(new PointerEvent("pointerdown", {bubbles: true})))"""


@pytest.mark.skipif("intro.html" not in PAGES, reason="no _build/html: run `make book` first")
def test_the_first_density_turns_until_it_is_taken(browser) -> None:
    open_page(browser, f"{HTML.as_uri()}/intro.html")
    eyes = []
    for _ in range(3):
        eyes.append(browser.execute_script(EYES))
        browser.execute_async_script("setTimeout(arguments[0], 1500)")
    assert eyes[0] != eyes[1] != eyes[2]
    browser.execute_script(TAKE)
    browser.execute_async_script("setTimeout(arguments[0], 500)")  # a step under way ends
    still = browser.execute_script(EYES)
    browser.execute_async_script("setTimeout(arguments[0], 1500)")
    assert browser.execute_script(EYES) == still


def screenshots(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as driver:
        for theme in ("light", "dark"):
            for page in PAGES:
                open_page(driver, f"{HTML.as_uri()}/{page}")
                driver.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
                driver.execute_async_script("setTimeout(arguments[0], 1000)")  # figures redraw
                height = driver.execute_script("return document.documentElement.scrollHeight")
                clip = {"x": 0, "y": 0, "width": 1400, "height": height, "scale": 1}
                shot = {"captureBeyondViewport": True, "clip": clip}
                image = driver.execute_cdp_cmd("Page.captureScreenshot", shot)["data"]
                (folder / f"{Path(page).stem}-{theme}.png").write_bytes(base64.b64decode(image))


if __name__ == "__main__":
    if sys.argv[1:2] != ["screenshots"] or len(sys.argv) != 3:
        sys.exit(__doc__)
    screenshots(Path(sys.argv[2]))
