from itertools import islice

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
    MediaPipePose,
    concatenate,
    empty_pose,
    person_found,
)
from xdyna.world import render_clip


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
    clip = iter([astronaut] * 200)
    poses = MediaPipePose(tracking=True)(clip)
    next(poses)
    left = list(islice(clip, 1))  # a first few were read to look for black bars
    poses.close()
    assert left and len(list(clip)) > 150
    with pytest.raises(StopIteration):
        next(poses)


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


@pytest.fixture(scope="module")
def couple():
    """Two rendered people side by side, (6, 448, 512, 3), and the true joints of either."""
    clips = [render_clip(seed, num_frames=6, height=448, width=256) for seed in (202, 203)]
    return np.concatenate([clip.frames for clip in clips], axis=2), [
        clip.pose.transformed(np.array([[1, 0, x], [0, 1, 0]])) for clip, x in zip(clips, (0, 256), strict=True)
    ]


@pytest.mark.parametrize("who", [0, 1])
def test_the_person_in_the_boxes_is_followed(couple, who):
    frames, truths = couple
    truth = truths[who].body
    margin = np.array([-20, -40, 20, 20])
    boxes = np.concatenate([truth.min(axis=1), truth.max(axis=1)], axis=1) + margin
    boxes[3] = np.nan
    pose = concatenate(MediaPipePose(tracking=True)(iter(frames), boxes))  # a stream will do
    assert np.isnan(pose.body[3]).all()
    torso = np.linalg.norm(truth[0, NECK] - truth[0, [8, 11]].mean(axis=0))
    shoulders = [RIGHT_SHOULDER, LEFT_SHOULDER]
    distance = np.linalg.norm(pose.body[:, shoulders] - truth[:, shoulders], axis=-1)
    assert np.nanmax(distance) < 0.25 * torso
    assert np.isfinite(distance).sum() == 10


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
    pose = concatenate(MediaPipePose(tracking=True)(official_frames(test_data, number, "driving", frames)))
    torso = np.linalg.norm(np.nanmean(official[:, [8, 11]], axis=1) - official[:, NECK], axis=-1)
    distance = np.linalg.norm(pose.body - official, axis=-1) / np.nanmedian(torso)
    seen = np.isfinite(official[..., 0])
    assert seen[:, :14].mean() > 0.9
    assert (distance[seen] < 0.1).mean() > pck
    assert np.isfinite(pose.hands[:, :, 0, 0]).mean() > 0.3


def test_an_empty_clip_of_poses():
    assert len(empty_pose(0)) == 0
    assert not person_found(empty_pose(3)).any()
