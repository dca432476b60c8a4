"""Turn a driver's pose into the puppet's while it comes in: as `motion.follow`, without looking ahead."""

from collections import deque
from dataclasses import replace

import numpy as np

from xdyna.preprocess.align import Matrix, align
from xdyna.preprocess.one_euro import OneEuro
from xdyna.preprocess.pose import (
    LEFT_ANKLE,
    LEFT_HIP,
    LEFT_KNEE,
    NECK,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_HIP,
    RIGHT_KNEE,
    WRISTS,
    concatenate,
)
from xdyna.preprocess.smoothing import torso_length
from xdyna.puppet.motion import (
    MIN_STANDING_S,
    NECESSARY,
    STANDING_SPEED,
    bridged,
    extended,
    with_head,
)
from xdyna.puppet.proportions import Proportions, completed
from xdyna.puppet.skeleton import PARENTS, Array, body_size
from xdyna.schema import Pose

MIN_CALM_FRAMES, MIN_CALM_S = 6, 0.6  # that proportions and place are measured in
MAX_CALM_SPEED = 0.8  # torsos per second, of neck and nose
PATIENCE_S = 2.5  # after which a driver who does not hold still is taken as they are
MIN_CUTOFF_HZ, BETA = 1.5, 8.0  # of the filter, whose delay is 30 to 60 ms; speeds in body sizes per second
LEARN_EVERY_S, MEASURED = 0.25, 80  # proportions are those of the last 20 s,
ADOPT_S = 0.7  # and come in over that time
RETURN_S = 0.5  # in which a limb that is out of sight goes back to the photo's pose
# How far joints out of sight go along with their parents; arms and head do so wholly, feet stay on the floor.
SHARES = {RIGHT_HIP: 0.5, LEFT_HIP: 0.5, RIGHT_KNEE: 0.5, LEFT_KNEE: 0.5, RIGHT_ANKLE: 0.0, LEFT_ANKLE: 0.0}
RELEASE_S = 0.2  # in which a foot that stood comes along again


class Calibration:
    """Waits for a driver who holds still, and lays them on the photo.

    Args:
        reference: The photo's pose, one frame, in canvas pixels.
        rest: The photo's skeleton, from `rest_skeleton`.
        size: `(height, width)` of the canvas.
    """

    def __init__(self, reference: Pose, rest: Array, size: tuple[int, int]) -> None:
        self._reference, self._rest, self._size = reference, rest, size
        self._calm, self._seen = list[tuple[float, Pose]](), list[tuple[float, Pose]]()

    def add(self, pose: Pose, frame_size: tuple[int, int], at_s: float) -> "LiveMotion | None":
        """Take the next frame; return the driver's motion once enough is known.

        Args:
            pose: The driver's pose, one frame, in pixels of the camera's picture.
            frame_size: `(height, width)` of that picture.
            at_s: When it was taken, in seconds that only grow.
        """
        if not np.isfinite(pose.body[0, list(NECESSARY), 0]).all():
            self._calm.clear()
            return None
        self._seen.append((at_s, pose))
        if self._calm and _speed(self._calm[-1], (at_s, pose)) > MAX_CALM_SPEED:
            self._calm.clear()
        self._calm.append((at_s, pose))
        if len(self._calm) >= MIN_CALM_FRAMES and at_s - self._calm[0][0] >= MIN_CALM_S:
            return self._measured(self._calm, frame_size)
        if len(self._seen) >= MIN_CALM_FRAMES and at_s - self._seen[0][0] >= PATIENCE_S:
            return self._measured(self._seen, frame_size)
        return None

    def _measured(self, frames: list[tuple[float, Pose]], frame_size: tuple[int, int]) -> "LiveMotion":
        matrix = align(self._reference, concatenate(pose for _, pose in frames), frame_size, self._size).matrix
        motion = LiveMotion(matrix, frames[-1][1], self._reference, self._rest)
        for at_s, pose in frames:
            motion.learn(pose.transformed(matrix), at_s)
        return motion


def _speed(before: tuple[float, Pose], now: tuple[float, Pose]) -> float:
    """Return how fast head and neck move, in torsos per second."""
    way = np.linalg.norm(now[1].body[0, [NECK, NOSE]] - before[1].body[0, [NECK, NOSE]], axis=-1)
    unit = torso_length(now[1])
    moved = np.nanmax(way) if np.isfinite(way).any() else 0.0
    return float(moved / unit / max(now[0] - before[0], 1e-3)) if np.isfinite(unit) else 0.0


class LiveMotion:
    """Follows one driver, whose proportions it learns meanwhile.

    Args:
        matrix: Camera pixels -> canvas pixels.
        driver: The driver's pose, one frame, in camera pixels.
        reference: The photo's pose, one frame, in canvas pixels.
        rest: The photo's skeleton, from `rest_skeleton`.
    """

    def __init__(self, matrix: Matrix, driver: Pose, reference: Pose, rest: Array) -> None:
        self._matrix, self._reference, self._rest = matrix, reference, rest
        self._seen, self._learned_s = deque([driver.transformed(matrix)], maxlen=MEASURED), -np.inf
        self._wanted = self._proportions = self._measure()
        self._size = body_size(rest)
        self._body_filter, self._hand_filter = OneEuro(MIN_CUTOFF_HZ, BETA), OneEuro(MIN_CUTOFF_HZ, BETA)
        self._feet = [_Foot(self._size), _Foot(self._size)]
        self._away = {child: np.zeros(2) for _, child in PARENTS}
        self._at_s: float | None = None
        self._skeleton = rest

    def follow(self, pose: Pose, at_s: float) -> Array:
        """Return the puppet's skeleton, `(25, 2)` in canvas pixels, NaN only where the photo's is.

        Args:
            pose: The driver's pose, one frame, in camera pixels; it may be empty.
            at_s: When it was taken, in seconds that only grow.
        """
        if not np.isfinite(pose.body[0, list(NECESSARY), 0]).all():
            return self._skeleton
        step = 1 / 30 if self._at_s is None else max(at_s - self._at_s, 1e-3)
        self._at_s = at_s
        placed = self._calmed(pose.transformed(self._matrix), 1 / step)
        self.learn(placed, at_s)
        self._proportions = self._proportions.towards(self._wanted, float(1 - np.exp(-step / ADOPT_S)))
        body = self._held(self._proportions.given_to(placed)[0], step)[None]
        body = with_head(completed(body, self._rest), self._rest, self._proportions.head_reach)
        for foot, ankle in zip(self._feet, (RIGHT_ANKLE, LEFT_ANKLE), strict=True):
            if np.isfinite(placed.body[0, ankle, 0]):
                body[0, ankle] = foot(body[0, ankle], at_s)
        self._skeleton = extended(body, placed.hands.astype(np.float64), self._size, self._rest)[0]
        return self._skeleton

    def learn(self, placed: Pose, at_s: float) -> None:
        """Take in how long the limbs look: one that pointed at the camera, or was out of sight, is shown later.

        Args:
            placed: The driver's pose, one frame, in canvas pixels.
            at_s: When it was taken, in seconds.
        """
        if at_s - self._learned_s >= LEARN_EVERY_S:
            self._seen.append(placed)
            self._wanted, self._learned_s = self._measure(), at_s

    def _measure(self) -> Proportions:
        clip = concatenate(self._seen)
        return Proportions.between(self._reference, replace(clip, body=bridged(clip.body)), self._rest)

    def _calmed(self, pose: Pose, rate: float) -> Pose:
        """Return the pose with less jitter; hands are calmed beside their wrists."""
        body = self._body_filter(pose.body, rate, self._size)
        fingers = self._hand_filter(pose.hands - pose.body[:, WRISTS, None], rate, self._size)
        hands = fingers + body[:, WRISTS, None]
        return replace(pose, body=body.astype(np.float32), hands=hands.astype(np.float32))

    def _held(self, body: Array, step: float) -> Array:
        """Return the joints with those out of sight where they were beside their parents, and on their way to rest."""
        for parent, child in PARENTS:
            known = parent if np.isfinite(self._rest[parent, 0]) else NECK
            place = self._rest[child] + SHARES.get(child, 1.0) * (body[known] - self._rest[known])
            if np.isfinite(body[child, 0]):
                self._away[child] = body[child] - place
            else:
                self._away[child] = self._away[child] * np.exp(-step / RETURN_S)
                body[child] = place + self._away[child]
        return body


class _Foot:
    """Holds a foot that stands at one place.

    Args:
        size: The body's, in pixels.
    """

    def __init__(self, size: float) -> None:
        self._reach = STANDING_SPEED * MIN_STANDING_S * size
        self._track = deque[tuple[float, Array]]()
        self._anchor: Array | None = None
        self._gap, self._at_s = np.zeros(2), 0.0

    def __call__(self, place: Array, at_s: float) -> Array:
        """Return where the foot is to be drawn, x, y in pixels, for where it was found."""
        self._track.append((at_s, place))
        while at_s - self._track[1][0] >= MIN_STANDING_S if len(self._track) > 2 else False:
            self._track.popleft()
        places = np.array([point for _, point in self._track])
        long_enough = at_s - self._track[0][0] >= MIN_STANDING_S
        stands = long_enough and np.linalg.norm(np.ptp(places, axis=0)) < self._reach
        if stands and self._anchor is None:
            self._anchor = np.median(places, axis=0) + self._gap
        elif self._anchor is not None and np.linalg.norm(place - self._anchor) > 2 * self._reach:
            self._anchor = None
        if self._anchor is not None:
            self._gap = self._anchor - place
        else:
            self._gap = self._gap * np.exp(-(at_s - self._at_s) / RELEASE_S)
        self._at_s = at_s
        return place + self._gap
