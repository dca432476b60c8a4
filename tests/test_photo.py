import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest
from clock import Clock
from media import heic
from PIL import ImageCms

from xdyna.photo import PhotoLimits, crop_box, crop_to_aspect, read_photo
from xdyna.schema import InputError

SKIN, SHIRT = (220, 170, 140), (40, 60, 200)


def picture(height=96, width=64):
    """Skin-coloured above, blue below: upright and not inverted is easy to tell."""
    rgb = np.full((height, width, 3), SHIRT, np.uint8)
    rgb[: height // 2] = SKIN
    return PIL.Image.fromarray(rgb)


def close(photo, expected=None, tolerance=6):
    expected = np.asarray(expected or picture())
    return photo.shape == expected.shape and np.abs(photo.astype(int) - expected).mean() < tolerance


def as_16_bit_gray(path):
    gray = np.asarray(picture().convert("L")).astype(np.uint16) * 257
    PIL.Image.fromarray(gray).save(path, format="PNG")


def as_lab(path):
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    ImageCms.applyTransform(picture(), to_lab).save(path, format="TIFF")


def rotated_by_exif(path):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture().transpose(PIL.Image.Transpose.ROTATE_90).save(path, format="JPEG", exif=exif, quality=95)


def transparent(path):
    """Magenta hides under the transparent lower half."""
    rgba = np.dstack([np.asarray(picture()), np.full((96, 64), 255, np.uint8)])
    rgba[48:] = 255, 0, 255, 0
    PIL.Image.fromarray(rgba).save(path, format="PNG")


def transparent_palette(path):
    image = picture().quantize(4)
    image.info["transparency"] = image.getpixel((0, 90))
    image.save(path, format="PNG", transparency=image.getpixel((0, 90)))


def as_16_bit_colour(path):
    """PNG with 16 bits per channel, which Pillow cannot write."""
    rows = np.asarray(picture()).astype(">u2") * 257
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", 64, 96, 16, 2, 0, 0, 0), b"IDAT" + zlib.compress(raw), b"IEND")
    packed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def white_below():
    rgb = np.asarray(picture()).copy()
    rgb[48:] = 255
    return PIL.Image.fromarray(rgb)


@pytest.mark.parametrize(
    ("save", "expected"),
    [
        pytest.param(lambda path: picture().save(path, format="PNG"), None, id="PNG"),
        pytest.param(lambda path: picture().save(path, format="JPEG", quality=95), None, id="JPEG"),
        pytest.param(lambda path: picture().save(path, format="WEBP", quality=95), None, id="WebP"),
        pytest.param(lambda path: picture().save(path, format="BMP"), None, id="BMP"),
        pytest.param(lambda path: picture().save(path, format="TIFF"), None, id="TIFF"),
        pytest.param(lambda path: picture().convert("CMYK").save(path, format="JPEG", quality=95), None, id="CMYK"),
        pytest.param(lambda path: picture().quantize(8).save(path, format="PNG"), None, id="palette"),
        pytest.param(
            lambda path: picture().convert("L").save(path, format="PNG"),
            picture().convert("L").convert("RGB"),
            id="gray",
        ),
        pytest.param(as_16_bit_gray, picture().convert("L").convert("RGB"), id="16-bit gray"),
        pytest.param(as_lab, None, id="CIE Lab"),
        pytest.param(as_16_bit_colour, None, id="16-bit colour"),
        pytest.param(lambda path: picture().save(path, format="AVIF", quality=90), None, id="AVIF"),
        pytest.param(lambda path: picture().save(path, format="GIF"), None, id="still GIF"),
        pytest.param(lambda path: picture().save(path, format="JPEG", progressive=True), None, id="progressive JPEG"),
        pytest.param(lambda path: path.write_bytes(heic(np.asarray(picture()))), None, id="HEIC"),
        pytest.param(
            lambda path: path.write_bytes(heic(np.rot90(np.asarray(picture()), -1), quarter_turns=1)),
            None,
            id="HEIC turned by the reader",
        ),
        pytest.param(rotated_by_exif, None, id="EXIF rotation"),
        pytest.param(transparent, white_below(), id="transparency"),
        pytest.param(transparent_palette, white_below(), id="transparent palette"),
    ],
)
def test_every_kind_of_photo_looks_the_same(tmp_path, save, expected):
    save(tmp_path / "photo.jpg")
    photo = read_photo(tmp_path / "photo.jpg")
    assert photo.dtype == np.uint8
    assert close(photo, expected)


@pytest.mark.parametrize("profile", [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), b"broken"])
def test_a_profile_that_says_nothing_new_changes_nothing(tmp_path, profile):
    picture().save(tmp_path / "photo.png", icc_profile=profile)
    assert close(read_photo(tmp_path / "photo.png"), tolerance=1)


def exchanged_profile():
    """sRGB with its red and blue primaries exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)


@pytest.mark.parametrize(
    "mode", ["RGB", "RGBA", "P"], ids=lambda mode: {"RGBA": "transparent", "P": "palette"}.get(mode, "plain")
)
def test_a_profile_is_converted(tmp_path, mode):
    """In a profile whose red and blue primaries are exchanged, the exchanged picture looks as ever."""
    exchanged = PIL.Image.fromarray(np.asarray(picture())[..., ::-1]).convert(mode, palette=PIL.Image.Palette.ADAPTIVE)
    exchanged.save(tmp_path / "photo.png", icc_profile=exchanged_profile())
    assert close(read_photo(tmp_path / "photo.png"), tolerance=2)


def test_transparency_stays_white_under_a_profile(tmp_path):
    rgba = np.dstack([np.asarray(picture())[..., ::-1], np.full((96, 64), 255, np.uint8)])
    rgba[48:] = 255, 0, 255, 0
    PIL.Image.fromarray(rgba).save(tmp_path / "photo.png", icc_profile=exchanged_profile())
    assert close(read_photo(tmp_path / "photo.png"), white_below(), tolerance=2)


def test_a_very_large_photo_is_shrunk(tmp_path):
    picture(6000, 4000).save(tmp_path / "photo.png")
    assert read_photo(tmp_path / "photo.png").shape == (4096, 2731, 3)


def png_header(width, height):
    """A PNG that declares a size and holds hardly any pixel."""
    chunks = (b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b"\0"))
    packed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def jpeg():
    noise = np.random.default_rng(0).integers(0, 255, (96, 64, 3), np.uint8)
    out = io.BytesIO()
    PIL.Image.fromarray(noise).save(out, format="JPEG")
    return out.getvalue()


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "empty file", id="empty"),
        pytest.param(b"A photo, honestly. " * 9, "not a picture", id="text"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", "not a picture", id="SVG"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not a picture", id="EPS"),
        pytest.param(jpeg()[: len(jpeg()) // 2], "damaged or incomplete", id="cut off"),
        pytest.param(png_header(65535, 65535), r"4295 million pixels; the limit is 64 million", id="bomb"),
        pytest.param(png_header(9000, 9000), r"9000 x 9000 pixels; the limit is 64 million", id="large"),
        pytest.param(encoded(picture(63, 64), "PNG"), "63 pixels, which is too small", id="small"),
        pytest.param(encoded(picture(64, 640), "PNG"), "too wide", id="strip"),
        pytest.param(encoded(picture(640, 64), "PNG"), "too tall", id="banner"),
        pytest.param(
            encoded(picture(), "PNG", save_all=True, append_images=[white_below()]), "animation", id="animated PNG"
        ),
        pytest.param(
            encoded(picture(), "WEBP", save_all=True, append_images=[white_below()]), "animation", id="animated WebP"
        ),
        pytest.param(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(40), "not a picture|damaged", id="HEIC head"),
        pytest.param(heic(np.asarray(picture(512, 512)))[:-60], "damaged", id="HEIC cut off"),
        pytest.param(
            encoded(PIL.Image.fromarray(np.zeros((96, 64), np.float32)), "TIFF"), "Floating-point", id="float TIFF"
        ),
    ],
)
def test_unusable_photos_are_refused_in_plain_words(tmp_path, data, message):
    (tmp_path / "photo.png").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_photo(tmp_path / "photo.png")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        read_photo(tmp_path / "photo\0.png")


@pytest.mark.parametrize("name", ["wide", "tall", "odd", "exact"])
@pytest.mark.parametrize("size", [(112, 64), (64, 112)])
def test_cropping_equals_the_official_program(golden, name, size):
    photo = np.asarray(PIL.Image.open(golden / "k_images" / f"{name}.png").convert("RGB"))
    expected = np.load(golden / "k_imread_resize_crop.npz")[f"{name}__{size[0]}x{size[1]}"]
    assert np.abs(crop_to_aspect(photo, size).astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("photo_size", "person", "box"),
    [
        pytest.param((100, 300), (120, 0, 180, 100), (100, 0, 200, 100), id="in the middle: as without"),
        pytest.param((100, 300), (90, 0, 150, 100), (70, 0, 170, 100), id="cut by the middle: around the person"),
        pytest.param((100, 300), (0, 0, 40, 100), (0, 0, 100, 100), id="at the edge"),
        pytest.param((100, 300), (270, 0, 300, 100), (200, 0, 300, 100), id="at the other edge"),
        pytest.param((100, 300), (20, 0, 160, 100), (40, 0, 140, 100), id="wider than the video"),
        pytest.param((300, 100), (0, 10, 100, 90), (0, 0, 100, 100), id="high up"),
        pytest.param((300, 100), (0, 30, 100, 280), (0, 30, 100, 130), id="taller than the video: the head"),
    ],
)
def test_the_crop_shows_the_person(photo_size, person, box):
    assert crop_box(photo_size, (100, 100), person) == box


@pytest.mark.parametrize(
    ("photo_size", "size", "box"),
    [
        ((896, 512), (896, 512), (0, 0, 512, 896)),
        ((100, 300), (100, 100), (100, 0, 200, 100)),
        ((300, 100), (100, 100), (0, 100, 100, 200)),
        ((512, 512), (896, 512), (110, 0, 402, 512)),
    ],
)
def test_the_crop_is_centred(photo_size, size, box):
    assert crop_box(photo_size, size) == box


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (PhotoLimits(max_file_bytes=100), "larger than 0 MB"),
        (PhotoLimits(max_pixels=96 * 64 - 1), "64 x 96 pixels; the limit is"),
        (PhotoLimits(min_side_px=65), "at least 65"),
        (PhotoLimits(max_aspect=1.4), "1.4 times the other"),
    ],
)
def test_limits_are_settings(tmp_path, limits, message):
    picture().save(tmp_path / "photo.png")
    with pytest.raises(InputError, match=message):
        read_photo(tmp_path / "photo.png", limits=limits)


def endless_exif():
    """A thousand parts of EXIF data, each of which is added to a copy of those before."""
    return jpeg()[:2] + (b"\xff\xe1\xff\xff" + b"Exif\0\0".ljust(65533)) * 1000 + jpeg()[2:]


def endless_chunks():
    chunk = bytes(4) + b"teSt" + struct.pack(">I", zlib.crc32(b"teSt"))
    data = encoded(picture(), "PNG")
    return data[:33] + chunk * 500_000 + data[33:]


@pytest.mark.parametrize("data", [endless_exif, endless_chunks])
def test_time_is_limited_where_no_pixel_is_read(tmp_path, monkeypatch, data):
    (tmp_path / "photo").write_bytes(data())
    clock = Clock(tick=1.0)
    monkeypatch.setattr("xdyna.photo.read.time", clock)
    with pytest.raises(InputError, match="damaged"):
        read_photo(tmp_path / "photo", limits=PhotoLimits(max_read_s=100))
    assert clock.looks < 110


def test_the_size_as_read_is_a_setting(tmp_path):
    picture().save(tmp_path / "photo.png")
    assert read_photo(tmp_path / "photo.png", limits=PhotoLimits(max_read_side_px=48)).shape == (48, 32, 3)
