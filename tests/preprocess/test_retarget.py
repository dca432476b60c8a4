import numpy as np
import pytest
from preprocess.skeletons import standing

from xdyna.preprocess.pose import (
    LEFT_ELBOW,
    LEFT_HIP,
    LEFT_KNEE,
    LEFT_WRIST,
    NECK,
    NOSE,
    RIGHT_ELBOW,
    RIGHT_KNEE,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    concatenate,
)
from xdyna.preprocess.retarget import RATIO_RANGE, limb_ratios, retarget

ARMS = {"upper arm": 1.4, "forearm": 1.2}


def clip():
    return concatenate([standing(896, 512)] * 3)


def vectors(pose, parent, child):
    return pose.body[:, child] - pose.body[:, parent]


@pytest.mark.parametrize("ratios", [{}, ARMS, {"thigh": 0.8, "torso": 1.1, "shin": 0.7}])
def test_the_ratios_given_are_the_ratios_found(ratios):
    found = limb_ratios(retarget(standing(896, 512), ratios), clip())
    for name, ratio in found.items():
        assert ratio == pytest.approx(ratios.get(name, 1), rel=1e-3), name


def test_limbs_change_length_and_keep_their_angle():
    moved = retarget(clip(), ARMS)
    for parent, child, ratio in ((RIGHT_SHOULDER, RIGHT_ELBOW, 1.4), (RIGHT_ELBOW, RIGHT_WRIST, 1.2)):
        assert vectors(moved, parent, child) == pytest.approx(ratio * vectors(clip(), parent, child), rel=1e-4)


def test_a_limb_carries_everything_below_it_along():
    moved = retarget(clip(), {"torso": 1.3})
    shift = moved.body[:, LEFT_HIP] - clip().body[:, LEFT_HIP]
    assert np.abs(shift).max() > 30
    assert moved.body[:, LEFT_KNEE] - clip().body[:, LEFT_KNEE] == pytest.approx(shift, abs=1e-3)


def test_head_and_neck_stay_on_the_photos_head():
    moved = retarget(clip(), dict.fromkeys(("upper arm", "torso", "thigh"), 1.3))
    head = [NOSE, NECK, 14, 15, 16, 17]
    assert np.array_equal(moved.body[:, head], clip().body[:, head])


def test_hands_follow_their_wrists_and_grow_with_the_forearm():
    moved = retarget(clip(), ARMS)
    for side, wrist in enumerate((RIGHT_WRIST, LEFT_WRIST)):
        assert moved.hands[:, side, 0] == pytest.approx(moved.body[:, wrist], abs=1e-3)
        span, before = np.ptp(moved.hands[:, side], axis=1), np.ptp(clip().hands[:, side], axis=1)
        assert span == pytest.approx(1.2 * before, rel=1e-3)


def test_a_limb_that_points_at_the_camera_counts_less_than_its_pair():
    photo = standing(896, 512)
    photo.body[0, LEFT_ELBOW] = photo.body[0, 5] + [4, 4]
    assert limb_ratios(photo, clip())["upper arm"] == pytest.approx(1, rel=1e-3)


def test_shoulders_keep_their_width_because_a_turned_body_looks_narrow():
    photo = standing(896, 512)
    photo.body[0, 2:8, 0] = 256 + 0.5 * (photo.body[0, 2:8, 0] - 256)
    moved = retarget(clip(), limb_ratios(photo, clip()))
    assert np.array_equal(moved.body[:, [2, 5]], clip().body[:, [2, 5]])


def test_impossible_lengths_are_bounded():
    moved = retarget(clip(), {"forearm": 9.0})
    longest = RATIO_RANGE[1] * vectors(clip(), RIGHT_ELBOW, RIGHT_WRIST)
    assert vectors(moved, RIGHT_ELBOW, RIGHT_WRIST) == pytest.approx(longest, rel=1e-4)


def test_what_is_not_seen_stays_unseen_and_takes_its_limb_along():
    driver = clip()
    driver.body[1, RIGHT_ELBOW] = np.nan
    moved = retarget(driver, ARMS)
    assert np.isnan(moved.body[1, [RIGHT_ELBOW, RIGHT_WRIST]]).all()
    assert np.isnan(moved.hands[1, 0]).all()
    assert (moved.body_scores[1, [RIGHT_ELBOW, RIGHT_WRIST]] == 0).all() and (moved.hand_scores[1, 0] == 0).all()
    assert np.isfinite(moved.body[[0, 2]]).all() and np.isfinite(moved.body[1, LEFT_WRIST]).all()


def test_limbs_that_one_of_them_does_not_show_have_no_ratio():
    photo = standing(896, 512)
    photo.body[0, [RIGHT_KNEE, LEFT_KNEE]] = np.nan
    assert {"thigh", "shin"}.isdisjoint(limb_ratios(photo, clip()))
