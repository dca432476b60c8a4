"""Upright or lying, from the front or from behind."""

import numpy as np
import pytest

from xdyna.preprocess.pose import LEFT_HIP, LEFT_SHOULDER, NECK, NOSE, RIGHT_HIP, RIGHT_SHOULDER
from xdyna.preprocess.posture import lean_deg, seen_from_behind
from xdyna.schema import Floats


def body(turn_deg: float = 0.0, breadth: float = 60.0, hips: bool = True, num_frames: int = 1) -> Floats:
    """Joints of somebody who faces us; a negative breadth shows the back."""
    joints = np.full((18, 2), np.nan, np.float32)
    joints[[NECK, NOSE]] = (0, 0), (0, -50)
    joints[[RIGHT_SHOULDER, LEFT_SHOULDER]] = (-breadth / 2, 0), (breadth / 2, 0)
    if hips:
        joints[[RIGHT_HIP, LEFT_HIP]] = (-breadth / 3, 100), (breadth / 3, 100)
    a = np.radians(turn_deg)
    clockwise = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], np.float32)
    return np.repeat((joints @ clockwise.T)[None] + 200, num_frames, axis=0)


@pytest.mark.parametrize("turn", [-170.0, -90.0, 0.0, 30.0, 90.0])
def test_lean_is_the_turn_of_the_torso(turn: float) -> None:
    assert lean_deg(body(turn, num_frames=3)) == pytest.approx(turn, abs=1e-3)


def test_a_hidden_torso_has_no_lean() -> None:
    assert np.isnan(lean_deg(body(hips=False)))


@pytest.mark.parametrize("turn", [0.0, 90.0, -90.0, 180.0])
@pytest.mark.parametrize("breadth", [60.0, -60.0, 15.0, -15.0])
def test_a_back_shows_the_right_shoulder_on_the_right(turn: float, breadth: float) -> None:
    assert seen_from_behind(body(turn, breadth)) == (breadth < -25)  # a narrow back is a side


@pytest.mark.parametrize("breadth", [60.0, -60.0])
def test_without_hips_the_head_tells_what_is_up(breadth: float) -> None:
    assert seen_from_behind(body(0.0, breadth, hips=False)) == (breadth < 0)


def test_most_frames_decide() -> None:
    turning = np.concatenate([body(breadth=-60.0, num_frames=3), body(breadth=60.0, num_frames=2)])
    assert seen_from_behind(turning)
    assert not seen_from_behind(turning[2:])
    assert not seen_from_behind(np.full((2, 18, 2), np.nan, np.float32))
