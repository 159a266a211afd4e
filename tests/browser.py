"""A headless Chromium for tests of pages, and what a page asked for or complained of."""

import contextlib
import functools
import http.server
import json
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-background-networking --disable-component-update "
    "--disable-sync --no-first-run --disable-quic --enable-unsafe-swiftshader --window-size=1400,1000"
)


@contextlib.contextmanager
def chromium() -> Iterator:
    """A headless Chromium with a profile of its own that logs its console and its requests."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            driver.get("about:blank")  # away from the browser's own start page
            yield driver
        finally:
            driver.quit()


def chromium_or_skip() -> Iterator:
    """What a fixture `browser` yields from."""
    pytest.importorskip("selenium")
    if not (CHROMIUM and shutil.which("chromedriver")):
        pytest.skip("needs chromium and chromedriver")
    with chromium() as driver:
        yield driver


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's files."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()


def requests(driver) -> list[str]:
    """Addresses asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]


def complaints(driver) -> list[dict]:
    """Errors on the console since the last call."""
    return [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"]
