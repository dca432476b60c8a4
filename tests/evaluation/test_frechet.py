"""Distances of feature sets: identities, closed forms, second implementations, too few samples."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import maximum_mean_discrepancy

from xdyna.evaluation.frechet import FeatureSet, frechet_distance, polynomial_mmd


def waves(n: int, d: int, shift: int) -> np.ndarray:
    i, j = np.arange(n)[:, None], np.arange(d)[None]
    slow = 0.5 * np.cos(0.11 * (i + shift) * (i + 1) + 0.7 * j)
    return np.sin(0.37 * i * (j + 1) + shift) + slow + 0.05 * shift * (j % 3)


def with_covariance(covariance: np.ndarray, mean: np.ndarray, n: int = 64) -> np.ndarray:
    """`n` samples whose mean and unbiased covariance are exactly these."""
    raw = np.random.default_rng(0).normal(size=(n, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return white @ np.linalg.cholesky(covariance).T + mean


X, Y = waves(200, 16, 0), waves(200, 16, 1)


@pytest.mark.parametrize(("ddof", "expected"), [(1, 5.516589079154867), (0, 5.489358518185469)])
def test_both_conventions_of_the_covariance(ddof: int, expected: float) -> None:
    assert frechet_distance(X, Y, ddof=ddof) == pytest.approx(expected, rel=1e-6)


def test_a_singular_covariance_is_exact() -> None:
    assert frechet_distance(waves(24, 64, 0), waves(24, 64, 1)) == pytest.approx(30.421450138172176, rel=1e-6)


@pytest.mark.parametrize("n", [12, 200])
def test_it_agrees_with_the_matrix_square_root(n: int) -> None:
    x, y = X[:n], Y[:n]
    root = scipy.linalg.sqrtm(np.cov(x.T) @ np.cov(y.T)).real
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(np.cov(x.T) + np.cov(y.T) - 2 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-3)


def test_it_agrees_with_torchmetrics() -> None:
    class Identity(torch.nn.Module):
        num_features = 16

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    fid = FrechetInceptionDistance(Identity(), input_img_size=(1, 4, 4)).set_dtype(torch.float64)
    for samples, real in ((X, True), (Y, False)):
        fid.update(torch.from_numpy(samples).view(-1, 1, 4, 4), real=real)
    assert frechet_distance(X, Y) == pytest.approx(fid.compute().item(), rel=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "mean", "expected"),
    [
        pytest.param(np.eye(4), np.eye(4), [1, 2, 2, 4], 25.0, id="a shift is its squared length"),
        pytest.param(np.diag([1, 4, 9]), np.diag([4, 4, 1]), [0, 0, 0], 5.0, id="diagonals differ by their roots"),
    ],
)
def test_closed_forms(first: np.ndarray, second: np.ndarray, mean: list[float], expected: float) -> None:
    zero = np.zeros(len(mean))
    x, y = with_covariance(first, zero), with_covariance(second, np.array(mean, float))
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-6)


def test_identities() -> None:
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))
    value = frechet_distance(X, Y)
    assert frechet_distance(X, X) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(Y, X) == pytest.approx(value)
    assert frechet_distance(3 * X, 3 * Y) == pytest.approx(9 * value)
    assert frechet_distance(X @ turn + 7, Y @ turn + 7) == pytest.approx(value)


@pytest.mark.parametrize(("d", "n", "ratio"), [(16, 100, 0.1024), (128, 100, 0.6481), (1024, 100, 1.4999)])
def test_few_samples_of_one_distribution_are_far_apart(d: int, n: int, ratio: float) -> None:
    """Why the score of two real halves stands beside every distance."""
    rng = np.random.default_rng(0)
    found = [frechet_distance(*rng.normal(size=(2, n, d)) / d**0.5) for _ in range(2 if d > 500 else 20)]
    assert np.mean(found) == pytest.approx(ratio, rel=0.05)


def test_mmd() -> None:
    assert polynomial_mmd(X, Y) == pytest.approx(0.1061009463976248, rel=1e-6)
    x, y = (torch.from_numpy(samples) for samples in (X, Y))
    kernels = ((a @ b.T / 16 + 1) ** 3 for a, b in ((x, x), (x, y), (y, y)))
    assert polynomial_mmd(X, Y) == pytest.approx(maximum_mean_discrepancy(*kernels).item(), rel=1e-6)


def test_mmd_has_no_bias_for_few_samples() -> None:
    rng = np.random.default_rng(0)
    found = [polynomial_mmd(*rng.normal(size=(2, 20, 64))) for _ in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / 200**0.5


@pytest.mark.parametrize("pair", [(X[:1], Y), (X, Y[:, :8]), (X[0], Y[0])], ids=["one sample", "widths", "a vector"])
def test_sets_that_cannot_be_compared(pair: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="sets with n >= 2"):
        frechet_distance(*pair)


def test_features_survive_the_disk_clip_by_clip(tmp_path: Path) -> None:
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    FeatureSet(keys=np.array(["b", "b", "a", "c", "c"]), features=rows).save(tmp_path / "deep" / "set.npz")
    clips = FeatureSet.load(tmp_path / "deep" / "set.npz").clips
    assert [clip.tolist() for clip in clips] == [rows[:2].tolist(), rows[2:3].tolist(), rows[3:].tolist()]


def test_a_network_that_went_wrong_is_noticed() -> None:
    with pytest.raises(ValueError, match="finite"):
        FeatureSet(keys=np.array(["a"]), features=np.array([[np.nan]], np.float32))
