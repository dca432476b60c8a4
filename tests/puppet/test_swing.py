"""Hair and loose cloth swing after the body."""

import numpy as np
import pytest

from xdyna.preprocess.pose import NECK
from xdyna.puppet.anatomy import BODY
from xdyna.puppet.layers import Layer
from xdyna.puppet.mesh import BoneMesh, triangulate
from xdyna.puppet.skeleton import CROWN, HEAD, NUM_POINTS, PELVIS, Bone
from xdyna.puppet.swing import REACH, Swing, freedom

SIZE, FPS = 100.0, 8.0
BONES = (Bone(NECK, PELVIS, 0.3), Bone(NECK, HEAD, 0.16), Bone(HEAD, CROWN, 0.32))
REST = np.full((NUM_POINTS, 2), np.nan)
REST[[NECK, PELVIS, HEAD, CROWN]] = (110, 110), (110, 200), (110, 70), (110, 28)
SKIN, HAIR, DRESS = (224, 172, 140), (60, 40, 30), (30, 90, 200)


def texture(hair: tuple[int, int, int] = HAIR, long: bool = True, skirt: bool = False) -> np.ndarray:
    """A head with hair on a body, `(260, 220, 4)`."""
    y, x = np.mgrid[:260, :220]
    picture = np.zeros((260, 220, 4), np.uint8)
    shapes = [
        (np.hypot(x - 110, y - 65) < 33, hair),
        ((np.abs(x - 110) < 32) & (y > 65) & (y < 125) & long, hair),
        ((np.abs(x - 110) < 28) & (y > 110) & (y < 200), DRESS),
        ((np.abs(x - 110) < 28 + (y - 150)) & (y > 150) & (y < 230) & skirt, DRESS),
        (np.hypot(x - 110, (y - 75) / 1.3) < 17, SKIN),
        ((np.abs(x - 110) < 8) & (y > 80) & (y < 112), SKIN),
    ]
    for mask, colour in shapes:
        picture[mask] = (*colour, 255)
    return picture


def free_at(picture: np.ndarray, place: tuple[float, float]) -> float:
    """How freely the vertex nearest to a place swings."""
    layer = Layer(name=BODY, texture=picture, bones=BONES, widths=(30, 16, 32), ends=(1, 1, 1))
    vertices, triangles = triangulate(picture[..., 3] > 0, 6.0)
    mesh = BoneMesh(vertices, triangles, BONES, REST, layer.widths, layer.ends)
    free = freedom(mesh, layer, REST, SIZE)
    assert free.min() >= 0 and free.max() <= 1
    return float(free[np.hypot(*(vertices - place).T).argmin()])


@pytest.mark.parametrize(
    ("picture", "place", "swings"),
    [
        pytest.param(texture(), (137, 105), True, id="long hair beside the neck"),
        pytest.param(texture(), (110, 40), False, id="hair on the head"),
        pytest.param(texture(hair=DRESS), (137, 105), False, id="hair of the dress's colour"),
        pytest.param(texture(long=False), (110, 75), False, id="the face"),
        pytest.param(texture(), (110, 150), False, id="the body"),
        pytest.param(texture(skirt=True), (170, 222), True, id="the hem of a wide skirt"),
    ],
)
def test_what_hangs_free_swings(picture: np.ndarray, place: tuple[float, float], swings: bool) -> None:
    free = free_at(picture, place)
    assert free > 0.3 if swings else free < 0.05


FREE = [np.array([0.0, 1.0]), np.array([0.5])]
PLACES = [np.array([[10.0, 10.0], [30.0, 10.0]]), np.array([[50.0, 90.0]])]


def moved(*way: float) -> list[np.ndarray]:
    return [part + np.array(way) for part in PLACES]


def test_a_body_that_holds_still_holds_its_hair() -> None:
    swing = Swing(FREE, SIZE, FPS)
    for _ in range(5):
        assert all(np.array_equal(a, b) for a, b in zip(swing.follow(PLACES), PLACES, strict=True))


def test_free_parts_trail_behind_overshoot_and_come_to_rest() -> None:
    swing = Swing(FREE, SIZE, FPS)
    swing.follow(PLACES)
    tracks = np.array([[np.concatenate(swing.follow(moved(10, 0)))[:, 0]] for _ in range(60)])[:, 0]
    targets = np.concatenate(moved(10, 0))[:, 0]
    held, free, half = (tracks - targets).T
    assert not held.any()
    assert free[0] < -2 and free.max() > 1 and abs(free[-1]) < 0.05
    assert np.abs(half) == pytest.approx(np.abs(free) / 2)


def test_how_finely_time_is_cut_hardly_matters() -> None:
    coarse, fine = Swing(FREE, SIZE, FPS), Swing(FREE, SIZE, 4 * FPS)
    coarse.follow(PLACES), fine.follow(PLACES)
    for k in range(1, 9):
        expected = coarse.follow(moved(3 * k, 0))
        for part in range(4):
            found = fine.follow(moved(3 * (k - 1) + 3 * (part + 1) / 4, 0))
        assert np.concatenate(found) == pytest.approx(np.concatenate(expected), abs=1e-6)


def test_no_jump_throws_them_far() -> None:
    swing = Swing(FREE, SIZE, FPS)
    swing.follow(PLACES)
    for way in (500, -500, 500):
        gap = np.concatenate(swing.follow(moved(way, way))) - np.concatenate(moved(way, way))
        assert np.hypot(*gap.T).max() <= REACH * SIZE


def test_wind_blows_only_what_is_free_and_the_same_each_time() -> None:
    first, again = (Swing(FREE, SIZE, FPS, wind=1.0) for _ in range(2))
    places = np.array([np.concatenate(first.follow(PLACES)) for _ in range(24)])
    assert np.array_equal(places, [np.concatenate(again.follow(PLACES)) for _ in range(24)])
    assert not np.ptp(places[:, 0], axis=0).any()
    assert np.ptp(places[:, 1, 0]) > 0.03 * SIZE and places[:, 1, 0].mean() > PLACES[0][1, 0]
