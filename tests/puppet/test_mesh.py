"""A mesh bends as its bones say, and otherwise as little as it can."""

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator

from xdyna.puppet.mesh import BoneMesh, Rig, triangulate
from xdyna.puppet.skeleton import NUM_POINTS, Bone

SPACING = 6.0
ARM = (Bone(0, 1, 0.1), Bone(1, 2, 0.1))
REST = np.full((NUM_POINTS, 2), np.nan)
REST[:3] = (20, 30), (70, 30), (120, 30)


def bar() -> np.ndarray:
    """A horizontal bar around the arm, `(60, 140)`."""
    mask = np.zeros((60, 140), bool)
    mask[22:38, 12:128] = True
    return mask


def arm() -> BoneMesh:
    vertices, triangles = triangulate(bar(), SPACING)
    return BoneMesh(vertices, triangles, ARM, REST, (8, 8), (1, 1))


def posed(
    elbow: tuple[float, float], wrist: tuple[float, float], shoulder: tuple[float, float] = (20, 30)
) -> np.ndarray:
    skeleton = REST.copy()
    skeleton[:3] = shoulder, elbow, wrist
    return skeleton


def bent(mesh: BoneMesh, skeleton: np.ndarray) -> np.ndarray:
    (shape,) = Rig([mesh]).bend(skeleton)
    return shape


def near(mesh: BoneMesh, shape: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    """Where the mesh carries a place of its rest."""
    return LinearNDInterpolator(mesh.vertices, shape)(place)


def test_the_mesh_covers_its_mask() -> None:
    vertices, triangles = triangulate(bar(), SPACING)
    y, x = np.nonzero(bar())
    a, b, c = (vertices[triangles[:, k]] for k in range(3))

    def side(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return (q - p)[:, 0] * (y[:, None] - p[:, 1]) - (q - p)[:, 1] * (x[:, None] - p[:, 0])

    sides = np.stack([side(a, b), side(b, c), side(c, a)])
    assert ((sides >= -1e-9).all(axis=0) | (sides <= 1e-9).all(axis=0)).any(axis=1).all()


def test_at_rest_nothing_moves() -> None:
    mesh = arm()
    assert np.abs(bent(mesh, REST) - mesh.vertices).max() < 1e-9


@pytest.mark.parametrize(
    ("skeleton", "place", "expected"),
    [
        pytest.param(posed((80, 20), (130, 20), (30, 20)), (95, 36), (105, 26), id="moved"),
        pytest.param(posed((20, 80), (20, 130)), (70, 36), (14, 80), id="turned by a right angle"),
        pytest.param(posed((70, 30), (70, 80)), (115, 30), (70, 75), id="the forearm alone"),
        pytest.param(posed((45, 30), (70, 30)), (120, 30), (70, 30), id="foreshortened"),
    ],
)
def test_it_follows_its_bones(skeleton: np.ndarray, place: tuple[float, float], expected: tuple[float, float]) -> None:
    mesh = arm()
    assert near(mesh, bent(mesh, skeleton), place) == pytest.approx(expected, abs=2.0)


def test_a_bend_folds_no_triangle_away_from_the_joint() -> None:
    mesh = arm()
    folded = bent(mesh, posed((70, 30), (70, 80)))
    away = np.abs(mesh.vertices[mesh.triangles].mean(axis=1)[:, 0] - 70) > 20

    def area(points: np.ndarray) -> np.ndarray:
        a, b, c = (points[mesh.triangles[:, k]] for k in range(3))
        return (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]

    ratio = area(folded)[away] / area(mesh.vertices)[away]
    assert ratio.min() > 0.5 and ratio.max() < 1.6


def test_an_island_without_bones_goes_with_the_nearest() -> None:
    mask = bar()
    mask[50:56, 60:80] = True
    vertices, triangles = triangulate(mask, SPACING)
    mesh = BoneMesh(vertices, triangles, ARM, REST, (8, 8), (1, 1))
    moved = bent(mesh, posed((80, 20), (130, 20), (30, 20)))
    assert np.abs(moved - mesh.vertices - (10, -10)).max() < 0.5


def test_a_hand_is_drawn_after_the_arm() -> None:
    mesh = arm()
    x = mesh.vertices[mesh.triangles].mean(axis=1)[:, 0]
    assert x[: len(x) // 3].max() < 75 < x[-len(x) // 3 :].min() + 10
