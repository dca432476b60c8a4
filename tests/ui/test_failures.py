"""What a visitor reads when something fails that is not their fault, and that the page goes on afterwards.

With `test_remedies.py` (every cause and its one click), `test_generate.py` (memory, a lost GPU, a full queue),
`test_inputs.py` and `test_hostile_uploads.py` (files) this covers the errors that the page knows.
"""

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from ui.conftest import PATIENCE_S, free_port, own_store, served
from ui.slow_backend import SlowBackend
from ui.visitor import EXAMPLES, choose_example, expect_text, go, make_fast, press, set_number, upload

from xdyna.ui.blocks import PageBlocks
from xdyna.ui.demo import launch
from xdyna.ui.fair_queue import QueueTicket
from xdyna.ui.gpu import RUN_QUEUE
from xdyna.ui.jobs import ANALYSIS_QUEUE

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Serve = Callable[[], str]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Serve]:
    """Starts the page in this process, after the test has broken what it wants to be broken."""
    pages: list[gr.Blocks] = []
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: True)  # its patience of 3 s is not a busy machine's

    def start() -> str:
        pages.append(launch(host="127.0.0.1", port=free_port(), block=False))
        return str(pages[-1].local_url)

    with own_store(tmp_path / "files"):
        yield start
    for page in pages:
        page.close()


def start(page: Page) -> None:
    choose_example(page)
    make_fast(page, steps=2)
    go(page, "generate")
    page.locator("#generate").click()


def expect_alert(page: Page, *words: str) -> None:
    alert = page.locator("#run-status [role=alert]")
    for word in words:
        expect(alert).to_contain_text(word)
    expect(page.locator("#generate")).to_be_enabled()
    for button in ("#stop", "#finish"):
        expect(page.locator(button)).to_be_hidden()


def test_used_up_gpu_time_leads_to_a_shorter_run(
    backend: SlowBackend, serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = backend.run

    def borrow(conditions: object, settings: object, stop: object = None) -> Iterator[object]:
        if settings.num_inference_steps > 2:
            raise gr.Error("You have exceeded your free ZeroGPU quota (90s requested vs. 46s left). Try again later.")
        yield from real(conditions, settings, stop)

    monkeypatch.setattr(backend, "run", borrow)
    page = visit(serve())
    choose_example(page)
    go(page, "generate")
    page.locator("#generate").click()
    expect_alert(page, "asks for 90 s of GPU time; you have 46 s left")
    expect(page.locator("#fix")).to_have_text("Use the Fast preset")
    page.locator("#fix").click()
    expect_text(page, "#run-status", "Done: 16 frames")


def full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/path")


def test_a_result_that_finds_the_disk_full_is_kept_and_saved_later(
    backend: SlowBackend, serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(serve())
    with monkeypatch.context() as broken:
        broken.setattr("xdyna.files._write_all", full_disk)
        start(page)
        expect_alert(page, "no room left for your video, which needs", "kB. It is finished and kept")
        expect(page.locator("#run-status")).not_to_contain_text("secret")
        expect(page.locator("#fix")).to_have_text("Save again")
    page.locator("#fix").click()
    expect_text(page, "#run-status", "Done: 4 frames")
    expect_text(page, "#caption", "AI-generated")
    assert backend.runs == 1  # nothing was made anew
    set_number(page, "num_frames", 5)  # so that its end can be told from the one before
    press(page, "#generate")
    expect_text(page, "#run-status", "Done: 5 frames")
    assert backend.runs == 2


def test_a_full_disk_elsewhere_is_told_and_the_buttons_come_back(
    backend: SlowBackend, serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit(serve())
    with monkeypatch.context() as broken:
        broken.setattr("xdyna.ui.downloads.write_result", full_disk)
        start(page)
        expect_alert(page, "no room left", "are kept")
        expect(page.locator("#run-status")).not_to_contain_text("secret")
    expect(page.locator("#fix")).to_have_text("Try again")
    page.locator("#fix").click()
    expect_text(page, "#run-status", "Done: 4 frames")


JOBS = {
    "page_analyse": ("#analyse-again", "#check-status", "#analyse-stop"),
    "page_generate": ("#generate", "#run-status", "#stop"),
    "page_compare": ("#compare", "#compare-status", "#compare-stop"),
}


@pytest.mark.parametrize("job", JOBS)
def test_whatever_fails_in_or_around_a_job_the_page_can_go_on(
    backend: SlowBackend, serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    """Before its function, in it, and after it while its outputs are made ready for the browser."""
    gone = {*RUN_QUEUE.called, *ANALYSIS_QUEUE.called}  # of servers that were stopped
    page, (button, status, stop) = visit(serve()), JOBS[job]
    choose_example(page)
    expect_text(page, "#checks", "16 frames")
    make_fast(page)
    for frames, stage in enumerate(("preprocess_data", "call_function", "postprocess_data"), start=3):
        set_number(page, "num_frames", frames)  # else there would be nothing to analyse
        with monkeypatch.context() as broken:
            broken.setattr(PageBlocks, stage, failing(getattr(PageBlocks, stage), job))
            press(page, button)
            expect_text(page, f"{status} [role=alert]", "our side.*are kept")
            expect(page.locator(status)).not_to_contain_text("secret")
        expect(page.locator(stop)).to_be_hidden()
        expect_free_places(gone)
        press(page, button)
        words = {"page_analyse": ("#checks", f"{frames} frames"), "page_generate": ("#run-status", f"{frames} frames")}
        expect_text(page, *words.get(job, ("#compare-status", "Done: 3 videos")))
        expect(page.locator(f"{status} [role=alert]")).to_have_count(0)


def expect_free_places(gone: set[QueueTicket]) -> None:
    """Wait until nobody is served: *See it move* may go on for a while, what has failed must not."""
    give_up_at = time.monotonic() + PATIENCE_S
    while {*RUN_QUEUE.called, *ANALYSIS_QUEUE.called} - gone:
        assert time.monotonic() < give_up_at, "a place in a queue is still taken"
        time.sleep(0.05)


def failing(real: Any, job: str) -> Any:
    """A stage of Gradio's that fails for one job."""

    async def fail(self: PageBlocks, event: Any, *arguments: Any, **options: Any) -> object:
        if event.api_name == job:
            raise RuntimeError("/secret/path")
        return await real(self, event, *arguments, **options)

    return fail


def test_a_file_beyond_the_limit_is_refused_with_the_limit(
    serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xdyna.ui.demo.MAX_UPLOAD", "10kb")
    page = visit(serve())
    upload(page, "photo", EXAMPLES / "sea_photo.png")
    expect(page.locator(".toast-body")).to_contain_text("10")
    choose_example(page)  # from the server's own files
    expect_text(page, "#checks", "16 frames")


def test_without_weights_the_page_still_analyses_and_names_the_command(
    serve: Serve, visit: Visit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("xdyna.weights.BUNDLED_MINI", tmp_path)
    page = visit(serve())
    expect(page.locator("header")).to_contain_text("weights are not installed here")
    choose_example(page)
    expect_text(page, "#checks", "16 frames")
    go(page, "generate")
    expect(page.locator("#generate")).to_be_disabled()
    expect(page.locator("#lacking [role=alert]")).to_contain_text("Run `xdyna weights pull xdyna-mini`")


def test_files_that_the_server_has_deleted_are_asked_for_again(
    backend: SlowBackend, serve: Serve, visit: Visit, tmp_path: Path
) -> None:
    page = visit(serve())
    upload(page, "photo", EXAMPLES / "sea_photo.png")
    upload(page, "clip", EXAMPLES / "sea_clip.mp4")
    page.locator("#consent input").check()
    expect_text(page, "#checks", "16 frames")
    for file in (tmp_path / "files" / "server-0").rglob("*.*"):
        file.unlink()
    make_fast(page)  # another length: the files have to be read again
    press(page, "#generate")
    expect_alert(page, "did not come here as an upload", "Upload it")
    choose_example(page)
    press(page, "#generate")
    expect_text(page, "#run-status", "Done: 4 frames")


def test_a_restarted_server_is_waited_for_and_the_browser_still_has_the_settings(tmp_path: Path, visit: Visit) -> None:
    port = free_port()
    with served(port, tmp_path) as server:
        page = visit(server.url)
        set_number(page, "seed", 77)
        page.wait_for_function("localStorage.getItem('xdyna-settings')")
        page.evaluate("window.before = true")
    page.locator("#generate").click()  # a page at rest asks the server nothing, so it learns of its end here
    expect(page.locator(".toast-body")).to_contain_text("Connection to the server was lost")
    with served(port, tmp_path):
        page.wait_for_function("!window.before")  # it loads anew by itself
        start(page)
        expect_text(page, "#caption", "seed 77, 2 steps")
