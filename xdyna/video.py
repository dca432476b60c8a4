"""Clips on disk: probed, read frame by frame at a chosen rate, and written for browsers."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from uuid import uuid4

import av
import cv2
import numpy as np
import PIL.Image
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from xdyna.schema import Frames, Image, InputError, Video

MAX_PIXELS = 4096 * 2304
MIN_SIDE_PX = 48
MAX_ASPECT = 6
MAX_DURATION_S = 3600.0
MAX_READ_S = 120.0
MAX_READ_SIDE_PX = 1280
MAX_READ_BYTES = 2**30

ACCEPTED = "MP4, MOV, WebM, MKV, AVI, GIF or WebP with 2 frames or more"
# Containers only. FFmpeg also "plays" playlists, which name other files and addresses to open.
CONTAINERS = "mov,mp4,matroska,webm,avi,gif,ogg,mpegts,mpeg,asf,flv"
TIME_TOLERANCE_S = 1e-4  # rounding of the container's time stamps


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


def probe(path: Path) -> VideoInfo:
    """Reads a clip's header and first frame.

    Raises:
        InputError: the file is empty, not a video, damaged, without picture, or over a limit.
    """
    with _opened(path) as clip:
        return clip.info


def read_video(path: Path, *, fps: float, start_s: float = 0.0, num_frames: int) -> Video:
    """Reads part of a clip as it would be seen at another frame rate.

    Frame k is what a player shows at `start_s + k / fps`, by time stamps, so variable frame rates come out right.
    Rotation and non-square pixels are applied. Large pictures are shrunk while reading (longer side at most
    1280 px, and less for long clips), so memory stays bounded.

    Args:
        path: a video file, an animated GIF or an animated WebP.
        fps: frames per second to take.
        start_s: where to begin, in seconds.
        num_frames: frames to read at most; a shorter clip gives fewer.

    Returns:
        `Video` of 2 to `num_frames` frames at `fps`.

    Raises:
        InputError: as for `probe`, or the part holds fewer than 2 frames, or reading takes too long.
    """
    give_up_at = time.monotonic() + MAX_READ_S
    with _opened(path) as clip:
        info = clip.info
        if info.duration_s is not None and start_s >= info.duration_s:
            raise InputError(
                f"The clip is {info.duration_s:.1f} s long, so it cannot start at {start_s:.1f} s. "
                "Choose an earlier start."
            )
        size = _read_size(info, fps, start_s, num_frames)
        frames: list[Image] = []
        for picture in _resampled(clip.shown(size, start_s), fps, start_s, num_frames):
            if time.monotonic() > give_up_at:
                raise InputError(
                    f"Reading the clip took longer than {MAX_READ_S:.0f} s. "
                    "Cut it shorter, or convert it to MP4 (H.264)."
                )
            if picture is not None:
                frames.append(picture)
    if len(frames) < 2:
        raise InputError(
            f"The clip gives {len(frames)} frame{'' if len(frames) == 1 else 's'} at {fps:g} frames per second from "
            f"{start_s:g} s on; at least 2 are needed. Use a longer clip or an earlier start."
        )
    return Video(frames=np.stack(frames), fps=fps)


def write_video(path: Path, video: Video, *, metadata: Mapping[str, str] | None = None) -> None:
    """Writes an MP4 that every browser plays: H.264, yuv420p, index first.

    H.264 needs even sizes: an odd last column or row is repeated once, so the file is 1 px larger there.

    Args:
        path: file to write; it appears only once it is complete.
        video: frames and rate.
        metadata: container tags that `read_metadata` gives back, such as `comment` and `title`.
    """
    from moviepy import ImageSequenceClip

    height, width = video.frames.shape[1:3]
    frames = np.pad(video.frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    tags = [part for key, value in (metadata or {}).items() for part in ("-metadata", f"{key}={value}")]
    # Browsers take untagged HD video for BT.709 and small video for BT.601: convert to one of them and say so.
    colours = ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-color_range", "tv"]
    colours += [part for option in ("-colorspace", "-color_primaries", "-color_trc") for part in (option, "bt709")]
    unfinished = path.with_name(f".{uuid4().hex}.mp4")
    clip = ImageSequenceClip(list(frames), fps=video.fps)
    try:
        clip.write_videofile(
            str(unfinished),
            codec="libx264",
            audio=False,
            pixel_format="yuv420p",
            ffmpeg_params=["-crf", "17", "-movflags", "+faststart", *colours, *tags],
            logger=None,
        )
        os.replace(unfinished, path)
    finally:
        clip.close()
        unfinished.unlink(missing_ok=True)


def read_metadata(path: Path) -> dict[str, str]:
    """Reads a clip's container tags, e.g. `comment` and `title`.

    Raises:
        InputError: as for `probe`.
    """
    with _open_file(path) as container:
        return dict(container.metadata)


def resize_frames(frames: Frames, size: tuple[int, int]) -> Frames:
    """Resizes whole frames by averaging areas, without cropping.

    Args:
        frames: `(num_frames, height, width, 3)` uint8 RGB.
        size: new `(height, width)`.
    """
    return np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in frames])


@dataclass(frozen=True)
class _Shown:
    """A frame on the clip's own clock, which starts at 0; its picture is made when asked for."""

    begin_s: float
    end_s: float
    picture: Callable[[], Image]


@dataclass(frozen=True)
class _Clip:
    """An opened clip: `shown(size, start_s)` gives its frames from the last one at or before `start_s`."""

    info: VideoInfo
    shown: Callable[[tuple[int, int], float], Iterator[_Shown]]


def _read_size(info: VideoInfo, fps: float, start_s: float, num_frames: int) -> tuple[int, int]:
    """`(height, width)` at which the frames of this part fit the limits on side and memory."""
    if info.duration_s is not None:
        num_frames = min(num_frames, math.ceil((info.duration_s - start_s) * fps) + 1)
    scale = min(
        1.0,
        MAX_READ_SIDE_PX / max(info.width, info.height),
        math.sqrt(MAX_READ_BYTES / (3 * num_frames * info.width * info.height)),
    )
    return round(info.height * scale), round(info.width * scale)


def _resampled(shown: Iterator[_Shown], fps: float, start_s: float, num_frames: int) -> Iterator[Image | None]:
    """Yields what is visible at `start_s + k / fps`, and None for every decoded frame, so that the caller can stop."""
    taken, current = 0, None
    for following in shown:
        yield None
        while current and taken < num_frames and start_s + taken / fps < following.begin_s - TIME_TOLERANCE_S:
            yield current.picture()
            taken += 1
        current = following
        if taken == num_frames:
            return
    while current and taken < num_frames and start_s + taken / fps < current.end_s - TIME_TOLERANCE_S:
        yield current.picture()
        taken += 1


@contextmanager
def _opened(path: Path) -> Iterator[_Clip]:
    head = _head(path)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":  # FFmpeg reads still WebP only
        with PIL.Image.open(path, formats=["WEBP"]) as image:
            yield _webp_clip(image)
    else:
        with _open_file(path) as container:
            try:
                yield _av_clip(container)
            except av.error.FFmpegError as error:
                raise _damaged() from error


@contextmanager
def _open_file(path: Path) -> Iterator[InputContainer]:
    """Opens a container through a file object, so that no file name can be taken for an address or a pattern."""
    head = _head(path)
    with open(path, "rb") as file:
        try:
            container = av.open(file, "r", metadata_errors="replace", options={"format_whitelist": CONTAINERS})
        except (av.error.FFmpegError, ValueError) as error:
            if _looks_like_video(head):
                raise _damaged() from error
            raise InputError(f"This is not a video file. Accepted: {ACCEPTED}.") from error
        with container:
            yield container


def _head(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            head = file.read(16)
    except OSError as error:
        raise InputError(f"The clip cannot be opened ({error.strerror}). Upload it again.") from error
    if not head:
        raise InputError("The clip is an empty file (0 bytes). Upload it again.")
    return head


def _looks_like_video(head: bytes) -> bool:
    boxes = (b"ftyp", b"moov", b"mdat", b"wide", b"free")
    return head[4:8] in boxes or head.startswith((b"\x1aE\xdf\xa3", b"OggS", b"GIF8", b"FLV")) or head[8:12] == b"AVI "


def _damaged() -> InputError:
    return InputError("The clip is incomplete or damaged. Upload it again, or convert it to MP4 (H.264).")


def _check_limits(width: int, height: int, duration_s: float | None) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(
            f"The clip is {width} x {height}; the largest size is 4096 x 2304 or as many pixels. Make it smaller."
        )
    if min(width, height) < MIN_SIDE_PX or max(width, height) > MAX_ASPECT * min(width, height):
        raise InputError(
            f"The clip is {width} x {height}; each side must have at least {MIN_SIDE_PX} pixels, "
            f"and one may be at most {MAX_ASPECT} times the other. Use another clip."
        )
    if duration_s is not None and duration_s > MAX_DURATION_S:
        raise InputError(
            f"The clip is {duration_s / 60:.0f} min long; the limit is {MAX_DURATION_S / 60:.0f} min. Cut it shorter."
        )


def _av_clip(container: InputContainer) -> _Clip:
    """Checks limits on the header before the first frame is decoded."""
    if not container.streams.video:
        what = "has sound but no picture" if container.streams.audio else "holds no picture"
        raise InputError(f"The clip {what}. Accepted: {ACCEPTED}.")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise InputError("The clip's codec cannot be read here. Convert it to MP4 (H.264).")
    stream.thread_type = "AUTO"
    duration_s = None
    if stream.duration is not None and stream.time_base:
        duration_s = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        duration_s = container.duration / av.time_base
    _check_limits(stream.width, stream.height, duration_s)
    first = next(container.decode(stream), None)
    if first is None:
        raise _damaged()
    pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height, turn = max(1, round(stream.width * pixel_aspect)), stream.height, round(first.rotation) % 360
    if turn in (90, 270):
        width, height = height, width
    _check_limits(width, height, duration_s)
    info = VideoInfo(
        duration_s=duration_s,
        fps=float(stream.average_rate or stream.guessed_rate or 25),
        width=width,
        height=height,
        codec=stream.codec_context.codec.name,
        has_audio=bool(container.streams.audio),
        rotation=turn,
    )
    return _Clip(info, lambda size, start_s: _av_frames(container, stream, info, size, start_s))


def _av_frames(
    container: InputContainer, stream: VideoStream, info: VideoInfo, size: tuple[int, int], start_s: float
) -> Iterator[_Shown]:
    tick = stream.time_base or Fraction(1, 1000)
    origin = stream.start_time or 0
    container.seek(origin + int(start_s / tick), stream=stream)
    stored = size[::-1] if info.rotation in (90, 270) else size
    end_s = 0.0
    for frame in container.decode(stream):
        begin_s = float((frame.pts - origin) * tick) if frame.pts is not None else end_s
        # The header's rate stands in for a missing duration.
        end_s = begin_s + (float(frame.duration * tick) if frame.duration else 1 / info.fps)
        yield _Shown(begin_s, end_s, partial(_picture, frame, stored, info.rotation))
    if info.duration_s is not None and end_s < min(0.9 * info.duration_s, info.duration_s - 1):
        raise _damaged()


def _picture(frame: VideoFrame, stored: tuple[int, int], rotation: int) -> Image:
    """`(height, width, 3)` uint8 RGB, upright, from a frame scaled to `stored` before it is turned."""
    height, width = stored
    rgb = frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")
    return np.ascontiguousarray(np.rot90(rgb, rotation // 90))


def _webp_clip(image: PIL.Image.Image) -> _Clip:
    width, height = image.size
    num_frames = getattr(image, "n_frames", 1)
    _check_limits(width, height, None)
    info = VideoInfo(duration_s=None, fps=25.0, width=width, height=height, codec="webp", has_audio=False, rotation=0)

    def shown(size: tuple[int, int], start_s: float) -> Iterator[_Shown]:
        end_s = 0.0
        for k in range(num_frames):
            image.seek(k)
            picture = image.convert("RGB").resize(size[::-1], PIL.Image.Resampling.BOX)
            begin_s, end_s = end_s, end_s + max(image.info.get("duration", 0), 10) / 1000
            yield _Shown(begin_s, end_s, partial(np.asarray, picture))

    return _Clip(info, shown)
