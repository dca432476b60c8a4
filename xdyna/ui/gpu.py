"""The work that needs a GPU, in turn. On a ZeroGPU Space it runs in a process that borrows one."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

import gradio as gr
from spaces import GPU

from xdyna.animate import animate
from xdyna.backends import all_devices
from xdyna.compare.run import compare
from xdyna.compare.take import Take
from xdyna.compare.variants import Variant
from xdyna.config import AnimationSettings
from xdyna.estimates import predict
from xdyna.schema import Animation, Conditions, InputError, Progress
from xdyna.ui.line import Line, Waiting

Event = TypeVar("Event")
Stop = Callable[[], bool]

logger = logging.getLogger(__name__)

GPU_LINE = Line(longest=20, turns=len(all_devices()))
MAX_SECONDS = 300
MARGIN = 1.3  # a run that asks a Space for too little is cut off
OUT_OF_MEMORY = "There is not enough memory for"


def borrows_gpu() -> bool:
    """Whether runs happen in another process, which cannot be told to stop: it can only be closed."""
    return bool(os.environ.get("SPACES_ZERO_GPU"))


def in_turn(job: Iterator[Event], seconds: float, line: Line = GPU_LINE) -> Iterator[Waiting | Event]:
    """Runs a job when it is its turn. Closing the iterator leaves the line or ends the job.

    Args:
        job: a generator that computes on a GPU; not begun before its turn.
        seconds: that it is expected to take.
        line: shared by all that use these GPUs.

    Yields:
        `Waiting` at least twice a second while others are before it, then what the job yields.

    Raises:
        LineFullError: too many wait already.
    """
    with closing(job), line.join(seconds) as place:  # type: ignore[type-var]  # our iterators are generators
        while (waiting := place.waiting()) is not None:
            yield waiting
            place.wait()
        place.serve()
        yield from job


def compare_in_turn(
    conditions: Conditions,
    settings: AnimationSettings,
    variants: Sequence[Variant],
    model: str,
    line: Line = GPU_LINE,
) -> Iterator[Waiting | Progress | Take]:
    """As `xdyna.compare.run.compare`: in one turn, or where several are served at once, in a turn for each variant.

    Yields:
        `Waiting` while others are before it, then what the comparison yields.

    Raises:
        LineFullError: too many wait already.
    """
    if line.turns == 1:
        seconds = compare_seconds(conditions.num_frames, settings, variants, model)
        yield from in_turn(compare(conditions, settings, variants, model, animate=run_on_gpu), seconds, line)
        return

    def run(conditions: Conditions, own: AnimationSettings, model: str) -> Iterator[Waiting | Progress | Animation]:
        return in_turn(run_on_gpu(conditions, own, model), predict(model, own, conditions.num_frames).seconds, line)

    with closing(compare(conditions, settings, variants, model, animate=run, at_once=line.turns)) as events:  # type: ignore[type-var]
        yield from events


def compare_seconds(
    num_frames: int, settings: AnimationSettings, variants: Sequence[Variant], model: str, line: Line = GPU_LINE
) -> float:
    """What all variants together are expected to take.

    Raises:
        InputError: a variant's settings do not go together.
    """
    seconds = (predict(v.backend or model, v.settings(settings, model), num_frames).seconds for v in variants)
    return sum(seconds) / min(line.turns, len(variants))


def seconds_needed(conditions: Conditions, settings: AnimationSettings, model: str, *_: Any, **__: Any) -> int:
    """GPU seconds to ask for. Takes the arguments of `run_on_gpu`, and whatever the caller's framework adds."""
    expected = predict(model, settings, conditions.num_frames)
    return min(MAX_SECONDS, math.ceil(expected.seconds * (MARGIN if expected.measured else 1.0)))


@GPU(duration=seconds_needed)
def run_on_gpu(
    conditions: Conditions, settings: AnimationSettings, model: str, stop: Stop | None = None
) -> Iterator[Progress | Animation]:
    """Animates; everything that goes in and out can be pickled, but for `stop`, which a borrowed GPU cannot have.

    Yields:
        As `xdyna.animate.animate`. Closing the iterator stops the work.

    Raises:
        gr.Error: with the whole meaning in its message, the only thing that survives the way out of the GPU process.
    """
    try:
        with closing(animate(conditions, settings, model, stop)) as events:  # type: ignore[type-var]
            yield from events
    except InputError as error:
        raise gr.Error(str(error)) from error
    except (RuntimeError, MemoryError) as error:
        if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
            raise
        logger.warning("out of memory: %s", error)
        height, width = conditions.size
        needed = predict(model, settings, conditions.num_frames).memory_gb
        raise gr.Error(
            f"{OUT_OF_MEMORY} {conditions.num_frames} frames of {width} x {height}, which need about {needed:.0f} GB. "
            "Choose a smaller size, or fewer frames."
        ) from error
