"""Functions that several events ask for: they run for the newest question, and then rest."""

from collections import defaultdict
from collections.abc import Callable, Iterator

import gradio as gr
import pytest

pytest.importorskip("playwright", reason="playwright is missing: it is in requirements-test.txt")
from playwright.sync_api import Page, expect
from ui.conftest import PATIENCE_MS, free_port
from ui.visitor import all_answered, choose_example, expect_text, go

from xdyna.ui.demo import build_demo
from xdyna.ui.latest import latest


def test_no_function_that_is_repeated_shares_its_event_with_another() -> None:
    hanging: dict[tuple[int, str], list[dict[str, object]]] = defaultdict(list)
    for function in build_demo("xdyna-mini").config["dependencies"]:
        for component, event in function["targets"] if function["backend_fn"] else ():
            if event != "then":  # what follows another function has that event for itself
                hanging[component, event].append(function)
    assert sum(len(functions) for functions in hanging.values()) > 10
    for event, functions in hanging.items():
        if any(function["trigger_mode"] == "always_last" for function in functions):
            assert len(functions) == 1, f"{event}: {[function['api_name'] for function in functions]}"


@pytest.fixture
def doubling() -> Iterator[tuple[str, list[float]]]:
    """A page where two functions follow one number, and what they were asked."""
    asked: list[float] = []
    with gr.Blocks() as demo:
        number, shown = gr.Number(0, elem_id="number"), [gr.Number(0, elem_id=f"shown-{k}") for k in range(2)]
        for output in shown:
            latest([number.change, number.input], lambda n: asked.append(n) or 2 * n, inputs=number, outputs=output)
    demo.launch(server_name="127.0.0.1", server_port=free_port(), prevent_thread_lock=True, quiet=True)
    yield demo.local_url, asked
    demo.close()


@pytest.mark.browser
def test_two_functions_on_the_same_events_do_not_keep_each_other_going(
    doubling: tuple[str, list[float]], browser: object
) -> None:
    url, asked = doubling
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(url)
    with all_answered(page):
        page.locator("#number input").fill("21")  # is an input and a change
        for k in range(2):
            expect(page.locator(f"#shown-{k} input")).to_have_value("42")
    assert 2 <= len(asked) <= 4
    page.close()


@pytest.mark.browser
def test_a_page_at_rest_asks_for_nothing(url: str, visit: Callable[..., Page]) -> None:
    page = visit(url)
    choose_example(page)
    go(page, "check")
    expect_text(page, "#checks", "Face found")
    for name in ("generate", "check"):
        with all_answered(page):
            go(page, name)
