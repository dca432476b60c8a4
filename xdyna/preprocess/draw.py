"""Keypoints to conditioning pictures, one function per model's style."""

from colorsys import hsv_to_rgb

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Floats, Frames, Image, Pose

Colour = tuple[int, int, int]

# OpenPose's colour circle, RGB. Limb k and joint k share colour k.
COLOURS: tuple[Colour, ...] = (
    (255, 0, 0),
    (255, 85, 0),
    (255, 170, 0),
    (255, 255, 0),
    (170, 255, 0),
    (85, 255, 0),
    (0, 255, 0),
    (0, 255, 85),
    (0, 255, 170),
    (0, 255, 255),
    (0, 170, 255),
    (0, 85, 255),
    (0, 0, 255),
    (85, 0, 255),
)

# Pairs of COCO-18 joints, in drawing order. The only limb of the head is neck-nose: X-Dyna's pose ControlNet was
# trained without eyes and ears, the expression comes from the face patches.
LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11), (11, 12), (12, 13), (1, 0))

HAND_BONES = tuple((0 if k % 4 == 1 else k - 1, k) for k in range(1, 21))
HAND_BONE_COLOURS = tuple(tuple(255 * c for c in hsv_to_rgb(k / 20, 1, 1)) for k in range(20))
HAND_POINT_COLOUR: Colour = (0, 0, 255)

LIMB_BRIGHTNESS = 0.6
TRAINED_SHORT_SIDE_PX = 512
STICK_PX = 4  # half the width of a limb and the radius of a joint, at TRAINED_SHORT_SIDE_PX
HAND_BONE_PX = 2
MIN_STICK_PX = 2
LANDMARK_PX = 3  # as OpenPose draws faces


def draw_pose(pose: Pose, size: tuple[int, int]) -> Frames:
    """Draws a skeleton clip as the X-Dyna pose ControlNet was trained on.

    Limbs are ellipses in OpenPose's colours at 0.6 brightness, joints bright discs, hands thin coloured bones under
    blue discs. Widths are the official ones where the short side is 512 px and shrink with the picture. A limb with a
    missing (NaN) end is left out.

    Args:
        pose: keypoints in pixels of the picture to draw.
        size: `(height, width)` in pixels.

    Returns:
        `(num_frames, height, width, 3)` uint8 RGB on black.
    """
    frames = np.zeros((len(pose), *size, 3), np.uint8)
    for frame, body, hands in zip(frames, pose.body, pose.hands, strict=True):
        _draw_body(frame, body)
        for hand in hands:
            _draw_hand(frame, hand)
    return frames


def draw_landmarks(frames: Frames, landmarks: Floats) -> None:
    """Draws 68 white dots a face over a pose clip, in place, as OpenPose draws faces (table 4, "w/lmk").

    Args:
        frames: `(n, h, w, 3)` uint8 RGB, drawn into.
        landmarks: `(n, 68, 2)` in pixels; NaN where there is no face.
    """
    radius = int(LANDMARK_PX * min(frames.shape[1:3]) / TRAINED_SHORT_SIDE_PX)
    for frame, points in zip(frames, landmarks, strict=True):
        if np.isfinite(points).all() and np.abs(points).max() < 10 * max(frame.shape[:2]):
            for x, y in np.round(points).astype(int).tolist():
                cv2.circle(frame, (x, y), radius, (255, 255, 255), cv2.FILLED)


def _draw_body(canvas: Image, joints: NDArray[np.floating]) -> None:
    """Draws `(18, 2)` joints into `(height, width, 3)` in place."""
    stick = max(MIN_STICK_PX, round(STICK_PX * _scale(canvas)))
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        a, b = joints[start].astype(np.float64), joints[end].astype(np.float64)
        if _drawable(a, canvas) and _drawable(b, canvas):
            length, angle = np.hypot(*(b - a)), np.degrees(np.arctan2(*(b - a)[::-1]))
            ellipse = ((a + b) / 2).tolist(), (float(length), 2.0 * stick), float(angle)
            dimmed = [round(LIMB_BRIGHTNESS * channel) for channel in colour]
            cv2.ellipse(canvas, ellipse, dimmed, cv2.FILLED)
    for joint, colour in zip(joints, COLOURS, strict=False):
        if _drawable(joint, canvas):
            cv2.circle(canvas, _pixel(joint), stick, colour, cv2.FILLED)


def _draw_hand(canvas: Image, points: NDArray[np.floating]) -> None:
    """Draws `(21, 2)` hand points into `(height, width, 3)` in place."""
    bone_px, point_px = (max(1, round(px * _scale(canvas))) for px in (HAND_BONE_PX, STICK_PX))
    for (start, end), colour in zip(HAND_BONES, HAND_BONE_COLOURS, strict=True):
        if _drawable(points[start], canvas) and _drawable(points[end], canvas):
            cv2.line(canvas, _pixel(points[start]), _pixel(points[end]), colour, bone_px)
    for point in points:
        if _drawable(point, canvas):
            cv2.circle(canvas, _pixel(point), point_px, HAND_POINT_COLOUR, cv2.FILLED)


def _scale(canvas: Image) -> float:
    return min(canvas.shape[:2]) / TRAINED_SHORT_SIDE_PX


def _drawable(point: NDArray[np.floating], canvas: Image) -> bool:
    """Whether a point was found and is near enough to the picture for OpenCV's fixed-point coordinates."""
    return bool(np.all(np.abs(point) < 10 * max(canvas.shape[:2])))  # NaN compares false


def _pixel(point: NDArray[np.floating]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
