"""Body and hands of the one person in a clip."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from xdyna.preprocess.graph import Graph
from xdyna.schema import NUM_BODY_JOINTS, NUM_HAND_JOINTS, Floats, Frames, Image, Pose

NOSE, NECK, RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST, LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST = range(8)
RIGHT_HIP, RIGHT_KNEE, RIGHT_ANKLE, LEFT_HIP, LEFT_KNEE, LEFT_ANKLE, RIGHT_EYE, LEFT_EYE, RIGHT_EAR, LEFT_EAR = range(
    8, 18
)
WRISTS = (RIGHT_WRIST, LEFT_WRIST)

MIN_SCORE = 0.5
MAX_GAP = 3  # frames
MIN_CUT_LEG = 0.15  # visible share of a thigh or shin that the picture cuts

# MediaPipe's 33 landmarks in COCO-18 order; its missing neck (-1) is the middle of the shoulders.
COCO_FROM_MEDIAPIPE = (0, -1, 12, 14, 16, 11, 13, 15, 24, 26, 28, 23, 25, 27, 5, 2, 8, 7)
# Elbow, wrist, index knuckle and little finger's knuckle in MediaPipe's order, right arm then left.
MEDIAPIPE_ARMS = ((14, 16, 20, 18), (13, 15, 19, 17))

HAND_CROP_PX = 320
BAR_LEVEL = 24  # of 255: brighter than the ringing of a compressed black bar


class PoseEstimator(Protocol):
    """Finds the pose of one person."""

    def __call__(self, frames: Frames) -> Iterator[Pose]:
        """Yields one single-frame `Pose` for each frame of `(num_frames, height, width, 3)` uint8 RGB.

        Closing the iterator releases the detectors.
        """
        ...


class MediaPipePose:
    """MediaPipe Pose, with MediaPipe Hands on a crop around each wrist.

    Args:
        tracking: frames belong to one clip and follow one another; otherwise each is searched afresh.
    """

    def __init__(self, *, tracking: bool) -> None:
        self.tracking = tracking

    def __call__(self, frames: Frames) -> Iterator[Pose]:
        """Yields one single-frame `Pose` for each frame."""
        # Black bars are cut off first: in them the detector imagines short legs under a person cut at the waist.
        left, top, right, bottom = inner_picture(frames)
        offset = np.array([[1, 0, left], [0, 1, top]], np.float64)
        with ExitStack() as stack:
            body_graph = stack.enter_context(
                Graph("pose", "Pose", static_image_mode=not self.tracking, model_complexity=1, smooth_landmarks=False)
            )
            # One graph an arm: each then keeps track of its own hand from crop to crop, which finds far more of the
            # small blurred ones than searching every crop afresh.
            hand_graphs = [stack.enter_context(self._hand_graph()) for _ in MEDIAPIPE_ARMS]
            for frame in frames[:, top:bottom, left:right]:
                picture = np.ascontiguousarray(frame)
                landmarks = _landmarks(body_graph(picture), picture)
                if landmarks is None:
                    yield empty_pose(1)
                    continue
                body, scores = _coco_body(landmarks, picture)
                hands = [
                    _find_hand(graph, picture, *landmarks[list(arm), :2])
                    for graph, arm in zip(hand_graphs, MEDIAPIPE_ARMS, strict=True)
                ]
                yield _single_pose(body, scores, np.stack(hands)).transformed(offset)

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


def bridge_gaps(pose: Pose, max_gap: int = MAX_GAP) -> Pose:
    """Fills short gaps in time on a straight line between the frames around them.

    Hands are filled relative to their wrists, so that they stay on the arm. Scores are filled likewise.

    Args:
        pose: keypoints of a clip.
        max_gap: longest gap to fill, in frames; gaps at the ends stay.
    """
    body = _bridge(np.concatenate([pose.body, pose.body_scores[..., None]], axis=-1), max_gap)
    wrists = body[:, WRISTS, None, :2]
    hands = np.concatenate([pose.hands - wrists, pose.hand_scores[..., None]], axis=-1)
    hands = _bridge(hands, max_gap)
    points = hands[..., :2] + wrists
    return Pose(
        body=body[..., :2],
        body_scores=np.where(np.isfinite(body[..., 0]), body[..., 2], 0).astype(np.float32),
        hands=points,
        hand_scores=np.where(np.isfinite(points[..., 0]), hands[..., 2], 0).astype(np.float32),
    )


def inner_picture(frames: Frames) -> tuple[int, int, int, int]:
    """Finds the picture between black bars.

    Args:
        frames: `(num_frames, height, width, 3)` uint8 RGB.

    Returns:
        Left, top, right, bottom in pixels (right and bottom exclusive): the whole frame where there are no bars.
    """
    num_frames, height, width = frames.shape[:3]
    brightest = frames[:: max(1, num_frames // 16)].max(axis=(0, 3))
    rows, columns = (np.flatnonzero(brightest.max(axis=axis) > BAR_LEVEL) for axis in (1, 0))
    if len(rows) < height // 4 or len(columns) < width // 4:  # a dark clip, not bars
        return 0, 0, width, height
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _bridge(track: Floats, max_gap: int) -> Floats:
    """Interpolates NaN runs of at most `max_gap` along axis 0 of `(num_frames, ..., channels)`."""
    flat = track.reshape(len(track), -1, track.shape[-1]).copy()
    for joint in range(flat.shape[1]):
        known = np.flatnonzero(np.isfinite(flat[:, joint, 0]))
        for before, after in pairwise(known):
            if 1 < after - before <= max_gap + 1:
                weight = np.linspace(0, 1, after - before + 1)[1:-1, None]
                flat[before + 1 : after, joint] = (1 - weight) * flat[before, joint] + weight * flat[after, joint]
    return flat.reshape(track.shape)


def _landmarks(result: Any, frame: Image) -> Floats | None:
    """MediaPipe's 33 landmarks as `(33, 3)`: x, y in pixels of the frame and visibility."""
    if result.pose_landmarks is None:
        return None
    height, width = frame.shape[:2]
    points = [(point.x * width, point.y * height, point.visibility) for point in result.pose_landmarks.landmark]
    return np.array(points, np.float32)


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


def _single_pose(body: Floats, scores: Floats, hands: Floats) -> Pose:
    """One frame of `(18, 2)` joints, `(18,)` scores and `(2, 21, 3)` hands as a `Pose`."""
    found = np.isfinite(hands[..., 0]) & np.isfinite(body[WRISTS, 0])[:, None]
    return Pose(
        body=body[None],
        body_scores=scores[None],
        hands=np.where(found[..., None], hands[..., :2], np.nan)[None].astype(np.float32),
        hand_scores=np.where(found, hands[..., 2], 0)[None].astype(np.float32),
    )
