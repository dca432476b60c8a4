"""How the photo's body differs from the driver's, and the driver's joints with the photo's lengths."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from xdyna.preprocess.pose import (
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NECK,
    RIGHT_ELBOW,
    RIGHT_HIP,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
)
from xdyna.preprocess.retarget import limb_ratios, retarget
from xdyna.puppet.skeleton import HEAD_JOINTS, PARENTS, Array
from xdyna.schema import Pose

# Right and left joint, and what comes along when they move apart: arms hang from shoulders, legs stand on the floor.
PAIRS = (
    ((RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST), (LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST)),
    ((RIGHT_HIP,), (LEFT_HIP,)),
)
SPREAD_RANGE = (0.5, 2.0)


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """How the photo's body differs from the driver's.

    Attributes:
        breadths: The photo's breadth of shoulders and of hips, in the driver's; 1 where unknown.
        limbs: The photo's limbs in the driver's, as from `limb_ratios`.
        head_reach: From neck to head in the photo, in the driver's; 1 where unknown.
    """

    breadths: tuple[float, ...]
    limbs: dict[str, float]
    head_reach: float

    @classmethod
    def between(cls, reference: Pose, driver: Pose, rest: Array) -> Self:
        """Measure a driver's clip.

        Args:
            reference: The photo's pose, one frame, in canvas pixels.
            driver: The driver's pose in canvas pixels.
            rest: The photo's skeleton, from `rest_skeleton`.
        """
        still = replace(reference, body=rest[None, :18].astype(np.float32))
        breadths = tuple(_breadth(driver.body, still.body[0], right[0], left[0]) for right, left in PAIRS)
        broad = replace(driver, body=_with_breadths(driver.body, breadths))
        limbs = limb_ratios(still, broad)
        body = completed(retarget(broad, limbs).body.astype(np.float64), rest)
        return cls(breadths=breadths, limbs=limbs, head_reach=_head_reach(body, rest))

    def given_to(self, driver: Pose) -> Array:
        """Return the driver's joints with the photo's proportions, `(num_frames, 18, 2)`, NaN where unknown."""
        broad = replace(driver, body=_with_breadths(driver.body, self.breadths))
        return retarget(broad, self.limbs).body.astype(np.float64)

    def towards(self, other: Self, share: float) -> Self:
        """Return these proportions with a share, 0..1, of the way to others; a limb that was unknown begins at 1."""

        def between(one: float, two: float) -> float:
            return one + share * (two - one)

        limbs = {name: between(self.limbs.get(name, 1.0), ratio) for name, ratio in other.limbs.items()}
        return replace(
            self,
            breadths=tuple(map(between, self.breadths, other.breadths)),
            limbs=self.limbs | limbs,
            head_reach=between(self.head_reach, other.head_reach),
        )


def _breadth(body: np.ndarray, still: np.ndarray, right: int, left: int) -> float:
    """Return the photo's distance of two joints in the driver's, within `SPREAD_RANGE`; 1 where unknown."""
    breadth = np.linalg.norm(body[:, right] - body[:, left], axis=-1)
    wanted = float(np.linalg.norm(still[right] - still[left]))
    usual = float(np.nanquantile(breadth, 0.75)) if np.isfinite(breadth).any() else np.nan  # seldom turned away
    return float(np.clip(wanted / usual, *SPREAD_RANGE)) if np.isfinite([wanted, usual]).all() and usual >= 1 else 1.0


def _with_breadths(body: np.ndarray, breadths: tuple[float, ...]) -> np.ndarray:
    """Return the joints with other breadths of shoulders and hips."""
    body = body.copy()
    for (right, left), ratio in zip(PAIRS, breadths, strict=True):
        middle = (body[:, right[0]] + body[:, left[0]]) / 2
        for joints in (right, left):
            body[:, joints] += ((ratio - 1) * (body[:, joints[0]] - middle))[:, None]
    return body


def completed(body: Array, rest: Array) -> Array:
    """Return the joints with those that the driver does not show in every frame hanging as in the photo."""
    for parent, child in PARENTS:
        if np.isfinite(rest[child, 0]) and not np.isfinite(body[:, child]).all():
            body[:, child] = body[:, parent] + (rest[child] - rest[parent])
    return body


def head_joints(rest: Array) -> list[int]:
    """Return the joints of the head that the photo shows."""
    return [joint for joint in HEAD_JOINTS if np.isfinite(rest[joint, 0])]


def _head_reach(body: Array, rest: Array) -> float:
    """Return how far the photo's head is from its neck, in the driver's usual distance; 1 where unknown."""
    if not (joints := head_joints(rest)):
        return 1.0
    usual = np.median(np.linalg.norm(body[:, joints].mean(axis=1) - body[:, NECK], axis=-1))
    return float(np.linalg.norm(rest[joints].mean(axis=0) - rest[NECK]) / max(usual, 1e-6))
