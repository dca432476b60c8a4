import numpy as np
import pytest

import xdyna.models  # noqa: F401  (its torchvision guard must run before controlnet_aux is imported)
from xdyna.preprocess.openpose import OpenPose, choose_person, person_in_box, to_pose
from xdyna.preprocess.pose import LEFT_EAR, NOSE, RIGHT_WRIST, empty_pose
from xdyna.schema import InputError


def person(x, y, size):
    """A person as controlnet_aux gives it, coordinates in 0..1, left ear missing."""
    from controlnet_aux.open_pose import PoseResult
    from controlnet_aux.open_pose.body import BodyResult, Keypoint

    body = [Keypoint(x + size * (k % 3) / 3, y + size * k / 18) for k in range(17)] + [None]
    right = [Keypoint(x + 0.001 * k, y) for k in range(20)] + [Keypoint(-1 / 200, -1 / 100)]
    return PoseResult(BodyResult(body, 17.0, 17), None, right, None)


def test_results_become_pixels_and_missing_points_nan():
    pose = to_pose(person(0.5, 0.25, 0.4), height=100, width=200)
    assert pose.body[0, NOSE] == pytest.approx([100, 25])
    assert pose.body[0, RIGHT_WRIST] == pytest.approx([200 * (0.5 + 0.4 / 3), 100 * (0.25 + 0.4 * 4 / 18)])
    assert np.isnan(pose.body[0, LEFT_EAR]).all()
    assert pose.body_scores[0, LEFT_EAR] == 0
    assert pose.hands[0, 0, 19] == pytest.approx([200 * 0.519, 25])
    assert np.isnan(pose.hands[0, 0, 20]).all()  # its place is given as left of the picture
    assert np.isnan(pose.hands[0, 1]).all()


def test_the_same_person_is_kept():
    near, far = to_pose(person(0.1, 0.1, 0.2), 100, 200), to_pose(person(0.6, 0.1, 0.5), 100, 200)
    assert choose_person([near, far], None) is far  # the larger one to begin with
    assert choose_person([near, far], near) is near
    assert not np.isfinite(choose_person([], near).body).any()
    assert choose_person([near], empty_pose(1)) is near


def test_the_person_in_the_box_is_taken():
    near, far = to_pose(person(0.1, 0.1, 0.2), 100, 200), to_pose(person(0.6, 0.1, 0.5), 100, 200)
    assert person_in_box([near, far], np.array([110, 10, 190, 60])) is far
    assert person_in_box([near, far], np.array([15, 10, 60, 30])) is near
    assert not np.isfinite(person_in_box([near, far], np.array([0, 80, 20, 100])).body).any()
    assert not np.isfinite(person_in_box([near, far], np.full(4, np.nan)).body).any()


def test_missing_weights_are_named(tmp_path):
    (tmp_path / "body_pose_model.pth").write_bytes(b"")
    with pytest.raises(InputError, match=r"needs hand_pose_model\.pth in"):
        OpenPose(tmp_path)
