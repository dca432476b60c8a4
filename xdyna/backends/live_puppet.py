"""From an analysed photo to a puppet that a camera drives."""

from collections.abc import Generator

import numpy as np

from xdyna.backends.matte import corrected_matte
from xdyna.photo import crop_to_aspect
from xdyna.preprocess.align import crop_matrix
from xdyna.preprocess.live_photo import photo_landmarks
from xdyna.preprocess.pose import empty_pose
from xdyna.puppet.figure import build_figure
from xdyna.puppet.live import Eyes, LivePuppet, Sight, State
from xdyna.puppet.motion import rest_skeleton
from xdyna.schema import Conditions

__all__ = ["MAX_SIDE_PX", "Eyes", "LivePuppet", "Sight", "State", "build_live_puppet", "live_size"]

MAX_SIDE_PX = 896  # of what is drawn live: more is too slow


def live_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size in which a canvas is drawn live: `(height, width)`, multiples of 8."""
    zoom = min(1.0, MAX_SIDE_PX / max(size))
    return round(size[0] * zoom / 8) * 8, round(size[1] * zoom / 8) * 8


def build_live_puppet(conditions: Conditions) -> Generator[str, None, LivePuppet]:
    """Make a puppet of a photo's person.

    Args:
        conditions: What was found in the photo; the clip does not count.

    Yields:
        The stage that has ended, of `xdyna.puppet.figure.STAGES`.

    Returns:
        The puppet, drawn at `live_size`.

    Raises:
        InputError: The person cannot be cut out; the message says why and what to do.
    """
    height, width = live_size(conditions.size)
    zoom = crop_matrix((0, 0, conditions.size[1], conditions.size[0]), (height, width))
    photo = crop_to_aspect(conditions.reference_image, (height, width), conditions.photo_box)
    reference = conditions.reference_pose.transformed(zoom)
    rest = rest_skeleton(reference, empty_pose(1), (height, width))
    figure = yield from build_figure(
        photo,
        reference,
        rest,
        lambda: (photo_landmarks(conditions) @ zoom[:, :2].T + zoom[:, 2]).astype(np.float32),
        matte=corrected_matte(conditions, (height, width)),
    )
    return LivePuppet(figure, reference, rest)
