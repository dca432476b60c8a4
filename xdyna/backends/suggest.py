"""Which model suits a photo, where nobody has chosen one."""

from collections.abc import Collection

from xdyna.backends import BACKENDS
from xdyna.photo import looks_drawn
from xdyna.schema import Image
from xdyna.weights import default_model

WITHOUT_GPU = "puppet"


def suggest_model(photo: Image, wanted: Collection[str] = ()) -> str:
    """Return the key of the best model that can run here for a photo: one that was made for drawings gets no other.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        wanted: The settings that it must have.
    """
    best = default_model()
    if not BACKENDS[best].drawn_only or looks_drawn(photo):
        return best
    return WITHOUT_GPU if all(map(BACKENDS[WITHOUT_GPU].takes, wanted)) else best
