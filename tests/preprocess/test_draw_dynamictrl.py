"""DynamiCtrl's pictures of a pose. The official drawing itself is compared in tests/parity.py."""

import numpy as np
import pytest
from preprocess.skeletons import standing

from xdyna.preprocess.draw import COLOURS as X_DYNA_COLOURS
from xdyna.preprocess.draw_dynamictrl import draw_dynamictrl
from xdyna.preprocess.pose import (
    LEFT_EAR,
    LEFT_ELBOW,
    LEFT_WRIST,
    NECK,
    NOSE,
    RIGHT_ANKLE,
    RIGHT_SHOULDER,
    concatenate,
    empty_pose,
)

SIZE = (1360, 768)
NO_FACE = np.full((1, 68, 2), np.nan, np.float32)


def face(centre=(384, 200)):
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    return (np.stack([np.cos(angles), np.sin(angles)], axis=-1)[None] * 60 + centre).astype(np.float32)


def shows(drawn, point, colour):
    """Whether a pixel next to the point has that colour, to a few levels."""
    x, y = np.round(point).astype(int)
    patch = drawn[y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 3).astype(int)
    return np.abs(patch - np.array(colour)).max(axis=-1).min() <= 4


@pytest.mark.parametrize("joint", [NOSE, NECK, RIGHT_SHOULDER, LEFT_WRIST, RIGHT_ANKLE, LEFT_EAR])
def test_joints_have_openposes_colours_with_red_and_blue_exchanged(joint):
    openpose = (*X_DYNA_COLOURS, (170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85))[joint]
    pose = standing(*SIZE)
    pose.hands[:] = np.nan
    assert shows(draw_dynamictrl(pose, NO_FACE, SIZE)[0], pose.body[0, joint], openpose[::-1])


def test_limbs_are_dimmed_and_fade_with_both_scores():
    pose = empty_pose(1)
    pose.body[0, [NECK, RIGHT_SHOULDER]] = [[500, 400], [200, 400]]
    pose.body_scores[0, [NECK, RIGHT_SHOULDER]] = [0.8, 0.5]
    drawn = draw_dynamictrl(pose, NO_FACE, SIZE)[0]
    assert shows(drawn, (350, 400), (0, 0, 0.6 * 0.8 * 0.5 * 255))
    assert shows(drawn, (500, 400), (0, 0.8 * 85, 0.8 * 255))


@pytest.mark.parametrize(("score", "visible"), [(0.29, False), (0.3, True)])
def test_doubtful_body_joints_are_left_out_with_their_limbs(score, visible):
    pose = empty_pose(1)
    pose.body[0, [LEFT_ELBOW, LEFT_WRIST]] = [[300, 400], [300, 800]]
    pose.body_scores[0, [LEFT_ELBOW, LEFT_WRIST]] = [1, score]
    drawn = draw_dynamictrl(pose, NO_FACE, SIZE)[0]
    assert drawn[395:405].any()
    assert drawn[500:810].any() == visible


def test_hands_have_red_points_however_doubtful():
    pose = standing(*SIZE)
    pose.body[:] = np.nan
    pose.hand_scores[0, 0] = 0.2
    drawn = draw_dynamictrl(pose, NO_FACE, SIZE)[0]
    for tips, red in zip(pose.hands[0, :, 4::4], (51, 255), strict=True):
        assert all(shows(drawn, tip, (red, 0, 0)) for tip in tips)


def test_the_face_is_68_white_dots():
    landmarks = face()
    drawn = draw_dynamictrl(empty_pose(1), landmarks, SIZE)[0]
    assert all(shows(drawn, point, (255, 255, 255)) for point in landmarks[0])
    assert (drawn == drawn[..., :1]).all()
    half = draw_dynamictrl(empty_pose(1), landmarks, SIZE, np.full((1, 68), 0.5, np.float32))[0]
    assert half.max() == 127


@pytest.mark.parametrize(("size", "limb_px"), [((1360, 768), 3), ((768, 1360), 3), ((1024, 576), 2.4)])
def test_lines_are_as_thin_as_in_training(size, limb_px):
    height, width = size
    pose = empty_pose(1)
    pose.body[0, [NOSE, NECK]] = [[width / 2, height / 4], [width / 2, 3 * height / 4]]
    pose.body_scores[0, [NOSE, NECK]] = 1
    row = draw_dynamictrl(pose, NO_FACE, size)[0][height // 2].sum(axis=-1)
    assert row.sum() / (0.6 * 255) == pytest.approx(limb_px, abs=0.8)


def test_nobody_is_black_and_joints_far_outside_do_no_harm():
    assert not draw_dynamictrl(empty_pose(2), np.concatenate([NO_FACE] * 2), (64, 48)).any()
    pose = standing(96, 64)
    pose.body[0, 4], pose.body[0, 7], pose.body[0, 10] = [1e9, 10], [-1e5, 1e5], [np.inf, 0]
    assert draw_dynamictrl(pose, NO_FACE, (96, 64)).any()


def test_every_frame_has_its_own_drawing():
    poses = [standing(*SIZE), standing(*SIZE).transformed(np.array([[1, 0, 50], [0, 1, 0]]))]
    faces = [NO_FACE, face()]
    both = draw_dynamictrl(concatenate(poses), np.concatenate(faces), SIZE)
    for drawn, pose, landmarks in zip(both, poses, faces, strict=True):
        assert np.array_equal(drawn, draw_dynamictrl(pose, landmarks, SIZE)[0])
