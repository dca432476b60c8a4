"""How a person stands: upright or lying, towards the camera or away from it."""

import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.pose import LEFT_HIP, LEFT_SHOULDER, NECK, NOSE, RIGHT_HIP, RIGHT_SHOULDER
from xdyna.schema import Floats

MIN_BREADTH = 0.25  # of the shoulders, in torsos: narrower ones are seen from the side


def spine(body: Floats) -> NDArray[np.float64]:
    """Return the way from the hips to the neck, `(num_frames, 2)` in pixels, NaN where a torso is hidden.

    Args:
        body: The joints of a person, `(num_frames, 18, 2)` in pixels.
    """
    return (body[:, NECK] - body[:, [RIGHT_HIP, LEFT_HIP]].mean(axis=1)).astype(np.float64)


def lean_deg(body: Floats) -> float:
    """Return how far a torso leans clockwise from upright: the median in degrees, NaN where it is hidden."""
    x, y = spine(body).T
    angles = np.arctan2(x, -y)
    angles = angles[np.isfinite(angles)]
    if not len(angles):
        return np.nan
    middle = np.exp(1j * angles).mean()
    return float(np.degrees(np.angle(middle) + np.median(np.angle(np.exp(1j * angles) * np.conj(middle)))))


def seen_from_behind(body: Floats) -> bool:
    """Return whether the person's right shoulder is on the side of the left one, for most of the frames that tell.

    Args:
        body: The joints of a person, `(num_frames, 18, 2)` in pixels.
    """
    up = spine(body)
    # Without hips the neck tells what is up, on a person who is not upside down.
    up = np.where(np.isfinite(up), up, 1.5 * (body[:, NOSE] - body[:, NECK]))
    across = (body[:, LEFT_SHOULDER] - body[:, RIGHT_SHOULDER]).astype(np.float64)
    length = np.maximum(np.linalg.norm(up, axis=-1), 1.0)
    breadth = (up[:, 0] * across[:, 1] - up[:, 1] * across[:, 0]) / length**2
    breadth = breadth[np.abs(breadth) > MIN_BREADTH]
    return bool(len(breadth) and np.median(breadth) < 0)
