"""OpenPose through controlnet_aux, for those who have its weights: the detector X-Dyna's own poses came from."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.people import overlap
from xdyna.preprocess.pose import NECK, empty_pose
from xdyna.schema import Floats, Image, InputError, Pose

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

    def __call__(
        self, frames: Iterable[Image], boxes: Floats | None = None, picture: tuple[int, int, int, int] | None = None
    ) -> Iterator[Pose]:
        """Yields one single-frame `Pose` for each frame, as `PoseEstimator` says. Black bars do not disturb it."""
        previous = None
        for k, frame in enumerate(frames):
            people = [
                to_pose(person, frame.shape[0], frame.shape[1])
                for person in self._detector.detect_poses(frame, include_hand=True)
            ]
            pose = choose_person(people, previous) if boxes is None else person_in_box(people, boxes[k])
            previous = pose if np.isfinite(pose.body).any() else previous
            yield pose


def choose_person(people: Sequence[Pose], previous: Pose | None) -> Pose:
    """Picks the person nearest to the previous one, or at first the largest; an empty pose if there is nobody."""
    if not people:
        return empty_pose(1)
    if previous is None:
        return max(people, key=lambda person: float(np.prod(np.diff(_box(person).reshape(2, 2), axis=0))))
    before = previous.body[0, NECK]
    return min(people, key=lambda person: np.nan_to_num(np.linalg.norm(person.body[0, NECK] - before), nan=np.inf))


def person_in_box(people: Sequence[Pose], box: NDArray[np.floating]) -> Pose:
    """Picks the person whose joints fill a box best; an empty pose if nobody is in it."""
    best = max(people, key=lambda person: overlap(_box(person), box), default=None)
    return best if best is not None and overlap(_box(best), box) > 0 else empty_pose(1)


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


def _box(person: Pose) -> NDArray[np.float32]:
    """Left, top, right, bottom in pixels around all joints."""
    body = person.body[0]
    return np.concatenate([np.nanmin(body, axis=0), np.nanmax(body, axis=0)])
