"""Moves the driver onto the person of the photo: one scale and one shift for the whole clip."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.photo import crop_box
from xdyna.preprocess.pose import (
    LEFT_EAR,
    LEFT_EYE,
    LEFT_HIP,
    LEFT_SHOULDER,
    NECK,
    NOSE,
    RIGHT_EAR,
    RIGHT_EYE,
    RIGHT_HIP,
    RIGHT_SHOULDER,
)
from xdyna.schema import Floats, Frames, Pose

Matrix = NDArray[np.float64]
"""`(2, 3)` float64 affine map of pixels: `x' = A x + t`."""

# Lengths to compare, the steadiest first. The torso turns and bends least; shoulders and head width shrink when the
# body turns, so they only count, together, where a half-body picture shows no hips.
TORSO = ((NECK, (RIGHT_HIP, LEFT_HIP)),)
UPPER_BODY = ((RIGHT_SHOULDER, (LEFT_SHOULDER,)), (NOSE, (NECK,)), (RIGHT_EAR, (LEFT_EAR,)), (RIGHT_EYE, (LEFT_EYE,)))
ANCHORS = (NECK, NOSE, RIGHT_SHOULDER, LEFT_SHOULDER)
EARLY_FRAMES = 4


@dataclass(frozen=True)
class Alignment:
    """How a clip is moved into the canvas.

    Attributes:
        matrix: clip pixels -> canvas pixels.
        frame: the frame of the clip that lies on the photo's person, or None where nothing comparable was visible and
            the clip is only cropped to the canvas.
    """

    matrix: Matrix
    frame: int | None

    @property
    def scale(self) -> float:
        """Canvas pixels per clip pixel, averaged over both directions."""
        return float(np.sqrt(self.matrix[0, 0] * self.matrix[1, 1]))


def align(reference: Pose, driver: Pose, frame_size: tuple[int, int], size: tuple[int, int]) -> Alignment:
    """Finds the scale and shift that bring the driver to the photo's person.

    The scale is the median over the clip. The shift lays the neck of one early frame, the one whose posture is most
    like the photo's, onto the photo's neck.

    Args:
        reference: the photo's pose, one frame, in canvas pixels.
        driver: the clip's pose in pixels of its frames.
        frame_size: `(height, width)` of the clip's frames.
        size: `(height, width)` of the canvas.
    """
    scale = _scale(reference.body[0], driver.body)
    if scale is None:
        return Alignment(crop_matrix(driving_crop_box(frame_size, size), size), None)
    for anchor in ANCHORS:
        shifts = reference.body[0, anchor] - scale * driver.body[:, anchor]
        if np.isfinite(shifts).any():
            break
    else:
        return Alignment(crop_matrix(driving_crop_box(frame_size, size), size), None)
    usable = np.flatnonzero(np.isfinite(shifts[:, 0]))[:EARLY_FRAMES]
    unlikeness = [_unlikeness(reference.body[0], scale * driver.body[k] + shifts[k]) for k in usable]
    frame = int(usable[int(np.argmin(unlikeness))])
    return Alignment(np.array([[scale, 0, shifts[frame, 0]], [0, scale, shifts[frame, 1]]], np.float64), frame)


def warp_frames(frames: Frames, matrix: Matrix, size: tuple[int, int]) -> Frames:
    """Moves frames into the canvas, black outside.

    Args:
        frames: `(num_frames, height, width, 3)` uint8 RGB.
        matrix: frame pixels -> canvas pixels: a scale and shift along each axis.
        size: `(height, width)` of the canvas.
    """
    out = np.empty((len(frames), *size, 3), np.uint8)
    for frame, target in zip(frames, out, strict=True):
        warped, shrunk_matrix = frame, matrix
        while min(shrunk_matrix[0, 0], shrunk_matrix[1, 1]) <= 0.5 and min(warped.shape[:2]) > 2:
            # Halve by averaging first: sampling every n-th pixel would shimmer.
            height, width = warped.shape[:2]
            half = (width + 1) // 2, (height + 1) // 2
            warped = cv2.resize(warped, half, interpolation=cv2.INTER_AREA).astype(np.uint8)
            shrunk_matrix = _compose(shrunk_matrix, _resize_matrix(half, (width, height)))
        target[:] = cv2.warpAffine(warped, shrunk_matrix, size[::-1], flags=cv2.INTER_LINEAR)
    return out


def crop_matrix(box: tuple[int, int, int, int], size: tuple[int, int]) -> Matrix:
    """Maps pixels of a picture to those of its crop (left, top, right, bottom) resized to `(height, width)`."""
    left, top, right, bottom = box
    resize = _resize_matrix((right - left, bottom - top), size[::-1])
    return _compose(resize, np.array([[1, 0, -left], [0, 1, -top]], np.float64))


def photo_matrix(photo_size: tuple[int, int], size: tuple[int, int]) -> Matrix:
    """Maps pixels of the uncropped photo to those of the canvas."""
    return crop_matrix(crop_box(photo_size, size), size)


def driving_crop_box(frame_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of a driving frame that the official program uses, which aligns nothing.

    It keeps three quarters of what it must cut in height below and one quarter above.

    Args:
        frame_size: `(height, width)` of the frame.
        size: `(height, width)` of the video.

    Returns:
        Left, top, right, bottom in pixels; right and bottom are exclusive.
    """
    (frame_height, frame_width), (height, width) = frame_size, size
    if frame_width / frame_height < width / height:
        kept_width, kept_height = frame_width, int(frame_width / width * height)
    else:
        kept_width, kept_height = int(frame_height / height * width), frame_height
    left, top = (frame_width - kept_width) // 2, (frame_height - kept_height) // 4
    return left, top, left + kept_width, top + kept_height


def _scale(reference: Floats, driver: Floats) -> float | None:
    """Canvas pixels per clip pixel from `(18, 2)` and `(num_frames, 18, 2)` joints."""
    for lengths in (TORSO, UPPER_BODY):
        ratios = [_length(reference[None], *ends) / _length(driver, *ends) for ends in lengths]
        medians = [np.median(ratio[np.isfinite(ratio)]) for ratio in ratios if np.isfinite(ratio).any()]
        if medians:
            return float(np.median(medians))
    return None


def _length(body: Floats, start: int, end: tuple[int, ...]) -> NDArray[np.float64]:
    """`(num_frames,)` distance from a joint to the middle of others; NaN where one is missing or all coincide."""
    length = np.linalg.norm(body[:, end, :].mean(axis=1, dtype=np.float64) - body[:, start], axis=-1)
    return np.where(length > 1, length, np.nan)


def _unlikeness(reference: Floats, body: Floats) -> float:
    """Mean distance in pixels of the `(18, 2)` joints that both show; a joint only one of them shows counts double."""
    distances = np.linalg.norm(reference - body, axis=-1)
    both = np.isfinite(distances)
    mean = float(distances[both].mean()) if both.any() else 0.0
    lost = np.isfinite(reference[:, 0]) & ~np.isfinite(body[:, 0])
    return (distances[both].sum() + 2 * mean * lost.sum()) / max(1, both.sum() + lost.sum())


def _resize_matrix(old: tuple[int, int], new: tuple[int, int]) -> Matrix:
    """Maps pixels under a resize from `(width, height)` to `(width, height)`; pixel centres lie at whole numbers."""
    (x, y) = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]], np.float64)


def _compose(after: Matrix, before: Matrix) -> Matrix:
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])
