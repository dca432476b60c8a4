"""Cut a person into layers that move by themselves: legs, body, arms, from the back to the front."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.puppet.anatomy import ARM_NAMES, BODY, LEG_NAMES, Anatomy
from xdyna.puppet.skeleton import Array, Bone
from xdyna.schema import Floats, Image, Mask

UNDER = 0.9  # share of a body's width that is filled in under a limb that lies on it
CLOSING = 0.15  # radius of notches in a layer that are filled under what lies on it, in body sizes
OPAQUE = 0.99
SEAM_PX, SEAM_REACH_PX = 0.8, 4  # softness of the edge between two layers, and how far the lower one surely goes on
LEAST_SHARE = 0.03
INPAINT_PX, FILL_MARGIN_PX = 4, 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A part of the photo's person.

    Attributes:
        name: The part: "body", "right arm" and so on.
        texture: Its pixels, `(height, width, 4)` uint8 RGBA, premultiplied.
        bones: The bones that move it.
        widths: The half width of the body around each of them in pixels.
        ends: How much of each of them, from its start, moves it.
    """

    name: str
    texture: NDArray[np.uint8]
    bones: tuple[Bone, ...]
    widths: tuple[float, ...]
    ends: tuple[float, ...]


def cut_layers(photo: Image, matte: Floats, plate: Image, rest: Array, shown: Mask) -> list[Layer]:
    """Cut a person into layers, from the back to the front.

    Laid over the plate one after another they give the photo.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        matte: The person's opacity, `(height, width)` in 0..1.
        plate: The background without the person, `(height, width, 3)` uint8 RGB.
        rest: The photo's skeleton, `(25, 2)` in pixels, NaN where unknown.
        shown: The pixels that are the photo's own, `(height, width)`; the others only continue it.
    """
    alpha, _ = foreground(photo, matte, plate)
    anatomy = Anatomy(photo, rest, alpha, matte)
    masks = anatomy.masks()
    for name in masks.keys() & ARM_NAMES:
        masks[name] &= shown  # a hand that the edge cuts does not go on as a broad stripe
    order = _order(anatomy)
    shares = {name: _soft(masks[name], alpha > 0) for name in order}
    layers, seen, covered = [], plate.astype(np.float32), np.zeros(matte.shape, np.float32)
    for k, name in enumerate(order):
        on_it = order[k + 1 :]
        above = np.any([shares[other] > 0 for other in on_it] or [np.zeros(matte.shape, bool)], axis=0)
        both = masks[name] & np.any([masks[other] for other in on_it] or [above], axis=0)
        hidden = above & (alpha >= OPAQUE)
        # What shines through must not be laid on twice; along the edge of another layer the colours are mixed.
        own = np.where(hidden & both, np.float32(1), np.where(above, np.float32(0), shares[name]))
        under = hidden & ~both & _reach(anatomy, name, own > 0.5)
        # Nothing fades where nothing is below.
        own = np.where((own > 0) & ~above & (covered < alpha), np.float32(1), own)
        texture = _texture(photo, seen, alpha * own, under)
        through = 1 - texture[..., 3] / np.float32(255)
        seen = (texture[..., :3] + through[..., None] * seen).astype(np.float32)
        covered = (1 - through * (1 - covered)).astype(np.float32)
        bones, widths, ends = anatomy.bones_of(name)
        layers.append(Layer(name=name, texture=texture, bones=bones, widths=widths, ends=ends))
    return layers


def _soft(mask: Mask, person: Mask) -> Floats:
    """Return a layer's share of the person, `(height, width)`: it fades over two pixels where another layer begins."""
    wide = mask.astype(np.float32)
    share, whole = (cv2.GaussianBlur(part, (0, 0), SEAM_PX) for part in (wide * person, person.astype(np.float32)))
    found = np.where(person, share / np.maximum(whole, 1e-3), 0)
    return np.where(found < LEAST_SHARE, 0, np.where(found > 1 - LEAST_SHARE, 1, found)).astype(np.float32)


def _reach(anatomy: Anatomy, name: str, own: Mask) -> Mask:
    """Return where a layer goes on under others, `(height, width)`."""
    return anatomy.inside(name, UNDER) | _closed(own, CLOSING * anatomy.size) | _grown(own, SEAM_REACH_PX)


def _order(anatomy: Anatomy) -> list[str]:
    """Return the layers' names from the back to the front; of a pair, what ends lower in the picture is nearer."""

    def pair(names: tuple[str, str]) -> list[str]:
        known = [name for name in names if name in anatomy.limbs]
        return sorted(known, key=lambda name: anatomy.rest[anatomy.limbs[name][-1].end, 1])

    return [*pair(LEG_NAMES), BODY, *pair(ARM_NAMES)]


def foreground(photo: Image, matte: Floats, plate: Image | Floats) -> tuple[Floats, Floats]:
    """Return the person's opacity, `(height, width)`, and own colour, `(height, width, 3)` in levels.

    Where the plate differs too much from the photo for a colour to make up for it, the opacity is raised, further than
    needed so that no colour is at the end of its range: laid over the plate, the result is the photo.
    """
    seen, behind = photo.astype(np.float32), plate.astype(np.float32)
    difference = seen - behind
    room = np.where(difference > 0, 255 - behind, behind)
    least = (np.abs(difference) / np.maximum(room, 1e-3)).max(axis=-1)
    alpha = np.clip(np.maximum(matte, np.sqrt(least)), 0, 1)
    alpha = np.where(np.abs(difference).max(axis=-1) + matte > 0, alpha, 0).astype(np.float32)
    colour = behind + difference / np.maximum(alpha, 1 / 255)[..., None]
    return alpha, np.clip(colour, 0, 255).astype(np.float32)


def _closed(mask: Mask, radius: float) -> Mask:
    """Return the mask without notches narrower than a radius in pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(radius) + 1,) * 2)
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0


def _grown(mask: Mask, reach: int) -> Mask:
    """Return the mask with the pixels around it."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0


def _texture(photo: Image, behind: Floats, opacity: Floats, under: Mask) -> NDArray[np.uint8]:
    """Return premultiplied RGBA that gives the photo where it lies over what is behind it at rest.

    What is hidden is filled from the layer's own pixels.
    """
    alpha, colour = foreground(photo, opacity, behind)
    alpha = np.where(opacity > 0, alpha, 0)
    if under.any():
        colour = np.where(under[..., None], _filled(photo, opacity > 0.5, under), colour)
    alpha = np.where(under, 1, alpha)
    return np.round(np.dstack([colour * alpha[..., None], 255 * alpha])).astype(np.uint8)


def _filled(photo: Image, own: Mask, under: Mask) -> Floats:
    """Return the photo with hidden pixels grown in from the layer, `(height, width, 3)` float32 in levels."""
    ys, xs = np.nonzero(under)
    rows = slice(max(0, ys.min() - FILL_MARGIN_PX), ys.max() + FILL_MARGIN_PX + 1)
    columns = slice(max(0, xs.min() - FILL_MARGIN_PX), xs.max() + FILL_MARGIN_PX + 1)
    part, holes = photo[rows, columns], ~own[rows, columns]
    half = cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8)
    small_holes = cv2.resize(holes.astype(np.float32), half.shape[1::-1], interpolation=cv2.INTER_AREA) > 0
    grown = cv2.inpaint(half, small_holes.astype(np.uint8), INPAINT_PX, cv2.INPAINT_TELEA)
    result = photo.astype(np.float32)
    result[rows, columns] = cv2.resize(grown, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return result
