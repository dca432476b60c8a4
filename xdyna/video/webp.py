"""Animated WebP, of which FFmpeg reads only stills."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import PIL.Image

from xdyna.video.clip import Clip, Shown, Size, VideoInfo
from xdyna.video.limits import ReadLimits, TimeBudget

MIN_FRAME_MS = 10  # browsers give at least that to frames which state less


def is_webp(head: bytes) -> bool:
    """Whether a file that begins so is a WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def webp_clip(image: PIL.Image.Image, limits: ReadLimits, budget: TimeBudget) -> Clip:
    """A clip decoded by Pillow; its rate and duration are not in the header.

    Raises:
        InputError: the picture is beyond a limit.
    """
    width, height = image.size
    limits.check(width, height, None)
    info = VideoInfo(duration_s=None, fps=25.0, width=width, height=height, codec="webp", has_audio=False, rotation=0)

    def shown(size: Size, start_s: float) -> Iterator[Shown]:
        del start_s  # each frame builds on the one before, so all are decoded
        end_s = 0.0
        for k in range(getattr(image, "n_frames", 1)):
            budget.check()
            image.seek(k)
            frame = image.convert("RGBA")
            on_white = PIL.Image.new("RGB", frame.size, "white")
            on_white.paste(frame, mask=frame.getchannel("A"))
            picture = on_white.resize(size[::-1], PIL.Image.Resampling.BOX)
            begin_s, end_s = end_s, end_s + max(image.info.get("duration", 0), MIN_FRAME_MS) / 1000
            yield Shown(begin_s, end_s, partial(np.array, picture))

    return Clip(info, shown)
