"""What went wrong with a run, and the one click that may help."""

import re
from dataclasses import dataclass, replace
from typing import Any

from xdyna.config import AnimationSettings
from xdyna.presets import PRESETS, with_preset
from xdyna.schema import Fix, InputError
from xdyna.ui.fair_queue import QueueFullError
from xdyna.ui.gpu import OUT_OF_MEMORY
from xdyna.ui.problems import DISK_FULL, OUR_FAULT, UNSAVED, explained

AGAIN, SAVE_AGAIN = Fix("Try again", {}), Fix("Save again", {})
SMALLER = 0.75
GRID_PX, MIN_SIDE_PX = 32, 64
QUOTA = re.compile(r"\((\d+)s requested vs\. (\d+)s left\)")
TOO_LONG = re.compile(r"requested GPU duration \((\d+)s\) is larger")
LOST = ("GPU task aborted", "ZeroGPU worker error", "No GPU was available", "GPU queue timeout")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What the visitor reads, and what one click does about it.

    Attributes:
        text: what happened, why, and what to do.
        fix: settings to change before another run, or None where nothing but other files helps.
    """

    text: str
    fix: Fix | None


def problem_of(error: Exception, model: str, settings: AnimationSettings | None) -> Problem:
    """Explains an error of a run.

    Args:
        error: that ended it.
        model: a key of `BACKENDS`.
        settings: of the run, or None where they could not be read.
    """
    text = explained(error)
    if text.startswith(UNSAVED):
        return Problem(text=text, fix=SAVE_AGAIN)
    if isinstance(error, QueueFullError) or text in (OUR_FAULT, DISK_FULL):
        return Problem(text=text, fix=AGAIN)
    if isinstance(error, InputError) or settings is None:
        return Problem(text=text, fix=None)
    if text.startswith(OUT_OF_MEMORY):
        return Problem(text=text, fix=_smaller(settings))
    if any(sign in text for sign in LOST):
        return Problem(text=f"The GPU was lost ({text}). Your files and settings are kept: try again.", fix=AGAIN)
    if asked := QUOTA.search(text):
        text = f"This run asks for {asked[1]} s of GPU time; you have {asked[2]} s left today. Choose a shorter run."
        return Problem(text=text, fix=_shorter(model, settings))
    if asked := TOO_LONG.search(text):
        text = f"This run asks for {asked[1]} s of GPU time, more than one run may have here. Choose a shorter run."
        return Problem(text=text, fix=_shorter(model, settings))
    return Problem(text=text, fix=None)


def _smaller(settings: AnimationSettings) -> Fix | None:
    """The same picture with about half the pixels, or half the frames where it is small already."""
    height, width = (max(MIN_SIDE_PX, _on_grid(SMALLER * side)) for side in (settings.height, settings.width))
    if (height, width) == (settings.height, settings.width):
        return _fewer_frames(settings)
    return Fix(f"Try {width} x {height}, same seed", {"height": height, "width": width})


def _on_grid(side: float) -> int:
    return GRID_PX * round(side / GRID_PX)


def _shorter(model: str, settings: AnimationSettings) -> Fix | None:
    if with_preset(model, "fast", settings) != settings:
        return Fix("Use the Fast preset", dict(PRESETS[model]["fast"].changes))
    return _fewer_frames(settings)


def _fewer_frames(settings: AnimationSettings) -> Fix | None:
    changes: dict[str, Any] = {"num_frames": max(2, settings.num_frames // 2)}
    if replace(settings, **changes) == settings:
        return None
    return Fix(f"Try {changes['num_frames']} frames, same seed", changes)
