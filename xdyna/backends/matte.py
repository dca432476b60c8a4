"""The one mask of the photo's person: as it was corrected, else estimated."""

from weakref import WeakKeyDictionary

import cv2
import numpy as np

from xdyna.photo import crop_to_aspect
from xdyna.schema import Conditions, Floats

_ESTIMATED = WeakKeyDictionary[Conditions, Floats]()


def photo_matte(conditions: Conditions) -> Floats:
    """Return the opacity of the photo's person, `(height, width)` float32 in 0..1 at the size of the canvas.

    It is estimated at most once for the same conditions.

    Args:
        conditions: From `prepare`; their `matte`, where they have one, is returned as it is.

    Raises:
        InputError: The photo's person cannot be cut out; the message says why and what to do.
    """
    if conditions.matte is not None:
        return conditions.matte
    if conditions not in _ESTIMATED:
        from xdyna.puppet.matte import person_matte

        photo = crop_to_aspect(conditions.reference_image, conditions.size, conditions.photo_box)
        _ESTIMATED[conditions] = person_matte(photo, conditions.reference_pose)
    return _ESTIMATED[conditions]


def corrected_matte(conditions: Conditions, size: tuple[int, int]) -> Floats | None:
    """Return the corrected mask for a larger or smaller canvas of the same shape, None where there is none."""
    if conditions.matte is None:
        return None
    how = cv2.INTER_AREA if size[0] < conditions.size[0] else cv2.INTER_LINEAR
    return cv2.resize(conditions.matte, size[::-1], interpolation=how).astype(np.float32, copy=False)
