"""Optical flow of the person."""

import cv2
import numpy as np
import pytest

from xdyna.world import person_flow, render_clip


@pytest.mark.parametrize("seed", [3, 7, 9, 11, 21])
def test_following_the_flow_finds_the_same_colours(seed):
    clip = render_clip(seed, num_frames=6, fps=16, scene_name="clouds")
    flow = person_flow(clip)
    rows, columns = np.mgrid[:224, :128].astype(np.float32)
    still, moved = [], []
    for k, step in enumerate(flow):
        person = clip.person_mask[k]
        assert np.array_equal(np.isfinite(step[..., 0]), person), "on the person and nowhere else"
        step = np.nan_to_num(step)
        there = cv2.remap(clip.frames[k + 1], columns + step[..., 0], rows + step[..., 1], cv2.INTER_LINEAR)
        for frame, errors in ((clip.frames[k + 1], still), (there, moved)):
            errors.append(np.abs(frame[person].astype(float) - clip.frames[k][person]).mean())
    assert np.mean(moved) < 0.6 * np.mean(still)


def test_joints_move_as_they_do():
    clip = render_clip(7, num_frames=3, fps=16)
    flow = person_flow(clip)
    for joint in (2, 3, 5, 6, 9, 12):
        x, y = clip.pose.body[0, joint].round().astype(int)
        if clip.pose.body_scores[0, joint] and clip.person_mask[0, y, x]:
            assert flow[0, y, x] == pytest.approx(clip.pose.body[1, joint] - clip.pose.body[0, joint], abs=2)


def test_without_a_person_there_is_no_flow():
    assert np.isnan(person_flow(render_clip(3, num_frames=2, person=False))).all()
