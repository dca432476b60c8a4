"""Small clips of known content in any format that the ffmpeg binary of imageio-ffmpeg writes."""

import io
import struct
import subprocess
from fractions import Fraction

import av
import imageio_ffmpeg
import numpy as np
import pytest

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()


def write_clip(path, times_ms, size=(96, 64), pixel_aspect=None, codec="libx264", **options):
    """A clip whose frame k is gray level 8 * k, shown from `times_ms[k]`."""
    with av.open(path, "w", options=options) as container:
        stream = container.add_stream(codec, rate=1000)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"qp": "0", "bf": "0"}
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        packets = []
        for k, time_ms in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 8 * k, np.uint8), format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        packets[-1].duration = 100  # what the last frame lasts is written nowhere else
        container.mux(packets)
    return path


def levels(video):
    """Which source frame each frame of a clip from `write_clip` shows."""
    return np.round(video.frames.mean(axis=(1, 2, 3)) / 8).astype(int).tolist()


def ffmpeg(*arguments, data=None):
    """Runs the binary; skips the test where it lacks the encoder."""
    command = [FFMPEG, "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if b"Unknown encoder" in done.stderr:
        pytest.skip(f"this ffmpeg has no such encoder: {done.stderr.decode().strip()}")
    assert done.returncode == 0, done.stderr.decode()


def encode(path, frames, *arguments, fps=10):
    """Encodes `(num_frames, height, width, 3)` uint8 RGB; later inputs and all options go into `arguments`."""
    height, width = frames.shape[1:3]
    pixels = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", fps, "-i", "-")
    ffmpeg(*pixels, *arguments, path, data=np.ascontiguousarray(frames).tobytes())
    return path


def tags(matrix, primaries, transfer, colour_range="tv"):
    """The encoder options that say what the colours mean."""
    names = ("-colorspace", "-color_primaries", "-color_trc", "-color_range")
    return [part for pair in zip(names, (matrix, primaries, transfer, colour_range), strict=True) for part in pair]


def heic(pixels, quarter_turns=0):
    """A HEIC photo of `(height, width, 3)` uint8 RGB: one HEVC picture in the boxes of ISO/IEC 23008-12.

    `quarter_turns` is what a reader has to turn the picture by, counter-clockwise.
    """
    height, width = pixels.shape[:2]
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=1, options={"x265-params": "log-level=none:crf=4:bframes=0"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    clip = out.getvalue()
    place = clip.index(b"hvcC") - 4
    configuration = clip[place : place + struct.unpack(">I", clip[place : place + 4])[0]]
    with av.open(io.BytesIO(clip)) as container:
        picture = bytes(next(packet for packet in container.demux(video=0) if packet.size))

    def box(kind, *parts):
        content = b"".join(parts)
        return struct.pack(">I4s", 8 + len(content), kind) + content

    properties = [configuration, box(b"ispe", struct.pack(">III", 0, width, height))]
    properties += [box(b"irot", bytes([quarter_turns]))] if quarter_turns else []
    item = box(b"infe", struct.pack(">IHH4sx", 2 << 24, 1, 0, b"hvc1"))
    owned = bytes([0x80 | 1 if k == 0 else k + 1 for k in range(len(properties))])
    kinds = box(b"ftyp", b"heic\0\0\0\0mif1heic")

    def meta(offset):
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", struct.pack(">IH", 0, 1)),
            box(b"iloc", struct.pack(">IBBHHHHII", 0, 0x44, 0, 1, 1, 0, 1, offset, len(picture))),
            box(b"iinf", struct.pack(">IH", 0, 1), item),
            box(
                b"iprp",
                box(b"ipco", *properties),
                box(b"ipma", struct.pack(">IIHB", 0, 1, 1, len(properties)), owned),
            ),
        )

    return kinds + meta(len(kinds) + len(meta(0)) + 8) + box(b"mdat", picture)
