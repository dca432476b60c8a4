"""Bad and odd uploads: taken as a person would expect, or refused in words that name the problem and the remedy.

Every file is read in a process of its own, whose time, memory and temporary files are watched.
"""

import io
import json
import os
import re
import shutil
import struct
import zlib

import av
import numpy as np
import PIL.Image
import pytest
from media import encode, ffmpeg, heic, write_clip
from PIL import ImageCms
from reading import ReadingProcess

LIMIT_S = 10
LIMIT_MB = 1500
NAME_BYTES = 255  # of a file name, on every common file system

# What the message has to name, and the remedy, by the manifest's own words for it.
SAYS = {
    "the file is empty": ("empty file", "Upload it again"),
    "this is not a video file": ("not a video file", "Accepted: MP4"),
    "the video is incomplete or damaged; upload it again": ("incomplete or damaged", "Upload it again"),
    "the file has sound but no picture": ("sound but no picture", "Accepted: MP4"),
    "how many frames it has and how many are needed": ("gives 1 frame ", "at least 2 are needed", "longer clip"),
    "the duration and the limit": ("1296 min", "limit is 60 min", "Cut it shorter"),
    "the picture is too small; the least size": ("1 x 1", "too small", "at least 64", "larger photo"),
    "the picture is too wide/flat": ("20000 x 50", "too wide", "5 times", "Crop it"),
    "the picture file is damaged or incomplete": ("damaged or incomplete", "Upload it again"),
    "this is not a PNG/JPEG/WebP picture": ("not a picture", "Accepted: JPEG, PNG"),
    "the picture size and the largest size allowed": (r"\d+ (x \d+ pixels|million pixels)", "million", "smaller"),
    "the file name is not allowed (if rejected)": ("cannot be opened", "Upload it again"),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    process = ReadingProcess(tmp_path_factory.mktemp("watched") / "temporary")
    yield process
    process.close()


def entries(test_data):
    return json.loads((test_data / "bad" / "manifest.json").read_text())["entries"]


def as_uploaded(entry, test_data, folder):
    """The file under the name the user gave it, where a file can have that name."""
    source = test_data / "bad" / entry["file"]
    name = entry.get("upload_as")
    if name is None:
        return source
    path = folder / name if name else folder
    if name and not set("/\0") & set(name) and len(name.encode()) <= NAME_BYTES:
        shutil.copyfile(source, path)
    return path


def test_every_entry_of_the_collection(test_data, tmp_path, reader):
    """Whether somebody is in the picture is not the reader's business: such files must be readable."""
    before = sorted(path.name for path in (test_data / "bad").rglob("*"))
    problems = []
    for number, entry in enumerate(entries(test_data)):
        folder = tmp_path / str(number)
        folder.mkdir()
        says = entry["message_should_say"] or ""
        of_people = "person" in says or "people" in says
        kind = "photo" if entry["slot"] == "reference_image" else "clip"
        answer = reader.read(kind, as_uploaded(entry, test_data, folder))
        if answer["seconds"] > LIMIT_S or answer["peak_mb"] > LIMIT_MB:
            problems.append((entry["what"], "too slow or too large", answer))
        if "message" not in answer:
            if entry["expect"] == "reject" and not of_people:
                problems.append((entry["what"], "accepted"))
            continue
        if entry["expect"] in ("accept", "accept_with_notice") or of_people:
            problems.append((entry["what"], "refused", answer["message"]))
        if says in SAYS and not all(re.search(words, answer["message"]) for words in SAYS[says]):
            problems.append((entry["what"], says, answer["message"]))
        if says not in SAYS:
            problems.append((entry["what"], "no words are expected for", says))
        if len(list(folder.iterdir())) > 1:
            problems.append((entry["what"], "left files"))
    assert problems == []
    assert reader.leftovers() == []
    assert sorted(path.name for path in (test_data / "bad").rglob("*")) == before


def small(seed=0, height=96, width=80):
    noise = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return PIL.Image.fromarray(noise).resize((width, height))


def saved(kind, image=None, **options):
    out = io.BytesIO()
    (image or small()).save(out, kind, **options)
    return out.getvalue()


def png(*chunks):
    packed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def png_header(width, height, depth=8, colour=2):
    return b"IHDR" + struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def comment_bomb():
    return png(png_header(96, 96), b"IDAT" + zlib.compress(bytes(9)), b"zTXta\0\0" + zlib.compress(bytes(2**27)))


def many_scans():
    """A progressive JPEG whose last scan is repeated a thousand times."""
    data = saved("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 1000 + data[-2:]


def broken_exif():
    data = saved("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0" * 9)
    assert b"Exif" in data
    return data


def wrong_profile():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return saved("PNG", icc_profile=lab)


def multi_picture():
    return saved("MPO", save_all=True, append_images=[small(1)])


def pages():
    return saved("TIFF", save_all=True, append_images=[small(1)])


def ycck_tiff():
    return saved("TIFF", small().convert("CMYK"))


def webp_bomb():
    """Two frames of 96 x 80 on a canvas of 16383 x 16383."""
    data = bytearray(saved("WEBP", save_all=True, append_images=[small(1)]))
    data[24:30] = struct.pack("<I", 16382)[:3] * 2
    return bytes(data)


def motion_photo():
    """A JPEG with a clip behind it, as Android phones write; the clip holds every marker of JPEG by chance."""
    return saved("JPEG") + b"\0\0\0\x18ftypmp42" + np.random.default_rng(0).bytes(2**23)


def many_segments():
    data = saved("JPEG")
    return data[:2] + (b"\xff\xe2\xff\xff" + bytes(65533)) * 1000 + data[2:]


def endless_animation():
    """A GIF of three million frames of one pixel."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 80, 96, 0x80, 0, 0) + bytes(6)
    return screen + (b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0") * 3_000_000 + b";"


def tile_bomb():
    """A TIFF of 80 x 96 in one tile of 16384 x 32752, two gigabytes of zeros."""
    width, length = 16384, 32752
    deflate = zlib.compressobj(9)
    tile = b"".join(deflate.compress(bytes(4 * width)) for _ in range(length)) + deflate.flush()
    after = 8 + 2 + 12 * 12 + 4
    long = {256: 80, 257: 96, 322: width, 323: length, 324: after + 8, 325: len(tile)}
    short = {259: 8, 262: 2, 277: 4, 284: 1, 338: 2}
    entries = [(258, 3, 4, after)] + [(k, 4, 1, v) for k, v in long.items()] + [(k, 3, 1, v) for k, v in short.items()]
    tags = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", 12) + tags + bytes(4) + struct.pack("<4H", 8, 8, 8, 8) + tile


def cyclic_exif():
    """Orientation 6, and a pointer to a further directory that is this one."""
    entries = struct.pack("<HHII", 0x112, 3, 1, 6) + struct.pack("<HHII", 0x8769, 4, 1, 8)
    return saved("JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + struct.pack("<I", 8))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(lambda: b"", ("empty file",), id="0 bytes"),
        pytest.param(lambda: b"\xff", ("not a picture",), id="1 byte"),
        pytest.param(lambda: b"Dear Madam or Sir, " * 99, ("not a picture", "JPEG, PNG"), id="text"),
        pytest.param(lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", ("not a picture",), id="SVG"),
        pytest.param(lambda: b"%PDF-1.7\n" + bytes(999), ("not a picture",), id="PDF"),
        pytest.param(lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n", ("not a picture",), id="PostScript"),
        pytest.param(lambda: b"GIF89a" + saved("JPEG"), ("damaged|not a picture|pixels",), id="GIF head on a JPEG"),
        pytest.param(lambda: saved("JPEG", small(height=256))[:-800], ("damaged",), id="cut JPEG"),
        pytest.param(lambda: saved("JPEG", progressive=True)[:-700], ("damaged",), id="cut progressive JPEG"),
        pytest.param(lambda: saved("PNG")[:-200], ("damaged",), id="cut PNG"),
        pytest.param(lambda: saved("WEBP")[:-200], ("damaged|not a picture",), id="cut WebP"),
        pytest.param(lambda: saved("AVIF")[:-200], ("damaged|not a picture",), id="cut AVIF"),
        pytest.param(lambda: png(png_header(1, 1), b"IDAT" + zlib.compress(bytes(4))), ("too small",), id="1 pixel"),
        pytest.param(lambda: png(png_header(0, 0)), ("not a picture|damaged|small",), id="no pixel"),
        pytest.param(
            lambda: png(png_header(65535, 65535), b"IDAT"), ("4295 million", "64 million"), id="bomb in a header"
        ),
        pytest.param(
            lambda: png(png_header(30000, 30000, 1, 0), b"IDAT" + zlib.compress(bytes(30000 * 3751), 9)),
            ("900 million", "64 million"),
            id="bomb of one bit",
        ),
        pytest.param(
            lambda: png(
                png_header(96, 96), b"IDAT" + zlib.compress(bytes(9)), b"zTXta\0\0" + zlib.compress(bytes(2**28))
            ),
            ("damaged",),
            id="bomb in a comment",
        ),
        pytest.param(webp_bomb, ("268 million|16383 x 16383",), id="bomb WebP"),
        pytest.param(many_scans, ("far too many passes", "Save it anew"), id="JPEG of 1000 scans"),
        pytest.param(lambda: saved("PNG", small(width=2000)), ("too wide", "Crop"), id="strip"),
        pytest.param(lambda: saved("PNG", save_all=True, append_images=[small(1)]), ("animation",), id="animated PNG"),
        pytest.param(lambda: saved("GIF", save_all=True, append_images=[small(1)]), ("animation",), id="animated GIF"),
        pytest.param(
            lambda: saved("AVIF", save_all=True, append_images=[small(1)]), ("animation",), id="animated AVIF"
        ),
        pytest.param(endless_animation, ("animation",), id="animation of millions of frames"),
        pytest.param(tile_bomb, ("damaged",), id="bomb in a tile"),
        pytest.param(motion_photo, None, id="motion photo"),
        pytest.param(many_segments, None, id="many segments"),
        pytest.param(cyclic_exif, None, id="cyclic EXIF"),
        pytest.param(broken_exif, None, id="broken EXIF"),
        pytest.param(wrong_profile, None, id="profile of other colours"),
        pytest.param(lambda: saved("PNG", icc_profile=bytes(200)), None, id="profile of zeros"),
        pytest.param(multi_picture, None, id="picture of two lenses"),
        pytest.param(pages, None, id="TIFF of two pages"),
        pytest.param(ycck_tiff, None, id="CMYK TIFF"),
        pytest.param(lambda: saved("JPEG") + b"PK\x03\x04<script>alert(1)</script>", None, id="polyglot"),
        pytest.param(lambda: saved("PNG", small().convert("1")), None, id="1 bit"),
        pytest.param(lambda: saved("GIF"), None, id="still GIF"),
        pytest.param(lambda: saved("JPEG", PIL.Image.new("RGB", (8000, 7000))), None, id="56 million pixels"),
        pytest.param(
            lambda: saved("PNG", PIL.Image.fromarray(np.zeros((8000, 7000), np.uint16))),
            None,
            id="56 million pixels of 16 bits",
        ),
        pytest.param(
            lambda: saved("PNG", PIL.Image.new("RGBA", (8000, 7000))), None, id="56 million transparent pixels"
        ),
    ],
)
def test_odd_photos(tmp_path, reader, content, words):
    path = tmp_path / "photo 空\n'$(x)' .mp4"
    path.write_bytes(content())
    expect(reader.read("photo", path), words)
    assert reader.leftovers() == []


def expect(answer, words):
    """`words` of the message, or None for acceptance."""
    assert answer["seconds"] < LIMIT_S
    assert answer["peak_mb"] < LIMIT_MB
    if words is None:
        assert "shape" in answer, answer
    else:
        assert all(re.search(word, answer.get("message", "accepted")) for word in words), answer


def playlist(path):
    other = write_clip(path.with_name("other.mp4"), range(0, 500, 100))
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{other}\n#EXT-X-ENDLIST\n")


def concat_script(path):
    other = write_clip(path.with_name("other.mp4"), range(0, 500, 100))
    path.write_text(f"ffconcat version 1.0\nfile {other.name}\n")


def dash_manifest(path):
    path.write_text("<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>/etc/</BaseURL></MPD>")


def session_description(path):
    path.write_text("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 9999 RTP/AVP 96\r\n")


def named_elsewhere(path):
    """A QuickTime reference movie, whose only content is an address."""
    content = bytes(4) + b"url " + struct.pack(">I", 26) + b"http://127.0.0.1/clip.mov\0"
    for kind in (b"rdrf", b"rmda", b"rmra", b"moov"):
        content = struct.pack(">I4s", 8 + len(content), kind) + content
    path.write_bytes(content)


def still_avif(path):
    small().save(path, "AVIF")


def still_heic(path):
    path.write_bytes(heic(np.asarray(small())))


def truncated(path):
    write_clip(path, range(0, 3000, 100))
    path.write_bytes(path.read_bytes()[:-1500])


def only_sound(path):
    ffmpeg("-f", "lavfi", "-i", "sine", "-t", 1, "-f", "mp4", path)


def only_a_cover(path):
    small().save(path.with_name("cover.png"))
    cover = ["-i", path.with_name("cover.png"), "-f", "lavfi", "-t", "1", "-i", "sine"]
    ffmpeg(*cover, "-map", 0, "-map", 1, "-c:v", "copy", "-disposition:v:0", "attached_pic", "-f", "mp4", path)


def one_frame(path):
    write_clip(path, [0])


def one_pixel(path):
    PIL.Image.new("L", (1, 1)).save(path, "GIF", save_all=True, append_images=[PIL.Image.new("L", (1, 1), 9)])


def ribbon(path):
    write_clip(path, [0, 100, 200], size=(64, 640))


def gif_bomb(path):
    path.write_bytes(
        b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0, 0, 0) + b",\0\0\0\0" + b"\xff" * 4 + b"\0\x08\0;"
    )


def webp_canvas_bomb(path):
    path.write_bytes(webp_bomb())


def huge_pictures(path):
    with av.open(path, "w", format="avi") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.height, stream.width, stream.pix_fmt = 9600, 9600, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame(9600, 9600, "yuvj420p")))


def pictures_that_grow(path):
    """The header says 64 x 96, a later key frame 4000 x 4000."""
    first = encode(path.with_name("small.ts"), np.zeros((20, 96, 64, 3), np.uint8), "-c:v", "libx264")
    second = encode(
        path.with_name("large.ts"), np.zeros((2, 4000, 4000, 3), np.uint8), "-c:v", "libx264", "-preset", "ultrafast"
    )
    path.write_bytes(first.read_bytes() + second.read_bytes())


def days(path):
    write_clip(path, [0, 80_000_000, 160_000_000])


def garbage_in_a_box(path):
    path.write_bytes(b"\0\0\0\x18ftypisom" + np.random.default_rng(0).bytes(200_000))


def boxes_in_boxes(path):
    """100 000 nested boxes: each says that it holds the rest of the file."""
    path.write_bytes(
        b"\0\0\0\x10ftypisom\0\0\0\0" + b"".join(struct.pack(">I4s", 8 * k, b"moov") for k in range(10**5, 0, -1))
    )


def html_inside(path):
    write_clip(path, range(0, 800, 100))
    path.write_bytes(path.read_bytes() + b"<html><script>alert(1)</script></html>")


def endless_gif(path):
    frames = [small(k) for k in range(8)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:], duration=0, loop=0)


def wrong_name(path):
    write_clip(path.with_name("clip.webm"), range(0, 800, 100), codec="libvpx-vp9").rename(path)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda path: path.write_bytes(b""), ("empty file",)),
        (lambda path: path.write_text("A clip, honestly. " * 99), ("not a video file", "MP4")),
        (lambda path: path.write_bytes(saved("JPEG")), ("not a video file",)),
        (lambda path: path.write_bytes(b"\x1aE\xdf\xa3" + bytes(5000)), ("damaged", "MP4")),
        (lambda path: path.mkdir(), ("cannot be opened",)),
        (playlist, ("not a video file",)),
        (concat_script, ("not a video file",)),
        (dash_manifest, ("not a video file",)),
        (session_description, ("not a video file",)),
        (named_elsewhere, ("holds no picture",)),
        (still_avif, ("not a video file",)),
        (still_heic, ("not a video file",)),
        (truncated, ("incomplete or damaged", "Upload it again")),
        (garbage_in_a_box, ("damaged",)),
        (boxes_in_boxes, ("damaged",)),
        (only_sound, ("sound but no picture",)),
        (only_a_cover, ("sound but no picture",)),
        (one_frame, ("gives 1 frame ", "at least 2")),
        (one_pixel, ("1 x 1", "at least 48")),
        (ribbon, ("640 x 64", "6 times")),
        (gif_bomb, ("65535 x 65535|far too large",)),
        (webp_canvas_bomb, ("far too large", "4096 x 2304")),
        (huge_pictures, ("9600 x 9600|far too large", "million pixels")),
        (days, ("min long; the limit is 60 min",)),
        (pictures_that_grow, None),
        (html_inside, None),
        (endless_gif, None),
        (wrong_name, None),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_odd_clips(tmp_path, reader, build, words):
    path = tmp_path / "clip 空\n'$(x)' .mp4"
    build(path)
    expect(reader.read("clip", path), words)
    reader.read("sound", path)
    assert reader.leftovers() == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a thing of POSIX")
@pytest.mark.parametrize("kind", ["photo", "clip"])
def test_a_pipe_that_nobody_writes_is_not_waited_for(tmp_path, reader, kind):
    os.mkfifo(tmp_path / "pipe")
    expect(reader.read(kind, tmp_path / "pipe"), ("cannot be opened",))


@pytest.mark.parametrize("box", [b"url ", b"alis"])
def test_data_of_another_file_is_not_opened(tmp_path, reader, box):
    """The other file has the very same bytes, so that opening it would give pictures."""
    other = write_clip(tmp_path / "other.mp4", range(0, 800, 100))
    clip = bytearray(other.read_bytes())
    name = f"file://{other}".encode() + b"\0"
    place = clip.index(b"url ", clip.index(b"dref"))
    clip[place - 4 : place + 8] = struct.pack(">I4sI", 12 + len(name), box, 0) + name
    for kind in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        size = clip.index(kind) - 4
        clip[size : size + 4] = struct.pack(">I", struct.unpack_from(">I", clip, size)[0] + len(name))
    data = clip.index(b"mdat") + 4
    clip[data:] = bytes(len(clip) - data)
    (tmp_path / "clip.mp4").write_bytes(clip)
    expect(reader.read("clip", tmp_path / "clip.mp4"), ("damaged",))
