"""The cut-out of the photo's person on the screen Check: shown, corrected with a brush, downloaded and uploaded."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import gradio as gr
import numpy as np

from xdyna.backends.matte import photo_matte
from xdyna.files import write_whole
from xdyna.photo import crop_to_aspect
from xdyna.photo.mask import checked_mask, encode_mask, read_mask
from xdyna.schema import Conditions, Floats, InputError
from xdyna.ui import fragments
from xdyna.ui.job_events import Updates, updates
from xdyna.ui.pictures import data_uri
from xdyna.ui.session import Analysis
from xdyna.ui.store import STORE

SHOWN = ("matte", "matte_file", "matte_status")
CHANGED = ("analysis", "matte_status")
ADD, REMOVE = "add", "remove"
MAX_POINTS = 4000
MASK_NAME = "mask.png"
SHOWN_HEIGHT_PX = 720
TINT, TINTED = (168, 85, 247), 0.5
SOFT = 0.25  # of the brush's radius
CORRECTED, ESTIMATED = "Corrected by you.", "Found by the program."


def show_matte(analysis: Analysis | None, is_open: bool) -> Updates:
    """The photo with its person tinted, once the visitor has opened this part."""
    if analysis is None or not is_open:
        return updates(SHOWN)
    try:
        matte = photo_matte(analysis.conditions)
    except InputError as error:
        return updates(SHOWN, matte="", matte_file=gr.update(value=None), matte_status=fragments.message(str(error)))
    path = STORE.new() / MASK_NAME
    write_whole(path, encode_mask(matte))
    status = ESTIMATED if analysis.conditions.matte is None else CORRECTED
    return updates(
        SHOWN,
        matte=matte_view(analysis.conditions, matte),
        matte_file=gr.update(value=str(path)),
        matte_status=fragments.message(status),
    )


def matte_view(conditions: Conditions, matte: Floats) -> str:
    """The used part of the photo, its person tinted and all else dimmed, under a canvas that strokes are drawn on."""
    height, width = conditions.size
    zoom = max(1, round(SHOWN_HEIGHT_PX / height))  # a small model's picture would be too small to paint in
    photo = crop_to_aspect(conditions.reference_image, (height * zoom, width * zoom), conditions.photo_box)
    share = cv2.resize(matte, (width * zoom, height * zoom), interpolation=cv2.INTER_LINEAR)[..., None]
    shown = share * ((1 - TINTED) * photo + TINTED * np.array(TINT)) + (1 - share) * 0.6 * photo
    picture = data_uri(shown.round().astype(np.uint8), SHOWN_HEIGHT_PX)
    return (
        f'<figure class="check-matte"><img src="{picture}" alt="The photo with its person tinted">'
        f'<canvas width="{width * zoom}" height="{height * zoom}" data-part="brush"></canvas></figure>'
    )


def paint(analysis: Analysis | None, tool: str, size: float, event: gr.EventData) -> Updates:
    """A stroke of the brush: an analysis with the corrected mask.

    Args:
        analysis: whose mask is corrected.
        tool: "add" or "remove".
        size: of the brush, in hundredths of the picture's longer side.
        event: its `points` are x, y in shares of the picture.
    """
    if analysis is None:
        return updates(CHANGED)
    points = read_points(event._data)

    def stroke() -> Floats:
        matte = photo_matte(analysis.conditions)
        return painted(matte, points, tool == ADD, size / 100 * max(matte.shape))

    return _changed(analysis, stroke)


def read_points(data: object) -> Floats:
    """Return the points of a stroke that a browser sent, `(num_points, 2)`; nothing of it is trusted.

    Raises:
        InputError: they are not points.
    """
    given = data.get("points") if isinstance(data, dict) else None
    if not isinstance(given, list) or not 0 < len(given) <= MAX_POINTS:
        raise InputError(f"A stroke has 1 to {MAX_POINTS} points. Draw a shorter one.")
    for point in given:
        well_formed = isinstance(point, list) and len(point) == 2
        if not well_formed or not all(type(value) in (int, float) and math.isfinite(value) for value in point):
            raise InputError("This stroke cannot be read. Draw it again.")
    return np.clip(np.array(given, np.float32), -1, 2)


def painted(matte: Floats, points: Floats, adding: bool, radius: float) -> Floats:
    """Return a mask with a stroke added or removed.

    Args:
        matte: The mask, `(height, width)` in 0..1.
        points: The middle of the brush, `(num_points, 2)` x, y in shares of the picture.
        adding: Whether the person grows.
        radius: Of the brush in pixels.
    """
    height, width = matte.shape
    stroke = np.zeros(matte.shape, np.uint8)
    places = np.round(points * [width, height]).astype(np.int32)
    thickness = max(1, round(2 * radius))
    cv2.polylines(stroke, [places.reshape(-1, 1, 2)], False, (255,), thickness, cv2.LINE_AA)
    cv2.circle(stroke, places[0].tolist(), max(1, round(radius)), (255,), cv2.FILLED, cv2.LINE_AA)
    soft = cv2.GaussianBlur(stroke, (0, 0), max(0.5, SOFT * radius)).astype(np.float32) / 255
    return np.maximum(matte, soft) if adding else np.minimum(matte, 1 - soft)


def upload(analysis: Analysis | None, file: str | None) -> Updates:
    """A mask from a file."""
    if analysis is None or file is None:
        return updates(CHANGED)
    return _changed(analysis, lambda: read_mask(Path(file), analysis.conditions.size))


def start_over(analysis: Analysis | None) -> Updates:
    """The program's own mask again."""
    if analysis is None or analysis.conditions.matte is None:
        return updates(CHANGED)
    return updates(CHANGED, analysis=replace(analysis, conditions=replace(analysis.conditions, matte=None)))


def _changed(analysis: Analysis, change: Callable[[], Floats]) -> Updates:
    try:
        matte = checked_mask(change())
    except InputError as error:
        return updates(CHANGED, matte_status=fragments.error(str(error)))
    return updates(CHANGED, analysis=replace(analysis, conditions=replace(analysis.conditions, matte=matte)))
