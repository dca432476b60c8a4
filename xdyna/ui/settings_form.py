"""The form of `AnimationSettings`: one input per field, built from the field's own range and help."""

from dataclasses import Field, fields
from typing import Any

import gradio as gr
from gradio.components import Component

from xdyna.config import AnimationSettings
from xdyna.schema import InputError

FIELDS: dict[str, Field[Any]] = {item.name: item for item in fields(AnimationSettings)}

MAIN = ("num_inference_steps", "guidance_scale", "adapter_strength", "seed")
CLIP = ("start_s", "num_frames", "fps", "width", "height")
OTHER = tuple(name for name in FIELDS if name not in MAIN + CLIP)

TITLES = {
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance",
    "adapter_strength": "Adapter strength",
    "controlnet_pose_scale": "Pose strength",
    "controlnet_face_scale": "Face strength",
    "ip_adapter_scale": "Image tokens",
    "start_s": "Start (s)",
    "num_frames": "Frames",
    "fps": "Frames per second",
    "context_frames": "Window",
    "context_overlap": "Window overlap",
    "scheduler": "Sampler",
    "ai_label": "AI-generated label",
}

MAX_SLIDER_POSITIONS = 1000


def title(name: str) -> str:
    """What the form calls a field."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def add_input(name: str, defaults: AnimationSettings) -> Component:
    """The input for one field: a slider where its range fits on one, else a number, a choice, a tick or a text."""
    item, value = FIELDS[name], getattr(defaults, name)
    limits = item.metadata
    common = {
        "value": value,
        "label": title(name),
        "info": limits["help"],
        "elem_id": f"setting-{name}",
        "min_width": 200,
    }
    if isinstance(item.default, bool):
        return gr.Checkbox(**common)
    if limits["choices"]:
        return gr.Dropdown(choices=list(limits["choices"]), **common)
    if isinstance(item.default, str):
        return gr.Textbox(lines=1, max_length=500, **common)
    bounds = {"minimum": limits["low"], "maximum": limits["high"], "step": limits["step"]}
    if (limits["high"] - limits["low"]) / limits["step"] > MAX_SLIDER_POSITIONS:
        return gr.Number(precision=0 if isinstance(item.default, int) else 3, **bounds, **common)
    return gr.Slider(**bounds, **common)


def read_settings(values: dict[str, Any]) -> AnimationSettings:
    """The settings that the form holds.

    Args:
        values: by field name; numbers may come as int or float.

    Raises:
        InputError: a value is missing or outside its range.
    """
    typed = {}
    for name, value in values.items():
        if value is None:
            raise InputError(f"{title(name)} is empty. Give a number.")
        kind: Any = type(FIELDS[name].default)
        typed[name] = kind(value)
    try:
        return AnimationSettings(**typed)
    except ValueError as error:
        raise InputError(f"{error}. Change it under the settings.") from error
