"""The work that needs a GPU, in turn. On a ZeroGPU Space it runs in a process that borrows one."""

import logging
import math
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, TypeVar

import gradio as gr
from spaces import GPU

from xdyna.animate import animate
from xdyna.backends import all_devices
from xdyna.compare.run import compare
from xdyna.compare.take import Refusal, Take
from xdyna.compare.variants import Variant
from xdyna.config import AnimationSettings
from xdyna.estimates import predict
from xdyna.schema import Animation, Conditions, InputError, Progress
from xdyna.ui.client import tell_place
from xdyna.ui.fair_queue import FairQueue, Visitor, Waiting

Event = TypeVar("Event")
Prepared = TypeVar("Prepared")
Outcome = TypeVar("Outcome")
Stop = Callable[[], bool]

logger = logging.getLogger(__name__)

RUN_QUEUE = FairQueue(turns=len(all_devices()), ahead=1)
"""Everybody who wants a device. The next one in it already prepares, so that no device waits for that."""
MAX_SECONDS = 300
MARGIN = 1.3  # a run that asks a Space for too little is cut off
OUT_OF_MEMORY = "There is not enough memory for"


def borrows_gpu() -> bool:
    """Whether runs happen in another process, which cannot be told to stop: it can only be closed."""
    return bool(os.environ.get("SPACES_ZERO_GPU"))


def in_turn(
    job: Iterator[Event], seconds: float, visitor: Visitor, queue: FairQueue = RUN_QUEUE
) -> Iterator[Waiting | Event]:
    """Run a job when it is its turn. Closing the iterator leaves the queue or ends the job.

    Args:
        job: A generator, not begun before its turn.
        seconds: The time that it is expected to take.
        visitor: Whom it belongs to.
        queue: Who waits for the same devices.

    Yields:
        `Waiting` at least once a second while others are before it, then what the job yields.

    Raises:
        QueueFullError: too many wait already.
    """
    with queue.join(visitor, seconds) as ticket:
        yield from _waiting(ticket.until_called())
        yield from _waiting(ticket.until_served())
        yield from job


def prepared_in_turn(
    prepare: Generator[Event, None, Prepared],
    run: Callable[[Prepared], Iterator[Outcome]],
    seconds: float,
    visitor: Visitor,
    queue: FairQueue = RUN_QUEUE,
) -> Iterator[Waiting | Event | Outcome]:
    """As `in_turn`, for a job that prepares while the one before it still runs.

    Args:
        prepare: A generator that returns what `run` needs; not begun before few enough are in front.
        run: Begins the work of the turn.
        seconds: The time that the work is expected to take, without the preparation.
        visitor: Whom the job belongs to.
        queue: Who waits for the same devices.

    Yields:
        `Waiting` at least once a second while others are before it, and what `prepare` and `run` yield.

    Raises:
        QueueFullError: too many wait already; nothing was prepared.
    """
    with queue.join(visitor, seconds) as ticket:
        yield from _waiting(ticket.until_called())
        prepared = yield from prepare
        yield from _waiting(ticket.until_served())
        yield from run(prepared)


def _waiting(places: Iterator[Waiting]) -> Iterator[Waiting]:
    for place in places:
        yield place
        tell_place(place)


def run_variants(
    conditions: Conditions,
    settings: AnimationSettings,
    variants: Sequence[Variant],
    model: str,
    queue: FairQueue = RUN_QUEUE,
) -> Iterator[Progress | Take | Refusal]:
    """As `xdyna.compare.run.compare`, for a job that is served, on all devices that nobody else wants now."""
    with (
        queue.spare(len(variants) - 1) as more,
        closing(compare(conditions, settings, variants, model, animate=_run_variant, at_once=1 + more)) as events,  # type: ignore[type-var]
    ):
        yield from events


def _run_variant(conditions: Conditions, settings: AnimationSettings, model: str) -> Iterator[Progress | Animation]:
    """As `run_on_gpu`, with what a model refuses as the `InputError` that `compare` leaves out."""
    try:
        with closing(run_on_gpu(conditions, settings, model)) as events:  # type: ignore[type-var]
            yield from events
    except gr.Error as error:
        raise InputError(error.message) from error


def compare_seconds(
    num_frames: int, settings: AnimationSettings, variants: Sequence[Variant], model: str, queue: FairQueue = RUN_QUEUE
) -> float:
    """Return what all variants together are expected to take, if nobody else wants a device.

    Raises:
        InputError: a variant's settings do not go together.
    """
    seconds = (predict(v.backend or model, v.settings(settings, model), num_frames).seconds for v in variants)
    return sum(seconds) / min(queue.turns, len(variants))


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
