"""Screen 1: photo and clip."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from xdyna.config import AnimationSettings
from xdyna.ui import fragments
from xdyna.ui.examples import Example, load_examples
from xdyna.ui.guide import guide
from xdyna.ui.handlers import inputs as handlers
from xdyna.ui.handlers.model_choice import use_suggestion
from xdyna.ui.job_events import IMMEDIATE, PRIVATE, SETTING_STATE, components
from xdyna.ui.latest import latest
from xdyna.ui.photo_input import photo_input
from xdyna.ui.session import Session
from xdyna.ui.settings_form import CLIP, LIVE, add_input
from xdyna.ui.stepper import screen

DROP_HEIGHT_PX = 300
DEFAULT_MAX_LENGTH_S = 20.0
AT_REST = """
const video = element.querySelector("video");
if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
  video.autoplay = false;
  video.pause();
}
"""
"""Spares visitors the moving cards who asked their system for less motion."""


@dataclass(frozen=True, kw_only=True)
class InputsParts:
    """What the screen consists of.

    `photo_problem`, `suggested`, `driver` and `valid` are states: why the photo cannot be used, the model that suits
    it, the `Driver`, and the pair of files once both can be analysed. `touched` is a number nobody sees, another one
    whenever that may have changed.
    """

    photo: gr.Image
    photo_note: gr.HTML
    model_reason: gr.HTML
    suggested: gr.State
    photo_problem: gr.State
    clip: gr.Video
    clip_note: gr.HTML
    motion: gr.File
    driver: gr.State
    start: gr.Slider
    length: gr.Slider
    part: gr.HTML
    example: gr.HTML
    consent: gr.Checkbox
    analyse: gr.Button
    reason: gr.HTML
    glance: gr.HTML
    valid: gr.State
    touched: gr.Number
    settings: dict[str, Component]
    examples: list[tuple[Example, gr.Button]]


def add_inputs(defaults: AnimationSettings) -> InputsParts:
    """Lays out the screen."""
    with screen("inputs"):
        examples = _add_examples(load_examples())
        with gr.Column(elem_classes="card"):
            gr.HTML(fragments.section("1", "Photo and clip"), padding=False)
            with gr.Row(elem_classes="inputs-files"):
                parts = _add_photo() | _add_clip(defaults)
                parts["example"] = gr.HTML(padding=False, elem_id="example-result")
            start = parts["start"]
            with gr.Accordion("Frame rate and size of the video", open=False), gr.Row():
                elsewhere = {"start_s": start} | {name: parts.pop(name) for name in LIVE}
                settings = {name: add_input(name, defaults) for name in CLIP if name not in elsewhere} | elsewhere
            with gr.Accordion("What makes a good pair?", open=True):
                gr.HTML(guide(), padding=False)
            parts |= _add_go()
    return InputsParts(
        **parts,
        touched=gr.Number(0, visible=fragments.HIDDEN),
        photo_problem=gr.State(None),
        suggested=gr.State(None),
        driver=gr.State(None),
        valid=gr.State(None),
        settings=settings,
        examples=examples,
    )


def wire_inputs(parts: InputsParts, session: Session) -> None:
    """Connects the screen. The Analyse button is the check screen's business."""
    _wire_files(parts, session)
    _wire_part(parts, session)
    for example, button in parts.examples:
        outputs = components(handlers.EXAMPLE, parts)
        button.click(partial(handlers.use_example, example), outputs=outputs, **IMMEDIATE)


def _wire_files(parts: InputsParts, session: Session) -> None:
    settings: dict[str, Any] = session.settings
    photo_read = latest(
        [parts.photo.change, settings["width"].change, settings["height"].change],
        handlers.describe_photo,
        inputs=[parts.photo, settings["width"], settings["height"]],
        outputs=[parts.photo_note, parts.photo_problem, parts.suggested],
        **PRIVATE,
    )
    model_chosen = photo_read.then(
        use_suggestion,
        inputs=[parts.suggested, session.is_model_chosen, session.model],
        inputs_kwargs=settings,
        outputs=[parts.model_reason, session.model, *settings.values()],
        **IMMEDIATE,
    )
    clip_read = latest(
        [parts.clip.change, parts.motion.change],
        handlers.describe_clip,
        inputs=[parts.clip, parts.motion, parts.start, settings["num_frames"], settings["fps"]],
        outputs=components(handlers.CLIP, parts),
        **PRIVATE,
    )
    files = [parts.photo, parts.clip, parts.motion, parts.consent, parts.photo_problem, parts.driver]
    files.append(settings["live_photo"])
    outputs = [parts.analyse, parts.reason, parts.valid]
    # One event that starts again when anything has changed meanwhile: of several, the last to end could be outdated.
    for event in (model_chosen.then, clip_read.then, parts.consent.change, settings["live_photo"].change):
        event(None, js="() => Math.random()", outputs=parts.touched, **IMMEDIATE)
    latest([parts.touched.change], handlers.ready, inputs=files, outputs=outputs, **SETTING_STATE)
    for gone in (parts.photo.clear, parts.clip.clear, parts.photo.upload, parts.clip.upload):
        gone(None, js="() => ''", outputs=parts.example, **IMMEDIATE)


def _wire_part(parts: InputsParts, session: Session) -> None:
    """The sliders, the settings they stand for, and the filmstrip."""
    settings: dict[str, Any] = session.settings
    parts.length.input(
        handlers.num_frames_of, inputs=[parts.length, settings["fps"]], outputs=settings["num_frames"], **IMMEDIATE
    )
    latest(
        [settings["num_frames"].change, settings["fps"].input],
        handlers.length_slider,
        inputs=[parts.driver, settings["num_frames"], settings["fps"]],
        outputs=parts.length,
        **IMMEDIATE,
    )
    shown = ("start_s", "num_frames", "fps", "context_frames", "context_overlap")
    latest(
        [parts.driver.change, *(settings[name].change for name in shown)],
        handlers.show_part,
        inputs=[parts.driver],
        inputs_kwargs={name: settings[name] for name in shown},
        outputs=parts.part,
        **IMMEDIATE,
    )


def _add_examples(examples: list[Example]) -> list[tuple[Example, gr.Button]]:
    if not examples:
        return []
    cards = []
    with gr.Column(elem_classes="card"):
        gr.HTML(fragments.section("★", "Start from an example, or bring your own"), padding=False)
        with gr.Row(elem_classes="examples"):
            for example in examples:
                with gr.Column(min_width=130, elem_classes="example"):
                    gr.HTML(fragments.example_pair(example), padding=False, js_on_load=AT_REST)
                    cards.append((example, gr.Button(example.title, size="sm", elem_id=f"example-{example.name}")))
    return cards


def _add_photo() -> dict[str, Any]:
    with gr.Column(min_width=240):
        photo = photo_input(
            label="Photo",
            sources=["upload", "webcam", "clipboard"],
            height=DROP_HEIGHT_PX,
            interactive=True,
            buttons=[],
            alt_text="Your photo",
            elem_id="photo",
        )
        photo_note = gr.HTML(padding=False, elem_id="photo-note")
        model_reason = gr.HTML(padding=False, elem_id="model-reason")
    return {"photo": photo, "photo_note": photo_note, "model_reason": model_reason}


def _add_clip(defaults: AnimationSettings) -> dict[str, Any]:
    with gr.Column(min_width=240):
        clip = gr.Video(
            label="Driving clip",
            sources=["upload", "webcam"],
            height=DROP_HEIGHT_PX,
            interactive=True,
            buttons=[],
            elem_id="clip",
        )
        clip_note = gr.HTML(padding=False, elem_id="clip-note")
        with gr.Row(elem_classes="inputs-trim"):
            # Not `add_input`: its end follows the clip, so a slider is of use here.
            start = gr.Slider(
                0.0,
                3600.0,
                value=defaults.start_s,
                step=0.1,
                label="Start (s)",
                min_width=120,
                elem_id="setting-start_s",
            )
            length = gr.Slider(
                0.1,
                DEFAULT_MAX_LENGTH_S,
                value=defaults.num_frames / defaults.fps,
                step=0.1,
                label="Length (s)",
                min_width=120,
                elem_id="length",
            )
        part = gr.HTML(padding=False, elem_id="part")
        with gr.Accordion("Live photo", open=False):
            live = {name: add_input(name, defaults) for name in LIVE}
        with gr.Accordion("Use a GIF, a WebP or a motion file", open=False):
            motion = gr.File(
                label="GIF or WebP, or a motion file as saved on the Check screen",
                type="filepath",
                height=150,
                elem_id="motion",
            )
    return {
        "clip": clip,
        "clip_note": clip_note,
        "start": start,
        "length": length,
        "part": part,
        "motion": motion,
        **live,
    }


def _add_go() -> dict[str, Any]:
    with gr.Row(elem_classes="inputs-go"):
        consent = gr.Checkbox(
            label="I have the right to use this person's picture",
            container=False,
            min_width=260,
            elem_id="consent",
        )
        analyse = gr.Button("Analyse", variant="primary", interactive=False, min_width=200, elem_id="analyse")
    reason = gr.HTML(fragments.message("Add a photo first."), padding=False, elem_id="analyse-reason")
    glance = gr.HTML(padding=False, elem_id="glance")
    return {"consent": consent, "analyse": analyse, "reason": reason, "glance": glance}
