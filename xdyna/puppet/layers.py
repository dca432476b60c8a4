"""Cut a person into layers that move by themselves: legs, body, arms, from the back to the front."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.puppet.matte import grab_cut
from xdyna.puppet.mesh import bone_distance
from xdyna.puppet.skeleton import ARMS, LEGS, TRUNK, Array, Bone, body_size, known_bones
from xdyna.schema import Floats, Image, Mask

BODY = "body"
ARM_NAMES, LEG_NAMES = ("right arm", "left arm"), ("right leg", "left leg")
LEG_STARTS = 0.12  # share of the thigh above which a leg is part of the body
BODY_ENDS = 0.5  # share of the thigh that the body shows as well where legs are closed
HEM = 0.1  # the body goes on below the point where the legs part by this, the legs begin above it by thrice
SHOULDER = 0.75  # radius of the part of the shoulder that body and arm both show, in half widths of the arm
UNDER = 0.9  # share of a body's width that is filled in under a limb that lies on it
CORE, RIM, ARM_ROUNDS = 0.55, 1.25, 2  # half widths of an arm between which its colour decides where it ends
CLOSING = 0.15  # radius of notches in a layer that are filled under what lies on it, in body sizes
INPAINT_PX = 4


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
    size = body_size(rest)
    alpha, colour = foreground(photo, matte, plate)
    limbs = known_limbs(rest)
    trunk = known_bones(TRUNK, rest)
    places = _grid(alpha.shape)
    depth = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 5).astype(np.float32)
    widths = {name: [_half_width(bone, rest, depth, size) for bone in bones] for name, bones in limbs.items()}
    owner = _owners(places, trunk, limbs, widths, rest, size)
    _refine_arms(owner, photo, alpha, places, limbs, widths, rest)
    fork = leg_fork(matte, rest)
    masks = _masks(places, owner, limbs, widths, rest, alpha, fork)
    for name in ARM_NAMES:
        if name in masks:
            masks[name] &= shown  # a hand that the edge cuts does not go on as a broad stripe
    order = _order(limbs, rest)
    layers = []
    for k, name in enumerate(order):
        above = np.any([masks[other] for other in order[k + 1 :]] or [np.zeros_like(masks[name])], axis=0)
        own = masks[name] & ~(above & (alpha < 0.999))  # what shines through must not be laid on twice
        bones = limbs.get(name, trunk)
        half = widths.get(name, [bone.half_width * size for bone in bones])
        ends = [1.0] * len(bones)
        if name == BODY:
            for leg in (limbs[side] for side in LEG_NAMES if side in limbs):
                for bone, share in zip(leg[:2], (fork, fork - 1), strict=False):
                    if share > 0:
                        bones, half, ends = (*bones, bone), [*half, 0.16 * size], [*ends, min(1.0, share)]
        within = _inside(places, bones, half, ends, rest, trunk if name == BODY else ())
        under = above & ~own & (alpha > 0.99) & (within | _closed(own, CLOSING * size))
        layers.append(
            Layer(
                name=name,
                texture=_texture(colour, alpha, own, under),
                bones=bones,
                widths=tuple(half),
                ends=tuple(ends),
            )
        )
    return layers


def known_limbs(rest: Array) -> dict[str, tuple[Bone, ...]]:
    """Return the bones of each limb that the photo shows from where it begins; others stay with the body."""
    limbs = {}
    for name, bones in zip((*LEG_NAMES, *ARM_NAMES), (*LEGS, *ARMS), strict=True):
        known = known_bones(bones, rest)
        if known and known[0] == bones[0]:
            limbs[name] = known
    return limbs


def leg_fork(matte: Floats, rest: Array) -> float:
    """Return how far down the legs part, or a skirt ends: in thighs from the hips, above 1 in shins from the knees.

    Where no gap shows between them, it is the middle of the thighs.
    """
    joints = [(bone.start, bone.end) for leg in LEGS for bone in leg[:2]]
    (hip, knee), (_, ankle), (other_hip, other_knee), (_, other_ankle) = joints
    middle = np.array([rest[[hip, other_hip]], rest[[knee, other_knee]], rest[[ankle, other_ankle]]]).mean(axis=1)
    shares = np.arange(0.15, 1.9, 0.05)
    for share in shares:
        start, end = middle[int(share)], middle[int(share) + 1]
        x, y = np.nan_to_num(start + (share % 1) * (end - start), nan=-1).round().astype(int)
        if 0 <= x < matte.shape[1] and 0 <= y < matte.shape[0] and matte[y, x] < 0.5:
            return float(share) + HEM
    return BODY_ENDS


def _order(limbs: dict[str, tuple[Bone, ...]], rest: Array) -> list[str]:
    """Return the layers' names from the back to the front; of a pair, what ends lower in the picture is nearer."""

    def pair(names: tuple[str, str]) -> list[str]:
        return sorted((name for name in names if name in limbs), key=lambda name: rest[limbs[name][-1].end, 1])

    return [*pair(LEG_NAMES), BODY, *pair(ARM_NAMES)]


def foreground(photo: Image, matte: Floats, plate: Image) -> tuple[Floats, Floats]:
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


def _grid(shape: tuple[int, ...]) -> NDArray[np.complex128]:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return x + 1j * y


def _half_width(bone: Bone, rest: Array, depth: Floats, size: float) -> float:
    """Return the half width of a limb in pixels: what the matte shows of it where it stands free."""
    start, end = rest[bone.start], rest[bone.end]
    on_bone = start + np.linspace(0.15, 0.95, 12)[:, None] * (end - start)
    x, y = np.round(on_bone).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < depth.shape[1]) & (y < depth.shape[0])
    usual = bone.half_width * size
    seen = float(np.median(depth[y[inside], x[inside]])) if inside.any() else usual
    return float(np.clip(1.2 * seen, 0.45 * usual, usual))


def _ends(bone: Bone, rest: Array) -> tuple[complex, complex]:
    start, end = rest[[bone.start, bone.end]] @ [1, 1j]
    return start, end


def _owners(
    places: NDArray[np.complex128],
    trunk: Sequence[Bone],
    limbs: dict[str, tuple[Bone, ...]],
    widths: dict[str, list[float]],
    rest: Array,
    size: float,
) -> NDArray[np.intp]:
    """Return which part each pixel belongs to, `(height, width)`: 0 for the body, then the limbs in their order.

    A limb owns what lies within its width; beyond, the nearest part does, in its own widths.
    """
    body = np.maximum(_torso_distance(places, rest, size), 1)
    body = np.minimum(body, _distance(places, trunk[-2:], [0.2 * size, 0.34 * size][: len(trunk)], rest).clip(1))
    shares = [_distance(places, bones, widths[name], rest) for name, bones in limbs.items()]
    # An arm that lies on a leg is in front of it.
    behind = [np.maximum(d, 0.95 + 0.05 * d) for d in shares]
    shares = [far if name in LEG_NAMES else d for name, d, far in zip(limbs, shares, behind, strict=True)]
    return np.stack([body, *shares]).argmin(axis=0)


def _refine_arms(
    owner: NDArray[np.intp],
    photo: Image,
    alpha: Floats,
    places: NDArray[np.complex128],
    limbs: dict[str, tuple[Bone, ...]],
    widths: dict[str, list[float]],
    rest: Array,
) -> None:
    """Let colour decide, in place, how far a forearm or hand reaches that lies on the body or on a leg.

    An upper arm often wears what the body wears.
    """
    for k, name in enumerate(limbs, start=1):
        if name not in ARM_NAMES or len(limbs[name]) < 2:
            continue
        near = _distance(places, limbs[name][1:], widths[name][1:], rest)
        unsure = (alpha > 0.5) & (near > CORE) & (near < RIM)
        if not (unsure & (owner != k)).any():
            continue
        ys, xs = np.nonzero((near < 1.5 * RIM) & (alpha > 0.5))
        part = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
        labels = np.where(owner == k, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
        labels[unsure] = np.where(owner == k, cv2.GC_PR_FGD, cv2.GC_PR_BGD)[unsure]
        labels = labels[part]
        if not all(((labels & 1) == side).any() for side in (0, 1)):
            continue
        mine, body = grab_cut(photo[part], labels, ARM_ROUNDS), owner[part]
        lost = ~mine & (body == k) & unsure[part]
        others = np.where(body == k, 0, body)
        owner[part] = np.where(mine & (alpha[part] > 0), k, np.where(lost, others, body))


def _distance(
    places: NDArray[np.complex128], bones: Sequence[Bone], widths: Sequence[float], rest: Array
) -> NDArray[np.float64]:
    """Return the distance from the nearest bone in its half widths."""
    found = [bone_distance(places, *_ends(bone, rest)) / width for bone, width in zip(bones, widths, strict=False)]
    return np.min(found, axis=0)


def _torso_distance(places: NDArray[np.complex128], rest: Array, size: float) -> NDArray[np.float64]:
    """Return 1 in the torso, and more with the distance from it."""
    corners = rest[[2, 5, 11, 8]]
    outline = np.zeros(places.shape, np.uint8)
    known = corners[np.isfinite(corners[:, 0])]
    if len(known) < 3:
        return np.full(places.shape, np.inf)
    cv2.fillConvexPoly(outline, cv2.convexHull(np.round(known).astype(np.int32)), (1,))
    return 1 + cv2.distanceTransform(1 - outline, cv2.DIST_L2, 5) / (0.13 * size)


def _masks(
    places: NDArray[np.complex128],
    owner: NDArray[np.intp],
    limbs: dict[str, tuple[Bone, ...]],
    widths: dict[str, list[float]],
    rest: Array,
    alpha: Floats,
    fork: float,
) -> dict[str, Mask]:
    """Return the pixels that each layer shows."""
    person = alpha > 0
    masks = {BODY: owner == 0}
    for k, (name, bones) in enumerate(limbs.items(), start=1):
        mine, (start, end) = owner == k, _ends(bones[0], rest)
        if name in LEG_NAMES:
            share = _share(places, start, end)
            if len(bones) > 1:
                share = np.where(share < 1, share, 1 + np.maximum(0, _share(places, *_ends(bones[1], rest))))
            masks[BODY] |= mine & (share < fork)
            masks[name] = mine & (share > max(LEG_STARTS, fork - 3 * HEM))
        else:
            masks[BODY] |= mine & (np.abs(places - start) < SHOULDER * widths[name][0])
            masks[name] = mine
    return {name: mask & person for name, mask in masks.items()}


def _share(places: NDArray[np.complex128], start: complex, end: complex) -> NDArray[np.float64]:
    """Return how far along a bone each place lies: 0 at its start, 1 at its end."""
    return ((places - start) * np.conj(end - start)).real / max(abs(end - start) ** 2, 1e-9)


def _inside(
    places: NDArray[np.complex128],
    bones: Sequence[Bone],
    widths: Sequence[float],
    ends: Sequence[float],
    rest: Array,
    trunk: Sequence[Bone],
) -> Mask:
    """Return the pixels within the usual width of bones, and of the torso where a trunk is given."""
    inside = np.zeros(places.shape, bool)
    for bone, width, share in zip(bones, widths, ends, strict=True):
        start, end = _ends(bone, rest)
        inside |= bone_distance(places, start, start + share * (end - start)) < UNDER * width
    return inside | (_torso_distance(places, rest, 1.0) <= 1) if trunk else inside


def _closed(mask: Mask, radius: float) -> Mask:
    """Return the mask without notches narrower than a radius in pixels."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * round(radius) + 1,) * 2)
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, kernel) > 0


def _texture(colour: Floats, alpha: Floats, own: Mask, under: Mask) -> NDArray[np.uint8]:
    """Return premultiplied RGBA, with what is hidden filled from the layer's own pixels."""
    opacity = np.where(own, alpha, under).astype(np.float32)
    filled = colour
    if under.any():
        filled = np.where(under[..., None], _filled(colour, own, under), colour)
    pixels = np.dstack([filled * opacity[..., None], 255 * opacity])
    return np.round(pixels).astype(np.uint8)


def _filled(colour: Floats, own: Mask, under: Mask) -> Floats:
    """Return the colours with those of hidden pixels grown in from the layer, `(height, width, 3)` in levels."""
    ys, xs = np.nonzero(under)
    margin = 8
    rows = slice(max(0, ys.min() - margin), ys.max() + margin + 1)
    columns = slice(max(0, xs.min() - margin), xs.max() + margin + 1)
    part, holes = colour[rows, columns], ~own[rows, columns]
    half = cv2.resize(part, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).round().astype(np.uint8)
    small_holes = cv2.resize(holes.astype(np.float32), half.shape[1::-1], interpolation=cv2.INTER_AREA) > 0
    grown = cv2.inpaint(half, small_holes.astype(np.uint8), INPAINT_PX, cv2.INPAINT_TELEA)
    result = colour.copy()
    result[rows, columns] = cv2.resize(grown, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return result
