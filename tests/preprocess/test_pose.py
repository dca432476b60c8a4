import time

import numpy as np
import pytest
import skimage.data
from preprocess.skeletons import joints_by_colour, official_frames, standing

from xdyna.preprocess.pose import (
    LEFT_EAR,
    LEFT_SHOULDER,
    NECK,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_EAR,
    RIGHT_SHOULDER,
    RIGHT_WRIST,
    MediaPipePose,
    bridge_gaps,
    concatenate,
    empty_pose,
    inner_picture,
    person_found,
)


@pytest.fixture(scope="module")
def astronaut():
    """A frontal upper body, (512, 512, 3)."""
    return skimage.data.astronaut()


def test_a_person_is_found_with_right_and_left_the_persons_own(astronaut):
    pose = next(MediaPipePose(tracking=False)(astronaut[None]))
    assert person_found(pose)[0]
    body = pose.body[0]
    assert body[NOSE] == pytest.approx([222, 127], abs=15)
    assert body[RIGHT_SHOULDER, 0] < body[NECK, 0] < body[LEFT_SHOULDER, 0]
    assert body[RIGHT_EAR, 0] < body[NOSE, 0] < body[LEFT_EAR, 0]
    assert body[NECK] == pytest.approx(body[[RIGHT_SHOULDER, LEFT_SHOULDER]].mean(axis=0), abs=1e-3)
    assert np.isnan(body[RIGHT_ANKLE]).all()  # far below the picture
    assert ((pose.body_scores > 0) == np.isfinite(pose.body[..., 0])).all()


@pytest.mark.parametrize("picture", [np.zeros((256, 256, 3), np.uint8), skimage.data.coffee(), skimage.data.chelsea()])
def test_nobody_is_found_where_nobody_is(picture):
    pose = next(MediaPipePose(tracking=False)(picture[None]))
    assert not person_found(pose)[0]


def test_closing_the_iterator_ends_the_work_at_once(astronaut):
    poses = MediaPipePose(tracking=True)(np.repeat(astronaut[None], 200, axis=0))
    next(poses)
    began = time.perf_counter()
    poses.close()
    assert time.perf_counter() - began < 1
    with pytest.raises(StopIteration):
        next(poses)


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


@pytest.mark.parametrize(
    ("missing", "there"),
    [
        ([], True),
        (range(8, 18), True),
        ([LEFT_SHOULDER, NECK], True),
        ([NOSE], True),
        ([NOSE, LEFT_SHOULDER], False),
        (range(2, 18), False),
        (range(18), False),
    ],
)
def test_a_person_is_head_and_shoulders(missing, there):
    pose = standing(96, 64)
    pose.body[0, list(missing)] = np.nan
    assert person_found(pose)[0] == there


def test_black_bars_are_not_part_of_the_picture():
    frames = np.random.default_rng(0).integers(60, 255, (3, 100, 80, 3), np.uint8)
    assert inner_picture(frames) == (0, 0, 80, 100)
    frames[:, :12], frames[:, 90:], frames[:, :, 70:] = 3, 5, 0
    assert inner_picture(frames) == (0, 12, 70, 90)
    assert inner_picture(frames // 16) == (0, 0, 80, 100)  # a dark clip has no bars


def test_legs_cut_by_the_picture_end_at_its_edge(test_data):
    """As in the official poses: a dancer cut at the knees has feet on the lower edge, and no shoes in the void."""
    frames = official_frames(test_data, 1, "driving", range(0, 24, 2)).copy()
    frames[:, 780:] = 0
    pose = concatenate(MediaPipePose(tracking=True)(frames))
    ankles = pose.body[:, [10, 13]]
    assert np.isfinite(ankles).mean() > 0.8
    assert np.nanmax(ankles[..., 1]) <= 780
    assert np.nanmedian(ankles[..., 1]) > 740


@pytest.mark.parametrize(("number", "pck"), [(1, 0.9), (2, 0.93)])
def test_agreement_with_the_official_poses(test_data, number, pck):
    """PCK@0.1: joints within a tenth of the torso of the official ones; missed joints count as wrong."""
    frames = range(0, 60, 5)
    official = joints_by_colour(official_frames(test_data, number, "pose", frames))
    pose = bridge_gaps(
        concatenate(MediaPipePose(tracking=True)(official_frames(test_data, number, "driving", frames)))
    )
    torso = np.linalg.norm(np.nanmean(official[:, [8, 11]], axis=1) - official[:, NECK], axis=-1)
    distance = np.linalg.norm(pose.body - official, axis=-1) / np.nanmedian(torso)
    seen = np.isfinite(official[..., 0])
    assert seen[:, :14].mean() > 0.9
    assert (distance[seen] < 0.1).mean() > pck
    assert np.isfinite(pose.hands[:, :, 0, 0]).mean() > 0.3


def test_an_empty_clip_of_poses():
    assert len(empty_pose(0)) == 0
    assert not person_found(empty_pose(3)).any()
