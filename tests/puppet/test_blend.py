"""Copied patches that meet without steps of brightness."""

import numpy as np

from xdyna.puppet.blend import MAX_CORRECTION, tone_correction

SIDE = 24


def filled_from_the_left(brightness: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A wall, brighter on its right half; a hole in there; and where its pixels are copied from: the left half."""
    picture = np.full((SIDE, SIDE, 3), 100, np.uint8)
    picture[:, SIDE // 2 :] += np.uint8(brightness)
    hole = np.zeros((SIDE, SIDE), bool)
    hole[8:16, 15:21] = True
    source = np.arange(SIDE * SIDE, dtype=np.int32).reshape(SIDE, SIDE)
    return picture, np.where(hole, source - 12, source).astype(np.int32), hole


def test_a_patch_takes_the_brightness_of_its_surroundings() -> None:
    picture, source, hole = filled_from_the_left(10)
    result = picture.reshape(-1, 3)[source] + tone_correction(picture, source, hole)
    assert np.abs(result[hole] - 110).max() < 0.5
    assert not tone_correction(picture, source, hole)[~hole].any()


def test_a_patch_that_fits_stays() -> None:
    assert not tone_correction(*filled_from_the_left(0)).any()


def test_a_patch_of_something_else_is_changed_within_bounds() -> None:
    assert np.abs(tone_correction(*filled_from_the_left(150))).max() <= MAX_CORRECTION
