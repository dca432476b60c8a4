"""Joints in three dimensions: forward kinematics for trunk and arms, two-bone reach for the limbs.

x to the right of the picture, y down, z towards the viewer; lengths in body heights until `Skeleton.placed`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xdyna.world.motion import Moves

Array = NDArray[np.float64]
SIDES = (-1.0, 1.0)
"""Direction in the picture of the person's right and left."""


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """Bone lengths and widths in body heights."""

    head: float
    neck: float
    shoulder: float
    torso: float
    hip: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shin: float

    @classmethod
    def sampled(cls, rng: np.random.Generator) -> "Proportions":
        """A believable adult; the head is a little large so that faces stay readable in small pictures."""
        head = rng.uniform(0.172, 0.186)
        legs = rng.uniform(0.445, 0.475)
        neck = rng.uniform(0.022, 0.034)
        arm = rng.uniform(0.285, 0.31)
        return cls(
            head=head,
            neck=neck,
            shoulder=rng.uniform(0.092, 0.118),
            torso=1.0 - head - neck - legs - 0.035,
            hip=rng.uniform(0.05, 0.062),
            upper_arm=arm * 0.53,
            forearm=arm * 0.47,
            hand=rng.uniform(0.078, 0.09),
            thigh=legs * 0.51,
            shin=legs * 0.49,
        )


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """Joints over time; pairs are (right, left).

    Attributes:
        pelvis, neck, chin: `(n, 3)`; neck is the middle of the shoulders, chin the top of the neck.
        head_turn: `(n, 3, 3)` rotation of the head.
        shoulders, elbows, wrists, hips, knees, ankles: `(n, 2, 3)`.
        fingers: `(n, 2, 21, 3)`.
        unit: length of one body height in the current units.
    """

    pelvis: Array
    neck: Array
    chin: Array
    head_turn: Array
    shoulders: Array
    elbows: Array
    wrists: Array
    hips: Array
    knees: Array
    ankles: Array
    fingers: Array
    unit: float = 1.0

    def placed(self, scale: float, x: float, floor: float) -> "Skeleton":
        """The same skeleton in frame units: body height `scale`, standing at `x` on `floor`."""
        shift = np.array([x, floor, 0.0])
        names = ["pelvis", "neck", "chin", "shoulders", "elbows", "wrists", "hips", "knees", "ankles", "fingers"]
        return replace(self, unit=scale, **{name: getattr(self, name) * scale + shift for name in names})


def rotation(yaw: Array, pitch: Array, roll: Array) -> Array:
    """`(n, 3, 3)`: roll in the picture after pitch (nodding) after yaw (turning to the picture's right)."""
    one, zero = np.ones_like(yaw), np.zeros_like(yaw)
    cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
    about_y = np.stack([cy, zero, sy, zero, one, zero, -sy, zero, cy], -1).reshape(-1, 3, 3)
    about_x = np.stack([one, zero, zero, zero, cp, sp, zero, -sp, cp], -1).reshape(-1, 3, 3)
    about_z = np.stack([cr, -sr, zero, sr, cr, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    return about_z @ about_x @ about_y


def pose_skeleton(body: Proportions, moves: Moves) -> Skeleton:
    """Poses a body; the floor is y = 0 and the middle of the stance x = 0."""
    n = len(moves.drift)
    legs = moves.legs
    length = body.thigh + body.shin
    centre = moves.drift + legs[:, 6]
    feet = np.zeros((n, 2, 3))
    for i, side in enumerate(SIDES):
        feet[:, i] = np.stack(
            [moves.drift + side * (body.hip * 0.6 + legs[:, 3 * i]), -0.035 - legs[:, 3 * i + 1], legs[:, 3 * i + 2]],
            -1,
        )
    # The pelvis is as high as the crouch asks, but never out of reach of a foot.
    height = length * (0.999 - legs[:, 7])
    for i in range(2):
        reach = np.sqrt(np.maximum((0.992 * length) ** 2 - (feet[:, i, 0] - centre - SIDES[i] * body.hip) ** 2, 0.01))
        height = np.minimum(height, reach - feet[:, i, 1] - 0.035 + 1e-3)
    pelvis = np.stack([centre, -0.035 - height, np.zeros(n)], -1)
    yaw, pitch, roll = moves.torso.T
    torso_turn = rotation(yaw, pitch, roll - moves.legs[:, 6] * 0.8)
    hip_turn = rotation(yaw * 0.6, np.zeros(n), roll * 0.2)
    up = np.array([0.0, -1.0, 0.0])
    neck = pelvis + torso_turn @ (up * body.torso)
    shoulders = np.stack([neck + torso_turn @ np.array([s * body.shoulder, 0.012, 0.0]) for s in SIDES], 1)
    hips = np.stack([pelvis + hip_turn @ np.array([s * body.hip, 0.0, 0.0]) for s in SIDES], 1)
    head_turn = rotation(yaw * 0.5 + moves.head[:, 0], moves.head[:, 1], roll * 0.5 + moves.head[:, 2])
    chin = neck + (torso_turn @ (up * body.neck) + head_turn @ (up * body.neck)) * 0.5
    elbows, wrists = _arms(body, moves, shoulders, torso_turn)
    knees, ankles = _legs(body, hips, feet)
    return Skeleton(
        pelvis=pelvis,
        neck=neck,
        chin=chin,
        head_turn=head_turn,
        shoulders=shoulders,
        elbows=elbows,
        wrists=wrists,
        hips=hips,
        knees=knees,
        ankles=ankles,
        fingers=_hands(body, elbows, wrists, moves.curl),
    )


def _arms(body: Proportions, moves: Moves, shoulders: Array, turn: Array) -> tuple[Array, Array]:
    elevation, azimuth, reach, swivel = np.moveaxis(moves.arms, -1, 0)
    side = np.array(SIDES)[None]
    se, ce, sa, ca = np.sin(elevation), np.cos(elevation), np.sin(azimuth), np.cos(azimuth)
    along = np.stack([side * se * ca, ce, se * sa], -1)
    lift = np.stack([side * ce * ca, -se, ce * sa], -1)
    back = np.stack([side * sa, np.zeros_like(sa), -ca], -1)
    across = np.cos(swivel)[..., None] * lift + np.sin(swivel)[..., None] * back
    a, b = body.upper_arm, body.forearm
    distance = np.clip(reach, 0.45, 0.985) * (a + b)
    foot = (a * a - b * b + distance**2) / (2 * distance)
    height = np.sqrt(np.maximum(a * a - foot**2, 0))
    elbow = along * foot[..., None] + across * height[..., None]
    wrist = along * distance[..., None]
    return shoulders + elbow @ turn.swapaxes(1, 2), shoulders + wrist @ turn.swapaxes(1, 2)


def _legs(body: Proportions, hips: Array, feet: Array) -> tuple[Array, Array]:
    offset = feet - hips
    distance = np.linalg.norm(offset, axis=-1, keepdims=True)
    along = offset / distance
    a, b = body.thigh, body.shin
    distance = np.clip(distance, abs(a - b) + 0.02, (a + b) * 0.995)
    part = (a * a - b * b + distance**2) / (2 * distance)
    height = np.sqrt(np.maximum(a * a - part**2, 0))
    pole = np.array([[side * 0.5, -0.1, 0.85] for side in SIDES])[None]
    pole = pole - (pole * along).sum(-1, keepdims=True) * along
    pole /= np.linalg.norm(pole, axis=-1, keepdims=True)
    return hips + along * part + pole * height, hips + along * distance


def _hands(body: Proportions, elbows: Array, wrists: Array, curl: Array) -> Array:
    """21 points a hand: wrist, then four each of thumb, index, middle, ring and little finger."""
    bone = wrists - elbows
    flat = bone[..., :2]
    size = np.linalg.norm(flat, axis=-1, keepdims=True)
    along = flat / np.maximum(size, 1e-6)
    side = np.stack([along[..., 1], -along[..., 0]], -1) * np.array([-1.0, 1.0])[None, :, None]
    shorten = np.maximum(size / np.linalg.norm(bone, axis=-1, keepdims=True), 0.5) * body.hand
    angles = np.radians([48.0, 17.0, 4.0, -9.0, -22.0])
    bases = np.array([[0.22, 0.2], [0.5, 0.17], [0.52, 0.05], [0.5, -0.07], [0.45, -0.18]])
    lengths = np.array([0.4, 0.42, 0.48, 0.43, 0.34])
    n = len(curl)
    points = np.zeros((n, 2, 21, 2))
    for finger in range(5):
        fold = curl * (0.5 if finger == 0 else 0.75)
        heading = np.array([np.cos(angles[finger]), np.sin(angles[finger])])
        for joint in range(4):
            share = joint / 3
            stretch = lengths[finger] * share * (1 - fold * (0.6 + 0.4 * share))
            points[:, :, 1 + 4 * finger + joint] = bases[finger] + stretch[..., None] * heading
    placed = points[..., :1] * along[:, :, None] + points[..., 1:] * side[:, :, None]
    fingers = np.repeat(wrists[:, :, None], 21, axis=2)
    fingers[..., :2] += placed * shorten[:, :, None]
    return fingers
