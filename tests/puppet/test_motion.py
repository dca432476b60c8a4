"""What the puppet does of what the driver does."""

from dataclasses import replace

import numpy as np
import pytest
from puppet.drawn import HEIGHT, WIDTH, drawn, still

from xdyna.preprocess.pose import empty_pose
from xdyna.puppet.motion import follow, rest_skeleton
from xdyna.puppet.skeleton import HEAD, PARENTS
from xdyna.schema import InputError, Pose

SIZE, FPS = (HEIGHT, WIDTH), 8.0
PHOTO = still(903)
LEFT_ELBOW, LEFT_WRIST, RIGHT_ANKLE, LEFT_ANKLE, RIGHT_KNEE, LEFT_KNEE = 6, 7, 10, 13, 9, 12


def followed(driver: Pose, photo: Pose = PHOTO) -> np.ndarray:
    return follow(photo, driver, rest_skeleton(photo, driver, SIZE), FPS)


def repeated(pose: Pose, num_frames: int) -> Pose:
    return Pose(**{name: np.repeat(value, num_frames, axis=0) for name, value in vars(pose).items()})


def without(pose: Pose, *joints: int) -> Pose:
    body = pose.body.copy()
    body[:, joints] = np.nan
    return replace(pose, body=body)


def lengths(points: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.linalg.norm(points[..., child, :] - points[..., parent, :], axis=-1) for parent, child in PARENTS]
    )


def test_the_photo_as_driver_is_the_photo() -> None:
    rest = rest_skeleton(PHOTO, PHOTO, SIZE)
    assert np.abs(followed(repeated(PHOTO, 4)) - rest).max() < 0.01


def test_another_body_lends_its_motion_and_keeps_the_photos_limbs() -> None:
    driver = drawn(907, 4).pose
    body = driver.body.copy()
    body[:, [LEFT_ELBOW, LEFT_WRIST]] += 1.4 * (body[:, [LEFT_ELBOW, LEFT_WRIST]] - body[:, [5]])  # very long arms
    made = followed(replace(driver, body=body))
    assert np.isfinite(made).all()
    upper_arm = np.linalg.norm(made[:, LEFT_ELBOW] - made[:, 5], axis=-1)
    own = np.linalg.norm(PHOTO.body[0, LEFT_ELBOW] - PHOTO.body[0, 5])
    assert upper_arm.max() < 1.8 * own

    def direction(points: np.ndarray) -> np.ndarray:
        arm = points[:, LEFT_WRIST] - points[:, LEFT_ELBOW]
        return arm / np.linalg.norm(arm, axis=-1, keepdims=True)

    assert np.allclose(direction(made), direction(driver.body), atol=0.01)


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param((LEFT_WRIST,), id="a wrist is never seen"),
        pytest.param((8, RIGHT_KNEE, RIGHT_ANKLE, 11, LEFT_KNEE, LEFT_ANKLE), id="the clip ends at the hips"),
        pytest.param((14, 15, 16, 17), id="no eyes, no ears"),
    ],
)
def test_what_the_driver_never_shows_hangs_as_in_the_photo(lost: tuple[int, ...]) -> None:
    made = followed(without(drawn(907, 4).pose, *lost))
    assert np.isfinite(made).all()


def test_a_limb_that_the_photo_does_not_show_stays_away() -> None:
    made = followed(drawn(907, 4).pose, without(PHOTO, LEFT_ELBOW, LEFT_WRIST))
    assert np.isnan(made[:, [LEFT_ELBOW, LEFT_WRIST]]).all()


def test_a_head_and_shoulder_photo_gets_hips_below_the_shoulders() -> None:
    photo = without(PHOTO, 8, 9, 10, 11, 12, 13)
    rest = rest_skeleton(photo, PHOTO, SIZE)
    assert np.abs(rest[[8, 11]] - PHOTO.body[0, [8, 11]]).max() < 40  # about where they are
    assert rest[8, 0] < rest[11, 0] and np.isnan(rest[[9, 12]]).all()
    assert np.isfinite(followed(drawn(907, 4).pose, photo)[:, [8, 11]]).all()


def test_a_leg_that_the_edge_cuts_goes_on_beyond_it() -> None:
    body = PHOTO.body.copy()
    edge = (body[0, RIGHT_KNEE, 1] + body[0, 8, 1]) / 2
    body[0, [RIGHT_KNEE, LEFT_KNEE], 1] = edge  # as the detector puts it
    body[0, [RIGHT_ANKLE, LEFT_ANKLE]] = np.nan
    rest = rest_skeleton(replace(PHOTO, body=body), PHOTO, (round(edge) + 1, WIDTH))
    assert rest[RIGHT_KNEE, 1] > edge + 10


def test_gaps_are_bridged() -> None:
    driver = repeated(PHOTO, 5)
    body = driver.body.copy()
    body[:, LEFT_WRIST, 0] += 4 * np.arange(5)
    expected = followed(replace(driver, body=body))
    body[2, LEFT_WRIST] = np.nan
    assert np.abs(followed(replace(driver, body=body)) - expected).max() < 0.5


def test_a_standing_foot_does_not_skate() -> None:
    driver = repeated(PHOTO, 12)
    body = driver.body.copy()
    body[:, LEFT_ANKLE] += np.random.default_rng(0).normal(0, 0.4, (12, 2))  # jitter
    body[:, RIGHT_ANKLE, 0] += 6 * np.arange(12)  # a step
    made = followed(replace(driver, body=body))
    assert np.ptp(made[:, LEFT_ANKLE], axis=0).max() < 1e-6
    assert np.ptp(made[:, RIGHT_ANKLE, 0]) > 40


def test_the_head_keeps_its_shape_and_tilts() -> None:
    driver = repeated(PHOTO, 2)
    body, head = driver.body.copy(), [0, 14, 15, 16, 17]
    middle = body[1, head].mean(axis=0)
    body[1, head] = (body[1, head] - middle) @ np.array(
        [[0.0, 1.0], [-1.0, 0.0]]
    ) * 1.3 + middle  # larger, on its side
    made = followed(replace(driver, body=body))
    across = made[:, 17] - made[:, 16]
    assert np.linalg.norm(across[1]) == pytest.approx(np.linalg.norm(across[0]), rel=0.01)
    assert abs(across[1] @ across[0]) < 0.05 * (across[0] @ across[0])
    assert np.isfinite(made[:, HEAD]).all()


@pytest.mark.parametrize("driver", [empty_pose(3), without(PHOTO, 2), without(PHOTO, 1)])
def test_a_driver_without_a_body_is_refused(driver: Pose) -> None:
    with pytest.raises(InputError, match="shows no body"):
        followed(driver)
