"""Where the person is, drawn from the pose."""

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.landmarks import head_square
from xdyna.preprocess.pose import (
    LEFT_ANKLE,
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NECK,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_ELBOW,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
)
from xdyna.schema import Floats, Image, Pose

WORKING_SIDE_PX = 256  # masks are soft: drawn this large at most, then resized
TORSO = (RIGHT_SHOULDER, LEFT_SHOULDER, LEFT_HIP, RIGHT_HIP)
# Limbs and their half width, in units of the body.
LIMBS = (
    *((NOSE, NECK, 0.16), (RIGHT_SHOULDER, LEFT_SHOULDER, 0.14), (RIGHT_HIP, LEFT_HIP, 0.15)),
    *((RIGHT_SHOULDER, RIGHT_ELBOW, 0.12), (LEFT_SHOULDER, LEFT_ELBOW, 0.12)),
    *((RIGHT_ELBOW, RIGHT_WRIST, 0.1), (LEFT_ELBOW, LEFT_WRIST, 0.1)),
    *((RIGHT_SHOULDER, RIGHT_HIP, 0.13), (LEFT_SHOULDER, LEFT_HIP, 0.13)),
    *((RIGHT_HIP, RIGHT_KNEE, 0.16), (LEFT_HIP, LEFT_KNEE, 0.16)),
    *((RIGHT_KNEE, RIGHT_ANKLE, 0.12), (LEFT_KNEE, LEFT_ANKLE, 0.12)),
)
HAND, FOOT, HAIR = 0.14, 0.14, 0.62
FEATHER = 0.06
PERSON = (255,)


def person_masks(pose: Pose, size: tuple[int, int], shape: tuple[int, int] | None = None) -> Floats:
    """Draws where the person is: torso, thick limbs, head with hair, hands and feet, with soft edges.

    Generous rather than tight, for clothes; a wide skirt or long loose hair still reaches beyond it.

    Args:
        pose: in pixels of a picture.
        size: `(height, width)` of that picture.
        shape: `(height, width)` of the masks; that of the picture by default.

    Returns:
        `(num_frames, *shape)` float32, 1 on the person, 0 away from it, 0 everywhere where nobody was found.
    """
    shape = shape or size
    zoom = min(1.0, WORKING_SIDE_PX / max(size))
    drawn_size = max(1, round(size[0] * zoom)), max(1, round(size[1] * zoom))
    scaled = pose.transformed(np.array([[zoom, 0, (zoom - 1) / 2], [0, zoom, (zoom - 1) / 2]]))
    masks = np.empty((len(pose), *shape), np.float32)
    for mask, body, hands in zip(masks, scaled.body, scaled.hands, strict=True):
        canvas = np.zeros(drawn_size, np.uint8)
        unit = _unit(body)
        if np.isfinite(unit):
            _draw(canvas, body, hands, unit)
            canvas = cv2.GaussianBlur(canvas, (0, 0), max(0.5, FEATHER * unit)).astype(np.uint8)
        shrinking = shape[0] < drawn_size[0]
        resized = cv2.resize(canvas, shape[::-1], interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR)
        mask[:] = resized / np.float32(255)
    return masks


def _unit(body: Floats) -> float:
    """The size of a body that its widths are measured in: nearly its torso; NaN where too little is seen."""
    hips, shoulders = body[[RIGHT_HIP, LEFT_HIP]].mean(axis=0), body[RIGHT_SHOULDER] - body[LEFT_SHOULDER]
    spans = (np.hypot(*(hips - body[NECK])), 1.3 * np.hypot(*shoulders), 1.8 * np.hypot(*(body[NOSE] - body[NECK])))
    return float(np.nanmax(spans)) if np.isfinite(spans).any() else np.nan


def _draw(canvas: NDArray[np.uint8], body: Floats, hands: Floats, unit: float) -> None:
    """Draws one person into `(height, width)` in place; everything in pixels of it."""
    if np.isfinite(body[list(TORSO)]).all():
        cv2.fillConvexPoly(canvas, cv2.convexHull(_pixels(body[list(TORSO)], canvas)), PERSON)
    for start, end, half_width in LIMBS:
        ends = body[[start, end]]
        if np.isfinite(ends).all():
            a, b = _pixels(ends, canvas).tolist()
            cv2.line(canvas, a, b, PERSON, max(1, round(2 * half_width * unit)))
    for ankle in (RIGHT_ANKLE, LEFT_ANKLE):
        _disc(canvas, body[ankle] + [0, 0.1 * unit], FOOT * unit)
    for wrist in (RIGHT_WRIST, LEFT_WRIST):
        _disc(canvas, body[wrist], HAND * unit)
    for points in hands:
        known = points[np.isfinite(points[:, 0])]
        if len(known) >= 3:
            hull = cv2.convexHull(_pixels(known, canvas))
            cv2.fillConvexPoly(canvas, hull, PERSON)
            cv2.polylines(canvas, [hull], True, PERSON, max(1, round(0.5 * HAND * unit)))
    head = head_square(body)
    if head is not None:
        centre, half = head
        _disc(canvas, np.asarray(centre - [0, 0.1 * half], np.float32), min(0.75 * half, HAIR * unit))


def _disc(canvas: NDArray[np.uint8], centre: Floats, radius: float) -> None:
    if np.isfinite(centre).all():
        (place,) = _pixels(centre[None], canvas).tolist()
        cv2.circle(canvas, place, max(1, round(radius)), PERSON, cv2.FILLED)


def _pixels(points: Floats, canvas: Image | NDArray[np.uint8]) -> NDArray[np.int32]:
    """Whole pixels, near enough to the picture for OpenCV's fixed-point coordinates."""
    far = 10 * max(canvas.shape[:2])
    return np.clip(np.round(points), -far, far).astype(np.int32)
