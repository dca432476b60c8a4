"""Cutting a photo to the shape of the video."""

from collections.abc import Sequence

import cv2
import numpy as np

from xdyna.schema import Image


def crop_box(
    photo_size: tuple[int, int], size: tuple[int, int], person: Sequence[float] | None = None
) -> tuple[int, int, int, int]:
    """The largest part of a photo that has the video's shape.

    It is the middle, as in the official program, unless that would cut the person: then the part is laid around the
    person, and begins at the head where the whole body is too tall for it.

    Args:
        photo_size: `(height, width)` of the photo.
        size: `(height, width)` of the video.
        person: left, top, right, bottom in pixels of whom the video is about; None takes the middle.

    Returns:
        Left, top, right, bottom in pixels; right and bottom are exclusive.
    """
    (photo_height, photo_width), (height, width) = photo_size, size
    aspect = width / height
    if photo_width / photo_height > aspect:
        kept = max(1, int(aspect * photo_height))
        left = (photo_width - kept) // 2
        if person is not None and not left <= person[0] <= person[2] <= left + kept:
            left = _clamped((person[0] + person[2] - kept) / 2, photo_width - kept)
        return left, 0, left + kept, photo_height
    kept = max(1, int(photo_width / aspect))
    top = (photo_height - kept) // 2
    if person is not None and not top <= person[1] <= person[3] <= top + kept:
        top = _clamped(min(person[1], (person[1] + person[3] - kept) / 2), photo_height - kept)
    return 0, top, photo_width, top + kept


def crop_to_aspect(photo: Image, size: tuple[int, int], person: Sequence[float] | None = None) -> Image:
    """Cuts a photo to the video's shape and resizes it, as the official program does.

    Args:
        photo: `(any height, any width, 3)` uint8 RGB.
        size: `(height, width)` of the video.
        person: as for `crop_box`.

    Returns:
        `(height, width, 3)` uint8 RGB; a photo of that size as it is.
    """
    if photo.shape[:2] == size:  # rounding would cost it a row
        return photo
    left, top, right, bottom = crop_box((photo.shape[0], photo.shape[1]), size, person)
    return cv2.resize(photo[top:bottom, left:right], size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _clamped(start: float, last: int) -> int:
    return int(min(max(0.0, start), last))
