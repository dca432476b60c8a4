import numpy as np
import pytest

from xdyna.preprocess.masks import person_masks
from xdyna.preprocess.pose import empty_pose
from xdyna.world.clip import render_clip

SIZE = 224, 128


@pytest.fixture(scope="module", params=[1, 3, 6])
def world(request):
    return render_clip(request.param, num_frames=3, height=SIZE[0], width=SIZE[1])


def test_masks_cover_a_rendered_person_and_little_else(world):
    masks = person_masks(world.pose, SIZE)
    assert masks.shape == (3, *SIZE) and masks.dtype == np.float32
    assert masks.min() >= 0 and masks.max() <= 1
    inside, true = masks > 0.5, world.person_mask
    assert (inside & true).sum() / true.sum() > 0.9
    assert (inside & true).sum() / (inside | true).sum() > 0.7


def test_edges_are_soft(world):
    values = person_masks(world.pose, SIZE)
    assert ((values > 0.1) & (values < 0.9)).mean() > 0.01


def test_a_coarse_mask_is_the_fine_one_averaged(world):
    fine, coarse = person_masks(world.pose, SIZE), person_masks(world.pose, SIZE, (28, 16))
    averaged = fine.reshape(3, 28, 8, 16, 8).mean(axis=(2, 4))
    assert np.abs(averaged - coarse).max() < 0.02


def test_nobody_gives_an_empty_mask():
    assert not person_masks(empty_pose(2), SIZE).any()


def test_a_person_far_outside_the_picture_leaves_it_empty(world):
    away = world.pose.transformed(np.array([[1, 0, 1e7], [0, 1, 0]]))
    assert not person_masks(away, SIZE).any()
