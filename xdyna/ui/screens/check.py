"""Screen 2: what the model will see."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from xdyna.config import AnimationSettings
from xdyna.ui import fragments
from xdyna.ui.handlers import check as handlers
from xdyna.ui.handlers import motion_preview
from xdyna.ui.job_events import (
    IMMEDIATE,
    PRIVATE,
    QUEUED_BY_US,
    SETTING_STATE,
    components,
    wire_job,
)
from xdyna.ui.latest import latest
from xdyna.ui.people import CHOOSE
from xdyna.ui.screens.inputs import InputsParts
from xdyna.ui.screens.matte import MatteParts, add_matte, wire_matte
from xdyna.ui.session import Session
from xdyna.ui.settings_form import CHECK, add_input
from xdyna.ui.stepper import screen

MEDIA_HEIGHT_PX = 460
OPACITY = 0.85
FIX = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fix]");
  if (button) trigger("select", { check: button.dataset.fix });
});
"""


@dataclass(frozen=True, kw_only=True)
class CheckParts:
    """What the screen consists of.

    `go`, `newest`, `shown` and `moving` are states: a new value in `go` starts an analysis, `newest` is the `Newest`
    of them, `shown` says what the visitor has seen, and `moving` which analysis moves the photo in `moved`.
    """

    status: gr.HTML
    start: gr.Button
    stop: gr.Button
    back: gr.Button
    onward: gr.Button
    checks: gr.HTML
    overlay: gr.Image
    frame: gr.Slider
    opacity: gr.Slider
    moved: gr.Video
    moved_note: gr.HTML
    cut_out: MatteParts
    people: gr.HTML
    sight: gr.HTML
    pose_clip: gr.Video
    faces: gr.Image
    report: gr.DownloadButton
    motion_file: gr.DownloadButton
    go: gr.State
    newest: gr.State
    shown: gr.State
    moving: gr.State
    settings: dict[str, Component]


def add_check(defaults: AnimationSettings) -> CheckParts:
    """Lays out the screen."""
    intro = "Add a photo and a clip first: then the pose, how it lies on your photo, and the face appear here."
    with screen("check"), gr.Column(elem_classes="card"):
        gr.HTML(fragments.section("2", "What the model will see"), padding=False)
        status = gr.HTML(fragments.empty(intro), padding=False, elem_id="check-status")
        # The style hides what is still empty: Gradio can lose values for parts that become visible with them.
        with gr.Row(elem_classes="found"):
            with gr.Column(scale=5, min_width=300):
                found, settings = _add_placing(defaults)
            with gr.Column(scale=6, min_width=300):
                found |= _add_tiles()
        with gr.Row(elem_classes="check-buttons"):
            back = gr.Button("Change photo or clip", min_width=160, elem_id="check-back")
            start = gr.Button("Analyse again", min_width=160, elem_id="analyse-again")
            stop = gr.Button("Stop", variant="stop", visible=fragments.HIDDEN, min_width=160, elem_id="analyse-stop")
            onward = gr.Button("Go on to Generate", variant="primary", min_width=160, elem_id="check-onward")
    return CheckParts(
        status=status,
        start=start,
        stop=stop,
        back=back,
        onward=onward,
        settings=settings,
        go=gr.State(None),
        newest=gr.State(handlers.Newest()),
        shown=gr.State(handlers.Shown()),
        moving=gr.State(motion_preview.Moving()),
        **found,
    )


def wire_check(parts: CheckParts, session: Session, inputs: InputsParts) -> None:
    """Connects the screen.

    Args:
        parts: from `add_check`.
        session: shared components.
        inputs: of the first screen, whose files are analysed as soon as they are there.
    """
    settings: dict[str, Any] = session.settings
    wire_job(
        handlers.analyse,
        handlers.JOB,
        (parts, session),
        triggers=[parts.go.change],
        inputs=[*session.sources, parts.newest],
        settings=settings,
        api_name="page_analyse",
        trigger_mode="multiple",
    )
    parts.status.change(None, js="shown => shown", inputs=parts.status, outputs=inputs.glance, **IMMEDIATE)
    latest(  # one after another: what was drawn for an earlier model must not come last
        [session.analysis.change, session.stepper.change],
        handlers.show,
        inputs=[*session.sources, session.model, session.stepper, parts.shown, parts.opacity],
        inputs_kwargs=settings,
        outputs=components(handlers.SHOWN, parts),
        concurrency_limit=4,
        **PRIVATE,
    )
    gr.on(
        [session.analysis.change, session.stepper.change],
        motion_preview.see_it_move,
        inputs=[session.analysis, session.stepper, parts.moving],
        outputs=components(motion_preview.MOVED, parts),
        api_name="page_see_it_move",
        trigger_mode="multiple",
        **PRIVATE,
        **QUEUED_BY_US,
    )
    wire_matte(parts.cut_out, session)
    _wire_starts(parts, session, inputs)
    for button, name in ((parts.back, "inputs"), (parts.onward, "generate")):
        button.click(lambda name=name: name, outputs=session.stepper, **IMMEDIATE)


def _wire_starts(parts: CheckParts, session: Session, inputs: InputsParts) -> None:
    """What starts an analysis, and what only draws anew."""
    settings: dict[str, Any] = session.settings
    look: dict[str, Any] = {
        "fn": handlers.due,
        "inputs": [*session.sources, parts.newest, inputs.valid],
        "inputs_kwargs": settings,
        "outputs": parts.go,
        **SETTING_STATE,
    }
    draw: dict[str, Any] = {
        "fn": handlers.redraw,
        "inputs": [session.analysis, session.model, parts.frame, parts.opacity],
        "inputs_kwargs": settings,
        "outputs": components(handlers.DRAWN, parts),
        **IMMEDIATE,
    }
    gr.on(
        [inputs.analyse.click, parts.start.click],
        handlers.asked,
        inputs=[*session.sources, parts.newest],
        inputs_kwargs=settings,
        outputs=[parts.go, session.stepper],
        **SETTING_STATE,
    )
    nudges = [settings[name] for name in ("nudge_zoom", "nudge_x", "nudge_y")]
    typed = [settings[name].submit for name in ("photo_person", "clip_person")]
    latest([parts.frame.input, parts.opacity.input, settings["retarget"].input, *(n.input for n in nudges)], **draw)
    settled = [settings["retarget"].input, *(nudge.release for nudge in nudges), *typed]
    latest([inputs.valid.change, session.stepper.change, *settled], **look)
    chosen = [settings["photo_person"], settings["clip_person"]]
    parts.people.select(handlers.choose_person, outputs=chosen, **IMMEDIATE).then(**look)
    parts.checks.select(
        handlers.apply_fix, inputs=session.analysis, outputs=list(settings.values()), **IMMEDIATE
    ).then(**draw, trigger_mode="always_last").then(**look)


def _add_placing(defaults: AnimationSettings) -> tuple[dict[str, Any], dict[str, Component]]:
    """The pose over the photo, what moves it, and what the chosen model sees."""
    with gr.Row(elem_classes="check-media"):
        overlay = gr.Image(
            label="Pose over the photo",
            format="png",
            height=MEDIA_HEIGHT_PX,
            min_width=120,
            interactive=False,
            buttons=["fullscreen"],
            alt_text="The driver's pose, drawn over your photo",
            elem_id="overlay",
        )
        moved = gr.Video(
            label="See it move",
            height=MEDIA_HEIGHT_PX,
            min_width=120,
            interactive=False,
            autoplay=True,
            loop=True,
            buttons=[],
            visible=fragments.HIDDEN,
            elem_id="moved",
        )
        moved_note = gr.HTML(padding=False, elem_id="moved-note")
    with gr.Row():
        frame = gr.Slider(1, 16, value=1, step=1, label="Frame", min_width=120, elem_id="frame")
        opacity = gr.Slider(0.0, 1.0, value=OPACITY, step=0.05, label="Opacity", min_width=120, elem_id="opacity")
    with gr.Accordion("Place the driver by hand", open=False):
        settings = {name: add_input(name, defaults) for name in CHECK}
    cut_out = add_matte()
    sight = gr.HTML(padding=False, elem_id="sight")
    pose_clip = gr.Video(
        label="The clip, and what the model sees",
        height=300,
        min_width=120,
        interactive=False,
        autoplay=True,
        loop=True,
        buttons=[],
        elem_id="pose-clip",
    )
    faces = gr.Image(
        label="Face",
        show_label=False,
        format="png",
        interactive=False,
        buttons=["fullscreen"],
        alt_text="The face, and what else the model sees, through the clip",
        elem_id="faces",
    )
    drawn: dict[str, Any] = {"sight": sight, "pose_clip": pose_clip, "faces": faces}
    drawn |= {"moved": moved, "moved_note": moved_note, "cut_out": cut_out}
    return {"overlay": overlay, "frame": frame, "opacity": opacity, **drawn}, settings


def _add_tiles() -> dict[str, Any]:
    checks = gr.HTML(padding=False, js_on_load=FIX, elem_id="checks")
    with gr.Accordion("Who is who", open=True):
        gr.HTML(
            '<p class="hint">Click the person to animate in the photo, and the one who drives in the clip. The bright '
            "part of the photo becomes the video.</p>",
            padding=False,
        )
        people = gr.HTML(padding=False, js_on_load=CHOOSE, elem_id="people")
    with gr.Row():
        report = gr.DownloadButton("Download report", size="sm", min_width=140, elem_id="download-report")
        motion_file = gr.DownloadButton("Save the motion", size="sm", min_width=140, elem_id="download-motion")
    return {
        "checks": checks,
        "people": people,
        "report": report,
        "motion_file": motion_file,
    }
