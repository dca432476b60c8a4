"""What a clip is made of, found while its frames pass by: shots and black bars. Memory does not grow."""

from collections import deque
from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Frames, Image

BAR_LEVEL = 24  # of 255: brighter than the ringing of a compressed black bar

CUT_SIDE_PX = 256
CUT_THRESHOLD = 27.0  # mean change of hue, saturation and brightness, of 255
CUT_FACTOR = 3.0  # at 8 frames a second a whirling dancer changes as much: a cut also stands out from its neighbours
CUT_WINDOW = 2  # neighbours on each side


class CutDetector:
    """Tells which frames begin another shot, with PySceneDetect's adaptive detector.

    It compares a frame with two before and two after it, so each frame comes back when two more have passed.

    Args:
        fps: frames per second, > 0.
    """

    def __init__(self, fps: float) -> None:
        from scenedetect import FrameTimecode  # a third of a second, which the page need not wait for
        from scenedetect.detectors import AdaptiveDetector

        self._timecode = partial(FrameTimecode, fps=float(fps))
        self._detector = AdaptiveDetector(
            adaptive_threshold=CUT_FACTOR, min_scene_len=1, window_width=CUT_WINDOW, min_content_val=CUT_THRESHOLD
        )
        self._waiting: deque[Image] = deque()
        self._cuts: list[int] = []
        self._num_processed = 0
        self._num_judged = 0
        self._last: Image | None = None

    @property
    def cuts(self) -> tuple[int, ...]:
        """Frames among those judged, counted from 0, that begin another shot; the first shot is not among them."""
        return tuple(self._cuts)

    def add(self, frame: Image) -> list[tuple[Image, bool]]:
        """Takes the next frame, `(height, width, 3)` uint8 RGB.

        Returns:
            The frame that can be judged now, if any, and whether it begins a shot, as the first one does.
        """
        self._waiting.append(frame)
        self._last = np.ascontiguousarray(shrunk(frame, CUT_SIDE_PX)[..., ::-1])
        # The first and the last frame are repeated to have neighbours on both sides.
        for _ in range(1 if self._num_processed else 1 + CUT_WINDOW):
            self._process(self._last)
        return [self._judged()] if len(self._waiting) > CUT_WINDOW else []

    def finish(self) -> list[tuple[Image, bool]]:
        """The last frames, as from `add`. To be called once."""
        for _ in range(CUT_WINDOW):
            if self._last is not None:
                self._process(self._last)
        return [self._judged() for _ in range(len(self._waiting))]

    def _process(self, picture: Image) -> None:
        found = self._detector.process_frame(self._timecode(self._num_processed), picture)
        self._cuts += [cut.frame_num - CUT_WINDOW for cut in found]
        self._num_processed += 1

    def _judged(self) -> tuple[Image, bool]:
        index, self._num_judged = self._num_judged, self._num_judged + 1
        return self._waiting.popleft(), index == 0 or index in self._cuts[-CUT_WINDOW - 1 :]


class BarFinder:
    """Finds the picture between black bars."""

    def __init__(self) -> None:
        self._rows: NDArray[np.uint8] | None = None
        self._columns: NDArray[np.uint8] | None = None

    def add(self, frame: Image) -> None:
        """Takes one frame, `(height, width, 3)` uint8 RGB."""
        brightest = cv2.max(cv2.max(frame[..., 0], frame[..., 1]), frame[..., 2])
        rows, columns = brightest.max(axis=1), brightest.max(axis=0)
        self._rows = rows if self._rows is None else np.maximum(self._rows, rows)
        self._columns = columns if self._columns is None else np.maximum(self._columns, columns)

    @property
    def picture(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels (right and bottom exclusive): the whole frame where there are no bars."""
        if self._rows is None or self._columns is None:
            raise ValueError("no frame was added")
        height, width = len(self._rows), len(self._columns)
        rows, columns = (np.flatnonzero(edge > BAR_LEVEL) for edge in (self._rows, self._columns))
        if len(rows) < height // 4 or len(columns) < width // 4:  # a dark clip, not bars
            return 0, 0, width, height
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def inner_picture(frames: Sequence[Image] | Frames) -> tuple[int, int, int, int]:
    """The part of `(height, width, 3)` uint8 RGB frames between black bars: left, top, right, bottom in pixels."""
    finder = BarFinder()
    for frame in frames[:: max(1, len(frames) // 16)]:
        finder.add(frame)
    return finder.picture


def shrunk(frame: Image, side: int) -> Image:
    """The picture with at most `side` pixels on its longer side."""
    zoom = min(1.0, side / max(frame.shape[:2]))
    size = max(1, round(frame.shape[1] * zoom)), max(1, round(frame.shape[0] * zoom))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
