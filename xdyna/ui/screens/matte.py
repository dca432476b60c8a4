"""The part of the screen Check that shows and corrects the cut-out of the photo's person."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.ui.handlers import matte as handlers
from xdyna.ui.job_events import IMMEDIATE, PRIVATE, SETTING_STATE, components
from xdyna.ui.latest import latest
from xdyna.ui.session import Session

SCRIPT = (Path(__file__).parents[1] / "static" / "matte.js").read_text(encoding="utf-8")
BRUSH_SIZE = 2.0
HINT = (
    "What is tinted moves as the person; all else is background. Paint over what is wrong: the photo moves again at "
    "once. Puppet uses it, and Frozen background of X-Dyna."
)


@dataclass(frozen=True, kw_only=True)
class MatteParts:
    """What the part consists of; `is_open` is a state."""

    panel: gr.Accordion
    matte: gr.HTML
    matte_status: gr.HTML
    tool: gr.Radio
    size: gr.Slider
    matte_file: gr.DownloadButton
    upload: gr.UploadButton
    start_over: gr.Button
    is_open: gr.State


def add_matte() -> MatteParts:
    """Lay out the part."""
    with gr.Accordion("Cut-out of the person", open=False, elem_id="cut-out") as panel:
        gr.HTML(f'<p class="hint">{HINT}</p>', padding=False)
        with gr.Row():
            tool = gr.Radio(
                [("Add", handlers.ADD), ("Remove", handlers.REMOVE)],
                value=handlers.ADD,
                label="Brush",
                min_width=150,
                elem_id="brush-tool",
            )
            size = gr.Slider(
                0.5, 10.0, value=BRUSH_SIZE, step=0.5, label="Size of the brush", min_width=120, elem_id="brush-size"
            )
        view = gr.HTML(padding=False, js_on_load=SCRIPT, elem_id="matte")
        status = gr.HTML(padding=False, elem_id="matte-status")
        with gr.Row():
            download = gr.DownloadButton("Download the mask", size="sm", min_width=130, elem_id="matte-download")
            upload = gr.UploadButton(
                "Upload a mask", size="sm", min_width=130, file_types=["image"], elem_id="matte-upload"
            )
            start_over = gr.Button("Start over", size="sm", min_width=110, elem_id="matte-clear")
    return MatteParts(
        panel=panel,
        matte=view,
        matte_status=status,
        tool=tool,
        size=size,
        matte_file=download,
        upload=upload,
        start_over=start_over,
        is_open=gr.State(False),
    )


def wire_matte(parts: MatteParts, session: Session) -> None:
    """Connect the part. Whatever changes the mask makes a new analysis, whose change shows the mask."""
    changed = components(handlers.CHANGED, parts, session)
    show: dict[str, Any] = {
        "fn": handlers.show_matte,
        "inputs": [session.analysis, parts.is_open],
        "outputs": components(handlers.SHOWN, parts),
        **PRIVATE,
    }
    parts.panel.expand(lambda: True, outputs=parts.is_open, **IMMEDIATE).then(**show)
    latest([session.analysis.change], **show)
    one_by_one = SETTING_STATE | {"concurrency_limit": 1, "concurrency_id": "matte", "trigger_mode": "multiple"}
    brush = [session.analysis, parts.tool, parts.size]
    parts.matte.select(handlers.paint, inputs=brush, outputs=changed, **one_by_one)
    parts.upload.upload(handlers.upload, inputs=[session.analysis, parts.upload], outputs=changed, **one_by_one)
    parts.start_over.click(handlers.start_over, inputs=session.analysis, outputs=changed, **one_by_one)
