"""Settings check themselves."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings, parse_person
from xdyna.flows import Flow, flows_text, parse_flows


def test_defaults_are_those_of_the_official_script() -> None:
    settings = AnimationSettings()
    assert (settings.num_inference_steps, settings.guidance_scale, settings.adapter_strength) == (25, 7.5, 1.0)
    assert (settings.height, settings.width) == (896, 512)
    assert (settings.context_frames, settings.context_overlap) == (16, 4)
    assert settings.scheduler == "ddim"


def test_every_field_explains_itself() -> None:
    for item in fields(AnimationSettings):
        assert item.metadata["help"].endswith(".")
        if isinstance(item.default, (int, float)) and not isinstance(item.default, bool):
            assert item.metadata["low"] <= item.default <= item.metadata["high"]
            assert item.metadata["step"] > 0
        if isinstance(item.default, str):
            assert item.metadata["choices"] or item.metadata["max_length"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps must be between 1 and 100, got 0"),
        ({"guidance_scale": 0.5}, "guidance_scale must be between 1 and 20, got 0.5"),
        ({"guidance_scale": float("nan")}, "guidance_scale must be between 1 and 20, got nan"),
        ({"height": 900}, "height must be a multiple of 8, got 900"),
        ({"width": 32}, "width must be between 64 and 1536, got 32"),
        ({"num_frames": 1}, "num_frames must be between 2 and 600, got 1"),
        ({"seed": -1}, "seed must be between 0 and 2.14748e\\+09, got -1"),
        ({"scheduler": "magic"}, "scheduler must be one of ddim, .*, got 'magic'"),
        ({"reference_mode": "magic"}, "reference_mode must be one of dynamics_adapter, .*, got 'magic'"),
        ({"background_adapter_strength": 3}, "background_adapter_strength must be between 0 and 2, got 3"),
        ({"nudge_zoom": 3}, "nudge_zoom must be between 0.5 and 2, got 3"),
        ({"photo_person": "Anna"}, "photo_person must be auto, a number from 1, or a box .*, got 'Anna'"),
        ({"num_inference_steps": 3.7}, "num_inference_steps must be a whole number, got 3.7"),
        ({"num_inference_steps": True}, "num_inference_steps must be a whole number, got True"),
        ({"num_inference_steps": None}, "num_inference_steps must be a whole number, got None"),
        ({"guidance_scale": "7.5"}, "guidance_scale must be a number, got '7.5'"),
        ({"live_photo": "yes"}, "live_photo must be true or false, got 'yes'"),
        ({"live_photo": 1}, "live_photo must be true or false, got 1"),
        ({"prompt": 5}, "prompt must be a text, got 5"),
        ({"prompt": ["a"] * 1000}, "prompt must be a text, got list$"),
        ({"prompt": "\ud800"}, "prompt must be a text"),
        ({"prompt": "x" * 501}, "prompt must be at most 500 letters long, got 501"),
        ({"negative_prompt": "雪" * 501}, "negative_prompt must be at most 500 letters long, got 501"),
        ({"clip_person": "1" * 101}, "clip_person must be at most 100 letters long, got 101"),
        ({"flows": 5}, "flows must be a text, got 5"),
        ({"flows": "up"}, "flows must be suggested, or arrows such as x0,y0,x1,y1.*; got 'up'"),
        ({"flows": "0,0,1"}, "flows must be suggested, or arrows"),
        ({"flows": "0,0,1,1,0.1,flow,x"}, "flows must be suggested, or arrows"),
        ({"flows": "0,0,1,1,0.1,fly"}, "flows must be suggested, or arrows"),
        ({"flows": "0,0,1,1.5"}, "flows must begin and end within 0 to 1 of the photo, got 0,0,1,1.5"),
        ({"flows": "nan,0,1,1"}, "flows must begin and end within 0 to 1 of the photo, got nan,0,1,1"),
        ({"flows": "0.5,0.5,0.5,0.5"}, "flows must be longer than 0.02 of the photo"),
        ({"flows": "0,0,1,1,9"}, "flows must have a speed between 0.005 and 0.5, got 9"),
        ({"flows": "0,0,1,1;" * 9}, "flows must be at most 8 arrows, got 9"),
        ({"flows": ";" * 501}, "flows must be at most 500 letters long, got 501"),
        ({"seed": 10**400}, "seed must be between 0 and 2.14748e\\+09, got 10{39}$"),
        ({"guidance_start": 0.6, "guidance_end": 0.5}, r"guidance_start must not be above .*, got 0.6"),
        ({"context_frames": 4, "context_overlap": 4}, r"context_overlap must be below context_frames \(4\), got 4"),
    ],
)
def test_a_bad_value_is_named_with_its_limit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnimationSettings(**change)


def test_a_whole_number_is_a_number_too() -> None:
    settings = AnimationSettings(adapter_strength=1, background_adapter_strength=np.int64(1), seed=np.int64(7))
    assert [type(value) for value in (settings.adapter_strength, settings.background_adapter_strength)] == [float] * 2
    assert type(settings.seed) is int
    BACKENDS["xdyna"].check(settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", None),
        (" auto ", None),
        ("1", 1),
        ("12", 12),
        ("10,20,110.5,220", (10, 20, 110.5, 220)),
        (" 0, 0, 1, 1 ", (0, 0, 1, 1)),
    ],
)
def test_a_person_is_chosen_by_number_or_box(text: str, expected: object) -> None:
    assert parse_person(text) == expected
    AnimationSettings(photo_person=text, clip_person=text)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "1,2", "5,5,5,9", "9,0,1,9", "-1,0,5,5", "0,0,nan,5", "0,0,5,inf"]
)
def test_other_texts_choose_nobody(text: str) -> None:
    with pytest.raises(ValueError, match="clip_person must be auto, a number from 1, or a box"):
        AnimationSettings(clip_person=text)


@pytest.mark.parametrize("name", BACKENDS)
def test_backends_are_named_as_listed_and_explain_themselves(name: str) -> None:
    spec = BACKENDS[name]
    assert spec.name == name
    assert len(spec.notice) > 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" ; ", ()),
        (" suggested ", None),
        ("0.1,0.2,0.5,0.2", (Flow(start=(0.1, 0.2), end=(0.5, 0.2)),)),
        (
            "0, 0.9, 1, 0.9, 0.1; 0.25,1,0.75,1,0.02,sway",
            (
                Flow(start=(0, 0.9), end=(1, 0.9), speed=0.1),
                Flow(start=(0.25, 1), end=(0.75, 1), speed=0.02, kind="sway"),
            ),
        ),
    ],
)
def test_arrows_of_the_background_are_read_from_text(text: str, expected: tuple[Flow, ...] | None) -> None:
    assert parse_flows(text) == expected
    assert AnimationSettings(flows=text).flows == text
    if expected is not None:
        assert parse_flows(flows_text(expected)) == expected


def test_as_many_arrows_as_are_allowed_fit_into_the_setting() -> None:
    longest = Flow(start=(0.0001234, 0.0001234), end=(0.9876, 0.9876), speed=0.01234, kind="sway")
    AnimationSettings(flows=flows_text([longest] * 8))
