"""The built pages in a real browser: figures and maths are drawn, nothing fails, no request leaves.

`python tests/test_pages.py screenshots DIR` saves a picture of every page, to be looked at.
"""

import base64
import functools
import http.server
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, chromium

HTML = Path(__file__).parent.parent / "_build" / "html"
PAGES = sorted(page.name for page in HTML.glob("*.html"))
DRAWN = """
const done = (outer, inner) => [...document.querySelectorAll(outer)].every(e => e.querySelector(inner));
return document.readyState === "complete"
    && done(".plotly-graph-div", ".main-svg") && done("span.math, div.math", "mjx-container svg");
"""
MATH_ERRORS = "return [...document.querySelectorAll('[data-mml-node=merror]')].map(e => e.textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    pytest.importorskip("selenium")
    if not (CHROMIUM and shutil.which("chromedriver")):
        pytest.skip("needs chromium and chromedriver")
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=HTML))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


def open_page(driver, url: str) -> None:
    """Open a page and wait until every figure and formula on it is drawn."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(url)
    WebDriverWait(driver, 30).until(lambda d: d.execute_script(DRAWN), f"figures or maths of {url} not drawn")


def requests(driver) -> list[str]:
    """Addresses asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


@pytest.mark.skipif(not PAGES, reason="no _build/html: run `make book` first")
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_page_stands_alone(scheme: str, page: str, browser, server: str) -> None:
    origin = server if scheme == "http" else HTML.as_uri()
    requests(browser), browser.get_log("browser")  # what earlier pages left
    open_page(browser, f"{origin}/{page}")
    asked = requests(browser)
    assert any(page in url for url in asked)
    assert [url for url in asked if not url.startswith((origin, "data:", "blob:"))] == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert browser.execute_script(MATH_ERRORS) == []


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
