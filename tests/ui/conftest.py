"""A real browser, and the real page served by `python app.py`."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING

import psutil
import pytest
from ui.slow_backend import SlowBackend

import xdyna.backends
from xdyna.ui.store import STORE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
)
PATIENCE_MS = 120_000  # for a condition on a machine that is busy with something else
PATIENCE_S = PATIENCE_MS / 1000


@dataclass(frozen=True)
class Server:
    """The served page: where it is, what it cost to come up, what it wrote, and its process.

    The cost is the process's own seconds on the processor, which other work on the machine does not prolong.
    """

    url: str
    processor_seconds: float
    log: Path
    process: subprocess.Popen


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(port: int, folder: Path, **variables: str) -> Iterator[Server]:
    """The page in a process of its own, which ends with the block; its uploads and its log are kept in a folder."""
    own = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": str(folder / "uploads")}
    environment = os.environ | own | variables
    url, give_up_at = f"http://127.0.0.1:{port}/", time.monotonic() + PATIENCE_S
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while True:
                assert process.poll() is None, (folder / "log").read_text()
                with suppress(urllib.error.URLError), urllib.request.urlopen(url, timeout=PATIENCE_S):
                    break
                assert time.monotonic() < give_up_at, "the page did not appear"
                time.sleep(0.05)
            used = psutil.Process(process.pid).cpu_times()
            yield Server(url, used.user + used.system, folder / "log", process)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def own_store(folder: Path) -> Iterator[Path]:
    """Gives the page of this process, when it is launched in the block, a place of its own for files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))  # both are set by `STORE.open`, and have to be set back
        patch.setattr(tempfile, "tempdir", tempfile.gettempdir())
        patch.setattr(STORE, "base", folder)
        yield folder
    STORE.close()


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> SlowBackend:
    backend = SlowBackend()
    monkeypatch.setattr(xdyna.backends, "load", lambda *_: backend)
    return backend


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(free_port(), tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt-get install chromium")
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is missing: it is in requirements-test.txt"
    )
    sync_api.expect.set_options(timeout=PATIENCE_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: "Browser") -> "Iterator[Callable[..., Page]]":
    """Opens a page as a new visitor; `visit(url, width=390)`."""
    contexts: list[BrowserContext] = []

    def open_page(
        url: str, width: int = 1280, height: int = 900, color_scheme: str = "light", locale: str = "en-US"
    ) -> "Page":
        size = {"width": width, "height": height}
        # Less motion: four example cards that play all the time cost a busy machine dearly.
        context = browser.new_context(viewport=size, color_scheme=color_scheme, locale=locale, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.goto(url)
        page.locator("#analyse").wait_for()
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")  # an answer still on its way would fail the next test
        context.close()
