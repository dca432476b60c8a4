"""The form that is built from the settings."""

from dataclasses import fields

import gradio as gr
import pytest

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.schema import InputError, Progress
from xdyna.ui.fragments import error, progress
from xdyna.ui.settings_form import CHECK, CLIP, FIELDS, LIVING, MAIN, OTHER, add_input, read_settings

DEFAULTS = BACKENDS["xdyna-mini"].defaults


def test_every_setting_is_on_the_form_once() -> None:
    assert sorted(MAIN + CLIP + CHECK + LIVING + OTHER) == sorted(field.name for field in fields(AnimationSettings))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("num_inference_steps", gr.Slider),
        ("guidance_scale", gr.Slider),
        ("seed", gr.Number),  # a slider of two thousand million positions is of no use
        ("start_s", gr.Number),
        ("background_adapter_strength", gr.Textbox),  # neither a slider nor a number can be empty
        ("reference_mode", gr.Dropdown),
        ("scheduler", gr.Dropdown),
        ("ai_label", gr.Checkbox),
        ("negative_prompt", gr.Textbox),
    ],
)
def test_the_input_fits_the_setting(name: str, kind: type) -> None:
    made = add_input(name, DEFAULTS)
    assert type(made) is kind
    assert made.value == (getattr(DEFAULTS, name) if kind is not gr.Textbox else getattr(DEFAULTS, name) or "")


@pytest.mark.parametrize(("typed", "read"), [("", None), (None, None), ("0.5", 0.5), (0.5, 0.5), ("0", 0.0)])
def test_a_number_may_be_left_open(typed: object, read: float | None) -> None:
    assert read_settings({"background_adapter_strength": typed}).background_adapter_strength == read


def wholly(value: object, kind: type) -> object:
    """A whole number in the other of Python's types, as JavaScript may send it."""
    return kind(value) if type(value) in (int, float) and float(value).is_integer() else value


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [int, float])
def test_defaults_survive_the_form(backend: str, kind: type) -> None:
    defaults = BACKENDS[backend].defaults
    read = read_settings({name: wholly(value, kind) for name, value in defaults.to_dict().items()})
    assert read == defaults
    assert (type(read.num_frames), type(read.adapter_strength)) == (int, float)
    BACKENDS[backend].check(read)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_inference_steps", 0, "num_inference_steps must be between 1 and 100, got 0"),
        ("width", 130, "width must be a multiple of 8, got 130"),
        ("seed", None, "Seed is empty"),
        ("background_adapter_strength", "soft", "Adapter strength of the background must be a number, got 'soft'"),
        ("scheduler", "magic", "scheduler must be one of"),
        ("num_inference_steps", 3.7, "Steps must be a whole number, got 3.7."),
        ("num_inference_steps", "3", "Steps must be a whole number, got '3'."),
        ("num_inference_steps", True, "Steps must be a whole number, got True."),
        ("seed", float("nan"), "Seed must be a whole number, got nan."),
        ("seed", float("inf"), "Seed must be a whole number, got inf."),
        ("guidance_scale", float("inf"), "guidance_scale must be between 1 and 20, got inf"),
        ("guidance_scale", [7.5], "Guidance must be a number, got list."),
        ("background_adapter_strength", "nan", "must be between 0 and 2, got nan"),
        ("background_adapter_strength", [], "must be a number, got list."),
        ("ai_label", "no", "AI-generated label must be true or false, got 'no'."),
        ("ai_label", 0, "AI-generated label must be true or false, got 0."),
        ("prompt", ["a", "b"], "Prompt must be a text, got list."),
        ("prompt", None, "Prompt is empty. Give a text."),
        ("prompt", "x" * 501, "prompt must be at most 500 letters long, got 501"),
    ],
)
def test_a_bad_value_is_explained(name: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_settings(DEFAULTS.to_dict() | {name: value})


def test_texts_cannot_bring_html_of_their_own() -> None:
    for html in (error("<b>"), progress(Progress(phase="<b>", step=0, total=1))):
        assert "&lt;b&gt;" in html and "<b>" not in html


def test_the_browser_bounds_texts_as_the_server_does() -> None:
    for name in ("prompt", "negative_prompt", "photo_person"):
        bound = FIELDS[name].metadata["max_length"]
        assert add_input(name, DEFAULTS).max_length == bound
        with pytest.raises(InputError, match=f"must be at most {bound} letters long"):
            read_settings(DEFAULTS.to_dict() | {name: "1" * (bound + 1)})
