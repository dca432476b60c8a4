"""See it move: the photo moved by the first seconds of the clip, small and soon, before a model runs."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from math import ceil

import numpy as np

from xdyna.backends.matte import corrected_matte
from xdyna.backends.puppet import PUPPET, PuppetModel
from xdyna.config import AnimationSettings
from xdyna.preprocess.align import compose, inverse, photo_matrix
from xdyna.schema import Animation, Conditions, Floats, InputError, Progress

LENGTH_S, MAX_FPS, SIDE_PX, MAX_SIDE_PX = 3.0, 12.0, 448, 896
MIN_PERSON_PX = 128  # a little more than Puppet needs: a small person is shown in a larger picture
GRID_PX = 8  # sizes of a video are multiples of it


def see_it_move(conditions: Conditions, settings: AnimationSettings) -> Iterator[Progress | Animation]:
    """Move the photo's own pixels by the first three seconds of what was found, about 448 pixels high or wide.

    It shows timing, crop, person and alignment in motion. Warping is not what a model will make of them.

    Args:
        conditions: From `prepare`, for any model. Their driving frames are not looked at.
        settings: Uses the strength of the expression.

    Yields:
        `Progress` while working, then one `Animation`.

    Raises:
        InputError: The photo's person cannot be cut out, or the clip shows no body; the message says what to do.
    """
    if settings.mode == "replace":
        raise InputError(
            "In replace mode the person comes into the clip's place, which warping cannot show. Choose the mode "
            "“animate” to see the photo move."
        )
    puppet = PuppetModel(PUPPET, quick=True)
    with closing(puppet.run(small_conditions(conditions), PUPPET.own(settings))) as events:  # type: ignore[type-var]
        yield from events


def small_conditions(conditions: Conditions) -> Conditions:
    """Return the first seconds of conditions at the preview's size, with black driving frames and no sound."""
    every = ceil(conditions.fps / MAX_FPS)
    frames = slice(0, ceil(LENGTH_S * conditions.fps), every)
    size = _small_size(conditions)
    photo, box = conditions.reference_image, conditions.photo_box
    matrix = compose(photo_matrix(photo, size, box), inverse(photo_matrix(photo, conditions.size, box)))
    pose = conditions.pose[frames].transformed(matrix)
    return replace(
        conditions,
        reference_pose=conditions.reference_pose.transformed(matrix),
        driving_frames=np.zeros((len(pose), *size, 3), np.uint8),
        pose=pose,
        face_landmarks=_moved(conditions.face_landmarks[frames], matrix),
        alignment=compose(matrix, conditions.alignment),
        fps=conditions.fps / every,
        boxes=None,
        person_masks=None,
        reference_person_mask=None,
        matte=corrected_matte(conditions, size),
        clip=None,
        sound=None,
    )


def _small_size(conditions: Conditions) -> tuple[int, int]:
    """Return the `(height, width)` of a canvas of the same shape that still shows a person large enough."""
    height, width = conditions.size
    body = conditions.reference_pose.body[0]
    known = body[np.isfinite(body[:, 0])]
    extent = float(np.ptp(known, axis=0).max()) if len(known) else 0.0
    zoom = min(MAX_SIDE_PX / max(height, width), max(SIDE_PX / max(height, width), MIN_PERSON_PX / max(extent, 1.0)))
    return GRID_PX * round(height * zoom / GRID_PX), GRID_PX * round(width * zoom / GRID_PX)


def _moved(points: Floats, matrix: np.ndarray) -> Floats:
    """Return `(..., 2)` points under a `(2, 3)` map."""
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
