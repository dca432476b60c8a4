import numpy as np
import pytest
from preprocess.skeletons import standing

from xdyna.preprocess.pose import LEFT_HIP, NECK, RIGHT_HIP, RIGHT_WRIST, concatenate
from xdyna.preprocess.smoothing import ARMS, LEGS, bridge_gaps, repair_swaps, smooth, steady
from xdyna.schema import Pose
from xdyna.world import render_clip

FPS = 24.0


@pytest.fixture(scope="module")
def dance():
    """The true joints of somebody who moves, without anything to see."""
    return render_clip(305, num_frames=48, height=896, width=512, fps=FPS).pose


def torso(pose):
    return np.median(np.linalg.norm(pose.body[:, [RIGHT_HIP, LEFT_HIP]].mean(axis=1) - pose.body[:, NECK], axis=-1))


def with_noise(pose, sigma_px):
    noise = np.random.default_rng(0).normal(0, sigma_px, pose.body.shape).astype(np.float32)
    return Pose(body=pose.body + noise, body_scores=pose.body_scores, hands=pose.hands, hand_scores=pose.hand_scores)


def swapped(pose, frames, limbs):
    right, left = limbs
    body = pose.body.copy()
    body[np.ix_(frames, [*right, *left])] = pose.body[np.ix_(frames, [*left, *right])]
    hands = pose.hands.copy()
    if limbs == ARMS:
        hands[frames] = pose.hands[frames][:, ::-1]
    return Pose(body=body, body_scores=pose.body_scores, hands=hands, hand_scores=pose.hand_scores)


def clip_with_gap(first, last, num_frames=10):
    """A person moving 10 px a frame to the right, missing in frames first..last."""
    clip = concatenate([standing(896, 512)] * num_frames)
    shift = 10 * np.arange(num_frames, dtype=np.float32)
    clip.body[..., 0] += shift[:, None]
    clip.hands[..., 0] += shift[:, None, None]
    whole = concatenate([clip])
    for part in (clip.body, clip.hands):
        part[first : last + 1] = np.nan
    for part in (clip.body_scores, clip.hand_scores):
        part[first : last + 1] = 0
    return clip, whole


@pytest.mark.parametrize(("first", "last", "filled"), [(3, 3, True), (3, 5, True), (3, 6, False), (0, 1, False)])
def test_short_gaps_are_bridged_on_a_straight_line(first, last, filled):
    clip, whole = clip_with_gap(first, last)
    bridged = bridge_gaps(clip)
    gap = slice(first, last + 1)
    if filled:
        assert bridged.body == pytest.approx(whole.body, abs=1e-3)
        assert bridged.hands == pytest.approx(whole.hands, abs=1e-3)
        assert (bridged.body_scores[gap] > 0).all()
    else:
        assert np.isnan(bridged.body[gap]).all()
        assert not bridged.hand_scores[gap].any()
    assert np.isnan(clip.body[gap]).all()  # the input is left alone


def test_a_bridged_hand_stays_on_its_arm():
    clip, _ = clip_with_gap(9, 9)
    clip.hands[4] = np.nan
    clip.body[4, RIGHT_WRIST] += [0, 80]  # the arm swings while the hand is lost
    wrist, hand = bridge_gaps(clip).body[4, RIGHT_WRIST], bridge_gaps(clip).hands[4, 0, 0]
    assert hand - wrist == pytest.approx(clip.hands[3, 0, 0] - clip.body[3, RIGHT_WRIST], abs=1e-3)


def test_jitter_at_rest_is_halved():
    still = concatenate([standing(896, 512)] * 40)
    sigma = 0.01 * torso(still)
    noisy = with_noise(still, sigma)
    left = np.std(smooth(noisy, FPS).body - still.body)
    assert left < 0.5 * sigma


def test_fast_motion_keeps_its_speed_and_its_moment():
    """A wrist that shoots across the picture in four frames among jitter."""
    clip = concatenate([standing(896, 512)] * 40)
    clip.body[:, RIGHT_WRIST, 0] += 300 / (1 + np.exp(-2.0 * (np.arange(40) - 20)))
    calm = smooth(with_noise(clip, 0.01 * torso(clip)), FPS)
    true, found = (np.diff(pose.body[:, RIGHT_WRIST, 0]) for pose in (clip, calm))
    assert np.argmax(found) == np.argmax(true)
    assert found.max() > 0.95 * true.max()


def test_a_real_motion_stays_where_it_is_in_time(dance):
    """Of all shifts in time, none makes the calmed motion more like the true one."""
    calm = smooth(with_noise(dance, 0.01 * torso(dance)), FPS).body[:, :14]
    true = dance.body[:, :14]
    errors = {lag: np.mean(np.square(calm[5:-5] - true[5 - lag : len(true) - 5 - lag])) for lag in range(-3, 4)}
    assert min(errors, key=errors.get) == 0
    noisy = with_noise(dance, 0.01 * torso(dance)).body[5:-5, :14]
    assert errors[0] < np.mean(np.square(noisy - true[5:-5]))


@pytest.mark.parametrize("limbs", [ARMS, LEGS], ids=["arms", "legs"])
@pytest.mark.parametrize("frames", [range(10, 11), range(10, 14), range(3)], ids=["one", "some", "first"])
def test_exchanged_limbs_are_put_back(dance, limbs, frames):
    repaired = repair_swaps(swapped(dance, list(frames), limbs))
    assert np.array_equal(repaired.body, dance.body)
    assert np.array_equal(repaired.hands, dance.hands)


def test_right_limbs_are_left_alone(dance):
    assert np.array_equal(repair_swaps(dance).body, dance.body)


def test_who_turns_round_is_left_alone():
    """Right and left change sides in half a second, and stay there."""
    clip = concatenate([standing(896, 512)] * 60)
    turn = np.cos(np.pi * np.clip((np.arange(60) - 20) / 12, 0, 1))[:, None]
    clip.body[..., 0] = 256 + turn * (clip.body[..., 0] - 256)
    assert np.array_equal(repair_swaps(clip).body, clip.body)


def test_nothing_is_mixed_across_a_cut(dance):
    other = dance.transformed(np.array([[1, 0, 6], [0, 1, 0]]))  # near enough to be averaged
    both = concatenate([dance, other])
    whole = steady(both, FPS, cuts=[len(dance)])
    assert np.array_equal(whole.body[: len(dance)], steady(dance, FPS).body)
    assert np.array_equal(whole.body[len(dance) :], steady(other, FPS).body)


def test_missing_joints_stay_missing(dance):
    holes = concatenate([dance])
    holes.body[:20, RIGHT_WRIST] = np.nan
    calm = steady(holes, FPS)
    assert np.isnan(calm.body[:20, RIGHT_WRIST]).all()
    assert np.isfinite(calm.body[20:]).all()
    assert len(steady(dance[:0], FPS)) == 0
