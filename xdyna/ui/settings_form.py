"""The form of `AnimationSettings`: one input per field, built from the field's own range and help."""

from contextlib import suppress
from dataclasses import Field, fields
from typing import Any, Literal

import gradio as gr
from gradio.components import Component

from xdyna.backends import Backend
from xdyna.config import KINDS, AnimationSettings, check_type, value_type
from xdyna.schema import InputError
from xdyna.ui import fragments

FIELDS: dict[str, Field[Any]] = {item.name: item for item in fields(AnimationSettings)}

MAIN = ("num_inference_steps", "guidance_scale", "adapter_strength", "seed")
LIVE = ("live_photo", "sway")
CLIP = ("start_s", "num_frames", "fps", "width", "height", *LIVE)
CHECK = ("photo_person", "clip_person", "retarget", "nudge_zoom", "nudge_x", "nudge_y")
LIVING = ("flows",)
OTHER = tuple(name for name in FIELDS if name not in MAIN + CLIP + CHECK + LIVING)

TITLES = {
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance",
    "strength": "Denoising strength",
    "adapter_strength": "Adapter strength",
    "background_adapter_strength": "Adapter strength of the background",
    "reference_mode": "How the photo is read",
    "static_background": "Frozen background",
    "controls_on_person_only": "Controls on the person only",
    "controlnet_pose_scale": "Pose strength",
    "controlnet_face_scale": "Face strength",
    "ip_adapter_scale": "Image tokens",
    "start_s": "Start (s)",
    "num_frames": "Frames",
    "fps": "Frames per second",
    "context_frames": "Window",
    "context_overlap": "Window overlap",
    "scheduler": "Sampler",
    "photo_person": "Person in the photo",
    "clip_person": "Person in the clip",
    "retarget": "Keep the photo's proportions",
    "nudge_zoom": "Pose: zoom",
    "nudge_x": "Pose: move right",
    "nudge_y": "Pose: move down",
    "flows": "Arrows",
    "keep_sound": "Keep the sound",
    "ai_label": "AI-generated label",
    "save_recipe": "Recipe in the file",
}

MAX_SLIDER_POSITIONS = 1000


def title(name: str) -> str:
    """What the form calls a field."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def add_input(name: str, defaults: AnimationSettings, visible: bool = True) -> Component:
    """The input for one field: a slider where its range fits on one, else a number, a choice, a tick or a text."""
    item, value = FIELDS[name], getattr(defaults, name)
    limits = item.metadata
    common = {
        "value": value,
        "label": title(name),
        "info": limits["help"],
        "elem_id": f"setting-{name}",
        "min_width": 200,
        "visible": visible or fragments.HIDDEN,
    }
    if isinstance(item.default, bool):
        return gr.Checkbox(**common)
    if limits["choices"]:
        return gr.Dropdown(choices=list(limits["choices"]), **common)
    if item.default is None:  # a number that may be left open, for which Gradio's own number would say 0
        common["value"] = "" if value is None else f"{value:g}"  # None would make it a required argument of the API
        return gr.Textbox(
            lines=1, max_length=8, placeholder=f"empty, or {limits['low']:g} to {limits['high']:g}", **common
        )
    if isinstance(item.default, str):
        return gr.Textbox(lines=1, max_length=limits["max_length"], **common)
    bounds = {"minimum": limits["low"], "maximum": limits["high"], "step": limits["step"]}
    if (limits["high"] - limits["low"]) / limits["step"] > MAX_SLIDER_POSITIONS:
        return gr.Number(precision=0 if isinstance(item.default, int) else 3, **bounds, **common)
    return gr.Slider(**bounds, **common)


def for_backend(name: str, value: Any, backend: Backend) -> Any:
    """The input of a field as another backend has it: its value and range; hidden where it means nothing there."""
    limits, item = backend.limits_of(name), FIELDS[name]
    visible: bool | Literal["hidden"] = backend.takes(name) or fragments.HIDDEN
    if item.default is None:
        return gr.update(value="" if value is None else f"{value:g}", visible=visible)
    if limits.low is None or not backend.takes(name):
        return gr.update(value=value, visible=visible)
    return gr.update(value=value, visible=True, minimum=limits.low, maximum=limits.high, step=limits.step)


def read_settings(values: dict[str, Any]) -> AnimationSettings:
    """Return the settings that the form holds.

    Args:
        values: what each field holds, by its name. A whole number may come as 16.0: JavaScript knows no other.

    Raises:
        InputError: a value is missing, of another type, or outside its range.
    """
    typed = {name: _typed(name, value) for name, value in values.items()}
    try:
        return AnimationSettings(**typed)
    except ValueError as error:
        raise InputError(f"{error}. Change it under the settings.") from error


def _typed(name: str, value: Any) -> Any:
    """Return a value of the form in the type of its field; nothing is rounded, cut or guessed."""
    item = FIELDS[name]
    kind = value_type(item)
    if item.default is None:  # its input is a text
        if value is None or value == "":
            return None
        if isinstance(value, str):
            with suppress(ValueError):  # told below
                value = float(value)
    if value is None:
        raise InputError(f"{title(name)} is empty. Give {KINDS[kind]}.")
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        check_type(item, value)
    except ValueError as error:
        raise InputError(f"{title(name)} {error}. Change it under the settings.") from error
    return value
