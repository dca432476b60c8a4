"""The living background on screen 3: arrows on the photo, for models that have them."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.flows import DEFAULT_SPEED, MAX_SPEED, MIN_SPEED
from xdyna.ui import fragments
from xdyna.ui.flow_editor import DRAW
from xdyna.ui.handlers import living as handlers
from xdyna.ui.job_events import IMMEDIATE, PRIVATE
from xdyna.ui.latest import latest
from xdyna.ui.session import SESSION_S, Session
from xdyna.ui.settings_form import add_input


@dataclass(frozen=True, kw_only=True)
class LivingParts:
    """What the panel consists of. `backdrop` is a state: the `Backdrop` that the editor shows."""

    panel: gr.Accordion
    editor: gr.HTML
    speed: gr.Slider
    kind: gr.Radio
    suggest: gr.Button
    clear: gr.Button
    note: gr.HTML
    flows: gr.Textbox
    backdrop: gr.State


def add_living(model: str, defaults: AnimationSettings) -> LivingParts:
    """Lays out the panel for a key of `BACKENDS`."""
    has_flows = BACKENDS[model].takes("flows")
    with gr.Accordion(
        "Living background", open=True, visible=has_flows or fragments.HIDDEN, elem_id="living"
    ) as panel:
        editor = gr.HTML(padding=False, js_on_load=DRAW, elem_id="flow-editor")
        note = gr.HTML(padding=False, elem_id="flow-note")
        with gr.Row():
            suggest = gr.Button("Suggest arrows", size="sm", min_width=120, elem_id="flow-suggest")
            clear = gr.Button("Remove all", size="sm", min_width=120, elem_id="flow-clear")
        speed = gr.Slider(
            MIN_SPEED,
            MAX_SPEED,
            value=DEFAULT_SPEED,
            step=0.005,
            label="Speed",
            info="Heights of the photo a second, for the newest arrow and the next.",
            elem_id="flow-speed",
        )
        kind = gr.Radio(
            [("Flows on", "flow"), ("Sways", "sway")],
            value="flow",
            label="Motion",
            info="Water, clouds, smoke and fire flow on; grass and leaves sway.",
            elem_id="flow-kind",
        )
        flows = add_input("flows", defaults, has_flows)
    assert isinstance(flows, gr.Textbox)
    return LivingParts(
        panel=panel,
        editor=editor,
        speed=speed,
        kind=kind,
        suggest=suggest,
        clear=clear,
        note=note,
        flows=flows,
        backdrop=gr.State(None, time_to_live=SESSION_S),
    )


def wire_living(parts: LivingParts, session: Session) -> None:
    """Connects the panel.

    Args:
        parts: from `add_living`.
        session: shared components.
    """
    tuned: list[Any] = [parts.flows, parts.speed, parts.kind, parts.backdrop]
    latest(
        [session.photo.change, session.analysis.change, session.model.change, parts.flows.change],
        handlers.show,
        inputs=[session.photo, session.analysis, session.model, parts.flows, parts.backdrop],
        outputs=[parts.backdrop, parts.editor, parts.panel, parts.flows],
        concurrency_limit=4,
        **PRIVATE,
    )
    parts.editor.select(handlers.edit, inputs=tuned, outputs=parts.flows, **IMMEDIATE)
    latest([parts.speed.input, parts.kind.input], handlers.tune, inputs=tuned, outputs=parts.flows, **IMMEDIATE)
    parts.suggest.click(
        handlers.suggest,
        inputs=[parts.flows, parts.backdrop],
        outputs=[parts.flows, parts.note],
        concurrency_limit=4,
        **PRIVATE,
    )
    parts.clear.click(lambda: "", outputs=parts.flows, **IMMEDIATE)
    parts.flows.change(lambda: "", outputs=parts.note, **IMMEDIATE)
