"""Turn the driver's pose into the puppet's: the photo's proportions, whole tracks, feet that stand still."""

from dataclasses import replace

import numpy as np

from xdyna.preprocess.align import bone_length, uncut
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
)
from xdyna.puppet.limits import check_postures
from xdyna.puppet.proportions import Proportions, completed, head_joints
from xdyna.puppet.skeleton import (
    CROWN,
    HEAD,
    HEAD_JOINTS,
    LEFT_HAND,
    LEFT_TOE,
    NUM_POINTS,
    PELVIS,
    RIGHT_HAND,
    RIGHT_TOE,
    Array,
    body_size,
)
from xdyna.schema import InputError, Pose

NECESSARY = (NECK, RIGHT_SHOULDER, LEFT_SHOULDER)
LEG_BONES = ((RIGHT_HIP, RIGHT_KNEE), (RIGHT_KNEE, RIGHT_ANKLE), (LEFT_HIP, LEFT_KNEE), (LEFT_KNEE, LEFT_ANKLE))
HANDS = ((RIGHT_ELBOW, RIGHT_WRIST, RIGHT_HAND), (LEFT_ELBOW, LEFT_WRIST, LEFT_HAND))
FEET = ((RIGHT_KNEE, RIGHT_ANKLE, RIGHT_TOE), (LEFT_KNEE, LEFT_ANKLE, LEFT_TOE))
MIDDLE_KNUCKLE, PALMS = 9, 2.0  # a hand is as long as two palms
HAND_LENGTH, FOOT_LENGTH, HEAD_HEIGHT = 0.26, 0.16, 0.42  # in body sizes
TORSO_LENGTH, HIP_BREADTH = 1.3, 0.6  # in breadths of the shoulders
STANDING_SPEED = 0.12  # body sizes per second: a slower ankle stands
MIN_STANDING_S = 0.3


def rest_skeleton(reference: Pose, driver: Pose, size: tuple[int, int]) -> Array:
    """Return the photo's skeleton, `(25, 2)` in canvas pixels, NaN where the photo does not show a point.

    A leg that the picture's edge cuts goes on beyond it, as far as the driver's, and hips that the photo does not show
    are where they would be below the shoulders.

    Args:
        reference: The photo's pose, one frame, in canvas pixels.
        driver: The driver's pose in canvas pixels.
        size: `(height, width)` of the canvas.
    """
    body = reference.body[0].astype(np.float64)
    whole = uncut(reference, (0, 0, size[1], size[0])).body[0]
    for above, below in LEG_BONES:
        bone = body[below] - body[above]
        if np.isfinite(bone).all() and not np.isfinite(whole[below]).all():
            lengths = bone_length(driver.body, above, (below,))
            usual = np.nanmedian(lengths) if np.isfinite(lengths).any() else np.nan
            length = np.fmax(np.hypot(*bone), usual)
            body[below] = body[above] + bone / max(np.hypot(*bone), 1e-6) * length
    if not np.isfinite(body[[RIGHT_HIP, LEFT_HIP]]).all():
        body[[RIGHT_HIP, LEFT_HIP]] = _hips_below(body)
    return extended(body[None], reference.hands.astype(np.float64), body_size(body), None)[0]


def follow(reference: Pose, driver: Pose, rest: Array, fps: float) -> Array:
    """Return the puppet's skeleton over the clip, `(num_frames, 25, 2)` in canvas pixels, NaN only where rest is.

    Args:
        reference: The photo's pose, one frame, in canvas pixels.
        driver: The driver's pose in canvas pixels.
        rest: The photo's skeleton, from `rest_skeleton`.
        fps: The frames per second of the driver.

    Raises:
        InputError: The driver shows no body, or one that stands too differently.
    """
    if not np.isfinite(driver.body[:, list(NECESSARY), 0]).any(axis=0).all():
        raise InputError(
            "The driving clip shows no body: neck and shoulders were not found in any frame. Choose a clip that "
            "shows a person from the hips up, or animate the photo without a clip."
        )
    check_postures(reference.body, driver.body)
    whole = replace(driver, body=bridged(driver.body))
    proportions = Proportions.between(reference, whole, rest)
    body = with_head(completed(proportions.given_to(whole), rest), rest, proportions.head_reach)
    size = body_size(rest)
    body = _standing(body, size, fps)
    hands = np.stack([bridged(hand) for hand in driver.hands.transpose(1, 0, 2, 3)], axis=1).astype(np.float64)
    return extended(body, hands, size, rest)


def _hips_below(body: Array) -> Array:
    """Return where the hips of an upright body would be, `(2, 2)`, right and left."""
    across = body[LEFT_SHOULDER] - body[RIGHT_SHOULDER]
    down = TORSO_LENGTH * np.array([-across[1], across[0]]) * (1 if across[0] >= 0 else -1)
    middle = body[[RIGHT_SHOULDER, LEFT_SHOULDER]].mean(axis=0) + down
    return middle + np.array([[-0.5], [0.5]]) * HIP_BREADTH * across


def bridged(tracks: np.ndarray) -> np.ndarray:
    """Return `(num_frames, num_points, 2)` tracks without gaps; those never seen stay NaN."""
    tracks, frames = tracks.copy(), np.arange(len(tracks))
    for point in tracks.transpose(1, 2, 0):
        seen = np.isfinite(point[0])
        if seen.any():
            point[:] = [np.interp(frames, frames[seen], row[seen]) for row in point]
    return tracks


def with_head(body: Array, rest: Array, reach: float) -> Array:
    """Return the joints with the photo's own head, turned and placed as the driver's.

    People's heads differ in shape more than in motion: their joints are moved as one.

    Args:
        body: The joints, `(num_frames, 18, 2)`.
        rest: The photo's skeleton.
        reach: From neck to head in the photo, in the driver's.
    """
    joints = head_joints(rest)
    if not joints:
        return body
    middle, still = body[:, joints].mean(axis=1), rest[joints].mean(axis=0)
    centre = body[:, NECK] + reach * (middle - body[:, NECK])
    turn = _tilt(body) / _tilt(rest[None])
    offsets = (rest[joints] - still) @ [1, 1j]
    moved = turn[:, None] * offsets[None]
    body[:, joints] = centre[:, None] + np.stack([moved.real, moved.imag], axis=-1)
    return body


def _tilt(body: Array) -> np.ndarray:
    """Return the direction from the right to the left of each head, `(num_frames,)` complex of length 1."""
    for right, left in ((HEAD_JOINTS[3], HEAD_JOINTS[4]), (HEAD_JOINTS[1], HEAD_JOINTS[2])):
        across = (body[:, left] - body[:, right]) @ [1, 1j]
        length = np.abs(across)
        if np.isfinite(across).all() and length.min() > 2:
            return across / length
    return np.ones(len(body), complex)


def _standing(body: Array, size: float, fps: float) -> Array:
    """Return the joints with each foot that stands at one place."""
    for ankle in (RIGHT_ANKLE, LEFT_ANKLE):
        track = body[:, ankle]
        if not np.isfinite(track).all() or len(track) < 3:
            continue
        speed = np.linalg.norm(np.gradient(track, axis=0), axis=-1) * fps / size
        for start, end in _runs(speed < STANDING_SPEED):
            if end - start >= max(2, MIN_STANDING_S * fps):
                track[start:end] = np.median(track[start:end], axis=0)
    return body


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return start and end of each run of true flags."""
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(int), 0]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def extended(body: Array, hands: Array, size: float, rest: Array | None) -> Array:
    """Return the joints with the points that follow from them, `(num_frames, 25, 2)`; NaN where rest is.

    Args:
        body: The joints, `(num_frames, 18, 2)`.
        hands: The hands' points, `(num_frames, 2, 21, 2)`.
        size: The body's size in pixels.
        rest: The skeleton whose lengths to keep, None for the photo's own.
    """
    points = np.full((len(body), NUM_POINTS, 2), np.nan)
    points[:, :18] = body
    for (elbow, wrist, tip), hand in zip(HANDS, hands.transpose(1, 0, 2, 3), strict=True):
        forearm, palm = body[:, wrist] - body[:, elbow], hand[:, MIDDLE_KNUCKLE] - hand[:, 0]
        shown = bool(np.isfinite(palm).all())
        if rest is None:
            points[:, tip] = body[:, wrist] + (PALMS * palm if shown else _directed(forearm, HAND_LENGTH * size))
        else:
            own = rest[tip] - rest[wrist]
            bent = palm if shown else _turned(forearm, _turn(rest[wrist] - rest[elbow], own))
            points[:, tip] = body[:, wrist] + _directed(bent, float(np.hypot(*own)))
    for knee, ankle, toe in FEET:
        shin = body[:, ankle] - body[:, knee]
        points[:, toe] = body[:, ankle] + _foot(shin, None if rest is None else rest, (knee, ankle, toe), size)
    points[:, PELVIS] = body[:, [RIGHT_HIP, LEFT_HIP]].mean(axis=1)
    joints = [joint for joint in HEAD_JOINTS if np.isfinite(body[:, joint]).all()]
    if joints:
        points[:, HEAD] = body[:, joints].mean(axis=1)
        up = _tilt(body) * -1j
        points[:, CROWN] = points[:, HEAD] + HEAD_HEIGHT * size * np.stack([up.real, up.imag], axis=-1)
    return points if rest is None else np.where(np.isfinite(rest), points, np.nan)


def _foot(shin: Array, rest: Array | None, joints: tuple[int, int, int], size: float) -> Array:
    """Return the way from ankle to toe: the photo's own, turned half as far as the shin."""
    if rest is None:
        return np.broadcast_to([0.0, FOOT_LENGTH * size], shin.shape)
    knee, ankle, toe = joints
    half = np.sqrt(_turn(rest[ankle] - rest[knee], shin))
    return _turned(np.broadcast_to(rest[toe] - rest[ankle], shin.shape), half)


def _directed(vectors: Array, length: float) -> Array:
    """Return the vectors at one length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6) * length


def _turned(vectors: Array, turns: np.ndarray) -> Array:
    """Return the vectors turned by complex numbers of length 1."""
    moved = (vectors @ [1, 1j]) * turns
    return np.stack([moved.real, moved.imag], axis=-1)


def _turn(before: Array, after: Array) -> np.ndarray:
    """Return the turn from one direction to another, a complex number of length 1."""
    return np.exp(1j * np.angle((after @ [1, 1j]) * np.conj(before @ [1, 1j])))
