"""The driver's expression on another face."""

from functools import lru_cache

import numpy as np
import pytest
from puppet.drawn import drawn

from xdyna.puppet.face import INNER_LIPS, MAX_TURN, Face, calm_eye_opening, expression_offsets

CALM = drawn(907, 4).face_landmarks[0].astype(np.float64)
UPPER_LIDS, LOWER_LIDS = [37, 38, 43, 44], [41, 40, 47, 46]


def eyes_apart(points: np.ndarray) -> float:
    return float(np.hypot(*(points[42:48].mean(axis=0) - points[36:42].mean(axis=0))))


def clip_of(face: np.ndarray, num_frames: int = 5) -> np.ndarray:
    return np.repeat(face[None], num_frames, axis=0).astype(np.float32)


def closed(face: np.ndarray) -> np.ndarray:
    blink = face.copy()
    blink[UPPER_LIDS] = blink[LOWER_LIDS]
    return blink


def test_a_calm_face_has_no_expression() -> None:
    assert np.abs(expression_offsets(clip_of(CALM))).max() < 1e-6


@pytest.mark.parametrize(
    "moved",
    [
        pytest.param(lambda face: face + np.array([30, -8]), id="elsewhere"),
        pytest.param(lambda face: 1.7 * face, id="larger"),
        pytest.param(lambda face: face @ np.array([[0.8, 0.6], [-0.6, 0.8]]), id="tilted"),
    ],
)
def test_place_size_and_tilt_of_the_head_are_no_expression(moved: object) -> None:
    landmarks = clip_of(CALM)
    landmarks[3] = moved(CALM)  # type: ignore[operator]
    assert np.abs(expression_offsets(landmarks)).max() < 1e-3


def test_an_expression_is_told_in_distances_between_the_eyes() -> None:
    landmarks = clip_of(CALM)
    landmarks[2, 66] += 0.2 * eyes_apart(CALM) * np.array([0, 1])  # the lower lip
    offsets = expression_offsets(landmarks)
    assert np.linalg.norm(offsets[2, 66]) == pytest.approx(0.2, abs=0.01)
    assert offsets[2, 66, 1] > 0.15
    assert np.abs(offsets[1]).max() < 1e-6


def test_a_head_that_turns_moves_its_features_a_little_against_its_outline() -> None:
    landmarks = clip_of(CALM)
    for frame, way in ((2, 0.1), (3, 2.0)):  # all but the sides of the face
        landmarks[frame, 5:12] += 0.5 * way * eyes_apart(CALM) * np.array([1, 0])
        landmarks[frame, 17:] += way * eyes_apart(CALM) * np.array([1, 0])
    offsets = expression_offsets(landmarks)
    features = np.array([*range(17, 68)])
    assert not offsets[:, [0, 1, 15, 16]].any()
    assert offsets[2, features, 0] == pytest.approx(np.full(51, 0.07), abs=0.04)
    assert np.linalg.norm(offsets[3, 27:36], axis=-1) == pytest.approx(np.full(9, MAX_TURN))  # a face is flat


def test_frames_without_a_face_lie_between_their_neighbours() -> None:
    landmarks = clip_of(CALM)
    landmarks[3:, 66, 1] += 0.2 * eyes_apart(CALM)
    landmarks[2] = np.nan
    offsets = expression_offsets(landmarks)
    assert offsets[2, 66] == pytest.approx((offsets[1, 66] + offsets[3, 66]) / 2)


def test_no_face_at_all_is_no_expression() -> None:
    nobody = np.full((3, 68, 2), np.nan, np.float32)
    assert expression_offsets(nobody) is None
    assert np.isnan(calm_eye_opening(nobody))


@lru_cache(maxsize=1)
def photo() -> tuple[np.ndarray, Face]:
    frame = drawn(907, 4).frames[0]
    texture = np.dstack([frame, np.full(frame.shape[:2], 255, np.uint8)])
    return texture, Face(texture, CALM, calm_eye_opening(clip_of(CALM)))


def offsets_of(changed: np.ndarray) -> np.ndarray:
    landmarks = clip_of(CALM, 7)
    landmarks[3] = changed
    return expression_offsets(landmarks)[3]


def test_without_expression_the_face_is_the_photos() -> None:
    texture, face = photo()
    inside = np.zeros(texture.shape[:2], bool)
    x, y = CALM[INNER_LIPS].round().astype(int).T
    inside[y.min() - 1 : y.max() + 2, x.min() - 1 : x.max() + 2] = True  # between lips a seam may show
    made = face.express(np.zeros((68, 2)))
    assert np.abs(made.astype(int) - texture)[~inside].max() <= 2


def test_strength_scales_and_nought_is_none() -> None:
    _, face = photo()
    blink = offsets_of(closed(CALM))
    assert np.array_equal(face.express(blink, 0.0), face.express(np.zeros((68, 2))))
    half, whole = (
        np.abs(face.express(blink, strength).astype(int) - face.express(blink, 0.0)).sum() for strength in (0.5, 1.0)
    )
    assert 0 < half < whole


def test_closed_lids_hide_the_eyes() -> None:
    texture, face = photo()
    made = face.express(offsets_of(closed(CALM)))
    left, top = np.floor(CALM[36:42].min(axis=0)).astype(int)
    right, bottom = np.ceil(CALM[36:42].max(axis=0)).astype(int)
    eye, lid = (part[top:bottom, left:right, :3].astype(int) for part in (texture, made))
    assert (eye.min(axis=-1) > 180).sum() > 2 * (lid.min(axis=-1) > 180).sum()  # its white


def test_an_opening_mouth_shows_its_dark_inside_and_teeth() -> None:
    texture, face = photo()
    opened = CALM.copy()
    lower = [*range(5, 12), 55, 56, 57, 58, 59, 65, 66, 67]
    opened[lower, 1] += 0.3 * eyes_apart(CALM)
    made = face.express(offsets_of(opened)).astype(int)
    x, top, bottom = round(CALM[62, 0]), round(CALM[62, 1]), round(opened[66, 1])
    column = made[top + 1 : bottom, x, :3].sum(axis=-1)
    lips = int(texture[round(CALM[51, 1]) + 1, x, :3].sum())
    assert column.min() < 0.5 * lips and column.max() > 1.2 * lips
    assert column.argmax() < column.argmin()  # the upper teeth


def test_only_the_face_changes() -> None:
    texture, face = photo()
    made = face.express(offsets_of(closed(CALM)))
    y, x = np.nonzero(np.abs(made.astype(int) - texture).max(axis=-1) > 2)
    reach = 1.6 * eyes_apart(CALM)
    assert np.abs(x - CALM[:, 0].mean()).max() < reach and np.abs(y - CALM[:, 1].mean()).max() < reach
