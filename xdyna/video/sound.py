"""The sound of part of a clip, as a small file of its own that can be laid under another picture."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.filter import Graph

from xdyna.video.container import open_container, picture_stream
from xdyna.video.limits import DEFAULT_LIMITS, ReadLimits, TimeBudget

RATE = 48_000
BIT_RATE = 128_000
AAC_FRAME = 1024  # samples
SEEK_AHEAD_S = 1.0  # decoders need a few packets to settle


def read_sound(
    path: Path, *, start_s: float = 0.0, duration_s: float, limits: ReadLimits = DEFAULT_LIMITS
) -> bytes | None:
    """Reads the sound that a player gives between `start_s` and `start_s + duration_s` of the picture.

    Gaps are silent, so the sound keeps in step with the picture. What is damaged is left out: sound never fails a
    clip.

    Args:
        path: the clip.
        start_s: where to begin, on the picture's clock.
        duration_s: seconds to take at most; the sound ends earlier where the clip's does.
        limits: `max_read_s` bounds the time; a clip beyond the others has no sound here.

    Returns:
        A complete M4A file (AAC, 48 kHz stereo, its last packet filled up with silence), or None without sound there.
    """
    try:
        with open_container(path, limits, TimeBudget(limits.max_read_s)) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                return None
            picture = picture_stream(container)
            origin_s = float((picture.start_time or 0) * (picture.time_base or 0))
            from_s = origin_s + start_s
            return _as_m4a(_trimmed(_decoded(container, stream, from_s, from_s + duration_s), from_s, duration_s))
    except ValueError:  # an InputError, or a layout or format that PyAV has no name for
        return None


def _decoded(container: InputContainer, stream: AudioStream, from_s: float, until_s: float) -> Iterator[AudioFrame]:
    """Frames around the part, each with a time; whatever is far away is dropped, lest the gap be filled."""
    tick = stream.time_base or Fraction(1, RATE)
    if from_s > SEEK_AHEAD_S:
        try:
            container.seek(int((from_s - SEEK_AHEAD_S) / tick), stream=stream)
        except av.error.FFmpegError:
            container.seek(0)
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:  # a broken packet is a gap
            continue
        for frame in frames:
            if frame.time is None or frame.time < from_s - 2 * SEEK_AHEAD_S:
                continue
            if frame.time > until_s:
                return
            yield frame


def _trimmed(frames: Iterator[AudioFrame], from_s: float, duration_s: float) -> Iterator[AudioFrame]:
    """Frames of 1024 samples at 48 kHz, the first at `from_s`; only the last may be shorter."""
    graph: Graph | None = None
    kind = None
    for frame in frames:
        if graph is None:
            kind = frame.format.name, frame.layout.name, frame.sample_rate
            graph = _graph(frame, from_s, duration_s)
        elif (frame.format.name, frame.layout.name, frame.sample_rate) != kind:
            break
        graph.push(frame)
        yield from _pulled(graph)
    if graph:
        graph.push(None)
        yield from _pulled(graph)


def _graph(frame: AudioFrame, from_s: float, duration_s: float) -> Graph:
    graph = Graph()
    rate, first = frame.sample_rate, round(from_s * RATE)
    begin = round(min(from_s, frame.time or 0.0) * rate)
    graph.link_nodes(
        graph.add_abuffer(
            sample_rate=rate, format=frame.format.name, layout=frame.layout.name, time_base=frame.time_base
        ),
        # `async` keeps samples at their times: it fills gaps with silence and drops what overlaps. It is a few
        # hundredths of a second off where it changes the rate too, so that comes after it.
        graph.add("aresample", f"osr={rate}:ochl=stereo:osf=fltp:async=1:min_hard_comp=0.05:first_pts={begin}"),
        graph.add("aresample", f"osr={RATE}"),
        graph.add("atrim", f"start_pts={first}:end_pts={first + round(duration_s * RATE)}"),
        graph.add("asetpts", "PTS-STARTPTS"),
        graph.add("asetnsamples", f"n={AAC_FRAME}:p=0"),
        graph.add("abuffersink"),
    ).configure()
    return graph


def _pulled(graph: Graph) -> Iterator[AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if isinstance(frame, AudioFrame):
            yield frame


def _as_m4a(frames: Iterator[AudioFrame]) -> bytes | None:
    out, samples = io.BytesIO(), 0
    with av.open(out, "w", format="ipod") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        stream.bit_rate = BIT_RATE
        for frame in frames:
            container.mux(stream.encode(frame))
            samples += frame.samples
        container.mux(stream.encode(None))
    return out.getvalue() if samples else None
