"""The puppet's skeleton: the 18 joints of a pose, and points that follow from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.pose import (
    LEFT_ANKLE,
    LEFT_EAR,
    LEFT_ELBOW,
    LEFT_EYE,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NECK,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_EAR,
    RIGHT_ELBOW,
    RIGHT_EYE,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
)

Array = NDArray[np.float64]

RIGHT_HAND, LEFT_HAND, RIGHT_TOE, LEFT_TOE, HEAD, CROWN, PELVIS = range(18, 25)
NUM_POINTS = 25
HEAD_JOINTS = (NOSE, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR)


@dataclass(frozen=True)
class Bone:
    """A stretch of the body that moves as one.

    Attributes:
        start: The point nearer to the pelvis.
        end: The point that hangs from it.
        half_width: The usual half width of the body there, in body sizes.
    """

    start: int
    end: int
    half_width: float


ARMS = (
    (
        Bone(RIGHT_SHOULDER, RIGHT_ELBOW, 0.1),
        Bone(RIGHT_ELBOW, RIGHT_WRIST, 0.08),
        Bone(RIGHT_WRIST, RIGHT_HAND, 0.1),
    ),
    (Bone(LEFT_SHOULDER, LEFT_ELBOW, 0.1), Bone(LEFT_ELBOW, LEFT_WRIST, 0.08), Bone(LEFT_WRIST, LEFT_HAND, 0.1)),
)
LEGS = (
    (Bone(RIGHT_HIP, RIGHT_KNEE, 0.16), Bone(RIGHT_KNEE, RIGHT_ANKLE, 0.13), Bone(RIGHT_ANKLE, RIGHT_TOE, 0.12)),
    (Bone(LEFT_HIP, LEFT_KNEE, 0.16), Bone(LEFT_KNEE, LEFT_ANKLE, 0.13), Bone(LEFT_ANKLE, LEFT_TOE, 0.12)),
)
HEAD_BONES = (Bone(NECK, HEAD, 0.16), Bone(HEAD, CROWN, 0.32))
TORSO = (RIGHT_SHOULDER, LEFT_SHOULDER, LEFT_HIP, RIGHT_HIP)
TRUNK = (
    Bone(NECK, PELVIS, 0.3),
    Bone(NECK, RIGHT_SHOULDER, 0.14),
    Bone(NECK, LEFT_SHOULDER, 0.14),
    Bone(PELVIS, RIGHT_HIP, 0.16),
    Bone(PELVIS, LEFT_HIP, 0.16),
    *HEAD_BONES,
)

BODY_BONES = (
    *((NECK, NOSE), (NECK, RIGHT_SHOULDER), (NECK, LEFT_SHOULDER), (NECK, RIGHT_HIP), (NECK, LEFT_HIP)),
    *((RIGHT_SHOULDER, RIGHT_ELBOW), (RIGHT_ELBOW, RIGHT_WRIST), (LEFT_SHOULDER, LEFT_ELBOW)),
    *((LEFT_ELBOW, LEFT_WRIST), (RIGHT_HIP, RIGHT_KNEE), (RIGHT_KNEE, RIGHT_ANKLE), (LEFT_HIP, LEFT_KNEE)),
    *((LEFT_KNEE, LEFT_ANKLE), (RIGHT_HIP, LEFT_HIP)),
)
"""The bones between the joints of a pose."""

PARENTS = (
    *((NECK, RIGHT_SHOULDER), (NECK, LEFT_SHOULDER), (NECK, RIGHT_HIP), (NECK, LEFT_HIP)),
    *((RIGHT_SHOULDER, RIGHT_ELBOW), (RIGHT_ELBOW, RIGHT_WRIST), (LEFT_SHOULDER, LEFT_ELBOW)),
    *((LEFT_ELBOW, LEFT_WRIST), (RIGHT_HIP, RIGHT_KNEE), (RIGHT_KNEE, RIGHT_ANKLE), (LEFT_HIP, LEFT_KNEE)),
    *((LEFT_KNEE, LEFT_ANKLE), (NECK, NOSE), (NOSE, RIGHT_EYE), (NOSE, LEFT_EYE), (NOSE, RIGHT_EAR), (NOSE, LEFT_EAR)),
)
"""Parent and child joints, parents first."""


def body_size(body: NDArray[np.floating]) -> float:
    """Return the size that widths of a body are measured in, nearly its torso's length, in pixels.

    Args:
        body: The joints of a person, `(18 or more, 2)`, NaN where unknown.
    """
    hips, shoulders = body[[RIGHT_HIP, LEFT_HIP]].mean(axis=0), body[RIGHT_SHOULDER] - body[LEFT_SHOULDER]
    spans = (np.hypot(*(hips - body[NECK])), 1.3 * np.hypot(*shoulders), 1.8 * np.hypot(*(body[NOSE] - body[NECK])))
    return float(np.nanmax(spans)) if np.isfinite(spans).any() else float(np.ptp(body, axis=0).max())


def known_bones(bones: tuple[Bone, ...], points: NDArray[np.floating]) -> tuple[Bone, ...]:
    """Return the bones of which both ends are known."""
    return tuple(bone for bone in bones if np.isfinite(points[[bone.start, bone.end]]).all())
