"""Who is the person, pixel by pixel."""

import numpy as np
import pytest
from puppet.drawn import HEIGHT, WIDTH, drawn, overlap, still

from xdyna.preprocess.pose import empty_pose
from xdyna.puppet.matte import person_matte
from xdyna.schema import InputError, Pose


@pytest.mark.parametrize("seed", [900, 903, 904, 905, 907, 908, 914, 919])
def test_the_matte_is_the_drawn_person(seed: int) -> None:
    matte = person_matte(drawn(seed).frames[0], still(seed))
    assert matte.dtype == np.float32 and matte.shape == (HEIGHT, WIDTH)
    assert matte.min() >= 0 and matte.max() <= 1
    assert overlap(matte > 0.5, drawn(seed).person_mask[0]) >= 0.93


def test_the_same_photo_gives_the_same_matte() -> None:
    first, again = (person_matte(drawn(903).frames[0], still(903)) for _ in range(2))
    assert np.array_equal(first, again)


def test_edges_are_soft_and_the_inside_is_not() -> None:
    matte = person_matte(drawn(903).frames[0], still(903))
    soft = (matte > 0.02) & (matte < 0.98)
    assert 0 < soft.sum() < 0.1 * (matte > 0.5).sum()


def scaled(pose: Pose, factor: float) -> Pose:
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    return pose.transformed(np.column_stack([factor * np.eye(2), (1 - factor) * middle]))


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        pytest.param(empty_pose(1), "shows no person", id="nobody"),
        pytest.param(scaled(still(903), 0.25), "pixels tall in the video; Puppet needs at least 120", id="tiny"),
        pytest.param(scaled(still(903), 3.0), "reaches the left, right, top", id="fills the picture"),
    ],
)
def test_who_cannot_be_cut_out_is_refused(pose: Pose, message: str) -> None:
    with pytest.raises(InputError, match=message):
        person_matte(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), pose)
