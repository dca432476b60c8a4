"""Every failure says what, why, and what one click can do."""

import errno
from dataclasses import replace

import gradio as gr
import pytest

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.presets import PRESETS, with_preset
from xdyna.schema import InputError
from xdyna.ui.fair_queue import QueueFullError
from xdyna.ui.gpu import OUT_OF_MEMORY
from xdyna.ui.remedies import problem_of

OFFICIAL = BACKENDS["xdyna"].defaults
MEMORY = gr.Error(f"{OUT_OF_MEMORY} 16 frames of 512 x 896, which need about 20 GB. Choose a smaller size.")
QUOTA = gr.Error("You have exceeded your free ZeroGPU quota (90s requested vs. 46s left). Try again in 3:00:00. ")
TOO_LONG = gr.Error("The requested GPU duration (300s) is larger than the maximum allowed")


@pytest.mark.parametrize(
    ("error", "text", "label", "changes"),
    [
        (
            MEMORY,
            "not enough memory for 16 frames of 512 x 896",
            "Try 384 x 672, same seed",
            {"height": 672, "width": 384},
        ),
        (
            QUOTA,
            "asks for 90 s of GPU time; you have 46 s left",
            "Use the Fast preset",
            PRESETS["xdyna"]["fast"].changes,
        ),
        (TOO_LONG, "asks for 300 s of GPU time, more than", "Use the Fast preset", PRESETS["xdyna"]["fast"].changes),
        (gr.Error("GPU task aborted"), "The GPU was lost", "Try again", {}),
        (gr.Error("ZeroGPU worker error: CalledProcessError"), "The GPU was lost", "Try again", {}),
        (gr.Error("No GPU was available after 60s"), "The GPU was lost", "Try again", {}),
        (QueueFullError("The queue is full (20)."), "queue is full", "Try again", {}),
        (RuntimeError("/secret/path"), "on our side", "Try again", {}),
        (OSError(errno.ENOSPC, "No space left", "/secret/path"), "no room left for videos", "Try again", {}),
    ],
)
def test_one_click_helps(error: Exception, text: str, label: str, changes: dict[str, object]) -> None:
    problem = problem_of(error, "xdyna", OFFICIAL)
    assert text in problem.text and "secret" not in problem.text
    assert problem.fix is not None
    assert (problem.fix.label, dict(problem.fix.settings)) == (label, dict(changes))
    replace(OFFICIAL, **problem.fix.settings)  # in range


@pytest.mark.parametrize(
    "error", [InputError("There is no photo yet."), gr.Error("The weights of xdyna are not on this machine. Run …")]
)
def test_where_other_files_or_a_command_are_needed_no_click_is_promised(error: Exception) -> None:
    problem = problem_of(error, "xdyna", OFFICIAL)
    assert problem.fix is None
    assert "no photo" in problem.text or "weights" in problem.text


def test_who_runs_fast_already_is_offered_fewer_frames() -> None:
    fast = with_preset("xdyna", "fast", OFFICIAL)
    assert problem_of(QUOTA, "xdyna", fast).fix.label == "Try 8 frames, same seed"
    assert problem_of(QUOTA, "xdyna", replace(fast, num_frames=2)).fix is None


def test_retries_shrink_until_nothing_is_left_to_shrink() -> None:
    settings: AnimationSettings = OFFICIAL
    for _ in range(40):
        fix = problem_of(MEMORY, "xdyna", settings).fix
        if fix is None:
            break
        smaller = replace(settings, **fix.settings)
        assert (smaller.height * smaller.width, smaller.num_frames) < (settings.height * settings.width, 17)
        assert smaller.seed == settings.seed
        settings = smaller
    assert (settings.height, settings.width, settings.num_frames) == (64, 64, 2)
