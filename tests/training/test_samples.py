"""What all training samples have in common."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from xdyna.training.samples import SampleOptions, face_regions, perturbed, pick_frames
from xdyna.world import render_clip

NOWHERE = np.full((68, 2), np.nan, np.float32)


def face_at(x: float, y: float, half: float = 5) -> np.ndarray:
    """68 points across a square."""
    return np.float32([x, y]) + np.linspace(-half, half, 68, dtype=np.float32)[:, None]


@pytest.mark.parametrize(
    ("points", "rows", "columns"),
    [
        (face_at(20, 30), (22, 39), (12, 29)),  # 25..35 and 15..25, and 3 px around
        (face_at(2, 2), (0, 11), (0, 11)),
        (face_at(-40, 10), (0, 0), (0, 0)),
        (NOWHERE, (0, 0), (0, 0)),
    ],
    ids=["inside", "at the edge", "outside", "no face"],
)
def test_the_region_of_a_face_is_its_box(points: np.ndarray, rows: tuple[int, int], columns: tuple[int, int]) -> None:
    region = face_regions(points[None], (64, 48))[0]
    assert region.sum() == (rows[1] - rows[0]) * (columns[1] - columns[0])
    assert region[slice(*rows), slice(*columns)].all()


def test_perturbed_pose_stays_close() -> None:
    pose = render_clip(3, num_frames=2).pose
    moved = perturbed(default_rng(0), pose, jitter_px=0.7)
    assert 0 < np.abs(moved.body - pose.body).max() < 4


def test_hands_are_lost_for_whole_clips() -> None:
    pose = render_clip(3, num_frames=2).pose
    lost = [np.isnan(perturbed(default_rng(k), pose, 0.7, hands_lost=0.5).hands).all() for k in range(40)]
    assert 8 < sum(lost) < 32


@pytest.mark.parametrize("ordered", [True, False])
def test_picked_frames_are_different_and_in_range(ordered: bool) -> None:
    options = SampleOptions(num_frames=5, ordered=ordered)
    runs = [pick_frames(default_rng(k), 8, options) for k in range(20)]
    assert all(len(set(run.tolist())) == 5 and run.min() >= 0 and run.max() < 8 for run in runs)
    assert all((np.diff(run) == 1).all() for run in runs) == ordered
    assert len({run[0] for run in runs}) > 2
    assert len(pick_frames(default_rng(0), 5, replace(options, num_frames=5))) == 5
