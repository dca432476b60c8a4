"""What an opened clip is to its readers, whichever library decodes it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from xdyna.schema import Image

Size = tuple[int, int]
"""`(height, width)` in pixels."""


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a clip's header says.

    Attributes:
        duration_s: length in seconds, or None where the file does not state it.
        fps: average frames per second.
        width: width in pixels as shown, after rotation and with square pixels.
        height: height in pixels, likewise.
        codec: FFmpeg's name, e.g. "h264".
        has_audio: whether there is a sound track.
        rotation: counter-clockwise turn in degrees that the player applies: 0, 90, 180 or 270.
    """

    duration_s: float | None
    fps: float
    width: int
    height: int
    codec: str
    has_audio: bool
    rotation: int


@dataclass(frozen=True)
class Shown:
    """A frame on the clip's own clock, which starts at 0; its picture is made when asked for."""

    begin_s: float
    end_s: float
    picture: Callable[[], Image]


@dataclass(frozen=True)
class Clip:
    """An opened clip.

    Attributes:
        info: its header.
        shown: `shown(size, start_s)` gives its frames from the last one at or before `start_s`. Once only.
    """

    info: VideoInfo
    shown: Callable[[Size, float], Iterator[Shown]]
