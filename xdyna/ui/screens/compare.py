"""Screen 4: the same photo, clip and seed under several settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.compare.variants import AXES, EXAMPLE, MAX_LETTERS
from xdyna.ui import fragments
from xdyna.ui.handlers import compare as handlers
from xdyna.ui.job_events import FEW_AT_ONCE, IMMEDIATE, PRIVATE, components, wire_job
from xdyna.ui.latest import latest
from xdyna.ui.session import SESSION_S, Session
from xdyna.ui.stepper import screen

STATIC = Path(__file__).parents[1] / "static"
PLAYER_HEIGHT_PX = 400


@dataclass(frozen=True, kw_only=True)
class CompareParts:
    """What the screen consists of."""

    question: gr.Radio
    chosen: dict[str, gr.CheckboxGroup]
    own: gr.Textbox
    runs: gr.CheckboxGroup
    files: gr.File
    open_videos: gr.Button
    runs_status: gr.HTML
    about: gr.HTML
    start: gr.Button
    stop: gr.Button
    status: gr.HTML
    comparison: gr.State
    player_0: gr.Video
    player_1: gr.Video
    player_2: gr.Video
    player_3: gr.Video
    bar: gr.HTML
    plot: gr.HTML
    table: gr.HTML
    left: gr.Dropdown
    right: gr.Dropdown
    wipe: gr.ImageSlider
    download_grid: gr.DownloadButton
    download_recipes: gr.DownloadButton


def add_compare() -> CompareParts:
    """Lays out the screen."""
    with screen("compare"):
        with gr.Column(elem_classes="card"):
            gr.HTML(fragments.section("4", "Compare"), padding=False)
            asked = _add_questions()
        with gr.Column(elem_classes=["card", "compared"]):
            shown = _add_results()
    return CompareParts(comparison=gr.State(None, time_to_live=SESSION_S), **asked, **shown)


def wire_compare(parts: CompareParts, session: Session) -> None:
    """Connects the screen.

    Args:
        parts: from `add_compare`.
        session: shared components.
    """
    wanted: list[Any] = [parts.question, parts.own, *parts.chosen.values()]
    latest(
        [*(part.change for part in wanted), session.model.change, session.stepper.change, session.analysis.change],
        handlers.describe,
        inputs=[session.model, session.analysis, *wanted],
        inputs_kwargs=session.settings,
        outputs=parts.about,
        **IMMEDIATE,
    )
    wire_job(
        handlers.run_comparison,
        handlers.JOB,
        (parts, session),
        triggers=[parts.start.click],
        inputs=[*session.sources, session.model, *wanted],
        settings=session.settings,
        api_name="page_compare",
    )
    latest(
        [session.stepper.change, session.runs.change],
        handlers.list_runs,
        inputs=session.runs,
        outputs=parts.runs,
        **IMMEDIATE,
    )
    parts.open_videos.click(
        handlers.open_videos,
        inputs=[parts.runs, parts.files],
        outputs=components(handlers.OPENED, parts),
        **PRIVATE,
        **FEW_AT_ONCE,
    )
    latest(
        [parts.comparison.change],
        handlers.show,
        inputs=parts.comparison,
        outputs=components(handlers.SHOWN, parts),
        **PRIVATE,
        **FEW_AT_ONCE,
    )
    for event in (parts.bar.frame, parts.left.input, parts.right.input):
        event(
            handlers.wipe,
            inputs=[parts.comparison, parts.left, parts.right, parts.bar],
            outputs=parts.wipe,
            trigger_mode="always_last",  # `gr.on` knows no events of a gr.HTML, so not `latest`: each has this alone
            **IMMEDIATE,
        )


def _add_questions() -> dict[str, Any]:
    first = handlers.QUESTIONS[0][1]
    parts: dict[str, Any] = {}
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            parts["question"] = gr.Radio(
                handlers.QUESTIONS, value=first, label="What to compare", elem_id="compare-question"
            )
            parts["chosen"] = {name: _add_variants(name) for name in AXES}
            with gr.Column(elem_classes="compare-own"):
                parts["own"] = gr.Textbox(
                    value=f"{EXAMPLE}\nStrong: adapter_strength=1.2",
                    lines=4,
                    max_lines=4,
                    max_length=MAX_LETTERS,
                    label="Two to four variants",
                    elem_id="compare-own",
                )
            with gr.Column(elem_classes="compare-runs"):
                parts["runs"] = gr.CheckboxGroup(
                    [], label="Your runs", info="What you make in this browser appears here.", elem_id="compare-runs"
                )
                parts["files"] = gr.File(
                    label="Videos that you downloaded",
                    file_count="multiple",
                    file_types=[".mp4"],
                    height=150,
                    elem_id="compare-files",
                )
                parts["open_videos"] = gr.Button("Show side by side", variant="primary", elem_id="compare-open")
                parts["runs_status"] = gr.HTML(padding=False, elem_id="compare-runs-status")
        with gr.Column(scale=4, min_width=300):
            about = handlers.about(first, "")
            parts["about"] = gr.HTML(about, padding=False, elem_id="compare-about")
            with gr.Column(elem_classes="compare-start"):
                parts["start"] = gr.Button("Compare", variant="primary", size="lg", elem_id="compare")
                parts["stop"] = gr.Button(
                    "Stop", variant="stop", size="lg", visible=fragments.HIDDEN, elem_id="compare-stop"
                )
                parts["status"] = gr.HTML(padding=False, elem_id="compare-status")
    return parts


def _add_variants(axis: str) -> gr.CheckboxGroup:
    """One group for every axis: choices that change could not be told from what a visitor has just ticked."""
    labels = [variant.label for variant in AXES[axis].variants]
    with gr.Column(elem_classes=f"compare-{axis}"):
        return gr.CheckboxGroup(labels, value=labels, label="Variants", elem_id=f"compare-{axis}")


def _add_results() -> dict[str, Any]:
    # The style hides what is still empty: Gradio can lose values for parts that become visible with them.
    parts: dict[str, Any] = {}
    with gr.Row(elem_classes="compare-players"):
        for name in handlers.PLAYERS:
            parts[name] = gr.Video(
                interactive=False,
                height=PLAYER_HEIGHT_PX,
                min_width=100,
                buttons=["download"],
                elem_id=name.replace("_", "-"),
            )
    parts["bar"] = gr.HTML(
        value=handlers.bar_value(()),
        html_template=(STATIC / "players.html").read_text(encoding="utf-8"),
        js_on_load=(STATIC / "players.js").read_text(encoding="utf-8"),
        padding=False,
        elem_id="players-bar",
    )
    with gr.Row():
        with gr.Column(scale=7, min_width=300):
            parts["plot"] = gr.HTML(padding=False, elem_id="motion-plot")
            parts["table"] = gr.HTML(padding=False, elem_id="compare-table")
        with gr.Column(scale=4, min_width=280):
            parts["wipe"] = gr.ImageSlider(
                label="Wipe: the frame shown above",
                format="png",
                interactive=False,
                height=PLAYER_HEIGHT_PX,
                buttons=["fullscreen"],
                elem_id="wipe",
            )
            with gr.Row():
                parts["left"] = gr.Dropdown(label="Left", min_width=120, elem_id="wipe-left")
                parts["right"] = gr.Dropdown(label="Right", min_width=120, elem_id="wipe-right")
    with gr.Row():
        parts["download_grid"] = gr.DownloadButton("Download all in one video", min_width=200, elem_id="download-grid")
        parts["download_recipes"] = gr.DownloadButton(
            "Download their recipes", min_width=200, elem_id="download-recipes"
        )
    return parts
