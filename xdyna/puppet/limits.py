"""Pairs of photo and clip that a flat picture cannot follow."""

import numpy as np

from xdyna.preprocess.posture import lean_deg, seen_from_behind
from xdyna.schema import Floats, InputError

MAX_LEAN_DEG = 60.0


def check_postures(photo: Floats, driver: Floats) -> None:
    """Refuse a person who lies where the driver stands, or whose back is shown where the driver's front is.

    Args:
        photo: The joints of the photo's person, `(1, 18, 2)` in pixels.
        driver: The joints of the driver, `(num_frames, 18, 2)` in pixels.

    Raises:
        InputError: The message says which, and what to do.
    """
    difference = (lean_deg(photo) - lean_deg(driver) + 180) % 360 - 180
    if abs(difference) > MAX_LEAN_DEG:
        raise InputError(
            f"The person in the photo leans {abs(difference):.0f}° differently from the one in the clip; Puppet "
            f"follows up to {MAX_LEAN_DEG:.0f}°. Turn the photo, or choose a clip of the same posture."
        )
    if np.isfinite(driver).any() and seen_from_behind(photo) != seen_from_behind(driver):
        raise InputError(
            "Photo and clip show a person from different sides, one from behind and one from the front: Puppet cannot "
            "turn anybody round. Use a photo and a clip taken from the same side."
        )
