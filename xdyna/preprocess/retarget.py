"""Gives the driver the limbs of the photo's person: other lengths, the same angles."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.align import bone_length
from xdyna.preprocess.pose import (
    LEFT_ANKLE,
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_SHOULDER,
    LEFT_WRIST,
    NECK,
    RIGHT_ANKLE,
    RIGHT_ELBOW,
    RIGHT_HIP,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    WRISTS,
)
from xdyna.schema import Floats, Pose


@dataclass(frozen=True)
class Limb:
    """A bone that both sides of the body have.

    Attributes:
        name: for reports.
        right: parent and child joint.
        left: likewise.
    """

    name: str
    right: tuple[int, int]
    left: tuple[int, int]


# Parents come first: a limb carries everything below it along. Shoulders keep their width: one photo cannot tell
# narrow ones from ones that are turned away.
LIMBS = (
    Limb("upper arm", (RIGHT_SHOULDER, RIGHT_ELBOW), (LEFT_SHOULDER, LEFT_ELBOW)),
    Limb("forearm", (RIGHT_ELBOW, RIGHT_WRIST), (LEFT_ELBOW, LEFT_WRIST)),
    Limb("torso", (NECK, RIGHT_HIP), (NECK, LEFT_HIP)),
    Limb("thigh", (RIGHT_HIP, RIGHT_KNEE), (LEFT_HIP, LEFT_KNEE)),
    Limb("shin", (RIGHT_KNEE, RIGHT_ANKLE), (LEFT_KNEE, LEFT_ANKLE)),
)
FOREARM = "forearm"
RATIO_RANGE = (0.6, 1.6)  # people differ less; beyond it a limb points at a camera


def limb_ratios(reference: Pose, pose: Pose) -> dict[str, float]:
    """How much longer each limb is in the photo than in the aligned clip.

    Of each pair the longer one counts, because a limb that points at the camera looks short; over the clip the median.

    Args:
        reference: the photo's pose, one frame, in canvas pixels.
        pose: the driver's pose in canvas pixels.

    Returns:
        Ratios by name of the limb; a limb that photo or clip does not show is left out.
    """
    ratios = {}
    for limb in LIMBS:
        still, moving = _longer(reference.body, limb), _longer(pose.body, limb)
        moving = moving[np.isfinite(moving)]
        if np.isfinite(still[0]) and len(moving):
            ratios[limb.name] = float(still[0] / np.median(moving))
    return ratios


def retarget(pose: Pose, ratios: dict[str, float]) -> Pose:
    """Scales each limb along the tree that hangs from the neck; angles stay.

    Neck and head stay where they are: they lie on the photo's head already, and the face pictures are cut there. A
    hand follows its wrist and grows with its forearm.

    Args:
        pose: the driver's pose in canvas pixels.
        ratios: from `limb_ratios`; a limb that is not named keeps its length.
    """
    body, hands = pose.body.copy(), pose.hands.copy()
    for limb in LIMBS:
        ratio = float(np.clip(ratios.get(limb.name, 1.0), *RATIO_RANGE))
        for parent, child in (limb.right, limb.left):
            body[:, child] = body[:, parent] + ratio * (pose.body[:, child] - pose.body[:, parent])
    hand_ratio = float(np.clip(ratios.get(FOREARM, 1.0), *RATIO_RANGE))
    for side, wrist in enumerate(WRISTS):
        old, new = pose.body[:, wrist, None], body[:, wrist, None]
        hands[:, side] = new + hand_ratio * (pose.hands[:, side] - old)
    lost = ~np.isfinite(body[..., 0])
    return replace(
        pose,
        body=body,
        body_scores=np.where(lost, 0, pose.body_scores).astype(np.float32),
        hands=hands,
        hand_scores=np.where(np.isfinite(hands[..., 0]), pose.hand_scores, 0).astype(np.float32),
    )


def _longer(body: Floats, limb: Limb) -> NDArray[np.float64]:
    """`(num_frames,)` length of the longer one of a pair; NaN where neither is seen."""
    lengths = [bone_length(body, parent, (child,)) for parent, child in (limb.right, limb.left)]
    return np.fmax(*lengths)
