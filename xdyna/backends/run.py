"""What the runs of all backends do alike: tell how long they will still take, and hand over what they made."""

import time
from collections.abc import Mapping

from xdyna.schema import Animation, Conditions, Frames, Progress, Video


class Run:
    """One run of a model and its clock, which starts at once.

    Args:
        model: key in `BACKENDS`.
        revision: of its weights.
    """

    def __init__(self, model: str, revision: str) -> None:
        self.model, self.revision = model, revision
        self._started = self._phase_started = self._last = time.monotonic()
        self._phase, self._done_before = "", 0

    def progress(
        self, phase: str, step: int, total: int, preview: Frames | None = None, *, timed: bool = True
    ) -> Progress:
        """The event of a piece of work that has ended. A phase begins where the one before reported its last piece.

        Args:
            phase: what is being done, in words for the user.
            step: finished steps of this phase.
            total: steps of this phase.
            preview: see `Progress`.
            timed: whether its steps take equally long, so that the time left can be told.
        """
        if phase != self._phase:
            self._phase, self._phase_started = phase, self._last
            self._done_before = max(0, step - 1)  # by a run that was killed, where this one goes on with it
        self._last = time.monotonic()
        spent = self._last - self._phase_started
        left = spent / (step - self._done_before) * (total - step) if timed else None
        return Progress(phase=phase, step=step, total=total, seconds_left=left, preview=preview)

    def animation(
        self,
        frames: Frames,
        conditions: Conditions,
        seen: Mapping[str, Frames],
        source_index: tuple[int, ...],
        stopped: bool,
        uses_matte: bool = False,
    ) -> Animation:
        """The result.

        Args:
            frames: `(num_frames, height, width, 3)` uint8 RGB.
            conditions: that were animated.
            seen: from `Backend.prepare`.
            source_index: the driving frame of each frame.
            stopped: whether it ended before the last step.
            uses_matte: whether the mask of the photo's person was looked at.
        """
        return Animation(
            video=Video(frames=frames, fps=conditions.fps),
            controls=seen,
            model=self.model,
            revision=self.revision,
            seconds=time.monotonic() - self._started,
            stopped=stopped,
            matte=conditions.matte_hash if uses_matte else "",
            source_index=source_index,
        )
