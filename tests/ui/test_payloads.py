"""What a client may send: every input of every event is checked in one place."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio.components import Component
from gradio.state_holder import SessionState
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from ui.conftest import Server

from xdyna.schema import InputError
from xdyna.ui.blocks import PageBlocks
from xdyna.ui.demo import build_demo
from xdyna.ui.payloads import FILES, NOT_UPLOADED, check_payload, event_text

EXAMPLES = Path(__file__).parents[2] / "examples"
NOT_OURS = EXAMPLES / "sea_photo.png"  # a picture on the server's disk that nobody uploaded
META = {"meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def inputs() -> list[tuple[str, Component]]:
    """Every input of every event of the page and of its endpoints, but for states, which never leave the server."""
    events = build_demo("xdyna-mini").fns.values()
    return [(event.api_name, item) for event in events for item in event.inputs if not item.stateful]


def test_every_input_is_of_a_kind_that_is_checked(inputs: list[tuple[str, Component]]) -> None:
    for _, component in inputs:
        with pytest.raises(InputError):  # an unknown kind raises a TypeError
            check_payload(component, [{"path": str(NOT_OURS)}] * 100 if isinstance(component, FILES) else _WRONG)


class _Wrong:
    """A value that no input takes: neither a number nor a text, and long."""

    def __str__(self) -> str:
        return "x" * 3_000_000


_WRONG = _Wrong()


def test_an_input_of_another_kind_must_decide_how_it_is_checked() -> None:
    with pytest.raises(TypeError, match="does not know Audio"):
        check_payload(gr.Audio(), "value")


@pytest.mark.parametrize(
    "file",
    [
        {"path": str(NOT_OURS)},
        {"path": str(NOT_OURS), **META},
        {"path": str(NOT_OURS), "url": "https://example.org/photo.png", **META},
        {"path": "https://example.org/photo.png", **META},
        {"path": str(EXAMPLES / "missing.png"), **META},
        {"path": None, "url": "https://example.org/photo.png"},
        {"url": "data:image/png;base64,AAAA"},
        {"path": [str(NOT_OURS)], **META},
        str(NOT_OURS),
        7,
    ],
)
def test_a_file_that_is_no_upload_is_refused_in_one_text(inputs: list[tuple[str, Component]], file: object) -> None:
    """Existing or not, in whatever form: the text does not tell."""
    components = [component for _, component in inputs if isinstance(component, FILES)]
    assert {component.elem_id for component in components} == {
        "photo",
        "clip",
        "motion",
        "restore",
        "compare-files",
        "matte-upload",
    }
    for component in components:
        for value in (file, [file]):
            with pytest.raises(InputError) as refused:
                check_payload(component, value)
            assert str(refused.value) == NOT_UPLOADED


@pytest.mark.parametrize(
    ("component", "value", "words"),
    [
        (gr.Slider(label="Steps"), "25", "Steps must be a number, got '25'"),
        (gr.Slider(label="Steps"), True, "Steps must be a number, got True"),
        (gr.Number(label="Seed"), [1], "Seed must be a number"),
        (gr.Number(label="Seed", minimum=0, maximum=9), 10, "Seed must be between 0 and 9, got 10"),
        (gr.Slider(0, 100, label="Steps"), -1, "Steps must be between 0 and 100, got -1"),
        (gr.Checkbox(label="Consent"), "yes", "Consent must be true or false, got 'yes'"),
        (gr.Checkbox(label="Consent"), 1, "Consent must be true or false, got 1"),
        (gr.Textbox(label="Prompt"), 5, "Prompt must be a text, got 5"),
        (gr.Textbox(label="Prompt", max_length=500), "x" * 10**7, "Prompt takes at most 500 letters, got 10000000"),
        (gr.Textbox(label="Variants"), "x" * 2001, "at most 2000 letters"),
        (gr.Dropdown(["a"], label="Model"), ["a"], "Model must be a text"),
        (gr.CheckboxGroup(["a", "b"], label="Runs"), "a", "Runs must be a list of its choices"),
        (gr.CheckboxGroup(["a", "b"], label="Runs"), ["a"] * 9, "Runs must be a list of its choices"),
        (gr.HTML(label="Status"), "x" * 3_000_000, "sent back more than it was given"),
    ],
)
def test_wrong_types_and_lengths_are_refused_in_words(component: Component, value: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_payload(component, value)


@pytest.mark.parametrize(
    ("component", "value"),
    [
        (gr.Slider(), 3),
        (gr.Number(), 2.5),
        (gr.Checkbox(), False),
        (gr.Textbox(max_length=3), "abc"),
        (gr.Image(), None),
        (gr.File(file_count="multiple"), []),
    ],
)
def test_what_fits_is_let_through(component: Component, value: Any) -> None:
    check_payload(component, value)


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    client = Client(server.url, verbose=False)
    yield client
    client.close()


def post(server: Server, endpoint: str, **values: Any) -> str:
    """What the server answers to a request as no browser would make it."""
    address = f"{server.url}gradio_api/call/v2/{endpoint}"
    event = httpx.post(address, json=values, timeout=60).json()["event_id"]
    return httpx.get(f"{address}/{event}", timeout=60).text


@pytest.mark.parametrize("endpoint", ["analyze", "generate", "compare"])
@pytest.mark.parametrize("form", [{}, META])
def test_an_endpoint_takes_no_file_of_the_server(server: Server, endpoint: str, form: dict[str, Any]) -> None:
    answer = post(server, endpoint, photo={"path": str(NOT_OURS)} | form, clip=None, consent=True)
    assert "event: error" in answer and NOT_UPLOADED in answer
    assert "event: complete" not in answer
    missing = post(server, endpoint, photo={"path": str(EXAMPLES / "missing.png")} | form, clip=None, consent=True)
    assert missing == answer


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_frames": "many"}, "Frames must be a number, got 'many'"),
        ({"num_inference_steps": 2.5}, "Steps must be a whole number, got 2.5"),
        ({"consent": "yes"}, "must be true or false, got 'yes'"),
        ({"consent": False}, "right to use"),
        ({"prompt": "x" * 501}, "at most 500 letters"),
        ({"retarget": 1}, "must be true or false, got 1"),
        ({"model": "none"}, "none"),
    ],
)
def test_wrong_values_over_the_api_are_refused_in_words(client: Client, changes: dict[str, Any], words: str) -> None:
    files = {"photo": handle_file(NOT_OURS), "clip": handle_file(EXAMPLES / "sea_clip.mp4")}
    with pytest.raises(AppError, match=words):
        client.predict(**files | {"consent": True, "num_frames": 3} | changes, api_name="/generate")


@pytest.mark.parametrize("number", [0, 3, 500])
def test_a_request_with_another_number_of_values_is_refused_in_words(server: Server, number: int) -> None:
    address = f"{server.url}gradio_api/call/analyze"
    event = httpx.post(address, json={"data": ["x"] * number}, timeout=60).json()["event_id"]
    answer = httpx.get(f"{address}/{event}", timeout=60).text
    assert re.search(rf"event: error.*analyze takes \d+ values, got {number}\.", answer, re.DOTALL)


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        ({"id": "abc"}, "abc"),
        ({"id": 3}, "3"),
        ({"id": ["a"]}, ""),
        ({"id": None}, ""),
        ({}, ""),
        (None, ""),
        ("id", ""),
    ],
)
def test_a_click_says_a_text_or_nothing(sent: Any, value: str) -> None:
    assert event_text(gr.EventData(None, sent), "id") == value


def test_a_session_keeps_no_description_of_the_page() -> None:
    """Gradio makes one for links that this page does not offer: 20 ms and 0.4 MB for every new session."""
    with PageBlocks(analytics_enabled=False) as page:
        gr.Slider(label="Steps")
    session = SessionState(page)
    assert list(session.components) == []
    assert session.blocks_config.blocks.keys() == page.blocks.keys()
    assert page.get_config_file()["components"][0]["props"]["label"] == "Steps"
