"""The photo: read upright in sRGB, and cut to the shape of the video."""

from xdyna.photo.crop import crop_box, crop_to_aspect
from xdyna.photo.drawing import looks_drawn
from xdyna.photo.read import PhotoLimits, read_photo

__all__ = ["PhotoLimits", "crop_box", "crop_to_aspect", "looks_drawn", "read_photo"]
