"""Screen 5: what was made in this browser, and settings out of any result."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.ui import fragments, history
from xdyna.ui.handlers import runs as handlers
from xdyna.ui.job_events import IMMEDIATE, components
from xdyna.ui.screens.generate import GenerateParts
from xdyna.ui.session import Session
from xdyna.ui.stepper import screen

SCRIPT = (Path(__file__).parents[1] / "static" / "runs.js").read_text(encoding="utf-8")
DROP_HEIGHT_PX = 150
REMEMBER = f"(...values) => Object.fromEntries({[*handlers.REMEMBERED, 'model']}.map((name, k) => [name, values[k]]))"


@dataclass(frozen=True, kw_only=True)
class RunsParts:
    """What the screen consists of. `saved` are the settings that the browser keeps."""

    status: gr.HTML
    cards: gr.HTML
    file: gr.File
    saved: gr.BrowserState


def add_runs() -> RunsParts:
    """Lays out the screen."""
    with screen("runs"):
        with gr.Column(elem_classes="card"):
            gr.HTML(fragments.section("5", "My runs"), padding=False)
            status = gr.HTML(padding=False, elem_id="runs-status")
            cards = gr.HTML(history.cards([]), padding=False, elem_id="runs", js_on_load=SCRIPT)
        with gr.Column(elem_classes="card"):
            gr.HTML(fragments.section("↺", "Restore the settings of a result"), padding=False)
            file = gr.File(
                label="A video or recipe that xdyna wrote; it can be dropped anywhere on the page",
                file_types=[".mp4", ".json"],
                type="filepath",
                height=DROP_HEIGHT_PX,
                elem_id="restore",
            )
    return RunsParts(status=status, cards=cards, file=file, saved=browser_state("xdyna-settings", {}))


def browser_state(key: str, empty: Any) -> gr.BrowserState:
    """A value that the visitor's browser keeps. Its secret is no secret: only that browser has the value anyway."""
    return gr.BrowserState(empty, storage_key=key, secret="xdyna")


def wire_runs(parts: RunsParts, session: Session, generate: GenerateParts, page: gr.Blocks) -> None:
    """Connects the screen.

    Args:
        parts: from `add_runs`.
        session: shared components.
        generate: where results are shown.
        page: whose loading brings back what the browser keeps.
    """
    names, form = tuple(session.settings), list(session.settings.values())
    session.result.change(
        handlers.keep, inputs=[session.result, session.runs], outputs=[session.runs, parts.cards], **IMMEDIATE
    )
    chosen = components(handlers.CHOSEN, session, parts, generate)
    parts.cards.click(handlers.choose, inputs=session.runs, outputs=chosen, **IMMEDIATE)
    chosen_model = [session.model, session.is_model_chosen]
    restored = [*form, *chosen_model, parts.status, session.stepper, parts.file]

    def use_settings(model: str, kept: Any, event: gr.EventData) -> tuple[Any, ...]:
        return handlers.use_settings(model, kept, names, event)

    parts.cards.click(use_settings, inputs=[session.model, session.runs], outputs=restored, **IMMEDIATE)
    restore = partial(handlers.restore, names=names)
    parts.file.upload(restore, inputs=[session.model, parts.file], outputs=restored, **IMMEDIATE)

    saved: list[Any] = [session.settings[name] for name in handlers.REMEMBERED]
    page.load(handlers.remembered, inputs=[session.model, parts.saved], outputs=saved, **IMMEDIATE)
    page.load(history.cards, inputs=session.runs, outputs=parts.cards, **IMMEDIATE)
    gr.on(
        [item.change for item in saved],
        None,
        inputs=[*saved, session.model],
        outputs=parts.saved,
        js=REMEMBER,
        **IMMEDIATE,
    )
