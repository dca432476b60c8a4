"""The mirror, on screen 2: the visitor's camera moves their photo."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from xdyna.ui import fragments
from xdyna.ui.handlers import mirror as handlers
from xdyna.ui.job_events import FEW_AT_ONCE, IMMEDIATE, PRIVATE, components, wire_job
from xdyna.ui.mirror import FORGET_S, KEPT_S
from xdyna.ui.session import SESSION_S, Session

STATIC = Path(__file__).parents[1] / "static"
INTRO = (
    "Your camera moves the photo, warped by Puppet, whatever model is chosen. The camera's pictures are stored "
    f"nowhere. Of what is drawn, the last {KEPT_S:.0f} s stay in the server's memory until {FORGET_S:.0f} s after "
    "the end, so that you can keep them."
)


@dataclass(frozen=True, kw_only=True)
class MirrorParts:
    """What the panel consists of. `mirror` is a state, the visitor's `Mirror`; the value of `view` is its ticket."""

    status: gr.HTML
    start: gr.Button
    stop: gr.Button
    keep: gr.Button
    view: gr.HTML
    kept_status: gr.HTML
    video: gr.Video
    caption: gr.HTML
    download: gr.DownloadButton
    mirror: gr.State


def add_mirror() -> MirrorParts:
    """Lays out the panel."""
    with gr.Column(elem_classes=["screen", "screen-check", "mirror"]), gr.Column(elem_classes="card"):
        gr.HTML(fragments.section("◐", "Mirror"), padding=False)
        gr.HTML(f'<p class="hint">{INTRO}</p>', padding=False)
        status = gr.HTML(padding=False, elem_id="mirror-status")
        view = gr.HTML(
            "",
            html_template=(STATIC / "mirror.html").read_text(encoding="utf-8"),
            js_on_load=(STATIC / "mirror.js").read_text(encoding="utf-8"),
            padding=False,
            elem_id="mirror",
        )
        with gr.Row():
            start = gr.Button("Start the mirror", variant="primary", min_width=160, elem_id="mirror-start")
            stop = gr.Button("Stop", variant="stop", visible=fragments.HIDDEN, min_width=160, elem_id="mirror-stop")
            keep = gr.Button(f"Keep the last {KEPT_S:.0f} s", min_width=160, elem_id="mirror-keep")
        kept_status = gr.HTML(padding=False, elem_id="mirror-kept-status")
        with gr.Column(elem_classes="mirror-kept"):
            video = gr.Video(
                label="Kept",
                height=460,
                interactive=False,
                autoplay=True,
                loop=True,
                buttons=[],
                elem_id="mirror-video",
            )
            caption = gr.HTML(padding=False, elem_id="mirror-caption")
            download = gr.DownloadButton("Video", size="sm", interactive=False, elem_id="mirror-download")
    return MirrorParts(
        status=status,
        start=start,
        stop=stop,
        keep=keep,
        view=view,
        kept_status=kept_status,
        video=video,
        caption=caption,
        download=download,
        mirror=gr.State(None, time_to_live=SESSION_S),
    )


def wire_mirror(parts: MirrorParts, session: Session) -> None:
    """Connects the panel."""
    wire_job(
        handlers.run,
        handlers.JOB,
        (parts,),
        triggers=[parts.start.click],
        inputs=[session.photo, session.consent, session.analysis],
        settings={},
        api_name="page_mirror",
    )
    parts.stop.click(None, js="() => ''", outputs=parts.view, **IMMEDIATE)
    parts.keep.click(
        handlers.keep,
        inputs=parts.mirror,
        outputs=components(handlers.KEPT, parts, session),
        **PRIVATE,
        **FEW_AT_ONCE,
    )
