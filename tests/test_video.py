import json
import os
import struct
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import PIL.Image
import pytest
from clock import Clock
from media import encode, ffmpeg, levels, write_clip

from xdyna.schema import InputError, Video
from xdyna.video import ReadLimits, probe, read_frames, read_metadata, read_video, resize_frames, write_video


@pytest.mark.parametrize(
    ("times_ms", "request_", "expected"),
    [
        pytest.param(range(0, 800, 100), {"fps": 10, "num_frames": 99}, [0, 1, 2, 3, 4, 5, 6, 7], id="same rate"),
        pytest.param(range(0, 800, 100), {"fps": 5, "num_frames": 99}, [0, 2, 4, 6], id="half the rate"),
        pytest.param(range(0, 300, 100), {"fps": 20, "num_frames": 99}, [0, 0, 1, 1, 2, 2], id="twice the rate"),
        pytest.param(range(0, 800, 100), {"fps": 10, "num_frames": 3}, [0, 1, 2], id="first three"),
        pytest.param(
            range(0, 800, 100), {"fps": 10, "num_frames": 3, "start_s": 0.4}, [4, 5, 6], id="from the middle"
        ),
        pytest.param(
            range(0, 800, 100), {"fps": 10, "num_frames": 9, "start_s": 0.65}, [6, 7], id="between two frames"
        ),
        pytest.param(
            [0, 50, 100, 600, 1100, 1150, 1200], {"fps": 4, "num_frames": 99}, [0, 2, 2, 3, 3, 6], id="variable rate"
        ),
    ],
)
def test_frames_are_taken_by_time_stamp(tmp_path, times_ms, request_, expected):
    video = read_video(write_clip(tmp_path / "clip.mp4", times_ms), **request_)
    assert levels(video) == expected
    assert video.fps == request_["fps"]


def test_non_square_pixels_are_widened(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", range(0, 300, 100), size=(96, 64), pixel_aspect=Fraction(2))
    assert (probe(path).height, probe(path).width) == (96, 128)
    assert read_video(path, fps=10, num_frames=2).frames.shape == (2, 96, 128, 3)


@pytest.mark.parametrize(("turn", "corner"), [(90, (0, 0)), (180, (-1, 0)), (270, (-1, -1))])
def test_rotation_of_phones_is_applied(tmp_path, turn, corner):
    """The player turns the stored picture counter-clockwise; its bright top right corner goes along."""
    frames = np.zeros((3, 96, 160, 3), np.uint8)
    frames[:, :48, 80:] = 255
    write_video(tmp_path / "flat.mp4", Video(frames=frames, fps=10))
    ffmpeg("-display_rotation", turn, "-i", tmp_path / "flat.mp4", "-c", "copy", tmp_path / "clip.mp4")
    info, video = probe(tmp_path / "clip.mp4"), read_video(tmp_path / "clip.mp4", fps=10, num_frames=2)
    assert info.rotation == turn
    assert (info.height, info.width) == video.frames.shape[1:3] == ((96, 160) if turn == 180 else (160, 96))
    corners = {(y, x): int(video.frames[0, y, x].mean()) for y in (0, -1) for x in (0, -1)}
    assert max(corners, key=corners.get) == corner


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        pytest.param((-1, 0, 0, 1), (0, 0), id="left is right, as front cameras write it"),
        pytest.param((1, 0, 0, -1), (-1, -1), id="top is bottom"),
        pytest.param((0, 1, 1, 0), (-1, 0), id="rows are columns"),
        pytest.param((0, 0, 0, 0), (0, -1), id="nonsense: as it is"),
    ],
)
def test_mirrored_clips_are_shown_as_players_do(tmp_path, matrix, corner):
    """`matrix` says where a step to the right and a step down of the stored picture go (ISO/IEC 14496-12, 8.3.2)."""
    frames = np.zeros((3, 96, 160, 3), np.uint8)
    frames[:, :48, 80:] = 255
    write_video(tmp_path / "clip.mp4", Video(frames=frames, fps=10))
    clip = bytearray((tmp_path / "clip.mp4").read_bytes())
    right_x, right_y, down_x, down_y = (65536 * step for step in matrix)
    struct.pack_into(">5i", clip, clip.index(b"tkhd") + 44, right_x, right_y, 0, down_x, down_y)
    (tmp_path / "clip.mp4").write_bytes(clip)
    picture = read_video(tmp_path / "clip.mp4", fps=10, num_frames=2).frames[0]
    corners = {(y, x): int(picture[y, x].mean()) for y in (0, -1) for x in (0, -1)}
    assert max(corners, key=corners.get) == corner


def test_large_pictures_are_shrunk_while_reading(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", range(0, 300, 100), size=(1080, 1920))
    assert read_video(path, fps=10, num_frames=2).frames.shape == (2, 720, 1280, 3)


@pytest.mark.parametrize("name", ["clip.gif", "clip.webp"])
def test_animated_pictures_are_clips(tmp_path, name):
    pictures = [PIL.Image.new("RGB", (64, 96), (8 * k, 8 * k, 8 * k)) for k in range(6)]
    pictures[0].save(tmp_path / name, save_all=True, append_images=pictures[1:], duration=100, loop=0, lossless=True)
    assert levels(read_video(tmp_path / name, fps=10, num_frames=99)) == [0, 1, 2, 3, 4, 5]


def test_probe_reads_the_header(tmp_path):
    info = probe(write_clip(tmp_path / "clip.mp4", range(0, 1000, 100)))
    assert (info.width, info.height, info.codec, info.has_audio, info.rotation) == (64, 96, "h264", False, 0)
    assert info.fps == pytest.approx(10, rel=0.2)
    assert info.duration_s == pytest.approx(1, abs=0.11)


def empty(path):
    path.write_bytes(b"")


def text(path):
    path.write_text("A clip, honestly.\n" * 40)


def playlist(path):
    other = write_clip(path.with_name("other.mp4"), range(0, 500, 100))
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{other}\n#EXT-X-ENDLIST\n")


def concat_list(path):
    other = write_clip(path.with_name("other.mp4"), range(0, 500, 100))
    path.write_text(f"ffconcat version 1.0\nfile {other.name}\n")


def photo(path):
    PIL.Image.new("RGB", (64, 96)).save(path, format="JPEG")


def no_index(path):
    write_clip(path, range(0, 3000, 100))
    path.write_bytes(path.read_bytes()[:-1500])


def half(path):
    frames = np.random.default_rng(0).integers(0, 255, (40, 96, 64, 3), np.uint8)
    write_video(path, Video(frames=frames, fps=10))  # index first, so only pictures are cut off
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def sound(path):
    with av.open(path, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def one_frame(path):
    write_clip(path, [0])


def huge(path):
    with av.open(path, "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 6000, 6000, "yuvj420p"
        frame = av.VideoFrame(6000, 6000, "yuvj420p")
        container.mux(stream.encode(frame))


def hours(path):
    write_clip(path, [0, 8_000_000, 16_000_000])


def strip(path):
    write_clip(path, [0, 100, 200], size=(64, 640))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (empty, "empty file"),
        (text, "not a video"),
        (playlist, "not a video"),
        (concat_list, "not a video"),
        (photo, "not a video"),
        (no_index, "incomplete or damaged"),
        (half, "incomplete or damaged"),
        (sound, "sound but no picture"),
        (one_frame, "gives 1 frame"),
        (huge, r"6000 x 6000 pixels; the largest size is 9\.4 million pixels, such as 4096 x 2304"),
        (hours, "min long; the limit is 60 min"),
        (strip, "640 x 64; each side"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_unusable_clips_are_refused_in_plain_words(tmp_path, build, message):
    build(tmp_path / "clip.mp4")
    with pytest.raises(InputError, match=message):
        read_video(tmp_path / "clip.mp4", fps=8, num_frames=600)


def test_a_start_after_the_end_is_refused(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", range(0, 500, 100))
    with pytest.raises(InputError, match=r"cannot start at 7\.0 s"):
        read_video(path, fps=8, start_s=7, num_frames=4)


@pytest.mark.parametrize("name", ["%03d.mp4", "-i.mp4", "http:clip.mp4", "clip 空 👩‍🚀.mp4", "no extension"])
def test_file_names_are_only_names(tmp_path, name):
    os.replace(write_clip(tmp_path / "clip.mp4", range(0, 500, 100)), tmp_path / name)
    assert levels(read_video(tmp_path / name, fps=10, num_frames=99)) == [0, 1, 2, 3, 4]


def smooth_clip(num_frames, height, width):
    y, x, t = np.mgrid[:height, :width, :num_frames].astype(np.float32)
    wave = [127 + 100 * np.sin(x / 9 + t / 3 + c) * np.cos(y / 11) for c in range(3)]
    return np.stack(wave, axis=-1).transpose(2, 0, 1, 3).astype(np.uint8)


def test_a_written_clip_plays_everywhere_and_reads_back(tmp_path):
    frames = smooth_clip(12, 96, 64)
    write_video(tmp_path / "out.mp4", Video(frames=frames, fps=12.0))
    with av.open(tmp_path / "out.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, float(stream.average_rate)) == ("h264", "yuv420p", 12)
        assert not container.streams.audio
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # a browser can start before it has everything
    back = read_video(tmp_path / "out.mp4", fps=12, num_frames=99).frames
    assert back.shape == frames.shape
    error = back.astype(np.float32) - frames
    assert 10 * np.log10(255**2 / (error**2).mean()) > 35
    assert os.listdir(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize("colour", [(220, 60, 40), (40, 200, 90), (60, 80, 220), (250, 250, 250), (5, 5, 5)])
def test_written_colours_are_the_same_when_read(tmp_path, colour):
    frames = np.full((3, 64, 64, 3), colour, np.uint8)
    write_video(tmp_path / "out.mp4", Video(frames=frames, fps=8))
    back = read_video(tmp_path / "out.mp4", fps=8, num_frames=3).frames
    assert np.abs(back.astype(int) - frames).max() <= 3


@pytest.mark.parametrize(("height", "width", "padded"), [(97, 64, (98, 64)), (96, 65, (96, 66)), (97, 65, (98, 66))])
def test_odd_sizes_repeat_the_last_row_or_column(tmp_path, height, width, padded):
    frames = smooth_clip(4, height, width)
    write_video(tmp_path / "out.mp4", Video(frames=frames, fps=8))
    back = read_video(tmp_path / "out.mp4", fps=8, num_frames=99).frames
    assert back.shape == (4, *padded, 3)
    assert np.abs(back[:, :height, :width].astype(int) - frames).mean() < 4


def test_tags_travel_in_the_file(tmp_path):
    tags = {
        "title": "Tänzer 👩‍🚀",
        "comment": json.dumps({"seed": 7, "prompt": 'a "quote"; $(x)\nline', "n": [1] * 500}),
    }
    write_video(tmp_path / "out.mp4", Video(frames=smooth_clip(3, 64, 64), fps=8), metadata=tags)
    assert tags.items() <= read_metadata(tmp_path / "out.mp4").items()


def test_a_failed_write_leaves_nothing(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"the previous result")
    with pytest.raises(ValueError, match="null byte"):
        write_video(tmp_path / "out.mp4", Video(frames=smooth_clip(3, 64, 64), fps=8), metadata={"title": "a\0b"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"out.mp4": b"the previous result"}


@pytest.mark.parametrize("size", [(112, 64), (64, 112)])
def test_resizing_equals_the_official_program(golden, size):
    expected = np.load(golden / "k_control_clip_resize.npz")
    resized = resize_frames(expected["input"], size).astype(int)
    assert np.abs(resized - expected[f"output_h{size[0]}_w{size[1]}"]).max() <= 1


def test_frames_are_read_one_at_a_time_and_again(tmp_path):
    reader = read_frames(write_clip(tmp_path / "clip.mp4", range(0, 800, 100)), fps=10, start_s=0.2, num_frames=99)
    assert (reader.info.codec, reader.size, reader.expected_frames) == ("h264", (96, 64), 6)
    first, second = list(reader), list(reader)
    assert [round(frame.mean() / 8) for frame in first] == [2, 3, 4, 5, 6, 7]
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert first[0].flags.writeable and first[0].flags.c_contiguous


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
def test_a_pass_left_early_closes_the_file(tmp_path):
    reader = read_frames(write_clip(tmp_path / "clip.mp4", range(0, 800, 100)), fps=10, num_frames=99)
    before = open_files()
    frames = iter(reader)
    next(frames)
    assert open_files() > before
    frames.close()
    assert open_files() == before


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux's own account of memory")
def test_memory_does_not_grow_with_the_clip(tmp_path):
    """1000 frames of 640 x 360 are 690 MB as pixels."""
    code = """if True:
        import sys
        from pathlib import Path
        from xdyna.video import read_frames
        peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
        frames = iter(read_frames(sys.argv[1], fps=25, num_frames=1000))
        for _ in range(50):
            next(frames)
        settled = peak()
        assert sum(1 for _ in frames) == 950
        print(peak() - settled)
    """
    noise = np.random.default_rng(0).integers(0, 255, (1, 360, 640, 3), np.uint8)
    path = encode(tmp_path / "clip.mp4", noise, "-vf", "loop=999:1", "-c:v", "libx264", "-preset", "ultrafast", fps=25)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 50_000  # kB


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (ReadLimits(max_pixels=96 * 64 - 1), "64 x 96 pixels; the largest size is"),
        (ReadLimits(min_side_px=65), "at least 65 pixels"),
        (ReadLimits(max_aspect=1.4), "at most 1.4 times the other"),
        (ReadLimits(max_duration_s=0.5), "the limit is 0.00833333 min"),
        (ReadLimits(max_frames=5), "6 frames asked for; the limit is 5"),
        (ReadLimits(max_read_s=0), "took longer than 0 s"),
    ],
)
def test_limits_are_settings(tmp_path, limits, message):
    path = write_clip(tmp_path / "clip.mp4", range(0, 800, 100))
    with pytest.raises(InputError, match=message):
        read_frames(path, fps=10, num_frames=6, limits=limits)


def test_sizes_as_read_are_settings(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", range(0, 800, 100))
    assert read_frames(path, fps=10, num_frames=6, limits=ReadLimits(max_read_side_px=48)).size == (48, 32)
    small = read_video(path, fps=10, num_frames=6, limits=ReadLimits(max_bytes=6 * 48 * 32 * 3))
    assert small.frames.shape == (6, 48, 32, 3)


def test_time_is_limited_where_nothing_is_decoded(tmp_path, monkeypatch):
    """A long first stretch is read and thrown away before the frame at the start is reached."""
    noise = np.random.default_rng(0).integers(0, 255, (1, 360, 640, 3), np.uint8)
    one_key_frame = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "9999", "-sc_threshold", "0"]
    path = encode(tmp_path / "clip.mp4", noise, "-vf", "loop=1999:1", *one_key_frame, fps=25)
    clock = Clock()
    monkeypatch.setattr("xdyna.video.limits.time", clock)
    reader = read_frames(path, fps=25, start_s=79, num_frames=10, limits=ReadLimits(max_read_s=100))
    clock.tick = 1.0
    with pytest.raises(InputError, match="took longer than 100 s"):
        next(iter(reader))


def test_the_callers_time_does_not_count(tmp_path, monkeypatch):
    path, clock = write_clip(tmp_path / "clip.mp4", range(0, 2000, 100)), Clock()
    monkeypatch.setattr("xdyna.video.limits.time", clock)
    count = 0
    for _ in read_frames(path, fps=10, num_frames=20, limits=ReadLimits(max_read_s=0.5)):
        clock.now += 0.1
        count += 1
    assert count == 20
