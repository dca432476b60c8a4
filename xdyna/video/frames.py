"""Reading: part of a clip as it would be seen at another frame rate, one frame at a time."""

import math
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from xdyna.schema import Frames, Image, InputError, Video
from xdyna.video.clip import Clip, Shown, Size, VideoInfo
from xdyna.video.container import damaged, open_container, read_head
from xdyna.video.decode import av_clip
from xdyna.video.limits import DEFAULT_LIMITS, ReadLimits, TimeBudget
from xdyna.video.webp import is_webp, webp_clip

TIME_TOLERANCE_S = 1e-4  # rounding of the container's time stamps


@dataclass(frozen=True, kw_only=True)
class FrameReader:
    """Part of a clip, to be iterated as often as needed: each pass opens and decodes the file anew.

    A pass yields `(height, width, 3)` uint8 RGB pictures, upright and with square pixels, and holds only the one at
    hand. Frame k is what a player shows at `start_s + k / fps`, by time stamps, so variable frame rates come out
    right. Passes yield equal frames. The clock of `limits.max_read_s` stands still while the caller has a frame.

    Raises, while iterating:
        InputError: the file is damaged or reading takes too long; at the end of a pass, fewer than 2 frames came.

    Attributes:
        path: the file.
        fps: frames per second to take.
        start_s: where to begin, in seconds.
        num_frames: frames at most; a shorter clip gives fewer.
        limits: as checked.
        info: the file's header.
        size: `(height, width)` of every frame.
    """

    path: Path
    fps: float
    start_s: float
    num_frames: int
    limits: ReadLimits
    info: VideoInfo
    size: Size

    @property
    def expected_frames(self) -> int:
        """How many frames come if the header is right; where it is not, fewer or more, up to `num_frames`."""
        if self.info.duration_s is None:
            return self.num_frames
        promised = math.ceil((self.info.duration_s - self.start_s) * self.fps - 1e-6)
        return max(1, min(self.num_frames, promised))

    def __iter__(self) -> Generator[Image, None, None]:
        budget = TimeBudget(self.limits.max_read_s)
        taken = 0
        with _opened(self.path, self.limits, budget) as clip:
            shown = clip.shown(self.size, self.start_s)
            for picture in _resampled(shown, self.fps, self.start_s, self.num_frames):
                taken += 1
                with budget.paused():
                    yield picture
        if taken < 2:
            raise InputError(
                f"The clip gives {taken} frame{'' if taken == 1 else 's'} at {self.fps:g} frames per second from "
                f"{self.start_s:g} s on; at least 2 are needed. Use a longer clip or an earlier start."
            )


def probe(path: Path, *, limits: ReadLimits = DEFAULT_LIMITS) -> VideoInfo:
    """Reads a clip's header and first frame.

    Raises:
        InputError: the file is empty, not a video, damaged, without picture, or over a limit.
    """
    with _opened(path, limits, TimeBudget(limits.max_read_s)) as clip:
        return clip.info


def read_frames(
    path: Path, *, fps: float, start_s: float = 0.0, num_frames: int, limits: ReadLimits = DEFAULT_LIMITS
) -> FrameReader:
    """Opens part of a clip for reading frame by frame, with constant memory.

    Args:
        path: a video file, an animated GIF or an animated WebP.
        fps: frames per second to take.
        start_s: where to begin, in seconds.
        num_frames: frames to read at most; a shorter clip gives fewer.
        limits: on the header, and on what reading may cost.

    Raises:
        InputError: as for `probe`, or more frames are asked for than the limits allow, or none at that start.
    """
    if num_frames > limits.max_frames:
        raise InputError(f"{num_frames} frames asked for; the limit is {limits.max_frames}. Ask for fewer.")
    info = probe(path, limits=limits)
    if info.duration_s is not None and start_s >= info.duration_s:
        raise InputError(
            f"The clip is {info.duration_s:.1f} s long, so it cannot start at {start_s:.1f} s. "
            "Choose an earlier start."
        )
    scale = min(1.0, limits.max_read_side_px / max(info.width, info.height))
    return FrameReader(
        path=path,
        fps=fps,
        start_s=start_s,
        num_frames=num_frames,
        limits=limits,
        info=info,
        size=(round(info.height * scale), round(info.width * scale)),
    )


def read_video(
    path: Path, *, fps: float, start_s: float = 0.0, num_frames: int, limits: ReadLimits = DEFAULT_LIMITS
) -> Video:
    """Reads part of a clip into one array, as `read_frames` gives it; shrunk further where memory needs it.

    Returns:
        `Video` of 2 to `num_frames` frames at `fps`.

    Raises:
        InputError: as for `read_frames` and for a pass over its frames.
    """
    reader = read_frames(path, fps=fps, start_s=start_s, num_frames=num_frames, limits=limits)
    height, width = reader.size
    scale = min(1.0, math.sqrt(limits.max_bytes / (3 * reader.expected_frames * width * height)))
    reader = replace(reader, size=(round(height * scale), round(width * scale)))
    frames = np.empty((num_frames, *reader.size, 3), np.uint8)  # takes memory only where it is filled
    taken = 0
    for taken, picture in enumerate(reader, start=1):
        frames[taken - 1] = picture
    return Video(frames=frames[:taken], fps=fps)


def resize_frames(frames: Frames, size: Size) -> Frames:
    """Resizes whole frames by averaging areas, without cropping.

    Args:
        frames: `(num_frames, height, width, 3)` uint8 RGB.
        size: new `(height, width)`.
    """
    return np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in frames])


@contextmanager
def _opened(path: Path, limits: ReadLimits, budget: TimeBudget) -> Iterator[Clip]:
    if is_webp(read_head(path)):
        try:
            with PIL.Image.open(path, formats=["WEBP"]) as image:
                yield webp_clip(image, limits, budget)
        except PIL.Image.DecompressionBombError as error:
            raise InputError(
                f"The clip's pictures are far too large; the largest size is {limits.largest}. Make it smaller."
            ) from error
        except (OSError, EOFError, SyntaxError) as error:
            raise damaged() from error
    else:
        with open_container(path, limits, budget) as container:
            yield av_clip(container, limits, budget)


def _resampled(shown: Iterator[Shown], fps: float, start_s: float, num_frames: int) -> Iterator[Image]:
    """Yields what is visible at `start_s + k / fps`."""
    taken, current = 0, None
    for following in shown:
        while current and taken < num_frames and start_s + taken / fps < following.begin_s - TIME_TOLERANCE_S:
            yield current.picture()
            taken += 1
        current = following
        if taken == num_frames:
            return
    while current and taken < num_frames and start_s + taken / fps < current.end_s - TIME_TOLERANCE_S:
        yield current.picture()
        taken += 1
