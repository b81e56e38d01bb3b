"""What the tests of the page share: signals whose answer is known, and a browser."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from synthetic import RATE, amp, guitar

from ampsim.report.page import listening_page

FLAGS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses to run as root otherwise, as tests in a container do
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=IsolateSandboxedIframes",  # in a process of its own, a frame's console would not be heard
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--window-size=1280,900",
    "--use-fake-device-for-media-stream",  # an audio input that beeps
    "--use-fake-ui-for-media-stream",  # and is allowed
)


def signals(duration_s: float = 6.0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Direct and amp, and two models: one that is near the amp, and one that is not."""
    direct = guitar(round(duration_s * RATE), seed=4)
    target = amp(direct)
    near = (0.9 * target + 0.02 * np.roll(target, 3)).astype(np.float32)
    return {"direct": direct, "amp": target}, {"near": near, "far": 0.5 * direct}


def write_page(path: Path, **options: Any) -> Path:
    given, models = signals()
    return listening_page(path, given, models, RATE, **({"title": "Two models"} | options))


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium or Chrome without a window, with its driver; skips where one of them is not installed."""
    found = [next(filter(None, map(shutil.which, names)), None) for names in (BROWSERS, ("chromedriver",))]
    if not all(found):
        pytest.skip("no chromium and chromedriver here (Debian: apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = str(found[0])
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(found[1])))
    try:
        yield driver
    finally:
        driver.quit()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder on this machine, where browsers give a page more than they give one from disk."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


BROWSERS = ("chromium", "google-chrome", "chromium-browser", "google-chrome-stable")


def until(happened: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Wait for something that will happen, on however slow a machine."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return found


def ready(driver: webdriver.Chrome) -> None:
    until(lambda: driver.execute_script("return document.body.classList.contains('ready')"))


def complaints(driver: webdriver.Chrome) -> list[str]:
    """All that the browser's console has said since it was last asked."""
    return [entry["message"] for entry in driver.get_log("browser")]
