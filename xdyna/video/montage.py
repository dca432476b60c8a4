"""Several clips in one picture."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageFont

from xdyna.schema import Frames, Image, Video

TITLE_SHARE = 0.055  # of a frame's height
MIN_TITLE_PX = 22
TEXT_SHARE = 0.6  # of the title's height
MARGIN_SHARE = 0.03  # of the frame's width, at either side of the text
MIN_TEXT_PX = 10
SHOWN_HEIGHT_PX = 448
GAP_PX = 4
TITLE_BACKGROUND, TITLE_INK = (24, 24, 24), (235, 235, 235)


def side_by_side(videos: Sequence[Video], titles: Sequence[str]) -> Video:
    """One video of several, each under its title: in a row, or four wide ones in two.

    Videos of another size or rate are fitted: scaled to the tallest, and shown at the highest rate for as long as all
    last. Small ones are enlarged a whole number of times, pixel by pixel, so that the titles can be read.

    Args:
        videos: one or more.
        titles: one for each.
    """
    fps, height = max(video.fps for video in videos), max(video.frames.shape[1] for video in videos)
    zoom = max(1, round(SHOWN_HEIGHT_PX / height))
    num_frames = min(max(1, round(len(video) / video.fps * fps)) for video in videos)
    pictures = [_fitted(video, fps, num_frames, height).repeat(zoom, axis=1).repeat(zoom, axis=2) for video in videos]
    text_px = _text_px(titles, [frames.shape[2] for frames in pictures], _bar_px(zoom * height))
    columns = [_titled(frames, title, text_px) for frames, title in zip(pictures, titles, strict=True)]
    if len(columns) == 4 and all(frames.shape[2] > frames.shape[1] for frames in pictures):
        rows = [_joined(columns[:2], axis=2), _joined(columns[2:], axis=2)]
        width = max(row.shape[2] for row in rows)
        rows = [np.pad(row, ((0, 0), (0, 0), (0, width - row.shape[2]), (0, 0))) for row in rows]
        return Video(frames=_joined(rows, axis=1), fps=fps)
    return Video(frames=_joined(columns, axis=2), fps=fps)


def _fitted(video: Video, fps: float, num_frames: int, height: int) -> Frames:
    """`(num_frames, height, width in proportion, 3)`."""
    moments = np.minimum((np.arange(num_frames) * video.fps / fps + 1e-6).astype(int), len(video) - 1)
    frames = video.frames[moments]
    if frames.shape[1] == height:
        return frames
    size = max(1, round(frames.shape[2] * height / frames.shape[1])), height
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_CUBIC) for frame in frames])


def _joined(parts: Sequence[Frames], axis: int) -> Frames:
    """Parts of one size across `axis`, with a black gap between them."""
    shape = list(parts[0].shape)
    shape[axis] = GAP_PX
    gap = np.zeros(shape, np.uint8)
    return np.concatenate([piece for part in parts for piece in (gap, part)][1:], axis=axis)


def _titled(frames: Frames, title: str, text_px: int) -> Frames:
    """`(num_frames, height + bar, width, 3)`: a bar with the title above the frames."""
    height, width = frames.shape[1:3]
    bar = _bar(_shortened(title, width, text_px), (width, _bar_px(height)), text_px)
    return np.concatenate([np.broadcast_to(bar, (len(frames), *bar.shape)), frames], axis=1)


def _bar(title: str, size: tuple[int, int], text_px: int) -> Image:
    from moviepy import TextClip

    if not title:
        return np.full((size[1], size[0], 3), TITLE_BACKGROUND[0], np.uint8)
    text = TextClip(
        font=_font_file(), text=title, font_size=text_px, size=size, color=TITLE_INK, bg_color=TITLE_BACKGROUND
    )
    return np.asarray(text.get_frame(0), np.uint8)


def _shortened(title: str, width: int, text_px: int) -> str:
    """The title, or as much of its beginning as fits the width."""
    font, shown = ImageFont.truetype(_font_file(), text_px), title
    while shown and font.getlength(shown) > _room_px(width):
        title = title[:-1]
        shown = f"{title}…" if title else ""
    return shown


def _text_px(titles: Sequence[str], widths: Sequence[int], bar_px: int) -> int:
    """The largest letters with which every title fits above its pictures, but never too small to read."""
    for text_px in range(round(TEXT_SHARE * bar_px), MIN_TEXT_PX, -1):
        font = ImageFont.truetype(_font_file(), text_px)
        if all(font.getlength(title) <= _room_px(width) for title, width in zip(titles, widths, strict=True)):
            return text_px
    return MIN_TEXT_PX


def _bar_px(height: int) -> int:
    return max(MIN_TITLE_PX, 2 * round(TITLE_SHARE * height / 2))  # even, as H.264 wants the whole to be


def _room_px(width: int) -> float:
    return (1 - 2 * MARGIN_SHARE) * width


def _font_file() -> str:
    """DejaVu Sans, which comes with matplotlib: titles may hold letters beyond ASCII."""
    from matplotlib import get_data_path

    return str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")
