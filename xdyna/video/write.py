"""Writing clips for browsers, and reading back the tags they carry."""

import io
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from xdyna.files import write_whole
from xdyna.schema import Image, Video
from xdyna.video.container import open_container
from xdyna.video.limits import DEFAULT_LIMITS, TimeBudget

CRF = "17"


def write_video(
    path: Path, video: Video, *, metadata: Mapping[str, str] | None = None, sound: bytes | None = None
) -> None:
    """Write an MP4; it appears only once it is complete. See `encode_video`.

    Args:
        path: the file to write.
        video: see `encode_video`.
        metadata: likewise.
        sound: likewise.
    """
    write_whole(path, encode_video(video, metadata=metadata, sound=sound))


def encode_video(video: Video, *, metadata: Mapping[str, str] | None = None, sound: bytes | None = None) -> bytes:
    """Return an MP4 that every browser plays: H.264, yuv420p, AAC, index first.

    H.264 needs even sizes: an odd last column or row is repeated once, so the file is 1 px larger there.

    Args:
        video: frames and rate.
        metadata: container tags that `read_metadata` gives back, such as `comment` and `title`.
        sound: an M4A file as `read_sound` gives it. It begins with the picture and never outlasts it.

    Raises:
        ValueError: a tag holds a null byte.
    """
    out = io.BytesIO()
    # The sound is written first and kept back until the pictures of its time come.
    options = {"movflags": "+faststart", "max_interleave_delta": "0"}
    # To put the index first, FFmpeg opens what it has written a second time.
    with av.open(out, "w", format="mp4", options=options, io_open=lambda *_: _SecondReader(out)) as container:
        for key, value in (metadata or {}).items():
            if "\0" in key + value:
                raise ValueError(f"the tag {key!r} holds a null byte")
            container.metadata[key] = value
        pictures = _picture_stream(container, video)
        if sound is not None:
            _mux_sound(container, sound, len(video) / video.fps)
        for k, picture in enumerate(video.frames):
            frame = _as_frame(picture)
            frame.pts, frame.time_base = k, 1 / pictures.codec_context.framerate
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
    return out.getvalue()


def read_metadata(path: Path) -> dict[str, str]:
    """Reads a clip's container tags, e.g. `comment` and `title`.

    Raises:
        InputError: as for `probe`.
    """
    with open_container(path, DEFAULT_LIMITS, TimeBudget(DEFAULT_LIMITS.max_read_s)) as container:
        return dict(container.metadata)


def _picture_stream(container: OutputContainer, video: Video) -> VideoStream:
    height, width = video.frames.shape[1:3]
    rate = Fraction(video.fps).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate, options={"crf": CRF})
    stream.height, stream.width, stream.pix_fmt = height + height % 2, width + width % 2, "yuv420p"
    # Browsers take untagged HD video for BT.709 and small video for BT.601: convert to one of them and say so.
    context = stream.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _mux_sound(container: OutputContainer, sound: bytes, duration_s: float) -> None:
    """Copies the packets that end within `duration_s`."""
    with av.open(io.BytesIO(sound), "r") as source:
        track = source.streams.audio[0]
        copy = container.add_stream_from_template(track)
        for packet in source.demux(track):
            if packet.pts is None or packet.duration is None:  # the last, empty one
                return
            if (packet.pts + packet.duration) * packet.time_base > duration_s:
                return
            packet.stream = copy
            container.mux(packet)


def _as_frame(picture: Image) -> VideoFrame:
    height, width = picture.shape[:2]
    even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return VideoFrame.from_ndarray(even, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )


class _SecondReader:
    """A file that reads what another one, still being written, holds; each has its own position."""

    def __init__(self, written: io.BytesIO) -> None:
        self._written, self._position = written, 0

    def read(self, size: int) -> bytes:
        content = bytes(self._written.getbuffer()[self._position : self._position + size])
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._written.getbuffer())}
        self._position = begin[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        """Leave the other open."""
