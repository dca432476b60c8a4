"""What a client may send, checked in one place before Gradio or a handler looks at it."""

from typing import Any

import gradio as gr
from gradio.components import Component

from xdyna.schema import InputError
from xdyna.ui.store import STORE

NOT_UPLOADED = "This file did not come here as an upload. Upload it and try again: files expire after a while."
MAX_FILES = 8
MAX_LETTERS = 2000
MAX_PAGE_LETTERS = 2_000_000
"""For what the page itself sends back: its own HTML, and what a browser keeps."""

FILES = (gr.Image, gr.Video, gr.File, gr.UploadButton)
NUMBERS = (gr.Slider, gr.Number)
TEXTS = (gr.Textbox, gr.Dropdown, gr.Radio)
PLAIN = (*NUMBERS, *TEXTS, gr.Checkbox, gr.CheckboxGroup)
OF_THE_PAGE = (gr.HTML, gr.BrowserState)


def check_payload(component: Component, value: Any) -> None:
    """Check the value that a client sent for one input.

    Raises:
        InputError: it has another type than the input, is too long, or names a file that is not an upload.
        TypeError: inputs of this kind are not known here: whoever adds one decides how it is checked.
    """
    if value is None:
        return
    if isinstance(component, FILES):
        _check_files(value)
    elif isinstance(component, NUMBERS):
        _check(component, value, isinstance(value, int | float) and not isinstance(value, bool), "a number")
        low, high = component.minimum, component.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise InputError(f"{_name(component)} must be between {low} and {high}, got {value}.")
    elif isinstance(component, gr.Checkbox):
        _check(component, value, isinstance(value, bool), "true or false")
    elif isinstance(component, TEXTS):
        longest = getattr(component, "max_length", None) or MAX_LETTERS
        _check(component, value, isinstance(value, str), "a text")
        if len(value) > longest:
            raise InputError(f"{_name(component)} takes at most {longest} letters, got {len(value)}. Shorten it.")
    elif isinstance(component, gr.CheckboxGroup):
        well_formed = isinstance(value, list) and all(isinstance(item, str) for item in value)
        _check(component, value, well_formed and len(value) <= len(component.choices), "a list of its choices")
    elif isinstance(component, OF_THE_PAGE):
        if len(str(value)) > MAX_PAGE_LETTERS:
            raise InputError("The page sent back more than it was given. Reload it.")
    else:
        raise TypeError(f"payloads.check_payload does not know {type(component).__name__}")


def event_text(event: gr.EventData, name: str) -> str:
    """Return what the page sent about a click under this name, a text or a number; "" for anything else.

    Gradio hands on whatever arrived.
    """
    sent = event._data
    value = sent.get(name) if isinstance(sent, dict) else None
    return str(value)[:MAX_LETTERS] if isinstance(value, str | int) else ""


def _check_files(value: Any) -> None:
    """One text for every file that is not an upload, so that nobody learns which files exist."""
    files = value if isinstance(value, list) else [value]
    if len(files) > MAX_FILES:
        raise InputError(f"At most {MAX_FILES} files at once, got {len(files)}.")
    for file in files:
        if not isinstance(file, dict) or not STORE.is_upload(file.get("path")):
            raise InputError(NOT_UPLOADED)


def _check(component: Component, value: Any, is_right: bool, kind: str) -> None:
    if not is_right:
        raise InputError(f"{_name(component)} must be {kind}, got {value!r:.40}.")


def _name(component: Component) -> str:
    return str(component.label or component.elem_id or type(component).__name__)
