"""Decoding with FFmpeg: from an opened container to upright RGB pictures with times."""

import math
import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from xdyna.schema import Image, InputError
from xdyna.video.clip import Clip, Shown, Size, VideoInfo
from xdyna.video.container import damaged, picture_stream
from xdyna.video.limits import ReadLimits, TimeBudget

MAX_THREADS = 4  # each holds frames of its own
MAX_BROKEN_PACKETS = 25  # players skip a few
HDR = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)  # PQ and HLG
UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED


def av_clip(container: InputContainer, limits: ReadLimits, budget: TimeBudget) -> Clip:
    """A clip decoded by FFmpeg. Checks limits on the header before the first frame is decoded.

    Raises:
        InputError: no picture, an unknown codec, a limit, or damage.
    """
    stream = picture_stream(container)
    if stream.codec_context is None:
        raise InputError("The clip's codec cannot be read here. Convert it to MP4 (H.264).")
    stream.thread_type = "AUTO"
    stream.codec_context.thread_count = min(MAX_THREADS, os.cpu_count() or 1)
    # A stream can contradict its header later on.
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    duration_s = _duration_s(container, stream)
    limits.check(stream.width, stream.height, duration_s)
    decoded = _decoded(container, stream, budget)
    first = next(decoded, None)
    if first is None:
        raise damaged()
    pixel_aspect = stream.sample_aspect_ratio or Fraction(1)
    width, height = max(1, round(stream.width * pixel_aspect)), stream.height
    turn, mirrored = _orientation(first)
    if turn in (90, 270):
        width, height = height, width
    limits.check(width, height, duration_s)
    info = VideoInfo(
        duration_s=duration_s,
        fps=float(stream.average_rate or stream.guessed_rate or 25),
        width=width,
        height=height,
        codec=stream.codec_context.codec.name,
        has_audio=bool(container.streams.audio),
        rotation=turn,
    )

    def shown(size: Size, start_s: float) -> Iterator[Shown]:
        painter = _Painter(size, turn, mirrored)
        for begin_s, end_s, frame in _from_start(container, stream, info, chain([first], decoded), start_s, budget):
            yield Shown(begin_s, end_s, partial(painter, frame))

    return Clip(info, shown)


def _orientation(frame: VideoFrame) -> tuple[int, bool]:
    """How a player lays the picture out: flipped top to bottom or not, then turned counter-clockwise by quarters.

    The frame's own `rotation` would show the mirrored pictures of front cameras upside down.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return 0, False
    across_x, across_y, _, down_x, down_y = struct.unpack_from("=5i", bytes(matrix))
    turn = -90 * round(math.degrees(math.atan2(across_y, across_x)) / 90) % 360
    return turn, across_x * down_y < across_y * down_x


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        # Matroska states when the last frame ends, also where the first does not begin at 0.
        begin = max(0, container.start_time or 0) if "matroska" in container.format.name else 0
        return (container.duration - begin) / av.time_base
    return None


def _decoded(container: InputContainer, stream: VideoStream, budget: TimeBudget) -> Iterator[VideoFrame]:
    """All frames from here on, skipping a few broken packets."""
    broken = 0
    for packet in container.demux(stream):
        budget.check()
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            broken += 1
            if broken > MAX_BROKEN_PACKETS:
                raise
            continue
        yield from frames


def _from_start(
    container: InputContainer,
    stream: VideoStream,
    info: VideoInfo,
    decoded: Iterator[VideoFrame],
    start_s: float,
    budget: TimeBudget,
) -> Iterator[tuple[float, float, VideoFrame]]:
    """Begin, end and frame, from the last one at or before `start_s`; `decoded` begins with the clip."""
    tick = stream.time_base or Fraction(1, 1000)
    origin = stream.start_time or 0
    if start_s > 0:
        try:
            container.seek(origin + int(start_s / tick), stream=stream)
        except av.error.FFmpegError:  # cannot seek: read from the beginning
            pass
        else:
            sought = _decoded(container, stream, budget)
            landed = next(sought, None)
            if landed is not None and landed.pts is not None and (landed.pts - origin) * tick <= start_s:
                decoded = chain([landed], sought)
            else:  # past the start, or who knows where: some containers have no usable index
                container.seek(min(0, origin), stream=stream)
                decoded = _decoded(container, stream, budget)
    end_s = 0.0
    for frame in _deinterlaced(decoded):
        unit = frame.time_base or tick
        begin_s = float(frame.pts * unit - origin * tick) if frame.pts is not None else end_s
        # The header's rate stands in for a missing duration.
        end_s = begin_s + (float(frame.duration * unit) if frame.duration else 1 / info.fps)
        yield begin_s, end_s, frame
    if info.duration_s is not None and end_s < min(0.9 * info.duration_s, info.duration_s - 1):
        raise damaged()


def _deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Merges the two fields of interlaced frames (bwdif); progressive frames pass as they are."""
    graph: Graph | None = None
    kind = None
    for frame in frames:
        if graph is None and not frame.interlaced_frame:
            yield frame
            continue
        if graph is None or (frame.width, frame.height, frame.format.name) != kind:
            if graph:
                yield from _flushed(graph)
            kind = frame.width, frame.height, frame.format.name
            graph = _deinterlacer(frame)
        graph.vpush(frame)
        yield from _pulled(graph)
    if graph:
        yield from _flushed(graph)


def _deinterlacer(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        graph.add("bwdif", mode="send_frame", deint="interlaced"),
        graph.add("buffersink"),
    ).configure()
    return graph


def _flushed(graph: Graph) -> Iterator[VideoFrame]:
    graph.vpush(None)
    yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            yield graph.vpull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


class _Painter:
    """Makes `(height, width, 3)` uint8 RGB pictures, upright, in sRGB, on white where a frame is transparent."""

    def __init__(self, size: Size, rotation: int, mirrored: bool) -> None:
        self._height, self._width = size[::-1] if rotation in (90, 270) else size
        self._quarter_turns, self._mirrored = rotation // 90, mirrored
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame: those for HDR take seconds

    def __call__(self, frame: VideoFrame) -> Image:
        alpha = any(component.is_alpha for component in frame.format.components)
        scaled = self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format="rgba" if alpha else "rgb24",
            interpolation="AREA",
            **_colours(frame),
        )
        pixels = scaled.to_ndarray()
        if alpha:
            opacity = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)
        return np.ascontiguousarray(np.rot90(pixels[::-1] if self._mirrored else pixels, self._quarter_turns))


def _colours(frame: VideoFrame) -> dict[str, Any]:
    """How swscale shall take the colours, beyond what the frame says itself."""
    if frame.color_trc in HDR:
        return {"dst_color_trc": ColorTrc.IEC61966_2_1, "dst_color_primaries": ColorPrimaries.BT709}
    if frame.format.name.startswith("yuv") and frame.colorspace == UNSPECIFIED:
        # As players do: untagged HD is BT.709, smaller is BT.601.
        high_definition = frame.width >= 1280 or frame.height > 576
        return {"src_colorspace": Colorspace.ITU709 if high_definition else Colorspace.ITU601}
    return {}
