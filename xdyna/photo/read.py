"""Reading photos: any still that a phone, a camera or a browser produces."""

import io
import re
import struct
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pi_heif
import PIL.Image
from PIL import ImageOps
from PIL.TiffImagePlugin import TiffImageFile

from xdyna.photo.colour import to_srgb
from xdyna.schema import Image, InputError

ACCEPTED = "JPEG, PNG, WebP, HEIC, AVIF, TIFF or BMP"
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "HEIF", "TIFF", "BMP", "GIF")
ANIMATED = ("PNG", "WEBP", "AVIF", "GIF")  # formats whose further pictures are time; in the others they are pages
MAX_JPEG_SCANS = 50  # a progressive picture has about 10; each costs a pass over all its pixels
# Marker, length and number of components. A marker alone also turns up by chance in the video of a motion photo.
JPEG_SCAN = re.compile(rb"\xff\xda\0(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
TILE_WIDTH, TILE_LENGTH = 322, 323  # TIFF 6.0, section 15: a tile is decoded whole, however small the picture
# What Pillow's readers are known to raise on damaged files.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class PhotoLimits:
    """Limits on photos. The header is held against them before the pixels are decoded.

    Attributes:
        max_file_bytes: size of the file, at most.
        max_pixels: width times height, at most.
        min_side_px: the shorter side, at least.
        max_aspect: the longer side over the shorter, at most.
        max_read_side_px: the longer side as read; larger photos are shrunk.
        max_read_s: seconds of processor time after which nothing more is read from the file. The largest honest
            photo takes about two; millions of tiny or empty parts take minutes.
    """

    max_file_bytes: int = 200 * 2**20
    max_pixels: int = 64_000_000
    min_side_px: int = 64
    max_aspect: float = 5.0
    max_read_side_px: int = 4096
    max_read_s: float = 5.0


DEFAULT_LIMITS = PhotoLimits()


def read_photo(path: Path, *, limits: PhotoLimits = DEFAULT_LIMITS) -> Image:
    """Reads a photo as a person sees it.

    The camera's rotation is applied, colours are converted to sRGB, transparency is laid on white, 16-bit, CMYK,
    palette and gray pictures become 8-bit RGB. A very large photo is shrunk.

    Args:
        path: the image file; its content decides, not its name.
        limits: on file and header.

    Returns:
        `(height, width, 3)` uint8 RGB.

    Raises:
        InputError: the file is empty, not an accepted picture, damaged, animated, too large, too small or too narrow.
    """
    data = _content(path, limits)
    with _opened(data, limits) as image:
        if image.format in ("JPEG", "MPO") and len(JPEG_SCAN.findall(data)) > MAX_JPEG_SCANS:
            raise InputError("The photo is stored in far too many passes to be read. Save it anew as plain JPEG.")
        try:
            _check(image, limits)
            image.load()
            rgb = to_srgb(_upright(image))
        except InputError:
            raise
        except DECODER_ERRORS as error:
            raise _damaged() from error
    rgb.thumbnail((limits.max_read_side_px, limits.max_read_side_px), PIL.Image.Resampling.LANCZOS)
    return np.array(rgb)


def _content(path: Path, limits: PhotoLimits) -> bytes:
    try:
        if not path.is_file():
            raise OSError("not a file")  # a pipe or a device may never end
        data = path.read_bytes() if path.stat().st_size <= limits.max_file_bytes else None
    except (OSError, ValueError) as error:  # ValueError: a name with a null byte
        raise InputError("The photo cannot be opened. Upload it again.") from error
    if data is None:
        raise InputError(f"The photo file is larger than {limits.max_file_bytes // 2**20} MB. Save it smaller.")
    if not data:
        raise InputError("The photo is an empty file (0 bytes). Upload it again.")
    return data


def _opened(data: bytes, limits: PhotoLimits) -> PIL.Image.Image:
    PIL.Image.init()
    pi_heif.register_heif_opener(thumbnails=False)
    formats = [name for name in FORMATS if name in PIL.Image.OPEN]  # AVIF depends on how Pillow was built
    try:
        return PIL.Image.open(_WatchedFile(data, limits.max_read_s), formats=formats)
    except PIL.Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        got = f"{int(count[0]) / 1e6:.0f} million pixels" if count else "far too large"
        raise _too_large(got, limits) from error
    except TimeoutError as error:
        raise _damaged() from error
    except DECODER_ERRORS as error:
        raise InputError(f"This is not a picture that can be read here. Accepted: {ACCEPTED}.") from error


class _WatchedFile(io.BytesIO):
    """A file whose every read looks at the processor's clock, so that endless headers and comments end too."""

    def __init__(self, data: bytes, seconds: float) -> None:
        super().__init__(data)
        self._end = time.thread_time() + seconds

    def read(self, size: int | None = -1) -> bytes:
        if time.thread_time() > self._end:
            raise TimeoutError("the file is read for too long")
        return super().read(size)


def _damaged() -> InputError:
    return InputError("The photo is damaged or incomplete. Upload it again, or save it anew as JPEG.")


def _too_large(got: str, limits: PhotoLimits) -> InputError:
    return InputError(
        f"The photo is {got}; the limit is {limits.max_pixels / 1e6:.0f} million pixels. Save it smaller."
    )


def _check(image: PIL.Image.Image, limits: PhotoLimits) -> None:
    """Checks the header before the pixels are decoded."""
    width, height = image.size
    if width * height > limits.max_pixels:
        raise _too_large(f"{width} x {height} pixels", limits)
    if max(width, height) > limits.max_aspect * min(width, height):
        raise InputError(
            f"The photo is {width} x {height} pixels, which is too {'wide' if width > height else 'tall'}: "
            f"one side may be at most {limits.max_aspect:g} times the other. Crop it around the person."
        )
    if min(width, height) < limits.min_side_px:
        raise InputError(
            f"The photo is {width} x {height} pixels, which is too small: each side needs at least "
            f"{limits.min_side_px}. Use a larger photo."
        )
    tags = image.tag_v2 if isinstance(image, TiffImageFile) else {}
    if tags.get(TILE_WIDTH, 0) * tags.get(TILE_LENGTH, 0) > limits.max_pixels:
        raise _damaged()
    if image.mode == "F":
        raise InputError(f"Floating-point pictures are not accepted. Save the photo as 8-bit {ACCEPTED}.")
    if image.format in ANIMATED and getattr(image, "is_animated", False):
        raise InputError(f"This is an animation, not a photo. Save one picture of it; accepted: {ACCEPTED}.")


def _upright(image: PIL.Image.Image) -> PIL.Image.Image:
    """Turned as its EXIF data says; broken EXIF data says nothing."""
    try:
        return ImageOps.exif_transpose(image)
    except DECODER_ERRORS:
        return image
