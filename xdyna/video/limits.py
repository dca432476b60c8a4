"""What a clip may cost: limits on its header, and a budget of reading time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xdyna.schema import InputError


@dataclass(frozen=True, kw_only=True)
class ReadLimits:
    """Limits on clips. The header is held against them before the first picture is decoded.

    Attributes:
        max_pixels: width times height, at most.
        min_side_px: the shorter side, at least.
        max_aspect: the longer side over the shorter, at most.
        max_duration_s: length of the clip in seconds, at most; only the part asked for is decoded.
        max_frames: frames that may be asked for.
        max_read_s: seconds one pass over the clip may spend on reading, at most.
        max_read_side_px: the longer side of frames as read; larger pictures are shrunk.
        max_bytes: memory for a clip that is read as a whole; its pictures are shrunk to fit.
    """

    max_pixels: int = 4096 * 2304
    min_side_px: int = 48
    max_aspect: float = 6.0
    max_duration_s: float = 3600.0
    max_frames: int = 3600
    max_read_s: float = 120.0
    max_read_side_px: int = 1280
    max_bytes: int = 2**30

    def check(self, width: int, height: int, duration_s: float | None) -> None:
        """Checks what a header says; `duration_s` is None where it says nothing.

        Raises:
            InputError: the clip is too large, too small, too narrow or too long.
        """
        if not width or not height:
            raise InputError(
                f"The clip does not say how large its pictures are, or they are far too large: the largest size is "
                f"{self.largest}. Make it smaller, or convert it to MP4 (H.264)."
            )
        if width * height > self.max_pixels:
            raise InputError(
                f"The clip is {width} x {height} pixels; the largest size is {self.largest}. Make it smaller."
            )
        if min(width, height) < self.min_side_px or max(width, height) > self.max_aspect * min(width, height):
            raise InputError(
                f"The clip is {width} x {height}; each side must have at least {self.min_side_px} pixels, "
                f"and one may be at most {self.max_aspect:g} times the other. Use another clip."
            )
        if duration_s is not None and duration_s > self.max_duration_s:
            raise InputError(
                f"The clip is {duration_s / 60:.0f} min long; the limit is {self.max_duration_s / 60:g} min. "
                "Cut it shorter."
            )

    @property
    def largest(self) -> str:
        """The largest picture, in words."""
        unit = int((self.max_pixels / (16 * 9)) ** 0.5)
        return f"{self.max_pixels / 1e6:.1f} million pixels, such as {16 * unit} x {9 * unit}"


DEFAULT_LIMITS = ReadLimits()


class TimeBudget:
    """Seconds that reading may take. The clock stands still while the caller works on a frame."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        """To be called wherever reading makes progress, and wherever it might not.

        Raises:
            InputError: the time is up.
        """
        if time.monotonic() > self._end:
            raise InputError(
                f"Reading the clip took longer than {self._seconds:g} s. Cut it shorter, or convert it to MP4 (H.264)."
            )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Does not count the time spent inside."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self._end += time.monotonic() - begin
