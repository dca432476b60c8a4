"""Layers, and the whole puppet."""

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import pytest
from puppet.drawn import HEIGHT, WIDTH, drawn, overlap, still

from xdyna.puppet.anatomy import BODY, Anatomy, leg_fork
from xdyna.puppet.face import Face
from xdyna.puppet.figure import STAGES, Figure, build_figure
from xdyna.puppet.layers import cut_layers, foreground
from xdyna.puppet.motion import follow, rest_skeleton
from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats, Image, InputError

SEEDS = (903, 905, 908)


def no_face() -> Floats:
    return np.full((68, 2), np.nan, np.float32)


@lru_cache(maxsize=4)
def figure(seed: int, face: Callable[[], Floats] = no_face) -> tuple[Figure, Array]:
    rest = rest_skeleton(still(seed), still(seed), (HEIGHT, WIDTH))
    stages = build_figure(drawn(seed).frames[0], still(seed), rest, face)
    told = []
    while True:
        try:
            told.append(next(stages))
        except StopIteration as end:
            assert tuple(told) == STAGES
            return end.value, rest


@pytest.mark.parametrize("seed", SEEDS)
def test_at_rest_the_puppet_is_the_photo(seed: int) -> None:
    made, rest = figure(seed)
    photo = drawn(seed).frames[0].astype(int)
    assert np.abs(made.draw(rest) - photo).max() <= 2  # levels: colours are premultiplied in eight bits


@pytest.mark.parametrize(
    ("matte", "message"),
    [
        (np.ones((HEIGHT, WIDTH), np.float32), "nowhere to move"),
        (np.pad(np.ones((HEIGHT - 9, WIDTH), np.float32), ((9, 0), (0, 0))), "left, right, bottom"),
    ],
)
def test_a_corrected_matte_is_refused_like_an_estimated_one(matte: Floats, message: str) -> None:
    rest = rest_skeleton(still(903), still(903), (HEIGHT, WIDTH))
    with pytest.raises(InputError, match=message):
        next(build_figure(drawn(903).frames[0], still(903), rest, no_face, matte=matte))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_limb_is_a_layer_of_its_own_behind_or_before_the_body(seed: int) -> None:
    names = [part.layer.name for part in figure(seed)[0].parts]
    assert sorted(names[:2]) == ["left leg", "right leg"] and names[2] == "body"
    assert sorted(names[3:]) == ["left arm", "right arm"]


def test_a_moved_person_covers_the_background_elsewhere() -> None:
    made, rest = figure(908)
    moved = made.draw(rest + np.array([12, 0])).astype(int)
    true = np.roll(drawn(908).person_mask[0], 12, axis=1)
    changed = np.abs(moved - made.plate).max(axis=-1) > 24
    assert overlap(changed, true) > 0.85


def test_where_nobody_comes_the_background_holds_still_to_the_bit() -> None:
    made, rest = figure(908)
    other = np.full_like(made.plate, 90)
    swing = made.swing(8.0, wind=1.0)
    for shift in (0, 6, 12):
        reached = cv2.dilate(np.roll(made.matte, shift, axis=1), np.ones((25, 25))) > 0
        pose = rest + np.array([shift, 0])
        assert np.array_equal(made.draw(pose, swing=swing)[~reached], made.plate[~reached])
        assert np.array_equal(made.draw(pose, plate=other)[~reached], other[~reached])


def test_a_frame_without_an_expression_shows_the_photos_own() -> None:
    plain, rest = figure(908)
    (texture,) = (part.layer.texture for part in plain.parts if part.layer.name == BODY)
    face = Face(texture, drawn(908).face_landmarks[0] - plain.corner, np.nan)
    made = Figure(plain.plate, plain.matte, plain.parts, plain.corner, plain.size, face)
    calm = made.draw(rest)
    assert not np.array_equal(made.draw(rest, np.full((68, 2), 0.1)), calm)
    assert np.array_equal(made.draw(rest), calm)


def test_a_limb_goes_alone() -> None:
    made, rest = figure(908)
    lifted = rest.copy()
    lifted[[7, 19]] -= (0, 30)  # the left hand
    changed = np.abs(made.draw(lifted).astype(int) - made.draw(rest)).max(axis=-1) > 8
    y, x = np.nonzero(changed)
    shoulder, hand = rest[5], rest[19]
    assert np.hypot(*(np.array([x.mean(), y.mean()]) - hand)) < np.hypot(*(shoulder - hand))
    assert not changed[round(rest[10, 1]) - 10 :].any()  # feet and floor


def black_plate(photo: Image, matte: Floats) -> Image:
    """The photo, black where the person is."""
    return np.where(matte[..., None] > 0, 0, photo).astype(np.uint8)


def test_an_arm_that_begins_nowhere_stays_with_the_body() -> None:
    rest = rest_skeleton(still(903), still(903), (HEIGHT, WIDTH))
    rest[6] = np.nan  # the left elbow
    photo, matte = drawn(903).frames[0], drawn(903).person_mask[0].astype(np.float32)
    layers = cut_layers(photo, matte, black_plate(photo, matte), rest, np.ones(matte.shape, bool))
    assert "left arm" not in [layer.name for layer in layers]
    alpha = np.max([layer.texture[..., 3] for layer in layers], axis=0)
    assert (alpha[matte > 0] == 255).all()  # and none of it is lost


def hand_on_the_belly(shown: bool) -> dict[str, np.ndarray]:
    """The textures of a person whose left hand lies on the belly, says the pose; before it, or hidden behind."""
    rest = rest_skeleton(still(903), still(903), (HEIGHT, WIDTH))
    middle = rest[[2, 5, 8, 11]].mean(axis=0)
    rest[6], rest[7], rest[19] = middle + np.array([[10, -20], [4, -4], [-4, 8]])
    photo, matte = drawn(903).frames[0].copy(), drawn(903).person_mask[0].astype(np.float32)
    if shown:
        start, end = rest[[6, 19]].round().astype(int).tolist()
        cv2.line(photo, start, end, (230, 180, 140), 9)
    layers = cut_layers(photo, matte, black_plate(photo, matte), rest, np.ones(matte.shape, bool))
    x, y = middle.round().astype(int)
    return {layer.name: layer.texture[y, x] for layer in layers}


def test_under_an_arm_the_body_goes_on() -> None:
    textures = hand_on_the_belly(True)
    assert textures["left arm"][3] == 255
    assert textures["body"][3] == 255
    assert textures["body"][2] > textures["body"][1]  # the purple shirt, not the skin


def test_an_arm_that_is_hidden_behind_the_body_stays_with_it() -> None:
    assert "left arm" not in hand_on_the_belly(False)


@pytest.mark.parametrize("off_body", [False, True])
def test_an_arm_that_the_pose_only_guesses_stays_with_the_body(off_body: bool) -> None:
    rest = rest_skeleton(still(903), still(903), (HEIGHT, WIDTH))
    if off_body:
        rest[7] = rest[6] + (60, 0)
    photo, matte = drawn(903).frames[0], drawn(903).person_mask[0].astype(np.float32)
    assert ("left arm" in Anatomy(photo, rest, matte, matte).limbs) is not off_body


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        pytest.param(None, 0.5, id="closed legs: the middle of the thighs"),
        pytest.param(160, 0.4, id="legs part at the crotch"),
        pytest.param(245, 1.25, id="a skirt ends below the knees"),
    ],
)
def test_the_body_ends_where_legs_part(gap: int | None, expected: float) -> None:
    rest = np.full((25, 2), np.nan)
    rest[[8, 9, 10, 11, 12, 13]] = (90, 130), (85, 230), (80, 330), (110, 130), (115, 230), (120, 330)
    matte = np.ones((400, 200), np.float32)
    if gap is not None:
        matte[gap:, 95:105] = 0
    assert leg_fork(matte, rest) == pytest.approx(expected, abs=0.051)


def test_photo_is_foreground_over_plate() -> None:
    rng = np.random.default_rng(0)
    photo, plate = rng.integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    matte = rng.uniform(size=(40, 40)).astype(np.float32)
    alpha, colour = foreground(photo, matte, plate)
    assert (alpha >= matte).all() and colour.min() >= 0 and colour.max() <= 255
    again = alpha[..., None] * colour + (1 - alpha[..., None]) * plate
    assert np.abs(again - photo).max() < 0.6


def test_where_the_plate_is_the_photo_nobody_is() -> None:
    photo = np.full((4, 4, 3), 77, np.uint8)
    alpha, _ = foreground(photo, np.zeros((4, 4), np.float32), photo)
    assert not alpha.any()


def test_a_clip_moves_the_puppet_as_it_moves_the_truth() -> None:
    clip = drawn(908, 5)
    made, rest = figure(908)
    skeletons = follow(still(908), clip.pose, rest, 8.0)
    errors = []
    for frames in (np.stack([made.draw(skeleton) for skeleton in skeletons]), clip.frames[[0] * 5]):
        inside = clip.person_mask[4]
        errors.append(float(np.square(frames[4].astype(float) - clip.frames[4])[inside].mean()))
    assert errors[0] < 0.4 * errors[1]  # four decibels
