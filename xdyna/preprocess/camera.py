"""What the camera does within a shot: it stands, pans or zooms."""

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.shots import shrunk
from xdyna.schema import Floats, Image

CAMERA_SIDE_PX = 320
NUM_POINTS = 300
MIN_POINTS = 20
MIN_AGREEMENT = 0.5  # share of the background's points that must move as one; water and leaves do not
MIN_SPREAD = 0.3  # of the height that the middle 80 % of them must cover: a cloudy sky drifts as one too
PERSON_MARGIN = 0.15  # of the box's sides


class CameraWatcher:
    """Measures how fast the camera moves, from points of the background that move as one.

    Args:
        fps: frames per second, > 0.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._last: NDArray[np.uint8] | None = None
        self._last_person: Floats | None = None
        self._steps: list[float] = []

    def add(self, frame: Image, person: Floats) -> None:
        """Looks at the next frame.

        Args:
            frame: `(height, width, 3)` uint8 RGB.
            person: left, top, right, bottom of the person in it; NaN where there is none.
        """
        small = cv2.cvtColor(shrunk(frame, CAMERA_SIDE_PX), cv2.COLOR_RGB2GRAY).astype(np.uint8)
        box = person * (small.shape[0] / frame.shape[0])
        if self._last is not None and self._last_person is not None:
            self._steps.append(_camera_step(self._last, small, self._last_person, box))
        self._last, self._last_person = small, box

    def speed(self) -> float:
        """Diagonals of the frame per second, the median over the clip; 0 for a camera that stands."""
        return float(np.median(self._steps)) * self._fps if self._steps else 0.0


def _camera_step(before: NDArray[np.uint8], after: NDArray[np.uint8], *people: Floats) -> float:
    """How far the background moves between two gray pictures, in diagonals; 0 where it does not move as one."""
    background = np.full(before.shape, 255, np.uint8)
    for left, top, right, bottom in (box for box in people if np.isfinite(box).all()):
        x, y = PERSON_MARGIN * (right - left), PERSON_MARGIN * (bottom - top)
        rows = slice(max(0, int(top - y)), max(0, int(bottom + y)))
        background[rows, max(0, int(left - x)) : max(0, int(right + x))] = 0
    points = cv2.goodFeaturesToTrack(before, NUM_POINTS, 0.01, 5, mask=background)
    if points is None or len(points) < MIN_POINTS:
        return 0.0
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points, np.empty_like(points))
    kept = found[:, 0] == 1
    if kept.sum() < MIN_POINTS:
        return 0.0
    matrix, agree = cv2.estimateAffinePartial2D(points[kept], moved[kept], ransacReprojThreshold=1.0)
    if matrix is None or agree.mean() < MIN_AGREEMENT:
        return 0.0
    height, width = before.shape
    low, high = np.percentile(points[kept][agree[:, 0] == 1][:, 0, 1], [10, 90])
    if high - low < MIN_SPREAD * height:
        return 0.0
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height]], np.float64)
    steps = corners @ matrix[:, :2].T + matrix[:, 2] - corners
    return float(np.linalg.norm(steps, axis=1).mean() / np.hypot(height, width))
