"""Fill the background where the person stands."""

import io
import logging
import subprocess
import sys
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.puppet.blend import tone_correction
from xdyna.schema import Floats, Image, Mask

WORKING_SIDE_PX, WORKING_HOLE_PX = 192, 5000  # the cost of the shift map grows faster than its hole
MARGIN = 4 / 896  # around the matte, in longer sides of the picture: nothing is copied from the person's rim
CLEAR, OPAQUE = 0.15, 0.5  # mattes up to which all, and above which nothing of the photo is left in the plate
PROCESSOR_TIME_S, PATIENCE_S = 20, 90.0  # the second bounds the wait on a machine that is busy with other work
PROGRAM = Path(__file__).with_name("shift_map.py")

logger = logging.getLogger(__name__)


class PlateFiller:
    """A background plate in the making, by another process, while the caller goes on.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        matte: The person's opacity, `(height, width)` in 0..1.
        patience_s: The seconds after which a plain smooth filling does instead.
        hole_px: The pixels of the person, at most, at the size at which the filling is looked for: fewer are quicker.
    """

    def __init__(
        self, photo: Image, matte: Floats, patience_s: float = PATIENCE_S, hole_px: int = WORKING_HOLE_PX
    ) -> None:
        self._photo, self._matte, self._patience_s = photo, matte, patience_s
        self._source: NDArray[np.int32] | None = None
        self._small_hole = _shrunk_hole(_rim(matte), hole_px)
        self._thread = Thread(target=self._ask, daemon=True)
        self._thread.start()

    def result(self) -> Image:
        """Return the plate, `(height, width, 3)` uint8 RGB: the photo outside the person, to the bit."""
        self._thread.join()
        if self._source is None:
            filled = _smooth_filling(self._photo, self._small_hole).astype(np.float32)
        else:
            filled = _copied(self._photo, self._source).astype(np.float32) + self._tones(self._source)
        rim = cv2.dilate(self._matte, np.ones((3, 3), np.uint8))  # a line of the person would stay behind
        # Where the person shines through, so does the photo: what is left of its rim would else move with the person.
        share = np.clip((rim - CLEAR) / (OPAQUE - CLEAR), 0, 1)[..., None]
        plate = self._photo + share * (filled - self._photo)
        return np.round(np.clip(plate, 0, 255)).astype(np.uint8)

    def _tones(self, source: NDArray[np.int32]) -> Floats:
        """Return what evens out the brightness of the copied patches, `(height, width, 3)` in levels."""
        small = cv2.resize(self._photo, self._small_hole.shape[::-1], interpolation=cv2.INTER_AREA)
        correction = tone_correction(small.astype(np.uint8), source, self._small_hole)
        size = self._photo.shape[1::-1]
        return cv2.resize(correction, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)

    def _ask(self) -> None:
        if not self._small_hole.any() or self._small_hole.all():
            return
        small = cv2.resize(self._photo, self._small_hole.shape[::-1], interpolation=cv2.INTER_AREA)
        question = io.BytesIO()
        np.savez(question, picture=small, hole=self._small_hole)
        try:
            done = subprocess.run(
                [sys.executable, "-P", str(PROGRAM), str(PROCESSOR_TIME_S)],
                input=question.getvalue(),
                capture_output=True,
                timeout=self._patience_s,
                check=True,
            )
            self._source = np.load(io.BytesIO(done.stdout))
        except (subprocess.SubprocessError, OSError, ValueError) as error:
            logger.warning("The background is filled smoothly: the shift map ended with %s", type(error).__name__)


def _rim(matte: Floats) -> Mask:
    """Return the pixels that the plate must not show, `(height, width)`: the person and what the person touches."""
    reach = max(1, round(MARGIN * max(matte.shape)))
    return cv2.dilate((matte > 0.01).astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0


def _shrunk_hole(hole: Mask, hole_px: int = WORKING_HOLE_PX) -> Mask:
    """Return the hole at the working size: every pixel of which any part is to be filled."""
    height, width = hole.shape
    zoom = min(1.0, WORKING_SIDE_PX / max(height, width), (hole_px / max(1, hole.sum())) ** 0.5)
    small = max(1, round(width * zoom)), max(1, round(height * zoom))
    return cv2.resize(hole.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0


def _copied(photo: Image, source: NDArray[np.int32]) -> Image:
    """Return the photo with every pixel copied from where its small one is, at full sharpness."""
    (height, width), (rows, columns) = photo.shape[:2], source.shape
    y, x = np.divmod(source, columns)
    shift_y, shift_x = y - np.arange(rows)[:, None], x - np.arange(columns)[None]
    size = (width, height)
    shifts = [cv2.resize(s.astype(np.float32), size, interpolation=cv2.INTER_NEAREST) for s in (shift_x, shift_y)]
    grid_y, grid_x = np.mgrid[:height, :width].astype(np.float32)
    map_x = np.round(grid_x + shifts[0] * (width / columns)).astype(np.float32)
    map_y = np.round(grid_y + shifts[1] * (height / rows)).astype(np.float32)
    return cv2.remap(photo, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE).astype(np.uint8)


def _smooth_filling(photo: Image, small_hole: Mask) -> Image:
    """Return a blurred filling from the hole's edge."""
    small = cv2.resize(photo, small_hole.shape[::-1], interpolation=cv2.INTER_AREA)
    filled = cv2.inpaint(small, small_hole.astype(np.uint8), 3, cv2.INPAINT_TELEA)
    return cv2.resize(filled, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)
