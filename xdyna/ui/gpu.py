"""The one piece of work that needs a GPU. On a ZeroGPU Space it runs in a process that borrows one."""

import logging
import math
from collections.abc import Iterator
from contextlib import closing

import gradio as gr
from spaces import GPU

from xdyna.animate import animate
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, InputError, Progress

logger = logging.getLogger(__name__)

# Allowances for the official model with guidance, one window of 16 frames at 512 x 896. A run that asks for too
# little is cut off; one that asks for too much is refused to visitors with little quota left.
SECONDS_PER_WINDOW_STEP = 0.6
SECONDS_TO_DECODE_FRAME = 0.15
SECONDS_TO_START = 8
REFERENCE_PIXELS = 512 * 896
MAX_SECONDS = 300


def seconds_needed(conditions: Conditions, settings: AnimationSettings, *_: object, **__: object) -> int:
    """GPU seconds to ask for. Takes the arguments of `run_on_gpu`, and whatever the caller's framework adds."""
    stride = settings.context_frames - settings.context_overlap
    windows = max(1, math.ceil((conditions.num_frames - settings.context_overlap) / stride))
    size = conditions.size[0] * conditions.size[1] / REFERENCE_PIXELS
    passes = 1.0 if settings.guidance_scale > 1 else 0.5
    steps = settings.num_inference_steps * windows * passes * SECONDS_PER_WINDOW_STEP
    work = size * (steps + conditions.num_frames * SECONDS_TO_DECODE_FRAME)
    return min(MAX_SECONDS, math.ceil(SECONDS_TO_START + work))


@GPU(duration=seconds_needed)
def run_on_gpu(conditions: Conditions, settings: AnimationSettings, model: str) -> Iterator[Progress | Animation]:
    """Animates; everything that goes in and out can be pickled.

    Yields:
        As `xdyna.animate.animate`. Closing the iterator stops the work.

    Raises:
        gr.Error: with the whole meaning in its message, the only thing that survives the way out of the GPU process.
    """
    try:
        with closing(animate(conditions, settings, model)) as events:  # type: ignore[type-var]
            yield from events
    except InputError as error:
        raise gr.Error(str(error)) from error
    except (RuntimeError, MemoryError) as error:
        if type(error).__name__ not in ("OutOfMemoryError", "MemoryError"):
            raise
        logger.warning("out of memory: %s", error)
        height, width = conditions.size
        raise gr.Error(
            f"There is not enough memory for {conditions.num_frames} frames of {width} x {height}. Choose a smaller "
            "size, or fewer frames."
        ) from error
