"""The clip as it is, for models that look at it themselves: whole, not moved onto the photo."""

from collections.abc import Iterable

import numpy as np
from PIL import Image as PILImage

from xdyna.schema import Conditions, Frames, Image


def whole_frames(conditions: Conditions) -> Frames:
    """Every frame of the clip, whole, at the size of the video: as much memory as the driving frames take.

    Returns:
        `(num_frames, height, width, 3)` uint8 RGB, black beside pictures of another shape. Where the driver was made
        from the photo these are the driving frames; all black where a motion file stands for the clip.

    Raises:
        InputError: the clip cannot be read any more.
    """
    if conditions.clip is None:
        return conditions.driving_frames
    return letterbox(conditions.clip, conditions.num_frames, conditions.size)


def letterbox(pictures: Iterable[Image], num_frames: int, size: tuple[int, int]) -> Frames:
    """Fits pictures into a size without cutting or stretching them.

    Source: `WanAnimate2VideoProcessor` of diffusers, to the pixel.

    Args:
        pictures: each `(any height, any width, 3)` uint8 RGB.
        num_frames: how many there are.
        size: `(height, width)`.

    Returns:
        `(num_frames, height, width, 3)` uint8 RGB, black beside them.
    """
    height, width = size
    frames = np.zeros((num_frames, *size, 3), np.uint8)
    for frame, picture in zip(frames, pictures, strict=True):
        rows, columns = picture.shape[:2]
        wider = columns * height > width * rows
        fitted = (max(1, rows * width // columns), width) if wider else (height, max(1, columns * height // rows))
        top, left = (height - fitted[0]) // 2, (width - fitted[1]) // 2
        smaller = PILImage.fromarray(picture).resize(fitted[::-1], PILImage.Resampling.LANCZOS)
        frame[top : top + fitted[0], left : left + fitted[1]] = np.asarray(smaller)
    return frames
