"""Body and hands of one person in a clip."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, islice
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.blazepose import Body, BodyLandmarker, CalmRegion, PersonDetector, Region
from xdyna.preprocess.graph import Graph
from xdyna.preprocess.people import body_box, overlap
from xdyna.preprocess.shots import inner_picture
from xdyna.schema import NUM_BODY_JOINTS, NUM_HAND_JOINTS, Floats, Image, Pose

NOSE, NECK, RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST, LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST = range(8)
RIGHT_HIP, RIGHT_KNEE, RIGHT_ANKLE, LEFT_HIP, LEFT_KNEE, LEFT_ANKLE, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR = range(
    8, 18
)
WRISTS = (RIGHT_WRIST, LEFT_WRIST)

MIN_SCORE = 0.5
MIN_CUT_LEG = 0.15  # visible share of a thigh or shin that the picture cuts

# MediaPipe's 33 landmarks in COCO-18 order; its missing neck (-1) is the middle of the shoulders.
COCO_FROM_MEDIAPIPE = (0, -1, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
# Elbow, wrist, index knuckle and little finger's knuckle in MediaPipe's order, right arm then left.
MEDIAPIPE_ARMS = ((14, 16, 20, 18), (13, 15, 19, 17))

MIDDLE_KNUCKLE = 9  # of a hand's 21 points

HAND_CROP_PX = 320
NUM_BAR_FRAMES = 16  # to look for black bars in
MIN_FIT = 0.3  # of a body with the box it is expected in
CROP_MARGIN = 0.35  # around that box, in longer sides of it


class PoseEstimator(Protocol):
    """Finds the pose of one person."""

    def __call__(
        self, frames: Iterable[Image], boxes: Floats | None = None, picture: tuple[int, int, int, int] | None = None
    ) -> Iterator[Pose]:
        """Yields one single-frame `Pose` for each frame, in pixels of the frames.

        Args:
            frames: `(height, width, 3)` uint8 RGB each, all of one size; taken one by one, so they may be a stream.
            boxes: `(num_frames, 4)` left, top, right, bottom in pixels of the person to follow, NaN where the person
                is not seen; None follows whoever is found first.
            picture: left, top, right, bottom in pixels of the frames' part between black bars; None looks for bars
                in the first frames.

        Closing the iterator releases the detectors.
        """
        ...


class MediaPipePose:
    """MediaPipe's pose networks on one person, with MediaPipe Hands on a crop around each wrist.

    Args:
        tracking: frames belong to one clip and follow one another; otherwise each is searched afresh.
        find_hands: otherwise wrist and middle knuckle come from the pose network, which takes no time, and fingers are
            missing.
    """

    def __init__(self, *, tracking: bool, find_hands: bool = True) -> None:
        self.tracking, self.find_hands = tracking, find_hands

    def __call__(
        self, frames: Iterable[Image], boxes: Floats | None = None, picture: tuple[int, int, int, int] | None = None
    ) -> Iterator[Pose]:
        """Yields one single-frame `Pose` for each frame, as `PoseEstimator` says."""
        with ExitStack() as stack:
            detector, landmarker = stack.enter_context(PersonDetector()), stack.enter_context(BodyLandmarker())
            # One graph an arm: each then keeps track of its own hand from crop to crop, which finds far more of the
            # small blurred ones than searching every crop afresh.
            arms = MEDIAPIPE_ARMS if self.find_hands else ()
            hand_graphs = [stack.enter_context(self._hand_graph()) for _ in arms]
            # Black bars are cut off: in them the detector imagines short legs under a person cut at the waist.
            stream, (left, top, right, bottom) = _without_bars(frames, picture)
            offset = np.array([[1, 0, left], [0, 1, top]], np.float64)
            boxes_inside = None if boxes is None else boxes - np.array([left, top, left, top])
            calm, region = CalmRegion(), None
            for k, frame in enumerate(stream):
                inside = np.ascontiguousarray(frame[top:bottom, left:right])
                box = None if boxes_inside is None else boxes_inside[k]
                body = _follow(detector, landmarker, inside, box, region if self.tracking else None)
                if body is None:
                    region = None
                    calm.forget()
                    yield empty_pose(1)
                    continue
                region = calm(body.region)
                joints, scores = _coco_body(body.landmarks, inside)
                hands = [
                    _find_hand(graph, inside, *body.landmarks[list(arm), :2])
                    for graph, arm in zip(hand_graphs, arms, strict=True)
                ] or [_palm(body.landmarks[list(arm)]) for arm in MEDIAPIPE_ARMS]
                yield _single_pose(joints, scores, np.stack(hands)).transformed(offset)

    def _hand_graph(self) -> Graph:
        return Graph(
            "hands",
            "Hands",
            static_image_mode=not self.tracking,
            max_num_hands=1,
            min_detection_confidence=0.2,
            min_tracking_confidence=0.2,
        )


def empty_pose(num_frames: int) -> Pose:
    """A clip in which nobody is seen."""
    return Pose(
        body=np.full((num_frames, NUM_BODY_JOINTS, 2), np.nan, np.float32),
        body_scores=np.zeros((num_frames, NUM_BODY_JOINTS), np.float32),
        hands=np.full((num_frames, 2, NUM_HAND_JOINTS, 2), np.nan, np.float32),
        hand_scores=np.zeros((num_frames, 2, NUM_HAND_JOINTS), np.float32),
    )


def concatenate(poses: Iterable[Pose]) -> Pose:
    """Joins poses in time."""
    parts = list(poses)
    return Pose(
        body=np.concatenate([part.body for part in parts]),
        body_scores=np.concatenate([part.body_scores for part in parts]),
        hands=np.concatenate([part.hands for part in parts]),
        hand_scores=np.concatenate([part.hand_scores for part in parts]),
    )


def person_found(pose: Pose) -> NDArray[np.bool_]:
    """`(num_frames,)`: whether a person is there: both shoulders, or the nose and one shoulder."""
    seen = np.isfinite(pose.body[..., 0])
    right, left = seen[:, RIGHT_SHOULDER], seen[:, LEFT_SHOULDER]
    return (right & left) | (seen[:, NOSE] & (right | left))


def _without_bars(
    frames: Iterable[Image], picture: tuple[int, int, int, int] | None
) -> tuple[Iterator[Image], tuple[int, int, int, int]]:
    """The frames, and their part between black bars, looked for in the first of them if it is not given."""
    stream = iter(frames)
    if picture is not None:
        return stream, picture
    first = list(islice(stream, NUM_BAR_FRAMES))
    return chain(first, stream), inner_picture(first) if first else (0, 0, 0, 0)


def _follow(
    detector: PersonDetector, landmarker: BodyLandmarker, picture: Image, box: Floats | None, region: Region | None
) -> Body | None:
    """The person in a box, first where the last frame leads to, then where the detector sees somebody."""
    if box is not None and not np.isfinite(box).all():
        return None
    if region is not None:
        body = landmarker.body_in(picture, region)
        if body is not None and _fit(body, picture, box) >= MIN_FIT:
            return body
    bodies: list[Body] = []
    for (left, top), crop in (_around(picture, box), ((0, 0), picture)):  # a close-up may be too close
        for sighting in detector.people_in(crop):
            body = landmarker.body_in(picture, sighting.region.moved(left, top))
            if body is not None:
                bodies.append(landmarker.whole(picture, body))
                if box is None:
                    return bodies[0]
        bodies.sort(key=lambda body: -_fit(body, picture, box))
        if bodies and _fit(bodies[0], picture, box) >= MIN_FIT:
            break
    return bodies[0] if bodies and _fit(bodies[0], picture, box) > 0 else None


def _fit(body: Body, picture: Image, box: Floats | None) -> float:
    """How much of a body and of a box is common to both, 0..1."""
    found = body_box(body, picture)
    return 1.0 if box is None else 0.0 if found is None else overlap(found, box)


def _around(picture: Image, box: Floats | None) -> tuple[tuple[int, int], Image]:
    """The part of a picture around a box, with room to move; also its left and top edge."""
    if box is None:
        return (0, 0), picture
    margin = CROP_MARGIN * max(box[2] - box[0], box[3] - box[1])
    height, width = picture.shape[:2]
    left, top = int(np.clip(box[0] - margin, 0, width - 1)), int(np.clip(box[1] - margin, 0, height - 1))
    right, bottom = int(np.clip(box[2] + margin, left + 1, width)), int(np.clip(box[3] + margin, top + 1, height))
    return (left, top), picture[top:bottom, left:right]


def _coco_body(landmarks: Floats, picture: Image) -> tuple[Floats, Floats]:
    """`(18, 2)` joints and `(18,)` scores; joints that are unsure or outside the picture are missing."""
    body, scores = landmarks[COCO_FROM_MEDIAPIPE, :2], landmarks[COCO_FROM_MEDIAPIPE, 2]
    body[NECK] = body[[RIGHT_SHOULDER, LEFT_SHOULDER]].mean(axis=0)
    scores[NECK] = scores[[RIGHT_SHOULDER, LEFT_SHOULDER]].min()
    low, high = np.zeros(2, np.float32), np.array(picture.shape[1::-1], np.float32) - 1
    inside = ((body >= low) & (body <= high)).all(axis=-1)
    # A leg that the picture's edge cuts ends at the edge, as in the poses X-Dyna was trained on.
    for above, below in (
        (RIGHT_HIP, RIGHT_KNEE),
        (RIGHT_KNEE, RIGHT_ANKLE),
        (LEFT_HIP, LEFT_KNEE),
        (LEFT_KNEE, LEFT_ANKLE),
    ):
        if inside[above] and scores[above] >= MIN_SCORE and not inside[below]:
            edge = np.clip(body[below], low, high)
            if np.linalg.norm(edge - body[above]) > MIN_CUT_LEG * np.linalg.norm(body[below] - body[above]):
                body[below], scores[below] = edge, max(scores[below], MIN_SCORE)
    cut = ~((body >= low) & (body <= high)).all(axis=-1)
    missing = cut | (scores < MIN_SCORE)
    body[missing], scores[missing] = np.nan, 0
    return body, scores


def _find_hand(graph: Graph, frame: Image, elbow: Floats, wrist: Floats, index: Floats, little: Floats) -> Floats:
    """Looks for a hand at the end of an arm; `(21, 3)`: x, y in pixels and score, NaN where none is found."""
    missing = np.full((NUM_HAND_JOINTS, 3), np.nan, np.float32)
    forearm = float(np.hypot(*(wrist - elbow)))
    palm = float(np.hypot(*((index + little) / 2 - wrist)))
    half = max(1.3 * forearm, 3 * palm, 8.0)  # a forearm that points at the camera is short, its hand is not
    centre = wrist + 0.8 * ((index + little) / 2 - wrist)
    height, width = frame.shape[:2]
    if not (0 <= centre[0] < width and 0 <= centre[1] < height):
        return missing
    zoom = HAND_CROP_PX / (2 * half)
    matrix = np.array([[zoom, 0, -zoom * (centre[0] - half)], [0, zoom, -zoom * (centre[1] - half)]])
    result = graph(cv2.warpAffine(frame, matrix, (HAND_CROP_PX, HAND_CROP_PX)).astype(np.uint8))
    if not result.multi_hand_landmarks:
        return missing
    crop_points = np.array([(point.x, point.y) for point in result.multi_hand_landmarks[0].landmark], np.float32)
    points = 2 * half * crop_points + (centre - half)
    if np.hypot(*(points[0] - wrist)) > 0.45 * half:  # somebody's other hand
        return missing
    score = result.multi_handedness[0].classification[0].score
    return np.concatenate([points, np.full((NUM_HAND_JOINTS, 1), score, np.float32)], axis=1)


def _palm(arm: Floats) -> Floats:
    """Return `(21, 3)` points of a hand, of which only wrist and middle knuckle are known.

    Args:
        arm: `(4, 3)` elbow, wrist, index knuckle and little finger's: x, y in pixels and visibility.
    """
    hand = np.full((NUM_HAND_JOINTS, 3), np.nan, np.float32)
    if arm[1:, 2].min() >= MIN_SCORE:
        hand[0], hand[MIDDLE_KNUCKLE] = arm[1], arm[2:].mean(axis=0)
    return hand


def _single_pose(body: Floats, scores: Floats, hands: Floats) -> Pose:
    """One frame of `(18, 2)` joints, `(18,)` scores and `(2, 21, 3)` hands as a `Pose`."""
    found = np.isfinite(hands[..., 0]) & np.isfinite(body[WRISTS, 0])[:, None]
    return Pose(
        body=body[None],
        body_scores=scores[None],
        hands=np.where(found[..., None], hands[..., :2], np.nan)[None].astype(np.float32),
        hand_scores=np.where(found, hands[..., 2], 0)[None].astype(np.float32),
    )
