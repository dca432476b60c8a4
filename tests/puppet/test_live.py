"""A puppet that a camera drives: the same motion as over a whole clip, without looking ahead."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from puppet.drawn import HEIGHT, WIDTH, drawn, still

from xdyna.preprocess.one_euro import OneEuro
from xdyna.preprocess.pose import empty_pose
from xdyna.puppet.face import expression_offsets
from xdyna.puppet.live import Eyes, LiveExpression
from xdyna.puppet.live_motion import MIN_CALM_S, PATIENCE_S, RETURN_S, Calibration, LiveMotion
from xdyna.puppet.motion import follow, rest_skeleton
from xdyna.puppet.proportions import Proportions
from xdyna.puppet.skeleton import body_size
from xdyna.schema import Pose

SIZE, FPS = (HEIGHT, WIDTH), 16.0
PHOTO = still(903)
REST = rest_skeleton(PHOTO, empty_pose(1), SIZE)
CAMERA, CAMERA_SIZE = np.array([[1.5, 0.0, 130.0], [0.0, 1.5, -40.0]]), (480, 640)
RIGHT_ELBOW, RIGHT_WRIST, LEFT_ELBOW, LEFT_WRIST, RIGHT_ANKLE, LEFT_ANKLE = 3, 4, 6, 7, 10, 13


def moved(pose: Pose, joints: Iterable[int], way: tuple[float, float]) -> Pose:
    body = pose.body.copy()
    body[:, list(joints)] += way
    return replace(pose, body=body.astype(np.float32))


def seen_by_camera(pose: Pose) -> Pose:
    return pose.transformed(CAMERA)


def calibrated(pose: Pose) -> LiveMotion:
    """Whoever stands still in a pose for a second."""
    calibration = Calibration(PHOTO, REST, SIZE)
    motions = [calibration.add(seen_by_camera(pose), CAMERA_SIZE, k / FPS) for k in range(16)]
    return next(motion for motion in motions if motion is not None)


def followed(motion: LiveMotion, poses: Iterable[Pose]) -> np.ndarray:
    return np.stack([motion.follow(seen_by_camera(pose), 1 + k / FPS) for k, pose in enumerate(poses)])


def at_double_rate(pose: Pose) -> Pose:
    """The frames of a clip, and between each two their mean."""
    twice = {name: np.repeat(value, 2, axis=0) for name, value in vars(pose).items()}
    return Pose(**{name: (value[:-1] + value[1:]) / 2 for name, value in twice.items()})


def test_the_motion_is_that_of_the_whole_clip_a_moment_later() -> None:
    driver = at_double_rate(drawn(907, 24).pose)
    poses = [driver[k : k + 1] for k in range(len(driver))]
    live = followed(calibrated(poses[0]), 4 * poses)[-len(driver) :]  # by then it knows the driver
    whole = follow(PHOTO, driver, REST, FPS)
    moving = np.linalg.norm(np.ptp(whole, axis=0), axis=-1) > 0.1 * body_size(REST)
    assert moving.sum() >= 4
    shift = np.median(live[:, 1] - whole[:, 1], axis=0)  # each is laid on the photo by a frame of its own
    apart = np.linalg.norm(live[1:] - shift - whole[:-1], axis=-1) / body_size(REST)
    assert np.nanmedian(apart[:, moving]) < 0.03
    assert np.nanquantile(apart, 0.95) < 0.15


def test_who_stands_as_the_photo_is_the_photo() -> None:
    made = followed(calibrated(PHOTO), [PHOTO] * 3)
    assert np.abs(made - REST).max() < 0.5


@pytest.mark.parametrize(
    ("arm", "other"), [((RIGHT_ELBOW, RIGHT_WRIST), LEFT_WRIST), ((LEFT_ELBOW, LEFT_WRIST), RIGHT_WRIST)]
)
def test_the_drivers_right_arm_is_the_photos_right_arm(arm: tuple[int, int], other: int) -> None:
    motion = calibrated(PHOTO)
    made = followed(motion, [PHOTO] + [moved(PHOTO, arm, (0, -60))] * 12)
    assert made[-1, arm[1], 1] < REST[arm[1], 1] - 30
    assert np.abs(made[-1, other] - REST[other]).max() < 1


def test_a_limb_out_of_sight_goes_back_to_the_photos_pose() -> None:
    raised = moved(PHOTO, (LEFT_ELBOW, LEFT_WRIST), (0, -60))
    hidden = moved(PHOTO, (LEFT_ELBOW, LEFT_WRIST), (np.nan, np.nan))
    made = followed(calibrated(PHOTO), [raised] * 12 + [hidden] * round(6 * RETURN_S * FPS))
    assert np.abs(made[12, LEFT_WRIST] - made[11, LEFT_WRIST]).max() < 12  # without a jump
    assert np.abs(made[-1, LEFT_WRIST] - REST[LEFT_WRIST]).max() < 2


def test_feet_out_of_sight_stay_on_the_floor() -> None:
    legs = (8, 9, RIGHT_ANKLE, 11, 12, LEFT_ANKLE)
    sitting = moved(moved(PHOTO, legs, (np.nan, np.nan)), range(18), (20, 10))
    made = followed(calibrated(moved(PHOTO, legs, (np.nan, np.nan))), [sitting] * 12)
    assert np.abs(made[-1, [RIGHT_ANKLE, LEFT_ANKLE]] - REST[[RIGHT_ANKLE, LEFT_ANKLE]]).max() < 1
    assert made[-1, 8, 0] - REST[8, 0] == pytest.approx(10, abs=1)
    assert made[-1, 1, 0] - REST[1, 0] == pytest.approx(20, abs=1)


def test_who_leaves_the_picture_leaves_the_puppet_as_it_was() -> None:
    made = followed(calibrated(PHOTO), [PHOTO, empty_pose(1), PHOTO])
    assert np.array_equal(made[0], made[1])


def test_a_standing_foot_does_not_skate_and_a_step_is_a_step() -> None:
    jitter = np.random.default_rng(0).normal(0, 0.4, (24, 2))
    standing = [moved(PHOTO, (LEFT_ANKLE,), (x, y)) for x, y in jitter]
    step = [moved(PHOTO, (LEFT_ANKLE,), (6.0 * k, 0)) for k in range(8)]
    made = followed(calibrated(PHOTO), standing + step + [step[-1]] * 16)
    assert np.ptp(made[12:24, LEFT_ANKLE], axis=0).max() < 0.7
    assert made[-1, LEFT_ANKLE, 0] - made[20, LEFT_ANKLE, 0] == pytest.approx(42, abs=6)


def test_the_driver_is_measured_once_they_hold_still() -> None:
    calibration, taken = Calibration(PHOTO, REST, SIZE), []
    for k in range(32):
        walking = moved(PHOTO, range(18), (12.0 * min(k, 16), 0))
        taken.append(calibration.add(seen_by_camera(walking), CAMERA_SIZE, k / FPS) is not None)
        if taken[-1]:
            break
    assert 16 + MIN_CALM_S * FPS - 1 <= len(taken) < 32


def test_who_never_holds_still_is_taken_as_they_are() -> None:
    calibration = Calibration(PHOTO, REST, SIZE)
    found = [
        calibration.add(seen_by_camera(moved(PHOTO, range(18), (20.0 * (k % 2), 0))), CAMERA_SIZE, k / FPS)
        for k in range(round(PATIENCE_S * FPS) + 1)
    ]
    assert found[-1] is not None and not any(found[:-1])


@pytest.mark.parametrize("lost", [(2,), (1, 5)], ids=["a shoulder", "the neck"])
def test_without_both_shoulders_nobody_is_measured(lost: tuple[int, ...]) -> None:
    calibration = Calibration(PHOTO, REST, SIZE)
    hidden = moved(PHOTO, lost, (np.nan, np.nan))
    assert not any(calibration.add(seen_by_camera(hidden), CAMERA_SIZE, k / FPS) for k in range(100))


def test_proportions_of_oneself_change_nothing() -> None:
    own = Proportions.between(PHOTO, PHOTO, REST)
    assert own.breadths == pytest.approx((1, 1)) and own.head_reach == pytest.approx(1)
    assert list(own.limbs.values()) == pytest.approx([1] * 5)


def test_proportions_change_by_and_by() -> None:
    own, other = Proportions.between(PHOTO, PHOTO, REST), Proportions.between(PHOTO, drawn(907).pose, REST)
    half = replace(own, limbs={}).towards(other, 0.5)
    assert half.breadths == pytest.approx(np.mean([own.breadths, other.breadths], axis=0))
    assert half.limbs == pytest.approx({name: (1 + ratio) / 2 for name, ratio in other.limbs.items()})
    assert own.towards(other, 1.0) == other


def test_an_expression_is_told_from_the_drivers_own_calm_face() -> None:
    faces = drawn(907, 24).face_landmarks
    usual = expression_offsets(faces)
    assert usual is not None
    live = LiveExpression()
    made = [live(face, k / FPS) for k, face in enumerate(np.concatenate([faces, faces]))]
    assert made[0] is not None and not np.any(made[0])  # the first face is the calm one, until more are known
    late = np.stack([offsets for offsets in made[24:] if offsets is not None])
    assert np.abs(late - usual).mean() < 0.02
    assert np.array_equal(live(np.full_like(faces[0], np.nan), 9.0), made[-1])


def test_no_face_yet_is_the_photos_face() -> None:
    assert LiveExpression()(np.full((68, 2), np.nan, np.float32), 0.0) is None


@pytest.mark.parametrize(
    ("signal", "error"),
    [
        pytest.param(np.random.default_rng(0).normal(0, 0.01, 64), 0.006, id="jitter is calmed"),
        pytest.param(np.arange(64) / 8.0, 0.08, id="fast motion hardly lags"),
        pytest.param(np.r_[np.full(4, np.nan), np.ones(4)], 0.0, id="what appears is there at once"),
    ],
)
def test_the_filter_calms_what_rests_and_lets_go_what_moves(signal: np.ndarray, error: float) -> None:
    calm = OneEuro(min_cutoff=1.5, beta=8.0)
    made = np.array([calm(np.array([value]), FPS)[0] for value in signal])
    truth = signal if np.ptp(np.nan_to_num(signal)) > 0.5 else np.zeros(len(signal))
    assert np.sqrt(np.nanmean((made - truth)[8:] ** 2)) <= error if len(signal) > 8 else made[4] == 1


def test_the_eyes_find_body_palms_and_face_and_take_pictures_of_any_size() -> None:
    clip = drawn(907, 2)
    eyes = Eyes()
    sights = [eyes.look(clip.frames[0], 0.0), eyes.look(clip.frames[1], 0.1)]
    black = eyes.look(np.zeros((120, 160, 3), np.uint8), 0.2)
    eyes.close()
    for sight, truth in zip(sights, clip.pose.body, strict=True):
        apart = np.linalg.norm(sight.pose.body[0] - truth, axis=-1)
        assert np.nanmedian(apart) < 8
        assert np.isfinite(sight.pose.hands[0, :, [0, 9]]).all()
    assert np.isnan(black.pose.body).all() and np.isnan(black.face).all()
