"""A clip of poses made whole: swapped limbs put right, short gaps filled, jitter calmed without delay.

Everything looks ahead as well as back, so nothing lags behind the pictures.
"""

from collections.abc import Sequence
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

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
    concatenate,
)
from xdyna.schema import Floats, Pose

MAX_GAP = 3  # frames

# Right limb, left limb.
ARMS = ((RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST), (LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST))
LEGS = ((RIGHT_HIP, RIGHT_KNEE, RIGHT_ANKLE), (LEFT_HIP, LEFT_KNEE, LEFT_ANKLE))
MAX_JERK = 1.0  # torsos: larger ones count as this
SWAP_COST = 0.6  # torsos: an exchange must save this much, or it is the motion that is sudden
SWAPPED_COST = 0.1  # torsos per frame: what stays exchanged for long is a person who turned round

CALM_S = 0.12  # standard deviation of the calming in time
CALM_TORSO = 0.03  # and in place, in lengths of the torso: what moves more between frames is motion, not jitter


def steady(pose: Pose, fps: float, cuts: Sequence[int] = ()) -> Pose:
    """Repairs exchanged limbs, fills short gaps and calms jitter, each shot by itself.

    Args:
        pose: keypoints of a clip in pixels.
        fps: frames per second of the clip.
        cuts: frames that begin another shot.
    """
    edges = [0, *cuts, len(pose)]
    shots = [pose[start:end] for start, end in pairwise(edges)]
    return concatenate(smooth(bridge_gaps(repair_swaps(shot)), fps) for shot in shots) if len(pose) else pose


def repair_swaps(pose: Pose) -> Pose:
    """Exchanges right and left arms, or legs, where the detector confused them for a while.

    For arms and legs apart, the cheapest sequence of "as found" and "exchanged" is chosen: limbs that go on as they
    moved cost nothing, sudden jumps cost their length, and staying exchanged costs a little so that a person who
    really turned round is left alone.

    Args:
        pose: keypoints of a clip in pixels, without cuts.
    """
    body, body_scores = pose.body.copy(), pose.body_scores.copy()
    hands, hand_scores = pose.hands.copy(), pose.hand_scores.copy()
    unit = torso_length(pose)
    if not np.isfinite(unit):
        return pose
    for right, left in (ARMS, LEGS):
        swapped = np.flatnonzero(_swapped(pose.body[:, [right, left]] / unit))
        for array in (body, body_scores):
            array[swapped[:, None], [*right, *left]] = array[swapped[:, None], [*left, *right]]
        if (right, left) == ARMS:
            hands[swapped], hand_scores[swapped] = hands[swapped, ::-1], hand_scores[swapped, ::-1]
    return Pose(body=body, body_scores=body_scores, hands=hands, hand_scores=hand_scores)


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


def smooth(pose: Pose, fps: float) -> Pose:
    """Calms jitter without touching fast motion or its timing.

    Each point becomes the mean of its neighbours in time, weighted by how near they are in time and, above all, in
    place: a bilateral filter. At rest it averages; in fast motion the neighbours are far and the point stays. Hands
    are calmed relative to their wrists.

    Args:
        pose: keypoints of a clip in pixels, without cuts.
        fps: frames per second of the clip.
    """
    unit = torso_length(pose)
    if len(pose) < 3 or not np.isfinite(unit):
        return pose
    body = _bilateral(pose.body, CALM_S * fps, CALM_TORSO * unit)
    fingers = _bilateral(pose.hands - pose.body[:, WRISTS, None], CALM_S * fps, CALM_TORSO * unit)
    return Pose(
        body=body,
        body_scores=pose.body_scores,
        hands=fingers + body[:, WRISTS, None],
        hand_scores=pose.hand_scores,
    )


def torso_length(pose: Pose) -> float:
    """Median distance in pixels from the neck to the middle of the hips, or twice the shoulders' width; NaN if unseen.

    The shoulders are taken in their widest frames.
    """
    torso = np.linalg.norm(pose.body[:, [RIGHT_HIP, LEFT_HIP]].mean(axis=1) - pose.body[:, NECK], axis=-1)
    if np.isfinite(torso).any():
        return float(max(1.0, np.nanmedian(torso)))
    shoulders = np.linalg.norm(pose.body[:, RIGHT_SHOULDER] - pose.body[:, LEFT_SHOULDER], axis=-1)
    return float(max(1.0, 1.5 * np.nanquantile(shoulders, 0.9))) if np.isfinite(shoulders).any() else float("nan")


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


def _swapped(limbs: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which frames to exchange, from `(num_frames, 2, 3, 2)` joints of the right and the left limb in torsos.

    Viterbi's algorithm over the decisions for each two frames in a row, since a jump is one against the motion so far.
    """
    num_frames = len(limbs)
    if num_frames < 3:
        return np.zeros(num_frames, bool)
    both = np.stack([limbs, limbs[:, ::-1]]).astype(np.float64)  # (2, n, 2, 3, 2): as found, exchanged
    states = list(product((0, 1), repeat=2))  # decisions for the frame before and for this one
    cost = np.array(
        [_jump(both[b, 0], both[b, 0], both[now, 1]) + _price(b, now) + SWAPPED_COST * b for b, now in states]
    )
    came_from = np.zeros((num_frames, 4), int)
    for k in range(2, num_frames):
        following = np.full(4, np.inf)
        for state, (before, now) in enumerate(states):
            for earlier in (0, 1):
                previous = states.index((earlier, before))
                jump = _jump(both[earlier, k - 2], both[before, k - 1], both[now, k])
                total = cost[previous] + jump + _price(before, now)
                if total < following[state]:
                    following[state], came_from[k, state] = total, previous
        cost = following
    swapped = np.zeros(num_frames, bool)
    state = int(np.argmin(cost))
    for k in range(num_frames - 1, 0, -1):
        swapped[k], swapped[k - 1] = bool(states[state][1]), bool(states[state][0])
        state = int(came_from[k, state])
    return swapped


def _price(before: int, now: int) -> float:
    """Of deciding so for two frames in a row, in torsos."""
    return SWAP_COST * (before != now) + SWAPPED_COST * now


def _jump(earlier: NDArray[np.float64], before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """How far `(2, 3, 2)` joints land from where their motion led, in torsos, summed; unseen joints cost nothing."""
    steady_on = np.where(np.isfinite(earlier), 2 * before - earlier, before)
    # Who stands still after a fast move jumps against the motion, so standing still is expected too.
    distance = np.fmin(np.linalg.norm(now - steady_on, axis=-1), np.linalg.norm(now - before, axis=-1))
    return float(np.nansum(np.minimum(distance, MAX_JERK)))


def _bilateral(track: Floats, sigma_frames: float, sigma_px: float) -> Floats:
    """Bilateral filter along axis 0 of `(num_frames, ..., 2)`; NaN stays NaN and counts for nobody."""
    reach = max(1, round(2.5 * sigma_frames))
    num_frames = len(track)
    padded = np.full((num_frames + 2 * reach, *track.shape[1:]), np.nan)
    padded[reach : reach + num_frames] = track
    total, weights = np.zeros(track.shape), np.zeros(track.shape[:-1])
    for lag in range(1, reach + 1):
        # Neighbours count in pairs, one on either side: alone, one would pull the point towards itself.
        pair = [padded[reach + sign * lag : reach + sign * lag + num_frames] for sign in (-1, 1)]
        distance = np.max([np.linalg.norm(side - track, axis=-1) for side in pair], axis=0)
        weight = np.exp(-0.5 * (lag / sigma_frames) ** 2 - 0.5 * (distance / sigma_px) ** 2)
        weight = np.where(np.isfinite(weight), weight, 0)
        total += np.nan_to_num(weight[..., None] * (pair[0] + pair[1]))
        weights += 2 * weight
    return ((total + track) / (weights + 1)[..., None]).astype(np.float32)
