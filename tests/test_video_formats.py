"""Whatever a phone, a camera or a browser writes comes out as the same pictures."""

import av
import numpy as np
import PIL.Image
import pytest
from media import encode, ffmpeg, tags

from xdyna.schema import InputError
from xdyna.video import probe, read_video

COLOUR = (200, 80, 50)
NUM_FRAMES = 10


def known(height=96, width=160):
    """A colour on the left; on the right a gray that gets lighter by 20 from frame to frame."""
    frames = np.empty((NUM_FRAMES, height, width, 3), np.uint8)
    frames[:, :, : width // 2] = COLOUR
    frames[:, :, width // 2 :] = 20 + 20 * np.arange(NUM_FRAMES)[:, None, None, None]
    return frames


def colours(frames):
    """`(n, 3)` of the left half and `(n,)` of the right, away from edges."""
    height, width = frames.shape[1:3]
    rows = slice(height // 4, -(height // 4))
    left, right = frames[:, rows, width // 8 : width * 3 // 8], frames[:, rows, width * 5 // 8 : width * 7 // 8]
    return left.mean(axis=(1, 2)), right.mean(axis=(1, 2, 3))


def matrix(name, colour_range="tv"):
    return ["-vf", f"scale=out_color_matrix={name}:out_range={colour_range}"]


X264 = ["-c:v", "libx264", "-crf", "10"]
X265 = ["-c:v", "libx265", "-x265-params", "log-level=none:crf=10"]
BT709 = [*matrix("bt709"), *tags("bt709", "bt709", "bt709")]


@pytest.mark.parametrize(
    ("name", "codec", "arguments"),
    [
        ("a.mp4", "h264", [*X264, *BT709, "-pix_fmt", "yuv420p"]),
        ("a.mov", "h264", [*X264, *BT709, "-pix_fmt", "yuv420p"]),
        ("a.mkv", "h264", [*X264, *BT709, "-pix_fmt", "yuv444p"]),
        ("a.mp4", "h264", [*X264, *BT709, "-pix_fmt", "yuv420p10le"]),
        ("a.mp4", "h264", [*X264, *BT709, "-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov"]),
        ("a.ts", "h264", [*X264, *BT709, "-pix_fmt", "yuv420p"]),
        ("a.flv", "h264", [*X264, *BT709, "-pix_fmt", "yuv420p"]),
        ("a.mp4", "hevc", [*X265, *BT709, "-pix_fmt", "yuv420p", "-tag:v", "hvc1"]),
        ("a.mov", "hevc", [*X265, *BT709, "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1"]),
        ("a.webm", "libvpx-vp9|vp9", ["-c:v", "libvpx-vp9", "-crf", "10", *BT709, "-pix_fmt", "yuv420p"]),
        ("a.webm", "libvpx-vp9|vp9", ["-c:v", "libvpx-vp9", "-crf", "10", *BT709, "-pix_fmt", "yuv420p10le"]),
        ("a.webm", "libvpx|vp8", ["-c:v", "libvpx", "-crf", "5", "-b:v", "2M", *matrix("bt601")]),
        ("a.mp4", "libdav1d|av1", ["-c:v", "libsvtav1", "-crf", "10", *BT709, "-pix_fmt", "yuv420p10le"]),
        ("a.mkv", "libdav1d|av1", ["-c:v", "libsvtav1", "-crf", "10", *BT709, "-pix_fmt", "yuv420p"]),
        ("a.avi", "mpeg4", ["-c:v", "mpeg4", "-q:v", "1", *matrix("bt601")]),
        ("a.mp4", "mpeg4", ["-c:v", "mpeg4", "-q:v", "1", *matrix("bt601")]),
        ("a.avi", "mjpeg", ["-c:v", "mjpeg", "-q:v", "1", *matrix("bt601", "pc"), "-pix_fmt", "yuvj420p"]),
        ("a.mpg", "mpeg2video", ["-r", "25", "-c:v", "mpeg2video", "-q:v", "1", *matrix("bt601")]),
        ("a.wmv", "wmv2", ["-c:v", "wmv2", "-q:v", "1", *matrix("bt601")]),
        ("a.mov", "prores", ["-c:v", "prores_ks", *BT709, "-pix_fmt", "yuv422p10le"]),
        ("a.gif", "gif", ["-vf", "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none"]),
        ("a.webp", "webp", ["-c:v", "libwebp_anim", "-lossless", "1", "-loop", "0"]),
    ],
)
def test_every_format_gives_the_same_pictures(tmp_path, name, codec, arguments):
    path = encode(tmp_path / name, known(), *arguments)
    assert probe(path).codec in codec.split("|")
    left, right = colours(read_video(path, fps=10, num_frames=NUM_FRAMES).frames)
    assert np.abs(right - (20 + 20 * np.arange(NUM_FRAMES))).max() < 6
    assert np.abs(left - COLOUR).max() < 6


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        pytest.param([*matrix("bt601"), *tags("smpte170m", "smpte170m", "smpte170m")], (96, 160), id="BT.601"),
        pytest.param([*matrix("bt709"), *tags("bt709", "bt709", "bt709")], (96, 160), id="BT.709"),
        pytest.param([*matrix("bt709", "pc"), *tags("bt709", "bt709", "bt709", "pc")], (96, 160), id="full range"),
        pytest.param([*matrix("bt601", "pc"), "-pix_fmt", "yuvj420p"], (96, 160), id="full range, old style"),
        pytest.param(matrix("bt601"), (96, 160), id="untagged"),
        pytest.param([*matrix("bt709"), "-colorspace", "2"], (720, 1280), id="untagged HD"),
        pytest.param(
            [*matrix("bt2020"), *tags("bt2020nc", "bt709", "bt709"), "-pix_fmt", "yuv420p10le"],
            (96, 160),
            id="BT.2020 matrix, 10 bit",
        ),
    ],
)
def test_levels_and_matrices_are_those_of_the_file(tmp_path, arguments, size):
    pixels = [] if "-pix_fmt" in arguments else ["-pix_fmt", "yuv420p"]
    path = encode(tmp_path / "a.mp4", known(*size)[:3], *X264, *arguments, *pixels)
    left, right = colours(read_video(path, fps=10, num_frames=3).frames)
    assert np.abs(left - COLOUR).max() < 5
    assert np.abs(right - [20, 40, 60]).max() < 5


@pytest.mark.parametrize(("transfer", "tolerance"), [("smpte2084", 8), ("arib-std-b67", 16)])
def test_hdr_becomes_the_ordinary_colours(tmp_path, transfer, tolerance):
    """PQ and HLG, as new phones record. Without conversion the colour comes out as a dull (120, 95, 75)."""
    to_hdr = f"zscale=pin=709:tin=iec61966-2-1:min=gbr:rin=pc:p=2020:t={transfer}:m=2020_ncl:r=tv:npl=203"
    options = ["-vf", f"{to_hdr},format=yuv420p10le", *X265, *tags("bt2020nc", "bt2020", transfer)]
    path = encode(tmp_path / "a.mp4", known()[:4], *options)
    left, _ = colours(read_video(path, fps=10, num_frames=4).frames)
    assert np.abs(left - COLOUR).max() < tolerance


def test_interlaced_fields_are_merged(tmp_path):
    """A bright bar moves by 8 px from field to field: woven, its edges are combs."""
    fields = np.full((24, 96, 160, 3), 30, np.uint8)
    for k, field in enumerate(fields):
        field[:, 8 * k % 120 : 8 * k % 120 + 24] = 220
    weave = ["-vf", "tinterlace=interleave_top,fieldorder=tff", "-flags", "+ildct+ilme", "-x264opts", "tff=1"]
    path = encode(tmp_path / "a.mp4", fields, *weave, *X264, "-pix_fmt", "yuv420p", fps=50)
    frames = read_video(path, fps=25, num_frames=10).frames[1:-1].astype(int)
    combing = np.abs(frames[:, 2:] - 2 * frames[:, 1:-1] + frames[:, :-2]).mean()
    assert combing < 2  # 27 where the fields are woven
    assert (frames.max(axis=(1, 2, 3)) > 200).all()


@pytest.mark.parametrize(("height", "width"), [(97, 161), (65, 97), (101, 160)])
@pytest.mark.parametrize(
    ("name", "options"),
    [("a.webm", ["-c:v", "libvpx-vp9", "-crf", "10"]), ("a.mp4", ["-c:v", "mpeg4", "-q:v", "2"]), ("a.gif", [])],
)
def test_odd_sizes_stay(tmp_path, height, width, name, options):
    path = encode(tmp_path / name, known(height, width), *options)
    assert read_video(path, fps=10, num_frames=3).frames.shape == (3, height, width, 3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi", "a.webm", "a.flv", "a.mpg", "a.gif"])
def test_a_late_start_is_found_in_every_container(tmp_path, name):
    """Only the first frame can be decoded alone, so reading has to begin there."""
    frames = np.repeat(8 * np.arange(25, dtype=np.uint8), 96 * 64 * 3).reshape(25, 96, 64, 3)
    codec = {"a.webm": "libvpx-vp9", "a.gif": "gif", "a.mpg": "mpeg2video", "a.avi": "mpeg4"}.get(name, "libx264")
    gray = [] if name == "a.gif" else matrix("bt601")
    path = encode(tmp_path / name, frames, "-c:v", codec, "-g", "250", "-b:v", "2M", *gray, fps=25)
    video = read_video(path, fps=25, start_s=0.4, num_frames=8)
    assert np.abs(video.frames.mean(axis=(1, 2, 3)) - 8 * np.arange(10, 18)).max() < 5


def test_parts_of_transparent_gifs_are_laid_on_each_other_and_on_white(tmp_path):
    """Frame 2 stores only a corner; what it leaves transparent shows frame 1, and below that white."""
    first, second = (PIL.Image.new("RGBA", (64, 96), (0, 0, 0, 0)) for _ in range(2))
    first.paste((200, 0, 0, 255), (0, 0, 64, 48))
    second.paste((0, 0, 200, 255), (0, 0, 16, 16))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second], duration=100, disposal=1, optimize=False)
    frames = read_video(tmp_path / "a.gif", fps=10, num_frames=2).frames
    assert frames[0, 8, 8].tolist() == frames[0, 40, 60].tolist() == frames[1, 40, 60].tolist() == [200, 0, 0]
    assert frames[1, 8, 8].tolist() == [0, 0, 200]
    assert frames[:, 90, 32].tolist() == [[255, 255, 255]] * 2


def test_transparent_webp_is_laid_on_white(tmp_path):
    clear = [PIL.Image.new("RGBA", (64, 96), (255, 0, 255, 0)), PIL.Image.new("RGBA", (64, 96), (0, 0, 0, 255))]
    clear[0].save(tmp_path / "a.webp", save_all=True, append_images=clear[1:], duration=100, lossless=True)
    assert read_video(tmp_path / "a.webp", fps=10, num_frames=2).frames[:, 50, 30].tolist() == [[255] * 3, [0] * 3]


def test_a_cover_picture_is_not_the_clip(tmp_path):
    PIL.Image.new("RGB", (300, 300), "green").save(tmp_path / "cover.png")
    clip = encode(tmp_path / "plain.mp4", known(), *X264, *BT709)
    both = ["-i", tmp_path / "cover.png", "-i", clip, "-map", "0", "-map", "1", "-c", "copy"]
    ffmpeg(*both, "-disposition:v:0", "attached_pic", tmp_path / "a.mp4")
    assert (probe(tmp_path / "a.mp4").width, probe(tmp_path / "a.mp4").codec) == (160, "h264")


def test_the_default_picture_stream_is_the_clip(tmp_path):
    small = encode(tmp_path / "small.mkv", known(), *X264, *BT709)
    large = encode(tmp_path / "large.mkv", known(192, 320), *X264, *BT709)
    both = ["-i", small, "-i", large, "-map", "0", "-map", "1", "-c", "copy"]
    ffmpeg(*both, "-disposition:v:0", "0", "-disposition:v:1", "default", tmp_path / "a.mkv")
    assert probe(tmp_path / "a.mkv").width == 320


def test_subtitles_and_attachments_do_not_matter(tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    (tmp_path / "letters.ttf").write_bytes(b"not letters")
    clip = encode(tmp_path / "plain.mkv", known(), *X264, *BT709)
    attached = ["-attach", tmp_path / "letters.ttf", "-metadata:s:t", "mimetype=font/ttf"]
    ffmpeg("-i", tmp_path / "words.srt", "-i", clip, "-map", 0, "-map", 1, *attached, "-c", "copy", tmp_path / "a.mkv")
    assert len(read_video(tmp_path / "a.mkv", fps=10, num_frames=99)) == NUM_FRAMES


@pytest.mark.parametrize(
    ("name", "shift_s"), [("a.mp4", -0.3), ("a.ts", -0.3), ("a.mp4", 12.5), ("a.ts", 12.5), ("a.mkv", 12.5)]
)
def test_time_stamps_may_start_anywhere(tmp_path, name, shift_s):
    clip = encode(tmp_path / "plain.mp4", known(), *X264, "-bf", 0, *BT709)
    ffmpeg("-itsoffset", shift_s, "-i", clip, "-c", "copy", "-copyts", "-avoid_negative_ts", 0, tmp_path / name)
    frames = read_video(tmp_path / name, fps=10, num_frames=99).frames
    assert len(frames) >= NUM_FRAMES - 3  # an edit list may hide what lies before 0
    _, right = colours(frames)
    assert np.abs(np.diff(right) - 20).max() < 6


def test_a_clip_cut_without_recoding_starts_where_players_start(tmp_path):
    """The edit list hides the frames between the key frame and the cut."""
    clip = encode(tmp_path / "plain.mp4", known(), *X264, "-g", 250, "-bf", 0, *BT709)
    ffmpeg("-ss", 0.4, "-i", clip, "-c", "copy", tmp_path / "a.mp4")
    _, right = colours(read_video(tmp_path / "a.mp4", fps=10, num_frames=3).frames)
    assert np.abs(right - [100, 120, 140]).max() < 6


def test_very_high_frame_rates_are_thinned(tmp_path):
    path = encode(tmp_path / "a.mp4", np.repeat(known(), 60, axis=0), *X264, *BT709, fps=600)
    assert probe(path).fps == pytest.approx(600)
    _, right = colours(read_video(path, fps=10, num_frames=99).frames)
    assert np.abs(right - (20 + 20 * np.arange(NUM_FRAMES))).max() < 6


def blank(path, first, last):
    """Overwrites with zeros the packets from `first` to `last` of the picture stream."""
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for packet in packets[first:last]:
        place = data.index(bytes(packet))
        data[place : place + packet.size] = bytes(packet.size)
    path.write_bytes(data)


def test_a_few_broken_frames_are_skipped_as_players_do(tmp_path):
    path = encode(tmp_path / "a.webm", np.repeat(known(), 6, axis=0), "-c:v", "libvpx-vp9", *BT709, fps=60)
    blank(path, 20, 23)
    _, right = colours(read_video(path, fps=10, num_frames=99).frames)
    assert np.abs(right - (20 + 20 * np.arange(NUM_FRAMES)))[[0, 1, 2, -2, -1]].max() < 8


def test_a_clip_of_broken_frames_is_damaged(tmp_path):
    path = encode(tmp_path / "a.webm", np.repeat(known(), 6, axis=0), "-c:v", "libvpx-vp9", *BT709, fps=60)
    blank(path, 1, None)
    with pytest.raises(InputError, match="incomplete or damaged"):
        read_video(path, fps=10, num_frames=99)


@pytest.mark.parametrize("name", ["zzzz", "encv"])
def test_an_unknown_codec_is_refused(tmp_path, name):
    path = encode(tmp_path / "a.mp4", known(), *X264)
    path.write_bytes(path.read_bytes().replace(b"avc1", name.encode()))
    with pytest.raises(InputError, match=r"codec cannot be read here. Convert it to MP4"):
        read_video(path, fps=10, num_frames=99)
