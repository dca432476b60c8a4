"""The steps of the page. All screens stay mounted, so that nothing they hold is lost; the style shows one of them."""

from html import escape
from pathlib import Path

import gradio as gr

SCRIPT = Path(__file__).parent / "static" / "stepper.js"

STEPS = {"inputs": "Photo & clip", "check": "Check", "generate": "Generate", "compare": "Compare", "runs": "My runs"}
"""Titles of the screens by name, in their order."""


def add_stepper() -> gr.HTML:
    """The navigation. Its value is the name of the screen that is shown; setting the value goes there."""
    buttons = "".join(
        f'<li><button type="button" data-step="{name}"><span aria-hidden="true">{number}</span>'
        f"<b>{escape(title)}</b></button></li>"
        for number, (name, title) in enumerate(STEPS.items(), start=1)
    )
    return gr.HTML(
        value=next(iter(STEPS)),
        html_template=f'<nav aria-label="Screens"><ol>{buttons}</ol></nav>',
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        elem_id="stepper",
        padding=False,
    )


def screen(name: str) -> gr.Column:
    """The container of one screen, which the style shows while its step is chosen."""
    return gr.Column(elem_id=f"screen-{name}", elem_classes=["screen", f"screen-{name}"])
