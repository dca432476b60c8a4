"""What a job tells the page arrives, however many of its messages the browser looks at together."""

import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import gradio as gr
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from ui.conftest import free_port
from ui.visitor import answer_late

from xdyna.ui.blocks import PageBlocks
from xdyna.ui.fragments import HIDDEN

pytestmark = pytest.mark.browser


SEEN = threading.Event()
"""Set when the test is over: until then neither job ends, however long the browser takes to look."""


def go_on() -> Iterator[str]:
    """Keeps the page connected, as any other event that has not ended yet."""
    for number in count():
        yield f"{number}"
        if SEEN.wait(0.1):
            return


def tell() -> Iterator[Any]:
    yield "first", gr.update(visible=True)
    for number in count():
        yield f"number {number}", gr.skip()
        if SEEN.wait(0.1):
            return


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    SEEN.clear()
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: True)  # its patience of 3 s is not a busy machine's
    with PageBlocks(analytics_enabled=False) as demo:
        other, job = gr.Button("Other", elem_id="other"), gr.Button("Job", elem_id="analyse")
        number, told = gr.HTML(elem_id="number"), gr.HTML(elem_id="told")
        appearing = gr.Button("Here", visible=HIDDEN, elem_id="appearing")
        other.click(go_on, outputs=number)
        job.click(tell, outputs=[told, appearing])
    demo.queue().launch(server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True)
    yield demo.local_url
    SEEN.set()
    demo.close()


def test_an_update_arrives_together_with_those_that_follow_it(url: str, visit: Callable[..., Page]) -> None:
    page = visit(url)
    page.locator("#other").click()
    expect(page.locator("#number")).to_contain_text("1")
    page.route("**/queue/join*", lambda route: answer_late(route))
    page.locator("#analyse").click()
    expect(page.locator("#told")).to_contain_text("number")
    expect(page.locator("#appearing")).to_be_visible()
