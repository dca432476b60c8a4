"""Keypoints to the pictures DynamiCtrl was trained on."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.draw import COLOURS as OPENPOSE_COLOURS
from xdyna.preprocess.draw import HAND_BONE_COLOURS as OPENPOSE_HAND_COLOURS
from xdyna.preprocess.draw import HAND_BONES
from xdyna.schema import NUM_FACE_LANDMARKS, Floats, Frames, Image, Pose

Colour = tuple[float, float, float]
Point = tuple[int, int]

CANVAS_SHORT_SIDE_PX = 2160  # everything is drawn on a canvas of this size, then shrunk
LIMB_PX = 4  # half the width of a limb and the radius of a joint, on that canvas
HAND_BONE_PX = 2
FACE_DOT_PX = 3
LIMB_BRIGHTNESS = 0.6
MIN_BODY_SCORE = 0.3

# Red and blue are exchanged: the model was trained on pictures that had been converted once too often.
COLOURS: tuple[Colour, ...] = tuple(
    (blue, green, red)
    for red, green, blue in (*OPENPOSE_COLOURS, (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85))
)
"""Limb k and joint k share colour k; the last four are eyes and ears."""
HAND_BONE_COLOURS: tuple[Colour, ...] = tuple((blue, green, red) for red, green, blue in OPENPOSE_HAND_COLOURS)
HAND_POINT_COLOUR: Colour = (255, 0, 0)
WHITE: Colour = (255, 255, 255)

# Pairs of COCO-18 joints in drawing order: arms, legs, then the head with eyes and ears.
LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7)),
    *((1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13)),
    *((1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)


def draw_dynamictrl(
    pose: Pose, face_landmarks: Floats, size: tuple[int, int], face_scores: Floats | None = None
) -> Frames:
    """Draws a clip in DynamiCtrl's style: thin limbs of a body with eyes and ears, hands, and 68 dots on the face.

    Colours fade with the scores. Body joints that score below 0.3 and all points that are missing (NaN) are left out.

    Args:
        pose: keypoints in pixels of the picture to draw.
        face_landmarks: `(num_frames, 68, 2)` float32 x, y in these pixels.
        size: `(height, width)` in pixels.
        face_scores: `(num_frames, 68)` float32 in 0..1; None draws every landmark that is not NaN at full strength.

    Returns:
        `(num_frames, height, width, 3)` uint8 RGB on black.
    """
    scores = np.ones((len(pose), NUM_FACE_LANDMARKS), np.float32) if face_scores is None else face_scores
    zoom = CANVAS_SHORT_SIDE_PX / min(size)
    large = int(size[0] * zoom), int(size[1] * zoom)
    # The two sides are rounded down apart from each other.
    stretch = np.array([large[1] / size[1], large[0] / size[0]])
    frames = np.empty((len(pose), *size, 3), np.uint8)
    for k, frame in enumerate(frames):
        canvas = np.zeros((*large, 3), np.uint8)
        canvas = _draw_body(canvas, pose.body[k] * stretch, pose.body_scores[k])
        for hand, hand_scores in zip(pose.hands[k] * stretch, pose.hand_scores[k], strict=True):
            _draw_hand(canvas, hand, hand_scores)
        _draw_dots(canvas, face_landmarks[k] * stretch, scores[k], [WHITE] * NUM_FACE_LANDMARKS, FACE_DOT_PX)
        cv2.resize(canvas, size[::-1], dst=frame, interpolation=cv2.INTER_LINEAR)
    return frames


def _draw_body(canvas: Image, joints: NDArray[np.floating], scores: Floats) -> Image:
    """The canvas with limbs between `(18, 2)` joints, dimmed, and bright joints on them."""
    joints = np.where(scores[:, None] < MIN_BODY_SCORE, np.nan, joints)
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        if _drawable(joints[start], canvas) and _drawable(joints[end], canvas):
            middle, along = (joints[start] + joints[end]) / 2, joints[start] - joints[end]
            axes, angle = (int(np.hypot(*along) / 2), LIMB_PX), int(np.degrees(np.arctan2(along[1], along[0])))
            outline = cv2.ellipse2Poly(_pixel(middle), axes, angle, 0, 360, 1)
            cv2.fillConvexPoly(canvas, np.array(outline), _faded(colour, scores[start] * scores[end]))
    canvas = (canvas * LIMB_BRIGHTNESS).astype(np.uint8)
    _draw_dots(canvas, joints, scores, COLOURS, LIMB_PX)
    return canvas


def _draw_hand(canvas: Image, points: NDArray[np.floating], scores: Floats) -> None:
    """Draws `(21, 2)` hand points into the canvas in place."""
    for (start, end), colour in zip(HAND_BONES, HAND_BONE_COLOURS, strict=True):
        if _drawable(points[start], canvas) and _drawable(points[end], canvas):
            shade = _faded(colour, scores[start] * scores[end])
            cv2.line(canvas, _pixel(points[start]), _pixel(points[end]), shade, HAND_BONE_PX)
    _draw_dots(canvas, points, scores, [HAND_POINT_COLOUR] * len(points), LIMB_PX)


def _draw_dots(
    canvas: Image, points: NDArray[np.floating], scores: Floats, colours: Sequence[Colour], radius: int
) -> None:
    for point, score, colour in zip(points, scores, colours, strict=True):
        if _drawable(point, canvas):
            cv2.circle(canvas, _pixel(point), radius, _faded(colour, score), cv2.FILLED)


def _faded(colour: Colour, score: float) -> tuple[int, ...]:
    return tuple(int(channel * score) for channel in colour)


def _drawable(point: NDArray[np.floating], canvas: Image) -> bool:
    """Whether a point was found and is near enough to the picture for OpenCV's fixed-point coordinates."""
    return bool(np.all(np.abs(point) < 10 * max(canvas.shape[:2])))  # NaN compares false


def _pixel(point: NDArray[np.floating]) -> Point:
    return int(point[0]), int(point[1])
