"""The photo: read upright in sRGB, and cut to the shape of the video."""

import io
import re
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from PIL import ImageCms, ImageOps

from xdyna.schema import Image, InputError

MAX_PIXELS = 64_000_000
MAX_SIDE_PX = 4096
MIN_SIDE_PX = 64
MAX_ASPECT = 5
MAX_BYTES = 200 * 2**20

ACCEPTED = "JPEG, PNG, WebP, AVIF, TIFF or BMP"
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "HEIF")
ANIMATED = ("PNG", "WEBP", "AVIF")  # formats whose further pictures are time; in TIFF and MPO they are pages
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def read_photo(path: Path) -> Image:
    """Reads a photo as a person sees it.

    The camera's rotation is applied, colours are converted to sRGB, transparency is laid on white, 16-bit, CMYK,
    palette and gray pictures become 8-bit RGB. A photo larger than 4096 px is shrunk to that.

    Args:
        path: the image file; its content decides, not its name.

    Returns:
        `(height, width, 3)` uint8 RGB.

    Raises:
        InputError: the file is empty, not an accepted picture, damaged, animated, too large, too small or too narrow.
    """
    _register_heif()
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_BYTES else None
    except (OSError, ValueError) as error:
        raise InputError("The photo cannot be opened. Upload it again.") from error
    if data is None:
        raise InputError(f"The photo file is larger than {MAX_BYTES // 2**20} MB. Save it smaller.")
    if not data:
        raise InputError("The photo is an empty file (0 bytes). Upload it again.")
    with _opened(data) as image:
        _check(image)
        try:
            image.load()
            rgb = _to_rgb(ImageOps.exif_transpose(image))
        except (OSError, SyntaxError, ValueError) as error:
            raise InputError(
                "The photo is damaged or incomplete. Upload it again, or save it anew as JPEG."
            ) from error
    rgb.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), PIL.Image.Resampling.LANCZOS)
    return np.array(rgb)


def crop_box(photo_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred part of a photo that has the video's shape.

    Args:
        photo_size: `(height, width)` of the photo.
        size: `(height, width)` of the video.

    Returns:
        Left, top, right, bottom in pixels; right and bottom are exclusive.
    """
    (photo_height, photo_width), (height, width) = photo_size, size
    aspect = width / height
    if photo_width / photo_height > aspect:
        kept = max(1, int(aspect * photo_height))
        left = (photo_width - kept) // 2
        return left, 0, left + kept, photo_height
    kept = max(1, int(photo_width / aspect))
    top = (photo_height - kept) // 2
    return 0, top, photo_width, top + kept


def crop_to_aspect(photo: Image, size: tuple[int, int]) -> Image:
    """Cuts a photo to the video's shape and resizes it, as the official program does.

    Args:
        photo: `(any height, any width, 3)` uint8 RGB.
        size: `(height, width)` of the video.

    Returns:
        `(height, width, 3)` uint8 RGB.
    """
    left, top, right, bottom = crop_box((photo.shape[0], photo.shape[1]), size)
    return cv2.resize(photo[top:bottom, left:right], size[::-1], interpolation=cv2.INTER_LINEAR).astype(np.uint8)


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError:  # HEIC is then refused in `_opened`
        return
    pillow_heif.register_heif_opener()


def _opened(data: bytes) -> PIL.Image.Image:
    PIL.Image.init()
    formats = [name for name in FORMATS if name in PIL.Image.OPEN]  # HEIF and AVIF depend on the installation
    try:
        return PIL.Image.open(io.BytesIO(data), formats=formats)
    except PIL.Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        raise _too_large(f"{int(count[0]) / 1e6:.0f} million pixels" if count else "far too large") from error
    except (OSError, SyntaxError, ValueError) as error:
        if data[4:8] == b"ftyp" and data[8:12] in HEIF_BRANDS:
            raise InputError("HEIC photos cannot be read here. Export the photo as JPEG and upload that.") from error
        raise InputError(f"This is not a picture that can be read here. Accepted: {ACCEPTED}.") from error


def _too_large(got: str) -> InputError:
    return InputError(f"The photo is {got}; the limit is {MAX_PIXELS / 1e6:.0f} million pixels. Save it smaller.")


def _check(image: PIL.Image.Image) -> None:
    """Checks the header before the pixels are decoded."""
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(f"{width} x {height} pixels")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise InputError(
            f"The photo is {width} x {height} pixels, which is too {'wide' if width > height else 'tall'}: "
            f"one side may be at most {MAX_ASPECT} times the other. Crop it around the person."
        )
    if min(width, height) < MIN_SIDE_PX:
        raise InputError(
            f"The photo is {width} x {height} pixels, which is too small: each side needs at least {MIN_SIDE_PX}. "
            "Use a larger photo."
        )
    if image.mode == "F":
        raise InputError(f"Floating-point pictures are not accepted. Save the photo as 8-bit {ACCEPTED}.")
    if image.format in ANIMATED and getattr(image, "n_frames", 1) > 1:
        raise InputError(f"This is an animation, not a photo. Save one picture of it; accepted: {ACCEPTED}.")


def _to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """8-bit sRGB on white."""
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow's own conversion would clip to white
        gray = np.asarray(image).astype(np.int64) >> 8
        return PIL.Image.fromarray(np.clip(gray, 0, 255).astype(np.uint8)).convert("RGB")
    image = _to_srgb(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, "white")
        image = PIL.Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_srgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Applies an embedded colour profile, such as the Display P3 of phones."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):  # a broken profile says nothing: take the numbers as they are
        return image
    return converted or image
