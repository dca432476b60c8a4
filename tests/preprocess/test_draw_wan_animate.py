"""Pictures in Wan-Animate's style."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from xdyna.preprocess.draw_wan_animate import draw_wan_animate, replacement_masks, square_faces
from xdyna.schema import Pose

SIZE = (1024, 576)


def test_the_official_drawing(test_data: Path) -> None:
    """But for the feet: our poses have no toes."""
    golden = test_data / "backends" / "pose_drawing_golden.safetensors"
    if not golden.is_file():
        pytest.skip("no golden drawing in the test data")
    t = load_file(golden)
    scale = np.array(SIZE[::-1])
    pose = Pose(  # ours has the right hand first
        body=t["in.body18_xy_norm"][None] * scale,
        body_scores=t["in.body18_conf"][None],
        hands=t["in.hands_xy_norm"][None, ::-1] * scale,
        hand_scores=t["in.hands_conf"][None, ::-1],
    )
    distance = np.abs(draw_wan_animate(pose, SIZE)[0].astype(int) - t["out.wan_animate_rgb"])
    assert (distance > 8).any(axis=-1).mean() < 0.005
    assert distance.mean() < 0.5


def test_unsure_and_missing_points_are_left_out() -> None:
    pose = Pose(
        body=np.linspace(10, 90, 36, dtype=np.float32).reshape(1, 18, 2),
        body_scores=np.ones((1, 18), np.float32),
        hands=np.full((1, 2, 21, 2), np.nan, np.float32),
        hand_scores=np.zeros((1, 2, 21), np.float32),
    )
    assert draw_wan_animate(pose, (100, 100)).any()
    unsure = replace(pose, body_scores=np.full((1, 18), 0.49, np.float32))
    missing = replace(pose, body=np.full((1, 18, 2), np.nan, np.float32))
    assert not draw_wan_animate(unsure, (100, 100)).any()
    assert not draw_wan_animate(missing, (100, 100)).any()


def test_a_face_is_stretched_to_a_square_with_more_room_above() -> None:
    frames = np.zeros((2, 200, 100, 3), np.uint8)
    frames[:, 100:] = 255
    face = np.random.default_rng(0).uniform([30, 90], [70, 170], (68, 2)).astype(np.float32)
    face[1], face[2] = (30, 90), (70, 170)  # a box of 40 x 80, in which the picture turns white at 10
    faces = square_faces(frames, np.stack([face, np.full((68, 2), np.nan, np.float32)]))
    assert faces.shape == (2, 512, 512, 3)
    above = 0.75 * 80 * (1.3**0.5 - 1)
    white_from = np.flatnonzero(faces[0, :, 256, 0] > 127)[0] / 512
    assert white_from == pytest.approx((10 + above) / (80 * 1.3**0.5), abs=0.02)
    assert not faces[1].any()


def test_a_replacement_mask_is_the_box_of_the_person() -> None:
    person = np.zeros((2, 10, 8), np.float32)
    person[0, 3:6, 2:4] = 1
    person[0, 6, 5] = 1
    masks = replacement_masks(person, (100, 80))
    assert set(np.unique(masks)) == {0, 255}
    rows, columns = np.nonzero(masks[0])
    assert masks[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()  # no gap in it
    assert rows.min() <= 30 and rows.max() >= 69 and columns.min() <= 20 and columns.max() >= 59
    assert masks[0].mean() < 0.6 * 255
    assert not masks[1].any()
