"""Fast, balanced, best."""

from dataclasses import replace

import pytest

from xdyna.backends import BACKENDS
from xdyna.estimates import Pace, predict
from xdyna.presets import PRESETS, preset_of, with_preset


def test_every_model_has_them() -> None:
    assert set(PRESETS) == set(BACKENDS)
    assert {tuple(presets) for presets in PRESETS.values()} == {("fast", "balanced", "best")}


@pytest.mark.parametrize("model", PRESETS)
def test_balanced_is_what_the_model_recommends(model: str) -> None:
    assert preset_of(model, BACKENDS[model].defaults) == "balanced"


@pytest.mark.parametrize("model", PRESETS)
def test_choosing_one_leaves_nothing_of_another(model: str) -> None:
    settings = BACKENDS[model].defaults
    for name in ("best", "fast", "balanced"):
        settings = with_preset(model, name, settings)
        assert preset_of(model, settings) == name
    assert settings == BACKENDS[model].defaults


@pytest.mark.parametrize("model", PRESETS)
def test_they_keep_what_the_visitor_chose(model: str) -> None:
    own = replace(BACKENDS[model].defaults, seed=7, num_frames=40, prompt="rain", start_s=1.5, ai_label=False)
    kept = with_preset(model, "best", own)
    assert (kept.seed, kept.num_frames, kept.prompt, kept.start_s, kept.ai_label) == (7, 40, "rain", 1.5, False)
    assert preset_of(model, kept) == "best"


@pytest.mark.parametrize("model", PRESETS)
def test_a_change_by_hand_is_none_of_them(model: str) -> None:
    by_hand = {"num_inference_steps": 99} if BACKENDS[model].takes("num_inference_steps") else {"height": 640}
    assert preset_of(model, replace(BACKENDS[model].defaults, **by_hand)) is None


@pytest.mark.parametrize("model", PRESETS)
def test_faster_ones_are_faster(model: str) -> None:
    defaults = BACKENDS[model].defaults
    seconds = [predict(model, with_preset(model, name, defaults), 32, Pace()).seconds for name in PRESETS[model]]
    assert seconds == sorted(set(seconds))
