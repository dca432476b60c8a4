"""OpenPose through controlnet_aux, for those who have its weights: the detector X-Dyna's own poses came from."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.pose import NECK, empty_pose
from xdyna.schema import Frames, InputError, Pose

WEIGHTS = ("body_pose_model.pth", "hand_pose_model.pth")


class OpenPose:
    """A `PoseEstimator` on controlnet_aux's OpenPose body and hand networks.

    Args:
        weights: folder with `body_pose_model.pth` and `hand_pose_model.pth`.
        device: a torch device, e.g. "cuda".

    Raises:
        InputError: a file is missing from the folder.
    """

    def __init__(self, weights: Path, device: str = "cpu") -> None:
        missing = [name for name in WEIGHTS if not (weights / name).is_file()]
        if missing:
            raise InputError(f"OpenPose needs {', '.join(missing)} in {weights}. Put them there or use MediaPipe.")
        from xdyna.models.torchvision_guard import ensure_torchvision

        ensure_torchvision()
        from controlnet_aux.open_pose import Body, Hand, OpenposeDetector

        body, hand = Body(str(weights / WEIGHTS[0])), Hand(str(weights / WEIGHTS[1]))
        body.to(device)
        hand.to(device)
        self._detector = OpenposeDetector(body, hand)

    def __call__(self, frames: Frames) -> Iterator[Pose]:
        """Yields one single-frame `Pose` for each frame of `(num_frames, height, width, 3)` uint8 RGB."""
        previous = None
        for frame in frames:
            people = [
                to_pose(person, frame.shape[0], frame.shape[1])
                for person in self._detector.detect_poses(frame, include_hand=True)
            ]
            pose = choose_person(people, previous)
            previous = pose if np.isfinite(pose.body).any() else previous
            yield pose


def choose_person(people: Sequence[Pose], previous: Pose | None) -> Pose:
    """Picks the person nearest to the previous one, or at first the largest; an empty pose if there is nobody."""
    if not people:
        return empty_pose(1)
    if previous is None:
        return max(people, key=_extent)
    before = previous.body[0, NECK]
    return min(people, key=lambda person: np.nan_to_num(np.linalg.norm(person.body[0, NECK] - before), nan=np.inf))


def to_pose(person: Any, height: int, width: int) -> Pose:
    """One `controlnet_aux` `PoseResult` (coordinates in 0..1) as a single-frame `Pose` in pixels."""
    pose = empty_pose(1)
    _fill(pose.body[0], pose.body_scores[0], person.body.keypoints, height, width)
    for side, hand in enumerate((person.right_hand, person.left_hand)):
        _fill(pose.hands[0, side], pose.hand_scores[0, side], hand, height, width)
    return pose


def _fill(points: NDArray[np.float32], scores: NDArray[np.float32], keypoints: Any, height: int, width: int) -> None:
    for k, keypoint in enumerate(keypoints or ()):
        if keypoint is not None and keypoint.x > 0 and keypoint.y > 0:  # missing hand points lie left of the picture
            points[k] = keypoint.x * width, keypoint.y * height
            scores[k] = keypoint.score


def _extent(person: Pose) -> float:
    """Area in square pixels of the box around all joints."""
    body = person.body[0]
    return float(np.prod(np.nanmax(body, axis=0) - np.nanmin(body, axis=0)))
