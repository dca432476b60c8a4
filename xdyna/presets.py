"""Named ways to run each model: how good, for how long a wait."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A choice between speed and quality.

    Attributes:
        title: for people.
        changes: fields of `AnimationSettings` that it sets. All presets of a model set the same fields, so that
            choosing one leaves nothing of another, and none of them touches the clip, the seed or the prompts.
    """

    title: str
    changes: Mapping[str, Any]


def _presets(model: str, fast: dict[str, Any], best: dict[str, Any]) -> dict[str, Preset]:
    """Balanced is what the model's own defaults say."""
    defaults = BACKENDS[model].defaults
    balanced = {name: getattr(defaults, name) for name in {**fast, **best}}
    changes = {"fast": balanced | fast, "balanced": balanced, "best": balanced | best}
    return {
        name: Preset(title=name.capitalize(), changes=MappingProxyType(values)) for name, values in changes.items()
    }


PRESETS: dict[str, dict[str, Preset]] = {
    # A second-order sampler needs fewer steps, and guidance matters while the layout is found: docs/speed.md has the
    # cost. More overlap hides the seams of long clips.
    "xdyna": _presets(
        "xdyna",
        fast={"num_inference_steps": 8, "scheduler": "dpm++", "guidance_end": 0.5},
        best={"num_inference_steps": 40, "context_overlap": 8},
    ),
    "xdyna-mini": _presets(
        "xdyna-mini",
        fast={"num_inference_steps": 2},
        best={"num_inference_steps": 8, "context_overlap": 8},
    ),
    "puppet": _presets(
        "puppet",
        fast={"height": 448, "width": 256},
        best={"height": 1344, "width": 768},
    ),
    "dynamictrl": _presets(
        "dynamictrl",
        fast={"num_inference_steps": 15, "height": 1024, "width": 576},
        best={"num_inference_steps": 50},
    ),
    "wan-animate": _presets(
        "wan-animate",
        fast={"num_inference_steps": 10, "height": 640, "width": 384},
        best={"num_inference_steps": 30, "height": 1280, "width": 720},
    ),
    "wan-animate-2": _presets(
        "wan-animate-2",
        fast={"num_inference_steps": 20, "height": 640, "width": 512},
        best={"num_inference_steps": 50},
    ),
    "wan-animate-2-distilled": _presets(
        "wan-animate-2-distilled",
        fast={"num_inference_steps": 6, "height": 640, "width": 512},
        best={"num_inference_steps": 16},
    ),
}
"""By key of `BACKENDS`, then by name."""


def with_preset(model: str, name: str, settings: AnimationSettings) -> AnimationSettings:
    """The settings with a preset's changes."""
    return replace(settings, **PRESETS[model][name].changes)


def preset_of(model: str, settings: AnimationSettings) -> str | None:
    """The preset whose fields the settings have, or None where they were changed by hand."""
    return next((name for name in PRESETS[model] if with_preset(model, name, settings) == settings), None)
