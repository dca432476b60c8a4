"""How the person's pixels move from frame to frame, as far as the bones tell.

Only the person: rain, water and clouds are drawn from textures and particles that have no one motion in a pixel.
"""

import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Floats
from xdyna.world.clip import WorldClip

Array = NDArray[np.float64]

_EYES, _TRUNK, _LIMB = 0.14, 0.11, 0.05
# Ends of each bone among the 18 joints, and how thick it is, in body lengths from neck to ankle.
_BONES: tuple[tuple[int, int, float], ...] = (
    (14, 15, _EYES), (2, 5, _LIMB), (1, 8, _TRUNK), (1, 11, _TRUNK),
    (2, 3, _LIMB), (3, 4, _LIMB), (5, 6, _LIMB), (6, 7, _LIMB),
    (8, 9, _LIMB), (9, 10, _LIMB), (11, 12, _LIMB), (12, 13, _LIMB),
)  # fmt: skip


def person_flow(clip: WorldClip) -> Floats:
    """Optical flow of the person: every pixel moves with the bone nearest to it.

    Exact for the bones themselves; hair, skirts and the outline of turning parts move a little differently.

    Args:
        clip: a rendered clip.

    Returns:
        `(n - 1, h, w, 2)` float32 x, y: pixels from frame k to k + 1; NaN off the person.
    """
    num_frames, height, width = clip.person_mask.shape
    flow = np.full((num_frames - 1, height, width, 2), np.nan, np.float32)
    for k in range(num_frames - 1):
        rows, columns = np.nonzero(clip.person_mask[k])
        points = np.column_stack([columns, rows]).astype(np.float64)
        if len(points):
            before, after = (clip.pose.body[i].astype(np.float64) for i in (k, k + 1))
            flow[k, rows, columns] = _moved(points, before, after) - points
    return flow


def _moved(points: Array, before: Array, after: Array) -> Array:
    """Where `(p, 2)` points of a body with joints `before` go when it takes the joints `after`, both `(18, 2)`."""
    ankles = before[[10, 13]]
    length = float(np.linalg.norm(ankles - before[1], axis=1).max())
    nearest = np.full(len(points), np.inf)
    moved = points.copy()
    for start, end, thickness in _BONES:
        share, side, distance = _along(points, before[start], before[end])
        distance = distance - thickness * length
        bone = after[end] - after[start]
        across = np.array([-bone[1], bone[0]]) / max(float(np.hypot(*bone)), 1e-6)
        closer = distance < nearest
        target = after[start] + share[:, None] * bone + side[:, None] * across
        moved[closer], nearest[closer] = target[closer], distance[closer]
    return moved


def _along(points: Array, start: Array, end: Array) -> tuple[Array, Array, Array]:
    """Position along a bone (0..1 between its ends), signed distance beside it, and distance to it, each `(p,)`."""
    bone = end - start
    length = max(float(np.hypot(*bone)), 1e-6)
    offset = points - start
    share = offset @ bone / length**2
    side = offset @ np.array([-bone[1], bone[0]]) / length
    beyond = (share - np.clip(share, 0, 1)) * length
    return share, side, np.hypot(side, beyond)
