"""Tell which part of the body each pixel of a person belongs to."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.puppet.matte import grab_cut
from xdyna.puppet.mesh import bone_distance
from xdyna.puppet.skeleton import ARMS, HEAD_BONES, LEGS, TORSO, TRUNK, Array, Bone, body_size, known_bones
from xdyna.schema import Floats, Image, Mask

BODY = "body"
ARM_NAMES, LEG_NAMES = ("right arm", "left arm"), ("right leg", "left leg")
LEG_STARTS = 0.12  # share of the thigh above which a leg is part of the body
BODY_ENDS = 0.5  # share of the thigh that the body shows as well where legs are closed
HEM = 0.1  # the body goes on below the point where the legs part by this, the legs begin above it by thrice
HIP_WIDTH = 0.16  # half width of what the body shows of a leg, in body sizes
SHOULDER = 0.75  # radius of the part of the shoulder that body and arm both show, in half widths of the arm
LEAST_COVERED = 0.5  # of a bone must lie on the person
SAME_COLOUR = 10.0  # in CIELAB
MOSTLY, LEAST_PX = 0.8, 8  # share of a hidden arm's bones on the torso, and pixels to judge their colour by
CORE, RIM, ARM_ROUNDS = 0.25, 1.25, 2  # half widths of an arm between which its colour decides where it ends
HEAD_WIDTHS = (0.2, 0.34)  # half widths of neck and head, in body sizes


class Anatomy:
    """Where the parts of a body are in a photo.

    Args:
        photo: The picture, `(height, width, 3)` uint8 RGB.
        rest: The photo's skeleton, `(25, 2)` in pixels, NaN where unknown.
        alpha: The person's opacity, `(height, width)` in 0..1.
        matte: The same before it was raised anywhere; tells where legs part.

    Attributes:
        limbs: The bones of each limb that is a layer of its own, by its name.
        widths: The half width of the limb around each of them in pixels.
        fork: How far down the body's layer shows the legs, from `leg_fork`.
    """

    def __init__(self, photo: Image, rest: Array, alpha: Floats, matte: Floats) -> None:
        self.rest, self.size, self.fork = rest, body_size(rest), leg_fork(matte, rest)
        self.limbs, self._alpha, self._photo = known_limbs(rest, matte), alpha, photo
        y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
        self._places: NDArray[np.complex128] = x + 1j * y
        depth = cv2.distanceTransform((alpha > 0.5).astype(np.uint8), cv2.DIST_L2, 5).astype(np.float32)
        self.widths = {
            name: tuple(_half_width(bone, rest, depth, self.size) for bone in bones)
            for name, bones in self.limbs.items()
        }
        lab = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2Lab).astype(np.float32)
        for name in [name for name in self.limbs.keys() & ARM_NAMES if self._hidden(name, lab)]:
            del self.limbs[name]

    def bones_of(self, name: str) -> tuple[tuple[Bone, ...], tuple[float, ...], tuple[float, ...]]:
        """Return the bones that move a layer, the half widths around them in pixels, and how much of each moves it."""
        if name != BODY:
            return self.limbs[name], self.widths[name], (1.0,) * len(self.limbs[name])
        bones = [(bone, bone.half_width, 1.0) for bone in known_bones(TRUNK, self.rest)]
        for leg in (self.limbs[side] for side in LEG_NAMES if side in self.limbs):
            shares = zip(leg[:2], (self.fork, self.fork - 1), strict=False)
            bones += [(bone, HIP_WIDTH, min(1.0, share)) for bone, share in shares if share > 0]
        return (
            tuple(bone for bone, _, _ in bones),
            tuple(width * self.size for _, width, _ in bones),
            tuple(share for _, _, share in bones),
        )

    def masks(self) -> dict[str, Mask]:
        """Return the pixels that each layer shows, `(height, width)`, by its name; what moves on its own is in two."""
        owner, person = self._owners(), self._alpha > 0
        self._refine_arms(owner)
        masks = {BODY: owner == 0}
        for k, (name, bones) in enumerate(self.limbs.items(), start=1):
            mine = owner == k
            if name in LEG_NAMES:
                share = self._down_the_leg(bones)
                masks[BODY] |= mine & (share < self.fork)
                masks[name] = mine & (share > max(LEG_STARTS, self.fork - 3 * HEM))
            else:
                shoulder = complex(*self.rest[bones[0].start])
                masks[BODY] |= mine & (np.abs(self._places - shoulder) < SHOULDER * self.widths[name][0])
                masks[name] = mine
        return {name: mask & person for name, mask in masks.items()}

    def inside(self, name: str, share: float) -> Mask:
        """Return the pixels within a share of the half width of a layer's bones, and in the torso for the body's."""
        found = np.zeros(self._places.shape, bool)
        for bone, width, end in zip(*self.bones_of(name), strict=True):
            start, stop = self._ends(bone)
            found |= bone_distance(self._places, start, start + end * (stop - start)) < share * width
        return found | (self._torso_distance() <= 1) if name == BODY else found

    def _hidden(self, name: str, lab: Floats) -> bool:
        """Return whether nothing of a forearm and hand is seen where they lie on the torso: they are behind it.

        Their colours are the torso's around them there; sleeves of a coat end in a hand that shows.
        """
        bones, widths = self.limbs[name], self.widths[name]
        torso = (self._torso_distance() <= 1) & (self._alpha > 0.5)
        reach = self._distance(bones[1:] or bones, widths[1:] or widths)
        around = torso & (reach > RIM) & (reach < 2 * RIM)
        if len(bones) < 2 or around.sum() < LEAST_PX:
            return False
        for bone, width in zip(bones[1:], widths[1:], strict=True):
            core = self._distance([bone], [width]) < CORE
            inside = core & torso
            if inside.sum() < max(LEAST_PX, MOSTLY * (core & (self._alpha > 0.5)).sum()):
                return False
            if np.linalg.norm(np.median(lab[inside], axis=0) - np.median(lab[around], axis=0)) > SAME_COLOUR:
                return False
        return True

    def _owners(self) -> NDArray[np.intp]:
        """Return which part each pixel belongs to, `(height, width)`: 0 for the body, then the limbs in their order.

        A limb owns what lies within its width; beyond, the nearest part does, in its own widths.
        """
        body = self._torso_distance()
        head = known_bones(HEAD_BONES, self.rest)
        if head:
            body = np.minimum(body, self._distance(head, [width * self.size for width in HEAD_WIDTHS]).clip(1))
        shares = [body]
        for name, bones in self.limbs.items():
            share = self._distance(bones, self.widths[name])
            # An arm that lies on a leg is in front of it.
            shares.append(np.maximum(share, 0.95 + 0.05 * share) if name in LEG_NAMES else share)
        return np.stack(shares).argmin(axis=0)

    def _refine_arms(self, owner: NDArray[np.intp]) -> None:
        """Let colour decide, in place, how far a forearm or hand reaches that lies on the body or on a leg.

        An upper arm often wears what the body wears.
        """
        person = self._alpha > 0.5
        for k, (name, bones) in enumerate(self.limbs.items(), start=1):
            if name not in ARM_NAMES or len(bones) < 2:
                continue
            near = self._distance(bones[1:], self.widths[name][1:])
            unsure = person & (near > CORE) & (near < RIM)
            if not (unsure & (owner != k)).any() or not (owner == k).any():
                continue
            labels = np.where(owner == k, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
            labels[unsure] = np.where(owner == k, cv2.GC_PR_FGD, cv2.GC_PR_BGD)[unsure]
            left, top, width, height = cv2.boundingRect(((near < 1.5 * RIM) & person).astype(np.uint8))
            part = slice(top, top + height), slice(left, left + width)
            mine, before = grab_cut(self._photo[part], labels[part], ARM_ROUNDS), owner[part]
            lost = ~mine & (before == k) & unsure[part]
            owner[part] = np.where(mine & (self._alpha[part] > 0), k, np.where(lost, 0, before))

    def _ends(self, bone: Bone) -> tuple[complex, complex]:
        return complex(*self.rest[bone.start]), complex(*self.rest[bone.end])

    def _distance(self, bones: Sequence[Bone], widths: Sequence[float]) -> NDArray[np.float64]:
        """Return the distance from the nearest bone in its half widths, `(height, width)`."""
        found = [
            bone_distance(self._places, *self._ends(bone)) / width for bone, width in zip(bones, widths, strict=False)
        ]
        return np.min(found, axis=0)

    def _torso_distance(self) -> NDArray[np.float64]:
        """Return 1 in the torso, and more with the distance from it, `(height, width)`."""
        outline = np.zeros(self._places.shape, np.uint8)
        corners = np.round(self.rest[list(TORSO)]).astype(np.int32)
        cv2.fillConvexPoly(outline, cv2.convexHull(corners), (1,))
        return 1 + cv2.distanceTransform(1 - outline, cv2.DIST_L2, 5) / (0.13 * self.size)

    def _down_the_leg(self, bones: Sequence[Bone]) -> NDArray[np.float64]:
        """Return how far down a leg each place lies, `(height, width)`: 0 hip, 1 knee, 2 ankle."""
        share = _share(self._places, *self._ends(bones[0]))
        if len(bones) < 2:
            return share
        return np.where(share < 1, share, 1 + np.maximum(0, _share(self._places, *self._ends(bones[1]))))


def known_limbs(rest: Array, matte: Floats) -> dict[str, tuple[Bone, ...]]:
    """Return the bones of each limb that the photo shows from where it begins; others stay with the body.

    An arm that the pose sees where the person is not is one of them: a detector guesses arms that are hidden.
    """
    limbs = {}
    for name, bones in zip((*LEG_NAMES, *ARM_NAMES), (*LEGS, *ARMS), strict=True):
        known = known_bones(bones, rest)
        if not known or known[0] != bones[0]:
            continue
        if name in LEG_NAMES or min(_covered_share(bone, rest, matte) for bone in known[:2]) > LEAST_COVERED:
            limbs[name] = known
    return limbs


def _covered_share(bone: Bone, rest: Array, matte: Floats) -> float:
    """Return the share of a bone, of what the picture holds of it, that lies on the person."""
    values = _along_bone(bone, rest, matte)
    return float((values > 0.5).mean()) if len(values) else 1.0


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


def _half_width(bone: Bone, rest: Array, depth: Floats, size: float) -> float:
    """Return the half width of a limb in pixels: what the matte shows of it where it stands free."""
    usual, values = bone.half_width * size, _along_bone(bone, rest, depth)
    seen = float(np.median(values)) if len(values) else usual
    return float(np.clip(1.2 * seen, 0.45 * usual, usual))


def _along_bone(bone: Bone, rest: Array, picture: Floats) -> Floats:
    """Return the values of a picture along a bone, where it lies inside."""
    places = rest[bone.start] + np.linspace(0.15, 0.95, 12)[:, None] * (rest[bone.end] - rest[bone.start])
    x, y = np.round(places).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < picture.shape[1]) & (y < picture.shape[0])
    return picture[y[inside], x[inside]]


def _share(places: NDArray[np.complex128], start: complex, end: complex) -> NDArray[np.float64]:
    """Return how far along a bone each place lies: 0 at its start, 1 at its end."""
    return ((places - start) * np.conj(end - start)).real / max(abs(end - start) ** 2, 1e-9)
