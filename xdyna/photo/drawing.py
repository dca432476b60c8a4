"""Tell a drawing from a photograph."""

import cv2
import numpy as np

from xdyna.schema import Image

WORKING_SIDE_PX = 448
EDGE, FLAT, COLOURED = 48, 3, 16  # levels between neighbours: an outline, no texture at all; and between channels
AROUND_PX = 11
FLAT_AROUND = 0.25  # of the pixels around an outline
DRAWN_OUTLINES = 0.15  # of all outlines; photographs have 0 to 0.14, drawings 0.15 to 0.8


def looks_drawn(photo: Image) -> bool:
    """Tell whether a picture is drawn: its outlines have clean flat colour beside them; a photograph has texture.

    Grey and black areas do not count: walls and letterboxes are flat in photographs, too. Painted pictures, and
    drawings that were saved as JPEG, have texture and count as photographs.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
    """
    zoom = min(1.0, WORKING_SIDE_PX / max(photo.shape))
    small = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
    neighbours = np.ones((3, 3), np.uint8)
    steps = cv2.subtract(cv2.dilate(small, neighbours), cv2.erode(small, neighbours)).max(axis=-1)
    coloured = np.ptp(small, axis=-1) >= COLOURED
    around = cv2.blur(((steps <= FLAT) & coloured).astype(np.float32), (AROUND_PX, AROUND_PX))
    outlines = around[steps >= EDGE]
    return bool(outlines.size) and float((outlines > FLAT_AROUND).mean()) >= DRAWN_OUTLINES
