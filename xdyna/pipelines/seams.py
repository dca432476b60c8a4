"""How well windows join: whether a clip jumps where one ends."""

from collections.abc import Iterable, Sequence

import numpy as np

from xdyna.schema import Floats, Frames


def changes(frames: Frames | Floats) -> Floats:
    """`(num_frames - 1,)`: mean absolute change from each frame `(height, width, channels)` to the next."""
    return np.abs(np.diff(frames.astype(np.float32), axis=0)).mean(axis=(1, 2, 3))


def seam_frames(windows: Iterable[Sequence[int]]) -> list[int]:
    """Frames after which a window begins or ends, but not the ends of the clip.

    Args:
        windows: of one step; a window that wraps round the end of the clip counts as two parts.
    """
    seams, last = set(), 0
    for window in windows:
        parts = np.split(np.asarray(window), np.flatnonzero(np.diff(window) != 1) + 1)
        seams |= {int(part[0]) - 1 for part in parts} | {int(part[-1]) for part in parts}
        last = max(last, *window)
    return sorted(seam for seam in seams if 0 <= seam < last)


def seam_visibility(frames: Frames | Floats, seams: Sequence[int]) -> float:
    """How much more a clip changes at seams than elsewhere: 1 is invisible, NaN where there is nothing to compare.

    Args:
        frames: `(num_frames, height, width, channels)`.
        seams: frames after which two windows meet, from `seam_frames`.
    """
    change = changes(frames)
    at_seam = np.zeros(len(change), bool)
    at_seam[list(seams)] = True
    if at_seam.all() or not at_seam.any():
        return float("nan")
    return float(change[at_seam].mean() / change[~at_seam].mean())


def loop_closure(frames: Frames | Floats) -> float:
    """How far the last frame is from the first, in mean changes from frame to frame.

    About 1 where the clip closes to a loop, which a clip whose motion does not return must not do.
    """
    ends = changes(frames[[-1, 0]])[0]
    return float(ends / changes(frames).mean())
