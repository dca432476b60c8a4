"""A model that is slow on purpose and watches over its own use."""

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np

from xdyna.config import AnimationSettings
from xdyna.preprocess.controls import draw_controls
from xdyna.schema import Animation, Conditions, Progress, Video

STEP_S = 0.1
WAIT_S = 0.3


class SlowBackend:
    """Takes a tenth of a second for a step; what it makes is the clip itself.

    While `gate` is cleared a run goes no further than half way, however long the browser takes to look.
    """

    def __init__(self) -> None:
        self.lock, self.gate = threading.Lock(), threading.Event()
        self.gate.set()
        self.runs, self.running, self.most_at_once, self.closed, self.stopped = 0, 0, 0, 0, 0

    def run(
        self, conditions: Conditions, settings: AnimationSettings, stop: Callable[[], bool] | None = None
    ) -> Iterator[Progress | Animation]:
        self.runs += 1
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        finished, total, last = False, settings.num_inference_steps, 0
        try:
            for step in range(1, total + 1):
                asked = False
                while not asked:
                    time.sleep(STEP_S)
                    yield Progress(
                        phase="Denoising",
                        step=step,
                        total=total,
                        seconds_left=STEP_S * (total - step),
                        preview=np.ascontiguousarray(conditions.driving_frames[:, ::4, ::4]),
                    )
                    asked = stop is not None and stop()
                    if self.gate.is_set() or step < total // 2:
                        break
                    time.sleep(WAIT_S)  # a busy browser must not drown in the same picture again and again
                last = step
                if asked:
                    break
            finished = True
            self.stopped += last < total
            yield Animation(
                video=Video(frames=conditions.driving_frames, fps=conditions.fps),
                controls=vars(draw_controls(conditions)),
                model="xdyna-mini",
                revision="slow",
                seconds=STEP_S * last,
                stopped=last < total,
            )
        finally:
            self.closed += not finished
            self.running -= 1
