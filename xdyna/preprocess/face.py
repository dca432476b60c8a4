"""The S-Face condition: what of a frame the face ControlNet may see.

68 face points use the common order: jaw 0-16, brows 17-26, nose 27-35, right eye 36-41, left eye 42-47, mouth 48-67.
"""

import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Floats, Frames

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are exclusive."""

# The eyes and the mouth, each without its first point: so the official model was trained.
LEFT_EYE, RIGHT_EYE, MOUTH = slice(43, 48), slice(37, 42), slice(49, 68)
MARGINS = (1.35, 1.25, 1.35, 1.45)  # left, top, right, bottom of the box, in longer sides of the face
PATCH_HALF_SIZE = 64 / 512  # of the box's width and height


def enlarged_box(left: float, top: float, right: float, bottom: float) -> Box:
    """Enlarges the tight box of a face to head and hair, without regard to the frame's edges.

    The arithmetic is float64 on purpose: the truncation to whole pixels depends on it.
    """
    left, top, right, bottom = (float(edge) for edge in (left, top, right, bottom))
    longer = max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    m = MARGINS
    return (int(x - m[0] * longer), int(y - m[1] * longer), int(x + m[2] * longer), int(y + m[3] * longer))


def face_box(landmarks: NDArray[np.floating], size: tuple[int, int]) -> Box | None:
    """The box of a head inside a frame.

    Args:
        landmarks: `(68, 2)` x, y in pixels; NaN where there is no face.
        size: `(height, width)` of the frame.

    Returns:
        The enlarged box clipped to the frame, or None where there is no face or none of it is inside.
    """
    if not np.isfinite(landmarks).all():
        return None
    left, top, right, bottom = enlarged_box(*landmarks.min(axis=0), *landmarks.max(axis=0))
    height, width = size
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    return (left, top, right, bottom) if left < right and top < bottom else None


def face_patches(frames: Frames, landmarks: Floats, parity: bool = False) -> tuple[Frames, Frames]:
    """Cuts the local (eyes and mouth) and the global (head) face pictures out of a clip.

    Args:
        frames: `(num_frames, height, width, 3)` uint8 RGB.
        landmarks: `(num_frames, 68, 2)` x, y in pixels of these frames; NaN where there is no face.
        parity: repeat the official code to the bit, which loses or misplaces an eye or mouth patch that crosses the
            top or left edge; otherwise the part inside the frame is kept.

    Returns:
        `(local, global)`, each `(num_frames, height, width, 3)` uint8 RGB, black elsewhere and where there is no face.
    """
    local, head = np.zeros_like(frames), np.zeros_like(frames)
    for k, points in enumerate(landmarks):
        box = face_box(points, (frames.shape[1], frames.shape[2]))
        if box is None:
            continue
        left, top, right, bottom = box
        head[k, top:bottom, left:right] = frames[k, top:bottom, left:right]
        half_width, half_height = int((right - left) * PATCH_HALF_SIZE), int((bottom - top) * PATCH_HALF_SIZE)
        for part in (LEFT_EYE, RIGHT_EYE, MOUTH):
            x, y = np.round(points[part].mean(axis=0, dtype=np.float64)).astype(int)
            edges = np.array([x - half_width, y - half_height, x + half_width, y + half_height])
            if not parity:
                edges = np.maximum(edges, 0)
            columns, rows = slice(edges[0], edges[2]), slice(edges[1], edges[3])
            local[k, rows, columns] = frames[k, rows, columns]
    return local, head
