"""Art styles: the same clip as another artist would have made it."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Frames, Image

Array = NDArray[np.float32]

INK_LEVELS = 6
DESIGNED_HEIGHT = 224  # pixels; line widths are given for this height and grow with the picture


def stylise(frames: Frames, style: str) -> Frames:
    """Redraws a clip in a style. Frames are independent and paper stands still, so nothing flickers.

    Args:
        frames: `(n, h, w, 3)` uint8 RGB, smoothly shaded as the world draws them.
        style: one of `STYLES`.

    Returns:
        `(n, h, w, 3)` uint8 RGB.
    """
    draw = STYLES[style]
    if draw is None:
        return frames
    paper = _paper(frames.shape[1], frames.shape[2])
    return np.stack([draw(frame, paper) for frame in frames])


def _ink(frame: Image, _: Array) -> Image:
    """Flat areas of few tones inside dark outlines, as in a comic."""
    smooth = cv2.bilateralFilter(frame, 0, 30, _px(frame, 1.5))
    hsv = cv2.cvtColor(smooth, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 2] = np.round(hsv[..., 2] / 255 * INK_LEVELS) / INK_LEVELS * 255
    hsv[..., 1] = np.minimum(hsv[..., 1] * 1.2, 255)
    flat = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    return (flat * (1 - 0.9 * _outlines(frame, 0.12, 0.30)[..., None])).astype(np.uint8)


def _watercolour(frame: Image, paper: Array) -> Image:
    """Pale washes that darken where they end, on grained paper."""
    wash = cv2.bilateralFilter(frame, 0, 45, _px(frame, 2.0)).astype(np.float32) / 255
    pale = 1 - (1 - wash) * 0.78
    rim = _outlines(frame, 0.05, 0.35)[..., None]
    painted = pale * (1 - 0.35 * rim) * (0.93 + 0.07 * paper[..., None])
    return (np.clip(painted, 0, 1) * 255).astype(np.uint8)


def _pencil(frame: Image, paper: Array) -> Image:
    """Grey strokes along the contours and soft hatching in the shade."""
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    around = cv2.GaussianBlur(gray, (0, 0), _px(frame, 3.0))
    contours = np.clip(1 - 1.6 * (around - gray), 0, 1) * (1 - 0.7 * _outlines(frame, 0.08, 0.3))
    drawn = contours * (0.35 + 0.65 * np.sqrt(gray)) * (0.9 + 0.1 * paper)
    return np.repeat((np.clip(drawn, 0, 1) * 255).astype(np.uint8)[..., None], 3, axis=2)


STYLES: dict[str, Callable[[Image, Array], Image] | None] = {
    "shaded": None,
    "ink": _ink,
    "watercolour": _watercolour,
    "pencil": _pencil,
}
"""How a clip can be drawn; "shaded" is the world's own way."""


def _px(frame: Image, width: float) -> float:
    return width * frame.shape[0] / DESIGNED_HEIGHT


def _odd(frame: Image, width: int) -> int:
    return max(3, 2 * round((_px(frame, width) - 1) / 2) + 1)


def _outlines(frame: Image, low: float, high: float) -> Array:
    """`(h, w)` float32 in 0..1: steps of brightness or colour between large shapes, from `low` to `high`.

    Eyes, lips and other small things are left out: lines around them would only blot them.
    """
    shapes = cv2.medianBlur(frame, _odd(frame, 7))
    darker = cv2.erode(shapes, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_odd(frame, 2), _odd(frame, 2))))
    step = (shapes - darker).max(axis=-1).astype(np.float32) / 255
    return np.clip((step - low) / (high - low), 0, 1)


def _paper(height: int, width: int) -> Array:
    """`(height, width)` float32 about 0..1: grain of a sheet that is as large as the picture."""
    noise = np.random.default_rng(5).random((DESIGNED_HEIGHT, DESIGNED_HEIGHT)).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 0.8)
    grain = (grain - grain.min()) / np.ptp(grain)
    sheet = cv2.resize(grain, (height, height), interpolation=cv2.INTER_AREA)
    repeats = -(-width // height)
    return np.tile(sheet, (1, repeats))[:, :width].astype(np.float32)
