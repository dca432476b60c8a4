"""The sound of a part of a clip keeps in step with its picture."""

import io

import av
import numpy as np
import pytest
from media import encode, ffmpeg

from xdyna.schema import Video
from xdyna.video import probe, read_sound, read_video, write_video

RATE = 48_000
BLACK = np.zeros((30, 64, 64, 3), np.uint8)  # 3 s at 10 frames per second


def samples(source):
    """`(n,)` float mono at 48 kHz, sample 0 at time 0, as a player gives it."""
    heard = np.zeros(60 * RATE, np.float32)
    end = 0
    with av.open(source) as container:
        resampler = av.AudioResampler("fltp", "mono", RATE)
        for frame in container.decode(audio=0):
            begin = round(frame.time * RATE)
            for piece in resampler.resample(frame):
                values = piece.to_ndarray()[0][max(0, -begin) :]
                begin = max(0, begin)
                heard[begin : begin + len(values)] = values
                begin = end = begin + len(values)
    return heard[:end]


def loudest_s(sound):
    return float(np.abs(samples(io.BytesIO(sound))).argmax()) / RATE


def sound_of(*expression_and_options, duration_s=3):
    """An ffmpeg input of generated sound; t is the time."""
    expression, *options = expression_and_options or ("sin(880*PI*t)*between(t,1.5,1.51)",)
    return ["-f", "lavfi", "-i", f"aevalsrc='{expression}':d={duration_s}:s=44100", *options]


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("a.mp4", ["-c:v", "libx264", "-c:a", "aac"]),
        ("a.mov", ["-c:v", "libx264", "-c:a", "pcm_s16le"]),
        ("a.webm", ["-c:v", "libvpx-vp9", "-c:a", "libopus"]),
        ("a.mkv", ["-c:v", "libx264", "-c:a", "flac"]),
        ("a.avi", ["-c:v", "mpeg4", "-c:a", "libmp3lame"]),
        ("a.ts", ["-c:v", "libx264", "-c:a", "aac"]),
    ],
)
@pytest.mark.parametrize("start_s", [0, 1.1])
def test_a_click_stays_where_it_was(tmp_path, name, codecs, start_s):
    path = encode(tmp_path / name, BLACK, *sound_of(), *codecs)
    with av.open(path) as container:
        picture_begins_s = float(container.streams.video[0].start_time * container.streams.video[0].time_base)
    clicked_s = np.abs(samples(path)).argmax() / RATE - picture_begins_s
    sound = read_sound(path, start_s=start_s, duration_s=1.9)
    assert loudest_s(sound) == pytest.approx(clicked_s - start_s, abs=0.02)
    assert len(samples(io.BytesIO(sound))) / RATE == pytest.approx(1.9, abs=0.022)  # a packet is 0.021 s


@pytest.mark.parametrize("delay_s", [0.7, -0.7])
def test_a_shifted_sound_track_stays_shifted(tmp_path, delay_s):
    plain = encode(tmp_path / "plain.mp4", BLACK, *sound_of(), "-c:v", "libx264", "-c:a", "aac")
    shifted = ["-i", plain, "-itsoffset", delay_s, "-i", plain, "-map", "0:v", "-map", "1:a", "-c", "copy"]
    ffmpeg(*shifted, tmp_path / "a.mkv")
    video_begins_s = 0.7 if delay_s < 0 else 0  # Matroska starts with what comes first
    with av.open(tmp_path / "a.mkv") as container:
        assert container.streams.video[0].start_time == pytest.approx(1000 * video_begins_s, abs=30)
    assert loudest_s(read_sound(tmp_path / "a.mkv", duration_s=3)) == pytest.approx(1.505 + delay_s, abs=0.05)


def test_a_gap_in_the_sound_is_silent(tmp_path):
    click = sound_of("sin(880*PI*t)*(between(t,0.2,0.21)+2*between(t,2.5,2.51))")
    gap = ["-af", "aselect='not(between(t,1,2))'"]
    path = encode(tmp_path / "a.mkv", BLACK, *click, *gap, "-c:v", "libx264", "-c:a", "pcm_s16le")
    assert loudest_s(read_sound(path, duration_s=3)) == pytest.approx(2.505, abs=0.03)
    assert loudest_s(read_sound(path, start_s=1.5, duration_s=1.5)) == pytest.approx(1.005, abs=0.03)


@pytest.mark.parametrize("options", [["-ac", "1", "-ar", "8000"], ["-ac", "6", "-ar", "48000"], ["-ar", "96000"]])
def test_any_rate_and_number_of_channels(tmp_path, options):
    path = encode(tmp_path / "a.mkv", BLACK, *sound_of(), "-c:v", "libx264", "-c:a", "flac", *options)
    with av.open(io.BytesIO(read_sound(path, duration_s=2))) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", 48000, 2)


def test_a_sound_track_that_ends_early_ends_early(tmp_path):
    path = encode(tmp_path / "a.mp4", BLACK, *sound_of(duration_s=2), "-c:v", "libx264", "-c:a", "aac")
    assert len(samples(io.BytesIO(read_sound(path, start_s=1, duration_s=9)))) / RATE == pytest.approx(1, abs=0.07)
    assert read_sound(path, start_s=2.5, duration_s=0.5) is None


def silent(path):
    encode(path, BLACK, "-c:v", "libx264")


def scrambled(path):
    """The picture's bytes stay, most of the sound's are noise."""
    encode(path, BLACK, *sound_of("sin(880*PI*t)"), "-c:v", "libx264", "-c:a", "aac")
    data = bytearray(path.read_bytes())
    with av.open(path) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    noise = np.random.default_rng(0)
    for position, size in places[5:]:
        data[position : position + size] = noise.bytes(size)
    path.write_bytes(data)


def not_a_clip(path):
    path.write_bytes(b"words" * 99)


@pytest.mark.parametrize("build", [silent, not_a_clip])
def test_no_sound_is_none(tmp_path, build):
    build(tmp_path / "a.mp4")
    assert read_sound(tmp_path / "a.mp4", duration_s=2) is None


def test_damaged_sound_never_fails_the_clip(tmp_path):
    scrambled(tmp_path / "a.mp4")
    sound = read_sound(tmp_path / "a.mp4", duration_s=2)
    assert sound is None or len(samples(io.BytesIO(sound))) <= 2 * RATE
    assert len(read_video(tmp_path / "a.mp4", fps=10, num_frames=30)) == 30


@pytest.mark.parametrize(("num_frames", "fps"), [(30, 10), (17, 10), (7, 30), (24, 8), (25, 23.976)])
def test_a_written_clip_carries_its_sound_and_never_outlasts_the_picture(tmp_path, num_frames, fps):
    path = encode(tmp_path / "a.mp4", BLACK, *sound_of("sin(880*PI*t)"), "-c:v", "libx264", "-c:a", "aac")
    sound = read_sound(path, duration_s=3)
    write_video(tmp_path / "out.mp4", Video(frames=BLACK[:num_frames], fps=fps), sound=sound)
    with av.open(tmp_path / "out.mp4") as container:
        picture, track = container.streams.video[0], container.streams.audio[0]
        assert track.codec_context.name == "aac"
        length_s = float(picture.duration * picture.time_base)
        assert length_s == pytest.approx(num_frames / fps, abs=0.002)
        assert length_s - 0.05 < float(track.duration * track.time_base) <= length_s + 0.001
    assert probe(tmp_path / "out.mp4").has_audio


def test_sound_and_picture_lie_side_by_side_in_the_file(tmp_path):
    """A browser that plays while it loads needs both at once."""
    path = encode(tmp_path / "a.mp4", BLACK, *sound_of("random(0)-0.5"), "-c:v", "libx264", "-c:a", "aac")
    noise = np.random.default_rng(0).integers(0, 255, (30, 64, 64, 3), np.uint8)
    write_video(tmp_path / "out.mp4", Video(frames=noise, fps=10), sound=read_sound(path, duration_s=3))
    with av.open(tmp_path / "out.mp4") as container:
        order = [packet.stream.type for packet in container.demux() if packet.size]
    assert order.index("video") < 10 and order.index("audio") < 10
    assert "".join(kind[0] for kind in order).count("va") >= 5  # sounds and pictures alternate


def test_a_real_clip_stays_in_step(test_data, tmp_path):
    """Bunny from 2.37 s on: the sound written is the sound of the source, shifted by exactly that much."""
    source = test_data / "real" / "free" / "bigbuckbunny.mp4"
    video = read_video(source, fps=10, start_s=2.37, num_frames=20)
    write_video(tmp_path / "out.mp4", video, sound=read_sound(source, start_s=2.37, duration_s=2))
    original = samples(source)[round(2.37 * RATE) : round(4.37 * RATE)]
    written = samples(tmp_path / "out.mp4")[: len(original)]
    spectrum = np.fft.rfft(original, 2**18) * np.conj(np.fft.rfft(written, 2**18))
    lag = int(np.fft.irfft(spectrum).argmax())
    assert min(lag, 2**18 - lag) / RATE < 0.002
