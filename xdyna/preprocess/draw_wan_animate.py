"""Keypoints to the pictures Wan-Animate was trained on: skeletons, square faces, and blocky masks."""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.draw import COLOURS as OPENPOSE_COLOURS
from xdyna.preprocess.draw import HAND_BONE_COLOURS, HAND_BONES, HAND_POINT_COLOUR
from xdyna.preprocess.draw_dynamictrl import LIMBS
from xdyna.schema import Floats, Frames, Image, Pose

COLOURS = (*OPENPOSE_COLOURS, (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85))
"""Limb k and joint k share colour k; the last four are eyes and ears. Our poses have no toes, so no feet are drawn."""
LIMB_BRIGHTNESS = 0.6
MIN_SCORE = 0.5

FACE_PX = 512
FACE_MARGIN = 1.3**0.5  # of both sides of the face's box
MARGIN_ABOVE = 0.75  # of the height that is added

MASK_MARGIN_PX = 21  # three dilations by 7, at the size the authors work at
MASK_WORK_SIDE_PX = 720
PERSON = 0.3  # of a mask in 0..1: soft edges belong to the person


def draw_wan_animate(pose: Pose, size: tuple[int, int]) -> Frames:
    """Draws a clip in Wan-Animate's style: thin limbs of a body with eyes and ears, and hands; no face.

    Points that score below 0.5 and all that are missing (NaN) are left out.

    Args:
        pose: keypoints in pixels of the picture to draw.
        size: `(height, width)` in pixels.

    Returns:
        `(num_frames, height, width, 3)` uint8 RGB on black.
    """
    frames = np.zeros((len(pose), *size, 3), np.uint8)
    stick = max(min(size) // 200 - 1, 1)
    for k, frame in enumerate(frames):
        _draw_body(frame, _known(pose.body[k], pose.body_scores[k]), stick)
        for hand, scores in zip(pose.hands[k], pose.hand_scores[k], strict=True):
            _draw_hand(frame, _known(hand, scores), max(stick // 2, 1))
    return frames


def square_faces(frames: Iterable[Image], landmarks: Floats) -> Frames:
    """Cuts the faces out of a clip and stretches each to a square.

    Args:
        frames: of the clip, each `(any height, any width, 3)` uint8 RGB.
        landmarks: `(num_frames, 68, 2)` x, y in pixels of these frames; NaN where there is no face.

    Returns:
        `(num_frames, 512, 512, 3)` uint8 RGB, black where there is no face.
    """
    faces = np.zeros((len(landmarks), FACE_PX, FACE_PX, 3), np.uint8)
    for face, frame, points in zip(faces, frames, landmarks, strict=True):
        if not np.isfinite(points).all():
            continue
        height, width = frame.shape[:2]
        (left, top), (right, bottom) = points[1:].min(axis=0), points[1:].max(axis=0)
        wider, taller = (FACE_MARGIN - 1) * (right - left), (FACE_MARGIN - 1) * (bottom - top)
        left, right = int(max(0, left - wider / 2)), int(min(width, right + wider / 2))
        top = int(max(0, top - MARGIN_ABOVE * taller))
        bottom = int(min(height, bottom + (1 - MARGIN_ABOVE) * taller))
        if left < right and top < bottom:
            face[:] = cv2.resize(frame[top:bottom, left:right], (FACE_PX, FACE_PX), interpolation=cv2.INTER_LINEAR)
    return faces


def replacement_masks(person_masks: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Where the model paints the new person: the box around the old one, as it was trained.

    Args:
        person_masks: `(num_frames, any height, any width)` float32 0..1.
        size: `(height, width)` of the clip.

    Returns:
        `(num_frames, height, width)` uint8, 255 where it paints and 0 where the clip stays.
    """
    masks = np.zeros((len(person_masks), *size), np.uint8)
    margin = max(1, round(MASK_MARGIN_PX * min(size) / MASK_WORK_SIDE_PX))
    for mask, person in zip(masks, person_masks, strict=True):
        rows, columns = np.nonzero(cv2.resize(person, size[::-1], interpolation=cv2.INTER_LINEAR) > PERSON)
        if len(rows):
            top, left = max(0, rows.min() - margin), max(0, columns.min() - margin)
            mask[top : rows.max() + margin + 1, left : columns.max() + margin + 1] = 255
    return masks


def _known(points: NDArray[np.floating], scores: Floats) -> NDArray[np.floating]:
    return np.where(scores[:, None] < MIN_SCORE, np.nan, points)


def _draw_body(canvas: Image, joints: NDArray[np.floating], stick: int) -> None:
    """Draws `(18, 2)` joints into `(height, width, 3)` in place."""
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        if _drawable(joints[start], canvas) and _drawable(joints[end], canvas):
            middle, along = (joints[start] + joints[end]) / 2, joints[start] - joints[end]
            axes, angle = (int(np.hypot(*along) / 2), stick), int(np.degrees(np.arctan2(along[1], along[0])))
            outline = cv2.ellipse2Poly(_pixel(middle), axes, angle, 0, 360, 1)
            cv2.fillConvexPoly(canvas, np.array(outline), [int(LIMB_BRIGHTNESS * channel) for channel in colour])
    for joint, colour in zip(joints, COLOURS, strict=True):
        if _drawable(joint, canvas):
            cv2.circle(canvas, _pixel(joint), stick, colour, cv2.FILLED)


def _draw_hand(canvas: Image, points: NDArray[np.floating], stick: int) -> None:
    """Draws `(21, 2)` hand points into `(height, width, 3)` in place."""
    for (start, end), colour in zip(HAND_BONES, HAND_BONE_COLOURS, strict=True):
        if _drawable(points[start], canvas) and _drawable(points[end], canvas):
            cv2.line(canvas, _pixel(points[start]), _pixel(points[end]), colour, stick)
    for point in points:
        if _drawable(point, canvas):
            cv2.circle(canvas, _pixel(point), stick, HAND_POINT_COLOUR, cv2.FILLED)


def _drawable(point: NDArray[np.floating], canvas: Image) -> bool:
    """Whether a point was found and is near enough to the picture for OpenCV's fixed-point coordinates."""
    return bool(np.all(np.abs(point) < 10 * max(canvas.shape[:2])))  # NaN compares false


def _pixel(point: NDArray[np.floating]) -> tuple[int, int]:
    return int(point[0]), int(point[1])
