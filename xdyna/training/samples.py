"""One training sample: what is shown, what controls it, and where person and face are."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xdyna.preprocess.draw import draw_landmarks, draw_pose
from xdyna.preprocess.face import face_patches
from xdyna.schema import Floats, Frames, Image, InputError, Mask, Pose

Rng = np.random.Generator
Sample = dict[str, Tensor]

FACE_CONTROLS = ("s-face", "landmarks", "none")
"""How the face is controlled: S-Face, or as in the paper's ablations ("w/lmk", "wo/face" in table 4)."""

ENDLESS = 2**31
"""`len()` of the data sets, which never run out of samples."""

JITTER = 0.7 / 128  # of joints, in widths of the picture, as between a detector's frames
HANDS_LOST = 0.3  # share of clips without hands: small hands are often lost for a whole clip
FACE_MARGIN_PX = 3


@dataclass(frozen=True, kw_only=True)
class SampleOptions:
    """What a sample holds.

    Attributes:
        num_frames: driving frames, 1 to 24.
        ordered: whether the frames are consecutive; otherwise they come from anywhere in the clip.
        scene_fraction: share of clips without a person, whose controls are blank (harmonic data fusion, paper section
            3.4).
        face: one of `FACE_CONTROLS`.

    Raises:
        InputError: a value is outside its range.
    """

    num_frames: int
    ordered: bool = True
    scene_fraction: float = 0.0
    face: str = "s-face"

    def __post_init__(self) -> None:
        if not 1 <= self.num_frames <= 24:
            raise InputError(f"num_frames must be between 1 and 24, got {self.num_frames}.")
        if not 0 <= self.scene_fraction <= 1:
            raise InputError(f"scene_fraction must be between 0 and 1, got {self.scene_fraction:g}.")
        if self.face not in FACE_CONTROLS:
            raise InputError(f"face must be one of {', '.join(FACE_CONTROLS)}, got {self.face!r}.")


@dataclass(frozen=True, kw_only=True)
class Take:
    """Frames of one clip with all that is known of them.

    Attributes:
        frames: `(n, h, w, 3)` uint8 RGB.
        pose: in pixels of the frames; NaN where nobody is.
        face_landmarks: `(n, 68, 2)` float32 in pixels of the frames; NaN where there is no face.
        person: `(n, h, w)` bool, where the person is.
        strange_frames: `(n, h, w, 3)` uint8 RGB, another identity with the same expression, its face in place; None
            without S-Face.
        strange_landmarks: `(n, 68, 2)` float32, that face's landmarks.
    """

    frames: Frames
    pose: Pose
    face_landmarks: Floats
    person: Mask
    strange_frames: Frames | None = None
    strange_landmarks: Floats | None = None


def keep_opencv_single() -> None:
    """Limits OpenCV to one thread: workers are the parallelism, and its threads do not survive their fork."""
    cv2.setNumThreads(1)


def make_sample(rng: Rng, take: Take, reference: Image, options: SampleOptions) -> Sample:
    """Draws the controls of a take and packs everything into tensors.

    Args:
        rng: for the jitter of the pose.
        take: driving frames, already picked.
        reference: `(h, w, 3)` uint8 RGB, any frame of the same clip.
        options: says which face control to draw.

    Returns:
        uint8 tensors: `reference` `(3, h, w)`; `frames` and `pose` `(n, 3, h, w)`; `person` and `face` `(n, h, w)`, 1
        where person and face are; with S-Face also `face_local` and `face_global`, `(n, 3, h, w)`.
    """
    size = reference.shape[0], reference.shape[1]
    sample = {
        "reference": reference,
        "frames": take.frames,
        "pose": draw_pose(perturbed(rng, take.pose, JITTER * min(size)), size),
        "person": take.person.astype(np.uint8),
        "face": face_regions(take.face_landmarks, size),
    }
    if options.face == "landmarks":
        draw_landmarks(sample["pose"], take.face_landmarks)
    if options.face == "s-face":
        assert take.strange_frames is not None and take.strange_landmarks is not None
        sample["face_local"], sample["face_global"] = face_patches(take.strange_frames, take.strange_landmarks)
    return {name: torch.from_numpy(_channels_first(value)) for name, value in sample.items()}


def pick_frames(rng: Rng, total: int, options: SampleOptions) -> NDArray[np.int64]:
    """`(num_frames,)` indices below `total`: a run of neighbours, or any frames in any order."""
    if options.ordered:
        first = int(rng.integers(total - options.num_frames + 1))
        return np.arange(first, first + options.num_frames)
    return rng.permutation(total)[: options.num_frames]


def picked_pose(pose: Pose, frames: NDArray[np.integer]) -> Pose:
    """The pose at any list of frames."""
    return Pose(
        body=pose.body[frames],
        body_scores=pose.body_scores[frames],
        hands=pose.hands[frames],
        hand_scores=pose.hand_scores[frames],
    )


def perturbed(rng: Rng, pose: Pose, jitter_px: float, hands_lost: float = HANDS_LOST) -> Pose:
    """A pose as an estimator would see it: joints jitter, and small hands are often lost for a whole clip."""
    body = pose.body + rng.normal(0, jitter_px, pose.body.shape).astype(np.float32)
    hands = np.full_like(pose.hands, np.nan) if rng.random() < hands_lost else pose.hands
    return replace(pose, body=body, hands=hands)


def face_regions(landmarks: Floats, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Boxes around the features and jaw, for weighting the loss; all 0 tells that a clip shows no face.

    Args:
        landmarks: `(n, 68, 2)` in pixels; NaN where there is no face.
        size: `(height, width)` of the frames.

    Returns:
        `(n, height, width)` uint8, 1 in the box.
    """
    regions = np.zeros((len(landmarks), *size), np.uint8)
    for region, points in zip(regions, landmarks, strict=True):
        if np.isfinite(points).all():
            # Whole numbers first, as the runs that made the shipped weights did.
            left, top = (max(int(edge) - FACE_MARGIN_PX, 0) for edge in points.min(axis=0))
            right, bottom = (max(int(edge) + FACE_MARGIN_PX + 1, 0) for edge in points.max(axis=0))
            region[top:bottom, left:right] = 1
    return regions


def _channels_first(value: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.moveaxis(value, -1, -3) if value.shape[-1] == 3 else value)
