"""Colours of a decoded picture, whatever its mode: to 8-bit sRGB on white."""

import io

import numpy as np
import PIL.Image
from PIL import ImageCms


def to_srgb(image: PIL.Image.Image) -> PIL.Image.Image:
    """Converts to mode RGB as a person sees the picture.

    16-bit gray is scaled, CMYK and CIE Lab are converted, an embedded colour profile (such as the Display P3 of
    phones) is applied, and transparency is laid on white.
    """
    if image.mode.startswith("I"):  # 16-bit gray, which Pillow's own conversion would clip to white
        gray = np.array(image)
        gray >>= 8
        return PIL.Image.fromarray(np.clip(gray, 0, 255, out=gray).astype(np.uint8)).convert("RGB")
    profile = image.info.get("icc_profile")
    alpha = None
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode != "CMYK":
        image = image.convert("RGB")
    image = _profiled(image, profile) if profile else image.convert("RGB")
    if alpha is None:
        return image
    on_white = PIL.Image.new("RGB", image.size, "white")
    on_white.paste(image, mask=alpha)
    return on_white


def _profiled(image: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    """RGB by way of the profile, or by Pillow's plain conversion where the profile is broken or of other colours."""
    try:
        converted = ImageCms.profileToProfile(
            image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError):
        converted = None
    return converted or image.convert("RGB")
