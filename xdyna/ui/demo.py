"""The page: its layout, and the server that shows it."""

import logging
import os
import threading
from typing import Any

import gradio as gr
from gradio.components import Component

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.ui import fragments
from xdyna.ui.examples import FOLDER as EXAMPLES_FOLDER
from xdyna.ui.examples import Example, load_examples
from xdyna.ui.photo_input import photo_input
from xdyna.ui.settings_form import CLIP, FIELDS, MAIN, OTHER, add_input
from xdyna.ui.theme import STYLE, THEME
from xdyna.ui.wiring import Page, wire
from xdyna.weights import default_model, is_ready

logger = logging.getLogger(__name__)

DELETE_EVERY_S, DELETE_AFTER_S = 600, 7200
SESSION_S = 3600
MAX_QUEUE = 20
MAX_UPLOAD = "200mb"
MEDIA_HEIGHT_PX = 360
PRIVACY = (
    "Your photo and clip are used for your video only. They and every result are deleted from this server within "
    f"{DELETE_AFTER_S // 3600} hours and {DELETE_EVERY_S // 60} minutes. Results say in their recipe how they were "
    "made; your file names are not kept."
)


def build_demo(model: str | None = None) -> gr.Blocks:
    """The page.

    Args:
        model: a key of `BACKENDS`; the best that can run here by default.
    """
    model = model or default_model()
    spec = BACKENDS[model]
    parts: dict[str, Any] = {}
    with (
        gr.Blocks(title="X-Dyna", analytics_enabled=False, delete_cache=(DELETE_EVERY_S, DELETE_AFTER_S)) as demo,
        gr.Column(elem_classes="xdyna"),
    ):
        gr.HTML(fragments.header(spec.title, spec.notice, is_ready(model)), padding=False)
        cards = _add_examples(load_examples())
        with gr.Row(equal_height=True):
            with _card("1", "Photo and clip", scale=5):
                parts |= _add_files()
                settings = _add_clip_settings(spec.defaults)
                parts |= _add_analyse()
            with _card("2", "What the model will see", scale=6):
                parts |= _add_check()
        with gr.Row(equal_height=True):
            with _card("3", "Settings", scale=5):
                settings |= _add_settings(spec.defaults)
                parts |= _add_generate()
            with _card("4", "Result", scale=6):
                parts |= _add_result()
        gr.HTML(f'<p class="privacy">{PRIVACY}</p>', padding=False)
        parts["analysis"] = gr.State(None, time_to_live=SESSION_S)
        wire(Page(parts=parts, settings={name: settings[name] for name in FIELDS}, examples=cards), model)
    return demo.queue(max_size=MAX_QUEUE)


def launch(*, host: str | None = None, port: int | None = None, share: bool = False, block: bool = True) -> gr.Blocks:
    """Builds the page and serves it.

    Args:
        host: address to listen on; None leaves it to `GRADIO_SERVER_NAME`.
        port: None leaves it to `GRADIO_SERVER_PORT`.
        share: whether to make a public link.
        block: whether to wait until the server ends.

    Returns:
        The page; only with `block=False` it is still served.
    """
    model = default_model()
    zero_gpu = bool(os.environ.get("SPACES_ZERO_GPU"))
    if zero_gpu:
        _warm_up(model)  # ZeroGPU packs what is on the device at launch, and its processes inherit it
    demo = build_demo(model)
    demo.launch(
        server_name=host,
        server_port=port,
        share=share,
        prevent_thread_lock=True,
        theme=THEME,
        css_paths=STYLE,
        footer_links=["api", "settings"],
        run_history=False,
        allowed_paths=[str(EXAMPLES_FOLDER)],
        max_file_size=MAX_UPLOAD,
        enable_monitoring=False,
    )
    if not zero_gpu:
        threading.Thread(target=_warm_up, args=(model,), name="warm-up", daemon=True).start()
    if block:
        demo.block_thread()
    return demo


def _warm_up(model: str) -> None:
    """Imports what the jobs need and loads the model: longer than a visitor should wait for the page."""
    import xdyna.preprocess.prepare  # noqa: F401
    from xdyna.backends.xdyna import load

    if is_ready(model):
        load(model)
        logger.info("%s is loaded", model)


def _card(sign: str, title: str, scale: int) -> gr.Column:
    with gr.Column(scale=scale, min_width=310, elem_classes="card") as card:
        gr.HTML(fragments.section(sign, title), padding=False)
    return card


def _add_files() -> dict[str, Component]:
    with gr.Row():
        with gr.Column(min_width=120):
            photo = photo_input(
                label="Photo",
                sources=["upload", "webcam", "clipboard"],
                height=280,
                interactive=True,
                buttons=[],
                elem_id="photo",
            )
            photo_note = gr.HTML(padding=False, elem_id="photo-note")
        with gr.Column(min_width=120):
            clip = gr.Video(
                label="Driving clip",
                sources=["upload", "webcam"],
                height=280,
                interactive=True,
                buttons=[],
                elem_id="clip",
            )
            clip_note = gr.HTML(padding=False, elem_id="clip-note")
    return {"photo": photo, "photo_note": photo_note, "clip": clip, "clip_note": clip_note}


def _add_examples(examples: list[Example]) -> list[tuple[Example, gr.Button]]:
    if not examples:
        return []
    cards = []
    with _card("★", "Start from an example, or bring your own", scale=1), gr.Row(elem_classes="examples"):
        for example in examples:
            with gr.Column(min_width=130, elem_classes="example"):
                gr.HTML(fragments.example_pair(example), padding=False)
                cards.append((example, gr.Button(example.title, size="sm", elem_id=f"example-{example.name}")))
    return cards


def _add_clip_settings(defaults: AnimationSettings) -> dict[str, Component]:
    with gr.Accordion("Part of the clip, size of the video", open=False), gr.Row():
        return {name: add_input(name, defaults) for name in CLIP}


def _add_analyse() -> dict[str, Component]:
    return {
        "consent": gr.Checkbox(
            label="I have the right to use this person's picture", container=False, elem_id="consent"
        ),
        "analyse_button": gr.Button("Analyse", variant="secondary", elem_id="analyse"),
        "analyse_stop_button": gr.Button("Stop", variant="stop", visible=False, elem_id="analyse-stop"),
    }


def _add_check() -> dict[str, Any]:
    # The style hides what is still empty: Gradio can lose values for parts that become visible with them.
    intro = "Analyse takes seconds: the pose, how it lies on your photo, and the face appear here before you generate."
    parts: dict[str, Any] = {"check_status": gr.HTML(fragments.empty(intro), padding=False, elem_id="check-status")}
    with gr.Column(elem_classes="found"):
        parts["checks"] = gr.HTML(padding=False, elem_id="checks")
        with gr.Row():
            parts["overlay"] = gr.Image(
                label="Pose over the photo",
                format="png",
                height=MEDIA_HEIGHT_PX,
                min_width=120,
                interactive=False,
                buttons=["fullscreen"],
                elem_id="overlay",
            )
            parts["pose_clip"] = gr.Video(
                label="Clip and its pose",
                height=MEDIA_HEIGHT_PX,
                min_width=120,
                interactive=False,
                autoplay=True,
                loop=True,
                buttons=[],
                elem_id="pose-clip",
            )
        parts["frame"] = gr.Slider(1, 16, value=1, step=1, label="Frame of the pose over the photo", elem_id="frame")
        gr.HTML(
            '<p class="hint">What the face control sees: the head above, eyes and mouth below; hatched where no face '
            "was found.</p>",
            padding=False,
        )
        parts["faces"] = gr.Image(
            label="Face",
            show_label=False,
            format="png",
            interactive=False,
            buttons=["fullscreen"],
            elem_id="faces",
        )
    return parts


def _add_settings(defaults: AnimationSettings) -> dict[str, Component]:
    inputs = {name: add_input(name, defaults) for name in MAIN}
    with gr.Accordion("More settings", open=False):
        inputs |= {name: add_input(name, defaults) for name in OTHER}
    return inputs


def _add_generate() -> dict[str, Component]:
    return {
        "generate_button": gr.Button("Generate", variant="primary", size="lg", elem_id="generate"),
        "stop_button": gr.Button("Stop", variant="stop", size="lg", visible=False, elem_id="stop"),
    }


def _add_result() -> dict[str, Any]:
    intro = "Your video appears here. If you have not analysed yet, Generate does that first."
    parts: dict[str, Any] = {"run_status": gr.HTML(fragments.empty(intro), padding=False, elem_id="run-status")}
    with gr.Column(elem_classes="made"):
        parts["result"] = gr.Video(
            label="Result",
            height=480,
            interactive=False,
            autoplay=True,
            loop=True,
            buttons=[],
            elem_id="result",
        )
        parts["caption"] = gr.HTML(padding=False, elem_id="caption")
        with gr.Row():
            parts["download_video"] = gr.DownloadButton("Download video", min_width=140, elem_id="download-video")
            parts["download_recipe"] = gr.DownloadButton("Download recipe", min_width=140, elem_id="download-recipe")
    return parts
