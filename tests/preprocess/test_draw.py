import numpy as np
import pytest
from preprocess.skeletons import joints_by_colour, official_frames, standing

from xdyna.preprocess.draw import COLOURS, HAND_POINT_COLOUR, LIMBS, draw_landmarks, draw_pose
from xdyna.preprocess.pose import LEFT_EAR, LEFT_ELBOW, LEFT_WRIST, NECK, NOSE, RIGHT_EYE, empty_pose


def test_colours_are_openpose_colours_and_limbs_are_dimmed():
    pose = standing(896, 512)
    drawn = draw_pose(pose, (896, 512))[0]
    for joint, colour in enumerate(COLOURS):
        if joint not in (4, 7):  # the hands lie over the wrists
            x, y = np.round(pose.body[0, joint]).astype(int)
            assert tuple(drawn[y, x]) == colour
    for (start, end), colour in zip(LIMBS, COLOURS, strict=False):
        x, y = np.round(pose.body[0, [start, end]].mean(axis=0)).astype(int)
        assert tuple(drawn[y, x]) == tuple(round(0.6 * channel) for channel in colour)


def test_of_the_head_only_the_nose_is_drawn():
    pose = standing(896, 512)
    headless = standing(896, 512)
    headless.body[0, RIGHT_EYE : LEFT_EAR + 1] = np.nan
    assert np.array_equal(draw_pose(pose, (896, 512)), draw_pose(headless, (896, 512)))


@pytest.mark.parametrize(
    ("size", "stick_px"), [((896, 512), 9), ((512, 896), 9), ((448, 256), 5), ((224, 128), 5), ((1792, 1024), 17)]
)
def test_widths_follow_the_picture_but_stay_visible(size, stick_px):
    pose = empty_pose(1)
    height, width = size
    pose.body[0, [NOSE, NECK]] = [[width // 2, height // 4], [width // 2, 3 * height // 4]]
    drawn = draw_pose(pose, size)[0]
    assert np.count_nonzero(drawn[height // 2].any(axis=-1)) == pytest.approx(stick_px, abs=1)


def test_a_missing_joint_takes_only_its_own_limbs_along():
    whole, pose = standing(896, 512), standing(896, 512)
    for clip in (whole, pose):
        clip.hands[:] = np.nan
    pose.body[0, LEFT_ELBOW] = np.nan
    before, after = draw_pose(whole, (896, 512))[0], draw_pose(pose, (896, 512))[0]
    changed = (before != after).any(axis=-1)
    x, y = np.round(whole.body[0, LEFT_WRIST]).astype(int)
    assert tuple(after[y, x]) == COLOURS[LEFT_WRIST]
    assert changed.any()
    assert not changed[:, : int(whole.body[0, 5, 0]) - 5].any()  # nothing to the person's right of that arm
    assert not changed[int(whole.body[0, LEFT_WRIST, 1]) + 6 :].any()


def test_hands_have_blue_points_on_coloured_bones():
    pose = standing(896, 512)
    drawn = draw_pose(pose, (896, 512))[0]
    for tip in pose.hands[0, :, 4::4].reshape(-1, 2):
        x, y = np.round(tip).astype(int)
        assert tuple(drawn[y, x]) == HAND_POINT_COLOUR
    pose.body[:] = np.nan
    assert len(np.unique(draw_pose(pose, (896, 512)).reshape(-1, 3), axis=0)) > 20  # 20 bones, the points, black


def test_nobody_is_black():
    assert not draw_pose(empty_pose(2), (64, 48)).any()


def test_joints_far_outside_do_no_harm():
    pose = standing(96, 64)
    pose.body[0, 4], pose.body[0, 7], pose.body[0, 10] = [1e9, 10], [-1e5, 1e5], [np.inf, 0]
    assert draw_pose(pose, (96, 64)).any()


def test_the_official_drawing_is_matched(test_data):
    """Joints read off an official pose clip and drawn again cover the same pixels in the same colours."""
    official = official_frames(test_data, 2, "pose", [0, 30, 60])
    pose = empty_pose(len(official))
    pose.body[:] = joints_by_colour(official)
    drawn, hands = (
        draw_pose(pose, official.shape[1:3]),
        (np.abs(official.astype(int) - HAND_POINT_COLOUR) < 60).all(-1),
    )
    both = official.any(axis=-1) & drawn.any(axis=-1) & ~hands
    difference = np.abs(official.astype(int) - drawn).max(axis=-1)
    assert np.median(difference[both]) < 10
    lit = (official.max(axis=-1) > 60) & ~hands
    assert np.count_nonzero((drawn.max(axis=-1) > 60) & lit) > 0.85 * np.count_nonzero(lit)


@pytest.mark.parametrize("value", [np.nan, 1e6], ids=["no face", "far away"])
def test_landmarks_that_cannot_be_drawn_are_left_out(value):
    frames = np.zeros((1, 64, 48, 3), np.uint8)
    draw_landmarks(frames, np.full((1, 68, 2), value))
    assert not frames.any()
