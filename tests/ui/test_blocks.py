"""What a job tells the page arrives, however many of its messages the browser looks at together."""

import time
from collections.abc import Callable, Iterator
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


def go_on() -> Iterator[str]:
    """Keeps the page connected, as any other event that has not ended yet."""
    for number in range(100):
        yield f"{number}"
        time.sleep(0.1)


def tell() -> Iterator[Any]:
    yield "first", gr.update(visible=True)
    for number in range(100):
        yield f"number {number}", gr.skip()
        time.sleep(0.1)


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("gradio.networking.url_ok", lambda url: True)  # its patience of 3 s is not a busy machine's
    with PageBlocks(analytics_enabled=False) as demo:
        other, job = gr.Button("Other", elem_id="other"), gr.Button("Job", elem_id="analyse")
        number, told = gr.HTML(elem_id="number"), gr.HTML(elem_id="told")
        appearing = gr.Button("Here", visible=HIDDEN, elem_id="appearing")
        other.click(go_on, outputs=number)
        job.click(tell, outputs=[told, appearing])
    demo.queue().launch(server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True)
    yield demo.local_url
    demo.close()


def test_an_update_arrives_together_with_those_that_follow_it(url: str, visit: Callable[..., Page]) -> None:
    page = visit(url)
    page.locator("#other").click()
    expect(page.locator("#number")).to_contain_text("1")
    page.route("**/queue/join*", lambda route: answer_late(route))
    page.locator("#analyse").click()
    expect(page.locator("#told")).to_contain_text("number")
    expect(page.locator("#appearing")).to_be_visible(timeout=5_000)
