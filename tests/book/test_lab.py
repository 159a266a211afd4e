"""An explorer in a real JupyterLab: it appears, answers the keyboard, and nothing leaves the machine."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from browser import chromium_or_skip, requests
from some_networks import salt_store

ROOT = Path(__file__).parents[2]
CODE = """
from some_networks import small, used
from crystalnet.data.store import Store
from crystalnet.show.explorers import LatentExplorer
LatentExplorer(used(small("film")), Store("salts.h5"))
"""
SECONDS = 120  # that a wait may take, on a busy machine; all take half a minute on an idle one
READY = """
const kernel = window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel;
return kernel?.connectionStatus === "connected" && kernel.status === "idle";
"""
FAILURES = "Error displaying widget", "Error creating widget", "Traceback"


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[str]:
    """JupyterLab on a folder, with no settings but its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hidden = {name: str(folder / ".jupyter" / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    environment = os.environ | hidden | {"PYTHONPATH": paths, "JUPYTER_PREFER_ENV_PATH": "1"}
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": folder,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": "",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",  # it would ask another server
        "LabApp.expose_app_in_browser": True,  # READY asks it
        "LabApp.extension_manager": "readonly",  # as would this one
    }
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        *(f"--{k}={v}" for k, v in options.items()),
    ]
    address = f"http://127.0.0.1:{port}"
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        until = time.monotonic() + SECONDS
        while not answers(f"{address}/api"):
            assert server.poll() is None and time.monotonic() < until, (folder / "lab.log").read_text()
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()  # and its kernels with it
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()  # kernels notice and leave
            server.wait()


def answers(url: str) -> bool:
    with contextlib.suppress(OSError):
        return urllib.request.urlopen(url, timeout=2).status == 200
    return False


def run_first_cell(driver, url: str) -> None:
    """Open a notebook and press Shift+Enter in its first cell."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(url)
    wait = WebDriverWait(driver, SECONDS, ignored_exceptions=[WebDriverException])
    wait.until(lambda d: d.execute_script(READY), "no kernel")  # without one, Shift+Enter runs nothing
    wait.until(
        lambda d: d.find_element("css selector", ".jp-CodeCell .cm-content").click() or True, "no cell"
    )
    ActionChains(driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()


@pytest.fixture
def browser() -> Iterator:
    if not importlib.util.find_spec("jupyterlab"):
        pytest.skip("needs jupyterlab")
    yield from chromium_or_skip()


def test_an_explorer_answers_the_keyboard(tmp_path, browser):
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    salt_store(tmp_path)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE.strip())])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "explorer.ipynb")
    with lab(tmp_path) as address:
        requests(browser)  # the browser's own start
        run_first_cell(browser, f"{address}/doc/tree/explorer.ipynb")
        redrawn = [StaleElementReferenceException]  # a widget was replaced between finding and reading it
        wait = WebDriverWait(browser, SECONDS, ignored_exceptions=redrawn)
        wait.until(
            lambda d: len(d.find_elements("css selector", ".js-plotly-plot .main-svg")) >= 3, "no figures"
        )
        words = wait.until(lambda d: d.find_element("css selector", "p[role=status]").text, "no words")
        assert "noise = 1" in words and "SSIM" in words

        slider = "//label[text()='Noise']/..//*[@role='slider']"
        wait.until(lambda d: d.find_element("xpath", slider).send_keys(Keys.ARROW_RIGHT) or True, "no slider")
        wait.until(
            lambda d: "noise = 1.1" in d.find_element("css selector", "p[role=status]").text,
            f"the slider does not answer: {words}",
        )
        page = browser.find_element("css selector", "body").text
        assert [failure for failure in FAILURES if failure in page] == []
        assert browser.find_elements("css selector", "p[role=alert]") == []
        assert [
            url for url in requests(browser) if not url.startswith((address, "data:", "blob:", "about:"))
        ] == []
