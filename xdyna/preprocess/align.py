"""Moves the driver onto the person of the photo: one scale and one shift for the whole clip."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.photo import crop_box
from xdyna.preprocess.pose import (
    LEFT_ANKLE,
    LEFT_EAR,
    LEFT_EYE,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    NECK,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_EAR,
    RIGHT_EYE,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
)
from xdyna.schema import Floats, Image, Pose

Bones = tuple[tuple[int, tuple[int, ...]], ...]
"""Each from a joint to the middle of others."""
Matrix = NDArray[np.float64]
"""`(2, 3)` float64 affine map of pixels: `x' = A x + t`."""

# Bones from the neck down. They keep their length when the body turns, and their sum barely changes when a knee bends.
TRUNK: Bones = ((NECK, (RIGHT_HIP, LEFT_HIP)),)
LEGS: Bones = (
    (RIGHT_HIP, (RIGHT_KNEE,)),
    (LEFT_HIP, (LEFT_KNEE,)),
    (RIGHT_KNEE, (RIGHT_ANKLE,)),
    (LEFT_KNEE, (LEFT_ANKLE,)),
)
# What a half-body picture shows. Nodding changes the upright length, turning shortens the others.
UPRIGHT: Bones = ((NOSE, (NECK,)),)
ACROSS: Bones = ((RIGHT_SHOULDER, (LEFT_SHOULDER,)), (RIGHT_EAR, (LEFT_EAR,)), (RIGHT_EYE, (LEFT_EYE,)))
ANCHORS = (NECK, NOSE, RIGHT_SHOULDER, LEFT_SHOULDER)
EARLY_FRAMES = 4
MIN_SHARE = 0.2  # of the frames must show a bone for its length to count
LOST_JOINT = 0.3  # a joint the clip does not show counts as this far off, in extents of the photo's person
EDGE = 0.005  # of the longer side
START_SHARE = 0.75  # of the frames may be the start that is suggested; later ones would leave too little


@dataclass(frozen=True)
class Alignment:
    """How a clip is moved into the canvas.

    Attributes:
        matrix: clip pixels -> canvas pixels.
        frame: the frame of the clip that lies on the photo's person, or None where nothing comparable was visible and
            the clip is only cropped to the canvas.
        best_frame: the frame whose posture is most like the photo's, or None likewise.
        likeness: how much nearer to the photo's posture `best_frame` is than `frame`, 0 (not at all) to 1 (it is the
            same posture).
        lean_deg: how far the photo's torso leans clockwise from the driver's, in degrees; NaN where a torso is hidden.
            It is not corrected: a turned clip would turn its floor too, and a driver who bows does so on purpose.
    """

    matrix: Matrix
    frame: int | None
    best_frame: int | None = None
    likeness: float = 0.0
    lean_deg: float = np.nan

    @property
    def scale(self) -> float:
        """Canvas pixels per clip pixel, averaged over both directions."""
        return float(np.sqrt(self.matrix[0, 0] * self.matrix[1, 1]))


def align(
    reference: Pose,
    driver: Pose,
    frame_size: tuple[int, int],
    size: tuple[int, int],
    picture: tuple[int, int, int, int] | None = None,
) -> Alignment:
    """Finds the scale and shift that bring the driver to the photo's person.

    The scale compares bone lengths, medians over the clip. The shift lays the neck of one early frame, the one whose
    posture is most like the photo's, onto the photo's neck.

    Args:
        reference: the photo's pose, one frame, in canvas pixels.
        driver: the clip's pose in pixels of its frames.
        frame_size: `(height, width)` of the clip's frames.
        size: `(height, width)` of the canvas.
        picture: left, top, right, bottom of the frames' part between black bars; all of them by default.
    """
    canvas, picture = (0, 0, size[1], size[0]), picture or (0, 0, frame_size[1], frame_size[0])
    scale = _scale(uncut(reference, canvas).body, uncut(driver, picture).body)
    shifts = None if scale is None else _shifts(reference.body[0], scale * driver.body)
    if scale is None or shifts is None:
        return Alignment(crop_matrix(driving_crop_box(frame_size, size), size), None)
    unlikeness = np.array(
        [_unlikeness(reference.body[0], scale * body + shift) for body, shift in zip(driver.body, shifts, strict=True)]
    )
    usable = np.flatnonzero(np.isfinite(shifts[:, 0]))
    frame = int(min(usable[:EARLY_FRAMES], key=unlikeness.__getitem__))
    starts = usable[usable <= START_SHARE * len(driver)]
    best = int(min(starts, key=unlikeness.__getitem__)) if len(starts) else frame
    return Alignment(
        matrix=np.array([[scale, 0, shifts[frame, 0]], [0, scale, shifts[frame, 1]]], np.float64),
        frame=frame,
        best_frame=best,
        likeness=float(1 - unlikeness[best] / unlikeness[frame]) if unlikeness[frame] > 0 else 0.0,
        lean_deg=_lean(reference.body, driver.body),
    )


def nudge_matrix(zoom: float, right: float, down: float, size: tuple[int, int]) -> Matrix:
    """Moves what an alignment has placed; to be applied after it.

    Args:
        zoom: factor around the middle of the canvas.
        right: shift in widths of the canvas.
        down: shift in heights of the canvas.
        size: `(height, width)` of the canvas.
    """
    (height, width), middle = size, (np.array(size[::-1]) - 1) / 2
    return np.column_stack([zoom * np.eye(2), (1 - zoom) * middle + np.array([right * width, down * height])])


def warp_frame(frame: Image, matrix: Matrix, size: tuple[int, int]) -> Image:
    """Moves a frame into the canvas, black outside.

    Args:
        frame: `(any height, any width, 3)` uint8 RGB.
        matrix: frame pixels -> canvas pixels: a scale and shift along each axis.
        size: `(height, width)` of the canvas.

    Returns:
        `(height, width, 3)` uint8 RGB.
    """
    while min(matrix[0, 0], matrix[1, 1]) <= 0.5 and min(frame.shape[:2]) > 2:
        # Halve by averaging first: sampling every n-th pixel would shimmer.
        height, width = frame.shape[:2]
        half = (width + 1) // 2, (height + 1) // 2
        frame = cv2.resize(frame, half, interpolation=cv2.INTER_AREA).astype(np.uint8)
        matrix = compose(matrix, _resize_matrix(half, (width, height)))
    return cv2.warpAffine(frame, matrix, size[::-1], flags=cv2.INTER_LINEAR).astype(np.uint8)


def crop_matrix(box: tuple[int, int, int, int], size: tuple[int, int]) -> Matrix:
    """Maps pixels of a picture to those of its crop (left, top, right, bottom) resized to `(height, width)`."""
    left, top, right, bottom = box
    resize = _resize_matrix((right - left, bottom - top), size[::-1])
    return compose(resize, np.array([[1, 0, -left], [0, 1, -top]], np.float64))


def photo_matrix(photo: Image, size: tuple[int, int], person: Sequence[float] | None = None) -> Matrix:
    """Maps pixels of the uncropped photo to those of the canvas; arguments as for `crop_to_aspect`."""
    return crop_matrix(crop_box((photo.shape[0], photo.shape[1]), size, person), size)


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


def compose(after: Matrix, before: Matrix) -> Matrix:
    """The map that applies `before` and then `after`."""
    return np.column_stack([after[:, :2] @ before[:, :2], after[:, :2] @ before[:, 2] + after[:, 2]])


def inverse(matrix: Matrix) -> Matrix:
    """The way back."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def _scale(reference: Floats, driver: Floats) -> float | None:
    """Canvas pixels per clip pixel from `(1, 18, 2)` and `(num_frames, 18, 2)` joints."""
    trunk, whole = _lengths(reference, driver, TRUNK), _lengths(reference, driver, TRUNK + LEGS)
    if len(trunk) and len(whole) > len(trunk):
        return float(whole[:, 0].sum() / whole[:, 1].sum())
    upright, across = _ratios(reference, driver, UPRIGHT), _ratios(reference, driver, ACROSS)
    # Geometric means. Of the lengths across a turned body the least shortened one counts; nodding errs in the opposite
    # direction. Hips just above the edge of a picture are guesses, so there they are only half of the answer.
    upper = [np.sqrt(upright[0] * max(across))] if upright and across else (across or upright)[-1:]
    estimates = [*upper, *(trunk[:, 0] / trunk[:, 1])]
    return float(np.exp(np.mean(np.log(estimates)))) if estimates else None


def _ratios(reference: Floats, driver: Floats, bones: Bones) -> list[float]:
    return [float(a / b) for a, b in _lengths(reference, driver, bones)]


def _lengths(reference: Floats, driver: Floats, bones: Bones) -> NDArray[np.float64]:
    """`(num_bones, 2)` lengths in the photo and in the clip of the bones that both show."""
    pairs = []
    for start, ends in bones:
        still, moving = bone_length(reference, start, ends)[0], bone_length(driver, start, ends)
        seen = np.isfinite(moving)
        if np.isfinite(still) and seen.sum() >= max(1, MIN_SHARE * len(moving)):
            pairs.append((still, np.median(moving[seen])))
    return np.array(pairs, np.float64).reshape(-1, 2)


def uncut(pose: Pose, picture: tuple[int, int, int, int]) -> Pose:
    """Leaves out body joints at the edge, where the detector puts the end of a leg that the picture cuts.

    Args:
        pose: in pixels of the picture it was found in.
        picture: left, top, right, bottom of what it shows; right and bottom are exclusive.
    """
    corner, end = np.array(picture[:2]), np.array(picture[2:])
    edge = EDGE * float((end - corner).max())
    inside = ((pose.body > corner + edge) & (pose.body < end - 1 - edge)).all(axis=-1, keepdims=True)
    return replace(pose, body=np.where(inside, pose.body, np.nan).astype(np.float32))


def bone_length(body: Floats, start: int, ends: tuple[int, ...]) -> NDArray[np.float64]:
    """The distance from a joint to the middle of others.

    Args:
        body: `(num_frames, 18, 2)` joints in pixels.
        start: a joint.
        ends: one joint or more.

    Returns:
        `(num_frames,)` float64; NaN where a joint is missing or all coincide.
    """
    length = np.linalg.norm(body[:, ends, :].mean(axis=1, dtype=np.float64) - body[:, start], axis=-1)
    return np.where(length > 1, length, np.nan)


def _shifts(reference: Floats, driver: Floats) -> NDArray[np.float64] | None:
    """`(num_frames, 2)` from `(num_frames, 18, 2)` scaled joints to the photo's by the first anchor both show."""
    for anchor in ANCHORS:
        shifts = (reference[anchor] - driver[:, anchor]).astype(np.float64)
        if np.isfinite(shifts).any():
            return shifts
    return None


def _lean(reference: Floats, driver: Floats) -> float:
    """Degrees by which the photo's torso leans clockwise from the driver's, the median over the clip."""

    def angles(body: Floats) -> NDArray[np.float64]:
        x, y = (body[:, [RIGHT_HIP, LEFT_HIP]].mean(axis=1, dtype=np.float64) - body[:, NECK]).T
        return np.arctan2(-x, y)

    turns = angles(reference) - angles(driver)
    turns = turns[np.isfinite(turns)]
    return float(np.degrees(np.median(np.angle(np.exp(1j * turns))))) if len(turns) else np.nan


def _unlikeness(reference: Floats, body: Floats) -> float:
    """Mean distance of two `(18, 2)` postures over the photo's joints, as a share of the photo's person."""
    known = reference[np.isfinite(reference[:, 0])]
    extent = max(1.0, float(np.ptp(known, axis=0).max()))
    distances = np.linalg.norm(known - body[np.isfinite(reference[:, 0])], axis=-1) / extent
    return float(np.where(np.isfinite(distances), distances, LOST_JOINT).mean())


def _resize_matrix(old: tuple[int, int], new: tuple[int, int]) -> Matrix:
    """Maps pixels under a resize from `(width, height)` to `(width, height)`; pixel centres lie at whole numbers."""
    (x, y) = new[0] / old[0], new[1] / old[1]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]], np.float64)
