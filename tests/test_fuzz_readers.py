"""Damaged files of every format: an answer or an InputError, in time, and no decoder takes the process down."""

import io
import random

import numpy as np
import PIL.Image
import pytest
from media import encode, heic
from reading import ReadingProcess

CASES = 500
LIMIT_S = 5
PHOTOS = {
    "jpeg": ("JPEG", {}),
    "progressive jpeg": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "gif": ("GIF", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "bmp": ("BMP", {}),
    "avif": ("AVIF", {}),
}
CLIPS = {
    "h264.mp4": ["-c:v", "libx264", "-c:a", "aac"],
    "hevc.mov": ["-c:v", "libx265", "-x265-params", "log-level=none", "-c:a", "pcm_s16le"],
    "vp9.webm": ["-c:v", "libvpx-vp9", "-c:a", "libopus"],
    "av1.mkv": ["-c:v", "libsvtav1", "-c:a", "flac"],
    "mpeg4.avi": ["-c:v", "mpeg4", "-c:a", "libmp3lame"],
    "h264.ts": ["-c:v", "libx264", "-c:a", "aac"],
    "plain.gif": [],
    "anim.webp": ["-c:v", "libwebp_anim"],
    "h264.flv": ["-c:v", "libx264", "-c:a", "aac"],
}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """`(what reads it, name, content)` of small valid files."""
    folder = tmp_path_factory.mktemp("seeds")
    y, x = np.mgrid[:96, :80]
    pixels = np.stack([2 * x, 2 * y, 128 + 60 * np.sin(x * y / 99)], axis=-1).astype(np.uint8)
    found = [("photo", "heic", heic(pixels))]
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for name, (kind, options) in PHOTOS.items():
        out = io.BytesIO()
        tagged = {"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "AVIF") else {}
        PIL.Image.fromarray(pixels).save(out, kind, **options, **tagged)
        found.append(("photo", name, out.getvalue()))
    frames = np.stack([np.roll(pixels, 5 * k, axis=1) for k in range(8)])
    for name, options in CLIPS.items():
        with_sound = ["-f", "lavfi", "-i", "sine=440:d=0.8:r=48000"] if "-c:a" in options else []
        found.append(("clip", name, encode(folder / name, frames, *with_sound, *options).read_bytes()))
    return found


def damaged(content, other, rng):
    """One to three kinds of damage; headers are hit as often as everything else."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        area = min(len(data), rng.choice([64, 512, len(data)]))
        begin = rng.randrange(max(1, area))
        length = rng.randint(1, 64)
        kind = rng.choice(["bytes", "bits", "cut", "splice", "zeros", "ones", "repeat", "remove", "number"])
        if kind == "bytes":
            for _ in range(length):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == "bits":
            for _ in range(length):
                data[rng.randrange(max(1, area))] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[rng.randrange(1, len(data) + 1) :]
        elif kind == "splice":
            source = rng.randrange(len(other))
            data[begin : begin + length] = other[source : source + rng.randint(1, 2000)]
        elif kind == "repeat":
            data[begin:begin] = data[begin : begin + length] * rng.randint(1, 50)
        elif kind == "remove":
            del data[begin : begin + length]
        else:
            filler = {"zeros": bytes(length), "ones": b"\xff" * length}.get(
                kind, rng.choice([b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"\x80\x00"])
            )
            data[begin : begin + len(filler)] = filler
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def test_damaged_files_do_no_harm(seeds, tmp_path):
    rng = random.Random(20250110)
    process = ReadingProcess(tmp_path / "temporary")
    refused = 0
    try:
        for case in range(CASES):
            kind, name, content = seeds[case % len(seeds)]
            path = tmp_path / "upload"
            path.write_bytes(damaged(content, rng.choice(seeds)[2], rng))
            for reader in (kind, "sound") if kind == "clip" and case % 3 == 0 else (kind,):
                try:
                    answer = process.read(reader, path)
                except AssertionError as error:
                    pytest.fail(f"case {case}, {name} read as {reader}: {error}")
                assert answer["seconds"] < LIMIT_S, f"case {case}, {name} read as {reader}"
                refused += "message" in answer
        assert answer["peak_mb"] < 1500
        assert process.leftovers() == []
    finally:
        process.close()
    assert CASES / 10 < refused < CASES  # damage that is never noticed, or always, would test little
