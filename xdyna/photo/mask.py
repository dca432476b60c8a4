"""A person's mask as a picture file."""

from pathlib import Path

import cv2
import numpy as np

from xdyna.photo.read import read_photo
from xdyna.schema import Floats, InputError

MIN_PERSON = 0.002  # of the picture


def read_mask(path: Path, size: tuple[int, int]) -> Floats:
    """Read a mask, white on the person.

    Args:
        path: The file of a picture, grey or coloured.
        size: The `(height, width)` that it must have.

    Returns:
        `(height, width)` float32 in 0..1.

    Raises:
        InputError: It is no such picture, has another size, or shows nobody.
    """
    picture = read_photo(path)
    height, width = picture.shape[:2]
    if (height, width) != size:
        raise InputError(
            f"The mask is {width} x {height} pixels, but the used part of the photo is {size[1]} x {size[0]}. "
            "Download the mask, change it, and upload it in the same size."
        )
    return checked_mask(picture.mean(axis=-1, dtype=np.float32) / np.float32(255))


def checked_mask(mask: Floats) -> Floats:
    """Return a mask that shows somebody.

    Raises:
        InputError: It shows nobody.
    """
    if (mask > 0.5).mean() < MIN_PERSON:
        raise InputError("Nobody would be left in the mask. It is white where the person is: add the person again.")
    return mask


def encode_mask(mask: Floats) -> bytes:
    """Return a mask, `(height, width)` in 0..1, as a grey PNG, white on the person."""
    return bytes(cv2.imencode(".png", np.round(255 * mask).astype(np.uint8))[1].tobytes())
