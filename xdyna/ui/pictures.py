"""Pictures for the page's own HTML: small, and inside the page, so that no file of a visitor's face is left behind."""

import base64
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PILImage

from xdyna.photo import crop_box
from xdyna.preview import pose_over_photo
from xdyna.schema import Conditions, Image, InputError
from xdyna.video import ReadLimits, VideoInfo, read_frames

JPEG_QUALITY = 82
STRIP_FRAMES = 8
READ_THROUGH_S = 30.0
STRIP_HEIGHT_PX, STRIP_MAX_WIDTH_PX = 96, 128
READ_LIMITS = ReadLimits()
STRIP_LIMITS = ReadLimits(max_read_side_px=320, max_read_s=3.0)
MAX_OVERLAY_PX = 1600
DIMMED = 0.35


def data_uri(image: Image, max_height_px: int) -> str:
    """A picture as a JPEG inside an address."""
    height = min(max_height_px, image.shape[0])
    width = max(1, round(image.shape[1] * height / image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    file = BytesIO()
    PILImage.fromarray(small).save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def pose_on_whole_photo(conditions: Conditions, frame: int, opacity: float) -> Image:
    """The whole photo, dimmed where the video does not show it, and the aligned skeleton on the rest.

    Args:
        conditions: from `prepare` or `place_again`.
        frame: driving frame, 0..num_frames - 1.
        opacity: of the skeleton, 0..1.

    Returns:
        `(any height, any width, 3)` uint8 RGB, at most 1600 pixels a side.
    """
    shown = pose_over_photo(conditions, frame, opacity)
    photo = conditions.reference_image
    left, top, right, bottom = crop_box((photo.shape[0], photo.shape[1]), conditions.size, conditions.photo_box)
    zoom = shown.shape[0] / (bottom - top)
    zoom = min(zoom, MAX_OVERLAY_PX / max(photo.shape[:2]))
    size = max(1, round(photo.shape[1] * zoom)), max(1, round(photo.shape[0] * zoom))
    whole = (cv2.resize(photo, size, interpolation=cv2.INTER_AREA) * DIMMED).astype(np.uint8)
    x, y = round(left * zoom), round(top * zoom)
    width, height = min(size[0] - x, round((right - left) * zoom)), min(size[1] - y, round((bottom - top) * zoom))
    whole[y : y + height, x : x + width] = cv2.resize(shown, (width, height), interpolation=cv2.INTER_AREA)
    return whole


def frame_at(clip: Path, second: float, fps: float, limits: ReadLimits = READ_LIMITS) -> Image:
    """One frame of a clip, by default as `prepare` reads it.

    Raises:
        InputError: there is none.
    """
    with closing(iter(read_frames(clip, fps=fps, start_s=max(0.0, second), num_frames=2, limits=limits))) as frames:
        return next(frames)


def filmstrip(clip: Path, info: VideoInfo) -> str:
    """Eight moments of a clip in a row, as an address of one picture."""
    seconds = info.duration_s or 1.0
    tiles = _read_through(clip, seconds) if seconds <= READ_THROUGH_S else _jump_through(clip, seconds, info.fps)
    tiles += [tiles[-1] if tiles else np.zeros((STRIP_HEIGHT_PX, STRIP_HEIGHT_PX, 3), np.uint8)] * STRIP_FRAMES
    return data_uri(np.concatenate(tiles[:STRIP_FRAMES], axis=1), STRIP_HEIGHT_PX)


def _read_through(clip: Path, seconds: float) -> list[Image]:
    """Moments of a short clip, in one pass: jumping would decode most of it again for each."""
    tiles: list[Image] = []
    with suppress(InputError):  # some headers promise more than there is; too short a clip is told elsewhere
        tiles.extend(
            map(_tile, read_frames(clip, fps=STRIP_FRAMES / seconds, num_frames=STRIP_FRAMES, limits=STRIP_LIMITS))
        )
    return tiles


def _jump_through(clip: Path, seconds: float, fps: float) -> list[Image]:
    """Moments of a long clip."""
    tiles: list[Image] = []
    for k in range(STRIP_FRAMES):
        with suppress(InputError):
            tiles.append(_tile(frame_at(clip, seconds * k / STRIP_FRAMES, min(30.0, max(1.0, fps)), STRIP_LIMITS)))
    return tiles


def _tile(frame: Image) -> Image:
    """A frame at the strip's height, cut at the sides where it is wide."""
    width = max(1, round(frame.shape[1] * STRIP_HEIGHT_PX / frame.shape[0]))
    tile = cv2.resize(frame, (width, STRIP_HEIGHT_PX), interpolation=cv2.INTER_AREA).astype(np.uint8)
    cut = max(0, width - STRIP_MAX_WIDTH_PX) // 2
    return tile[:, cut : width - cut]
