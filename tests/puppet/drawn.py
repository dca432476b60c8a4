"""Drawn characters whose joints, face and mask are known, and pictures of a few pixels."""

from functools import lru_cache

import numpy as np

from xdyna.schema import Pose
from xdyna.world import WorldClip, render_clip

HEIGHT, WIDTH = 448, 256


@lru_cache(maxsize=8)
def drawn(seed: int, num_frames: int = 1) -> WorldClip:
    """A clip of a character who stands before a scene."""
    return render_clip(seed, num_frames=num_frames, height=HEIGHT, width=WIDTH)


def still(seed: int, frame: int = 0, num_frames: int = 1) -> Pose:
    """The true pose in one frame."""
    return drawn(seed, num_frames).pose[frame : frame + 1]


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks."""
    return float((one & other).sum() / (one | other).sum())
