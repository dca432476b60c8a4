"""Which event of the page calls which handler."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from xdyna.ui import api, handlers
from xdyna.ui.examples import Example
from xdyna.ui.handlers import PARTS

GPU_QUEUE: dict[str, Any] = {"concurrency_id": "gpu", "concurrency_limit": 1}
ANALYSIS_QUEUE: dict[str, Any] = {"concurrency_id": "analysis", "concurrency_limit": 2}
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
IMMEDIATE: dict[str, Any] = {**PRIVATE, "queue": False}


@dataclass(frozen=True, kw_only=True)
class Page:
    """What was laid out.

    Attributes:
        parts: inputs and outputs by name, `handlers.PARTS` among them.
        settings: inputs of `AnimationSettings` by field.
        examples: with the button that chooses each.
    """

    parts: dict[str, Any]
    settings: dict[str, Component]
    examples: list[tuple[Example, gr.Button]]

    def of(self, *names: str) -> list[Any]:
        """The parts of these names."""
        return [self.parts[name] for name in names]


def wire(page: Page, model: str) -> None:
    """Connects everything; to be called inside the page's `gr.Blocks`."""
    _wire_jobs(page, model)
    _wire_notes(page)
    _wire_examples(page)
    _add_endpoints(page, model)


def _wire_jobs(page: Page, model: str) -> None:
    """Analyse, Generate and Stop. A click first shows that it was heard; the job may have to queue."""
    outputs, parts = page.of(*PARTS), page.parts
    job: dict[str, Any] = {
        "inputs": page.of("photo", "clip", "consent", "analysis"),
        "inputs_kwargs": page.settings,
        "outputs": outputs,
        **PRIVATE,
    }
    analysing = (
        parts["analyse_button"]
        .click(partial(handlers.waiting, "analyse"), outputs=outputs, **IMMEDIATE)
        .then(handlers.analyse, api_name="page_analyse", **job, **ANALYSIS_QUEUE)
    )
    generating = (
        parts["generate_button"]
        .click(partial(handlers.waiting, "generate"), outputs=outputs, **IMMEDIATE)
        .then(handlers.generate_with(model), api_name="page_generate", **job, **GPU_QUEUE)
    )
    # Only generators can be cancelled: Gradio closes them at their next yield, and their `finally` blocks run.
    for button, event, kind in (
        (parts["analyse_stop_button"], analysing, "analyse"),
        (parts["stop_button"], generating, "generate"),
    ):
        stop = button.click(partial(handlers.stopped, kind), outputs=outputs, cancels=[event], **IMMEDIATE)
        stop.then(handlers.settled, outputs=parts[handlers.STATUS[kind]], **IMMEDIATE)
        status = parts[handlers.STATUS[kind]]
        event.failure(partial(handlers.refused, kind), inputs=status, outputs=outputs, **IMMEDIATE)


def _wire_notes(page: Page) -> None:
    """What can be said about a file as soon as it is there, and the frame under the slider."""
    parts = page.parts
    size: list[Any] = [page.settings["width"], page.settings["height"]]
    gr.on(
        [parts["photo"].change, *(side.change for side in size)],
        handlers.describe_photo,
        inputs=[parts["photo"], *size],
        outputs=parts["photo_note"],
        **PRIVATE,
    )
    parts["clip"].change(handlers.describe_clip, inputs=parts["clip"], outputs=parts["clip_note"], **PRIVATE)
    parts["frame"].input(
        handlers.show_frame,
        inputs=page.of("analysis", "frame"),
        outputs=parts["overlay"],
        trigger_mode="always_last",
        **IMMEDIATE,
    )


def _wire_examples(page: Page) -> None:
    for example, button in page.examples:
        outputs = page.of("photo", "clip", *PARTS)
        button.click(partial(handlers.use_example, example), outputs=outputs, **IMMEDIATE)


def _add_endpoints(page: Page, model: str) -> None:
    """`/analyze` and `/generate`, which the page itself does not use: its jobs also move buttons."""
    job: dict[str, Any] = {
        "inputs": page.of("photo", "clip", "consent"),
        "inputs_kwargs": page.settings,
        "show_progress": "hidden",
    }
    call = gr.Button(visible=False)
    report = gr.JSON(visible=False, label="Report")
    call.click(
        api.analyze,
        outputs=[*page.of("overlay", "pose_clip", "faces"), report],
        api_name="analyze",
        **job,
        **ANALYSIS_QUEUE,
    )
    recipe = gr.File(visible=False, label="Recipe")
    call.click(
        api.generate_with(model), outputs=[page.parts["result"], recipe], api_name="generate", **job, **GPU_QUEUE
    )
