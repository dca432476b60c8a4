"""Screen 3: what it costs, the run, and its result."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.estimates import predict
from xdyna.presets import preset_of
from xdyna.schema import InputError
from xdyna.ui import fragments
from xdyna.ui.handlers import generate as handlers
from xdyna.ui.handlers import model_choice
from xdyna.ui.job_events import IMMEDIATE, PRIVATE, SETTLE_S, components, wire_job
from xdyna.ui.latest import latest
from xdyna.ui.screens.living import LivingParts, add_living, wire_living
from xdyna.ui.session import Session
from xdyna.ui.settings_form import MAIN, OTHER, add_input
from xdyna.ui.stepper import screen
from xdyna.weights import locate

TITLE_SCRIPT = (Path(__file__).parents[1] / "static" / "title.js").read_text(encoding="utf-8")
INTRO = "Your video appears here. If you have not analysed yet, Generate does that first."
PRESS_GENERATE = "() => document.querySelector('#generate').click()"
COSTLY = (
    *("num_inference_steps", "guidance_scale", "height", "width", "num_frames", "fps"),
    *("context_frames", "context_overlap", "scheduler", "negative_prompt"),
)
"""Settings that change the cost, the preset, or what is said about them."""
DOWNLOADS = {
    "download_video": "Video",
    "download_skeleton": "With skeleton",
    "download_beside": "Side by side",
    "download_recipe": "Recipe",
    "download_poster": "Poster",
}


@dataclass(frozen=True, kw_only=True)
class GenerateParts:
    """What the screen consists of.

    `ticket` is a state: the `threading.Event` that asks the visitor's run to stop; `fix` is one too: the `Fix` of the
    problem that is shown. `stop` gives a waiting job up, `finish` ends a running one and keeps what is done.
    """

    model: gr.Dropdown
    model_note: gr.HTML
    preset: gr.Radio
    cost: gr.HTML
    seed: Component
    dice: gr.Button
    keep_seed: gr.Checkbox
    start: gr.Button
    stop: gr.Button
    finish: gr.Button
    status: gr.HTML
    live: gr.HTML
    ticket: gr.State
    fix: gr.State
    fix_button: gr.Button
    video: gr.Video
    caption: gr.HTML
    download_video: gr.DownloadButton
    download_skeleton: gr.DownloadButton
    download_beside: gr.DownloadButton
    download_recipe: gr.DownloadButton
    download_poster: gr.DownloadButton
    living: LivingParts
    settings: dict[str, Component]


def add_generate(model: str) -> GenerateParts:
    """Lays out the screen for a key of `BACKENDS`."""
    defaults = BACKENDS[model].defaults
    with screen("generate"), gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=310, elem_classes="card"):
            gr.HTML(fragments.section("3", "Settings"), padding=False)
            parts = _add_settings(model, defaults)
        with gr.Column(scale=6, min_width=310, elem_classes="card"):
            gr.HTML(fragments.section("▶", "Result"), padding=False)
            parts |= _add_result()
    return GenerateParts(**parts, ticket=gr.State(None), fix=gr.State(None))


def wire_generate(parts: GenerateParts, session: Session) -> None:
    """Connects the screen.

    Args:
        parts: from `add_generate`.
        session: shared components.
    """
    settings: dict[str, Any] = session.settings
    form = list(settings.values())
    wire_living(parts.living, session)
    wire_job(
        handlers.generate,
        handlers.JOB,
        (parts, session),
        triggers=[parts.start.click],
        inputs=[*session.sources, parts.keep_seed, parts.model],
        settings=settings,
        api_name="page_generate",
        failed=handlers.failed,
    )
    parts.finish.click(handlers.finish, inputs=parts.ticket, outputs=parts.finish, **IMMEDIATE)
    again = components(handlers.BUTTONS, parts)
    given_up = parts.stop.click(partial(time.sleep, SETTLE_S), **IMMEDIATE)
    given_up.then(handlers.buttons_again, outputs=again, **IMMEDIATE)
    fixing = parts.fix_button.click(
        handlers.use_fix, inputs=[parts.fix], inputs_kwargs=settings, outputs=form, **IMMEDIATE
    )
    fixing.then(None, js=PRESS_GENERATE, **IMMEDIATE)
    parts.dice.click(handlers.new_seed, outputs=parts.seed, **IMMEDIATE)
    parts.preset.input(
        handlers.use_preset,
        inputs=[parts.preset, parts.model],
        inputs_kwargs=settings,
        outputs=form,
        **IMMEDIATE,
    )
    parts.model.input(
        model_choice.choose_model,
        inputs=[parts.model],
        inputs_kwargs=settings,
        outputs=[session.is_model_chosen, *form],
        **IMMEDIATE,
    )
    shown = [parts.model_note, parts.start, session.header]
    parts.model.change(model_choice.show_model, inputs=[parts.model], outputs=shown, **IMMEDIATE)
    latest(
        [
            session.analysis.change,
            session.result.change,
            parts.model.change,
            *(settings[name].change for name in COSTLY),
        ],
        handlers.show_cost,
        inputs=[session.analysis, parts.model],
        inputs_kwargs=settings,
        outputs=components(handlers.COST, parts),
        **PRIVATE,
        concurrency_limit=None,
    )


def _add_settings(model: str, defaults: AnimationSettings) -> dict[str, Any]:
    num_frames, expected = defaults.num_frames, predict(model, defaults)
    chosen = gr.Dropdown(
        model_choice.model_choices(), value=model, label="Model", info="Each has settings of its own.", elem_id="model"
    )
    model_note = gr.HTML(padding=False, elem_id="model-note")  # the header says it of the first one
    preset = gr.Radio(
        handlers.preset_choices(model, defaults, num_frames),
        value=preset_of(model, defaults),
        label="Quality",
        info="Predicted time and memory, before you start.",
        elem_id="preset",
    )
    cost = gr.HTML(handlers.cost_note(defaults, expected, num_frames), padding=False, elem_id="cost")
    settings = {}
    with gr.Row(elem_classes="generate-seed"):
        settings["seed"] = add_input("seed", defaults)
        dice = gr.Button("⚄ New seed", size="sm", min_width=110, elem_id="dice")
        keep_seed = gr.Checkbox(
            True, label="Keep the seed", info="Otherwise every run draws its own.", min_width=150, elem_id="keep-seed"
        )
    buttons = _add_buttons(model, defaults)
    living = add_living(model, defaults)
    settings["flows"] = living.flows
    with gr.Accordion("Customise", open=False, elem_id="customise"):
        names = [name for name in (*MAIN, *OTHER) if name != "seed"]
        settings |= {name: add_input(name, defaults, BACKENDS[model].takes(name)) for name in names}
    seed = settings["seed"]
    return {
        "model": chosen,
        "model_note": model_note,
        "preset": preset,
        "cost": cost,
        "seed": seed,
        "dice": dice,
        "keep_seed": keep_seed,
        "living": living,
        "settings": settings,
        **buttons,
    }


def _add_buttons(model: str, defaults: AnimationSettings) -> dict[str, Any]:
    lacking = _lacking(model)
    start = gr.Button(
        handlers.start_label(predict(model, defaults)),
        variant="primary",
        size="lg",
        interactive=not lacking,
        elem_id="generate",
    )
    if lacking:
        gr.HTML(fragments.error(lacking), padding=False, elem_id="lacking")
    stop = gr.Button("Cancel", variant="stop", size="lg", visible=fragments.HIDDEN, elem_id="stop")
    finish = gr.Button(handlers.FINISH, variant="stop", size="lg", visible=fragments.HIDDEN, elem_id="finish")
    return {"start": start, "stop": stop, "finish": finish}


def _lacking(model: str) -> str:
    """Why the model cannot run here, with the command that helps."""
    try:
        locate(model)
    except InputError as error:
        return f"{error} Until then photo and clip can be analysed."
    return ""


def _add_result() -> dict[str, Any]:
    parts: dict[str, Any] = {
        "status": gr.HTML(fragments.empty(INTRO), padding=False, elem_id="run-status", js_on_load=TITLE_SCRIPT),
        "fix_button": gr.Button("Try again", variant="primary", size="sm", elem_id="fix"),
        "live": gr.HTML(padding=False, elem_id="live"),
    }
    with gr.Column(elem_classes="made"):
        parts["video"] = gr.Video(
            label="Result",
            height=480,
            interactive=False,
            autoplay=True,
            loop=True,
            buttons=[],
            elem_id="result",
        )
        parts["caption"] = gr.HTML(padding=False, elem_id="caption")
        with gr.Row(elem_classes="generate-downloads"):
            for name, title in DOWNLOADS.items():
                parts[name] = gr.DownloadButton(
                    title, size="sm", min_width=110, elem_id=name.replace("_", "-"), icon=None
                )
    return parts
