"""Pairs of photo and clip that Puppet refuses."""

import numpy as np
import pytest
from puppet.drawn import HEIGHT, WIDTH, still

from xdyna.preprocess.pose import empty_pose
from xdyna.puppet.limits import check_postures
from xdyna.puppet.motion import follow, rest_skeleton
from xdyna.schema import InputError, Pose


def turned(degrees: float) -> Pose:
    a, middle = np.radians(degrees), np.array([WIDTH / 2, HEIGHT / 2])
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return still(903).transformed(np.column_stack([turn, middle - turn @ middle]))


MIRRORED = still(903).transformed(np.array([[-1.0, 0, WIDTH], [0, 1, 0]]))  # right and left change sides: a back


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        pytest.param(turned(90), "leans 90° differently from the one in the clip; .* up to 60°", id="lies"),
        pytest.param(turned(-90), "leans 90° differently", id="lies the other way"),
        pytest.param(MIRRORED, "one from behind and one from the front", id="shows its back"),
    ],
)
def test_a_driver_who_stands_otherwise_is_refused(driver: Pose, message: str) -> None:
    photo = still(903)
    with pytest.raises(InputError, match=message):
        follow(photo, driver, rest_skeleton(photo, driver, (HEIGHT, WIDTH)), 8.0)
    with pytest.raises(InputError, match=message):
        check_postures(driver.body, photo.body)


@pytest.mark.parametrize(
    ("photo", "driver"),
    [
        pytest.param(still(903), turned(45), id="bows"),
        pytest.param(turned(90), turned(100), id="both lie"),
        pytest.param(MIRRORED, MIRRORED, id="both show their backs"),
        pytest.param(still(903), empty_pose(2), id="nobody, who is refused elsewhere"),
    ],
)
def test_others_are_not(photo: Pose, driver: Pose) -> None:
    check_postures(photo.body, driver.body)
