"""What a person does over time, without saying who: poses in joint angles, head, expression, place in the frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXPRESSION = ("mouth_open", "smile", "pucker", "brow_raise", "blink_left", "blink_right", "gaze_x", "gaze_y")
"""Entries of the expression code: blinks 0..1, gaze -1..1 (right and down in the picture), the rest about 0..1."""

# Where a hand can be, seen from its shoulder: elevation (0 hanging, 90 level, 180 up), azimuth (0 outward,
# 90 towards the viewer), reach (share of the arm's length) and the elbow's swivel about that line, in degrees.
_ARMS = {
    "rest": (12, 20, 0.96, 70),
    "loose": (28, 25, 0.93, 70),
    "hip": (27, -10, 0.62, 35),
    "low_out": (50, 10, 0.97, 60),
    "level": (88, 10, 0.97, 110),
    "dangle": (66, 12, 0.74, 20),
    "flex": (128, 10, 0.66, 180),
    "wave": (150, 15, 0.82, 175),
    "up": (172, 10, 0.97, 170),
    "diagonal": (138, 5, 0.96, 150),
    "chest": (72, 112, 0.56, 115),
    "front_low": (46, 105, 0.72, 100),
    "to_head": (186, 15, 0.66, 175),
    "punch": (82, 75, 0.88, 120),
    "bent_out": (70, 20, 0.78, 150),
}
_SOLO = [name for name in _ARMS if name not in ("chest", "front_low")]

# Feet and hips: right foot (outward, lift, forward), left foot (same), sideways shift of the hips, crouch.
_LEGS = {
    "stand": (0.05, 0, 0, 0.05, 0, 0, 0, 0.01),
    "wide": (0.14, 0, 0, 0.14, 0, 0, 0, 0.04),
    "lunge_right": (0.20, 0, 0, 0.08, 0, 0, -0.05, 0.08),
    "lunge_left": (0.08, 0, 0, 0.20, 0, 0, 0.05, 0.08),
    "squat": (0.15, 0, 0, 0.15, 0, 0, 0, 0.24),
    "kick_right": (0.24, 0.10, 0.05, 0.02, 0, 0, 0.03, 0.02),
    "kick_left": (0.02, 0, 0, 0.24, 0.10, 0.05, -0.03, 0.02),
    "knee_right": (0.08, 0.17, 0.12, 0.03, 0, 0, 0.02, 0.01),
    "knee_left": (0.03, 0, 0, 0.08, 0.17, 0.12, -0.02, 0.01),
    "step_right": (0.12, 0.03, 0, 0.06, 0, 0, -0.03, 0.02),
    "step_left": (0.06, 0, 0, 0.12, 0.03, 0, 0.03, 0.02),
}


MOTIONS = ("dance", "wave", "clap", "symmetric", "sway", "turn", "step")
"""What a person can do. Seeds draw from the first five; the others must be asked for."""
_SHARES = (0.45, 0.12, 0.12, 0.23, 0.08)

# A step to the right and back, in the columns of the leg table: a foot lifts, lands and takes the weight.
_SIDE_STEP = (
    (0.05, 0, 0, 0.05, 0, 0, 0, 0.01),
    (0.15, 0.05, 0, 0.05, 0, 0, -0.03, 0.02),
    (0.20, 0, 0, 0.05, 0, 0, -0.09, 0.02),
    (0.20, 0, 0, -0.04, 0.05, 0, -0.13, 0.02),
    (0.20, 0, 0, -0.10, 0, 0, -0.15, 0.01),
    (0.20, 0, 0, -0.03, 0.05, 0, -0.12, 0.02),
    (0.20, 0, 0, 0.05, 0, 0, -0.08, 0.02),
    (0.12, 0.05, 0, 0.05, 0, 0, -0.04, 0.02),
)


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Sampled motion; every array starts with `num_frames`. Angles in radians, lengths in body heights.

    Attributes:
        arms: `(n, 2, 4)` elevation, azimuth, reach, swivel of the right and the left arm.
        curl: `(n, 2)` how far the fingers are closed, 0..1.
        legs: `(n, 8)` the columns of the leg table.
        torso: `(n, 3)` yaw, pitch, roll.
        head: `(n, 3)` yaw, pitch, roll in the picture.
        expression: `(n, 8)` in the order of EXPRESSION.
        drift: `(n,)` sideways travel.
    """

    arms: Array
    curl: Array
    legs: Array
    torso: Array
    head: Array
    expression: Array
    drift: Array


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where the person stands: body height, floor and centre in units of the frame's height (x from the middle)."""

    height: float
    floor: float
    x: float


class Motion:
    """One random dance, wave, clap, sway, turn or walk on the spot, defined for all times.

    Args:
        seed: everything that `name` leaves open.
        name: one of `MOTIONS`, or None for a random one of the first five.

    Raises:
        ValueError: unknown name.
    """

    def __init__(self, seed: int, name: str | None = None) -> None:
        if name is not None and name not in MOTIONS:
            raise ValueError(f"motion_name must be one of {MOTIONS}, got {name!r}")
        rng = np.random.default_rng([seed, 11])
        self.placement = _place(rng)
        self._beat = rng.uniform(0.42, 0.78)
        self._phase = rng.uniform(0, 1)
        drawn = rng.choice(MOTIONS[: len(_SHARES)], p=_SHARES)
        kind = name or str(drawn)
        self._arm_keys = np.stack([_arms(rng, kind, i) for i in range(24)])
        if rng.random() < 0.5:
            self._arm_keys = self._arm_keys[:, ::-1]
        self._curl_keys = rng.choice([0.0, 0.1, 0.3, 0.9], (24, 2))
        self._leg_keys = _legs(rng, kind)
        self._torso = _Waves(rng, [rng.uniform(0.08, 0.42), 0.07, rng.uniform(0.05, 0.14)], 0.25, 1.0)
        self._head = _Waves(rng, [rng.uniform(0.1, 0.42), 0.16, 0.2], 0.3, 1.1)
        self._bounce = rng.uniform(0.0, 0.03)
        self._wiggle = np.radians(rng.uniform(0, 14, (2, 2)))
        self._drift = _Waves(rng, [0.03], 0.1, 0.3)
        self._face = _Expressions(rng)
        if kind == "turn":  # to half profile and back; the back of a head is not drawn
            self._torso = _Waves(rng, [rng.uniform(0.75, 1.0), 0.07, 0.05], 0.2, 0.45)
        if kind == "step":
            self._leg_keys = np.array(_SIDE_STEP, float) * rng.uniform(0.85, 1.1)

    def sample(self, times: Array) -> Moves:
        """The motion at the given times in seconds, `(n,)`."""
        beat = np.asarray(times) / self._beat + self._phase
        bounce = self._bounce * (0.5 - 0.5 * np.cos(2 * np.pi * beat))
        legs = _interpolate(self._leg_keys, beat, rest=0.2)
        legs[:, 7] += bounce
        arms = _interpolate(self._arm_keys, beat, rest=0.15)
        swing = np.sin(2 * np.pi * beat)[:, None] * self._wiggle[None, :, 0]
        arms[:, :, 0] += swing
        arms[:, :, 3] += np.cos(2 * np.pi * beat)[:, None] * self._wiggle[None, :, 1]
        return Moves(
            arms=arms,
            curl=_interpolate(self._curl_keys, beat, rest=0.3),
            legs=legs,
            torso=self._torso.sample(times),
            head=self._head.sample(times),
            expression=self._face.sample(times),
            drift=self._drift.sample(times)[:, 0],
        )


class _Waves:
    """A few channels, each the sum of two sinusoids of random frequency (Hz) and phase."""

    def __init__(self, rng: np.random.Generator, amplitudes: list[float], slowest: float, fastest: float) -> None:
        shape = (2, len(amplitudes))
        self._frequency = rng.uniform(slowest, fastest, shape)
        self._phase = rng.uniform(0, 2 * np.pi, shape)
        self._amplitude = np.array(amplitudes)[None] * np.array([[0.7], [0.3]])

    def sample(self, times: Array) -> Array:
        angle = 2 * np.pi * np.asarray(times)[:, None, None] * self._frequency + self._phase
        return (self._amplitude * np.sin(angle)).sum(axis=1)


class _Expressions:
    """Talking, singing, smiling, blinking and looking about: key expressions eased into one another."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._beat = rng.uniform(0.28, 0.6)
        mood = rng.uniform(0.0, 0.8)
        talkative = rng.uniform(0.35, 0.9)
        opened = np.where(rng.random(40) < talkative, rng.uniform(0.25, 1.0, 40), 0.0)
        smile = np.clip(mood + rng.normal(0, 0.4, 40), -0.5, 1.0)
        pucker = np.where(rng.random(40) < 0.2, rng.uniform(0.4, 1, 40), 0.0)
        brows = np.clip(rng.normal(0.2, 0.5, 40), -0.7, 1.0)
        gaze = np.clip(rng.normal(0, 0.6, (40, 2)), -1, 1)
        self._keys = np.column_stack([opened, smile * (1 - pucker), pucker, brows, gaze])
        self._blinks = np.cumsum(rng.uniform(0.6, 2.4, 24)) - rng.uniform(0, 2)
        self._winks = np.where(rng.random((24, 1)) < 0.15, rng.permuted([[0.0, 1.0]] * 24, axis=1), 1.0)

    def sample(self, times: Array) -> Array:
        keys = _interpolate(self._keys, np.asarray(times) / self._beat, rest=0.3)
        gap = np.abs(np.asarray(times)[:, None] - self._blinks[None])
        closed = np.clip(1.6 - gap / 0.11, 0, 1)
        blink = (closed[:, :, None] * self._winks[None]).max(axis=1)
        return np.column_stack([keys[:, :4], blink, keys[:, 4:]])


def _interpolate(keys: Array, position: Array, rest: float) -> Array:
    """Eases from key to key, staying `rest` of each interval; the list of keys repeats."""
    index = np.floor(position).astype(int)
    part = np.clip((position - index - rest / 2) / (1 - rest), 0, 1)
    part = part * part * (3 - 2 * part)
    part = part.reshape(-1, *[1] * (keys.ndim - 1))
    return keys[index % len(keys)] * (1 - part) + keys[(index + 1) % len(keys)] * part


def _place(rng: np.random.Generator) -> Placement:
    close = rng.random() < 0.2
    if close:
        height = rng.uniform(1.1, 1.4)
        floor = 0.07 + height * rng.uniform(0.99, 1.05)
    else:
        height = rng.uniform(0.70, 0.85)
        floor = rng.uniform(max(0.88, height + 0.05), 0.955)
    return Placement(height=height, floor=floor, x=rng.uniform(-0.045, 0.045))


def _arms(rng: np.random.Generator, kind: str, index: int) -> Array:
    """One key pose of both arms, `(2, 4)`."""
    right, left = rng.choice(_SOLO, 2)
    if kind == "wave":
        right, left = ("wave", "flex")[index % 2], ("rest", "hip", "loose")[index // 8]
    elif kind == "clap":
        right = left = ("chest", "bent_out", "chest", "level")[index % 4]
    elif kind == "symmetric":
        left = right
    elif kind == "sway":
        right, left = rng.choice(["rest", "loose", "hip", "low_out", "dangle", "front_low"], 2)
    elif rng.random() < 0.08:
        right = left = "front_low"
    keys = np.array([_ARMS[right], _ARMS[left]], float)
    keys[:, [0, 1, 3]] += rng.normal(0, 6, (2, 3))
    keys[:, 2] = np.clip(keys[:, 2] + rng.normal(0, 0.03, 2), 0.5, 0.985)
    keys[:, [0, 1, 3]] = np.radians(keys[:, [0, 1, 3]])
    return keys


def _legs(rng: np.random.Generator, kind: str) -> Array:
    """A sequence of 12 key poses of the legs, `(12, 8)`."""
    if kind in ("wave", "sway"):
        names = rng.choice(["stand", "wide", "lunge_right", "lunge_left"], 3)
    else:
        names = rng.choice(list(_LEGS), 6)
    keys = np.array([_LEGS[name] for name in rng.choice(names, 12)], float)
    return keys * rng.uniform(0.8, 1.15, keys.shape)
