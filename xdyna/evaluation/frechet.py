"""Distances between two sets of features: Fréchet (FID, FVD, DTFVD) and polynomial MMD."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xdyna.schema import Floats

Array = NDArray[np.float64]
KERNEL_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Features of a folder of clips, kept per clip so that they can be reused and resampled.

    Attributes:
        keys: `(num_rows,)` str, fingerprint of the clip each row comes from; rows of one clip are neighbours.
        features: `(num_rows, d)` float32.
    """

    keys: NDArray[np.str_]
    features: Floats

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or len(self.keys) != len(self.features):
            raise ValueError(f"need (n,) keys and (n, d) features, got {self.keys.shape} and {self.features.shape}")
        if not np.isfinite(self.features).all():
            raise ValueError("features must be finite")

    @property
    def clips(self) -> list[Floats]:
        """`(rows, d)` of each clip, in order of appearance."""
        _, first = np.unique(self.keys, return_index=True)
        return [self.features[self.keys == self.keys[k]] for k in sorted(first)]

    def save(self, path: Path) -> None:
        """Writes an `.npz` without pickled objects."""
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, keys=self.keys, features=self.features)

    @classmethod
    def load(cls, path: Path) -> "FeatureSet":
        """Reads what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(keys=stored["keys"], features=stored["features"])


def frechet_distance(x: NDArray[np.floating], y: NDArray[np.floating], *, ddof: int = 1) -> float:
    """Fréchet distance of the Gaussians fitted to two sets.

    `|mx - my|^2 + tr Sx + tr Sy - 2 tr (Sx Sy)^(1/2)`. The last trace is the nuclear norm of `X~ Y~^T` with the
    centred, scaled sets, which needs no matrix square root and is exact for singular covariances too.

    Args:
        x: `(n, d)`, n >= 2.
        y: `(m, d)`, m >= 2.
        ddof: covariance divides by n - ddof: 1 for FID and DTFVD, 0 for cd-FVD.

    Returns:
        >= 0 up to rounding. Biased upwards for small n: print it beside the distance of two real halves.
    """
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(f"need two (n, d) sets with n >= 2 and the same d, got {x.shape} and {y.shape}")
    (mean_x, centred_x), (mean_y, centred_y) = (_centred(s, ddof) for s in (x, y))
    # Both factors give the same trace; the smaller matrix is the cheaper one.
    if min(len(x), len(y)) < x.shape[1]:
        root_trace = _nuclear_norm(centred_x @ centred_y.T)
    else:
        root_trace = _nuclear_norm(_triangle(centred_x) @ _triangle(centred_y).T)
    traces = (centred_x**2).sum() + (centred_y**2).sum()
    return float(((mean_x - mean_y) ** 2).sum() + traces - 2 * root_trace)


def polynomial_mmd(x: NDArray[np.floating], y: NDArray[np.floating]) -> float:
    """Unbiased squared MMD with the kernel `(x.y / d + 1)^3`: unlike a Fréchet distance, no bias for few samples.

    Args:
        x: `(n, d)`, n >= 2.
        y: `(m, d)`, m >= 2.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    within = [(_kernel_sum(s, s) - (((s * s).mean(axis=1) + 1) ** 3).sum()) / (len(s) * (len(s) - 1)) for s in (x, y)]
    return float(sum(within) - 2 * _kernel_sum(x, y) / (len(x) * len(y)))


def _kernel_sum(a: Array, b: Array) -> float:
    """Sum of the kernel over all pairs, some rows at a time: the full matrix of many frames would not fit."""
    rows = range(0, len(a), KERNEL_ROWS)
    return float(sum(((a[k : k + KERNEL_ROWS] @ b.T / a.shape[1] + 1) ** 3).sum() for k in rows))


def _centred(samples: NDArray[np.floating], ddof: int) -> tuple[Array, Array]:
    """Mean, and the centred set scaled so that its Gram matrix is the covariance."""
    samples = np.asarray(samples, np.float64)
    mean = samples.mean(axis=0)
    return mean, (samples - mean) / np.sqrt(len(samples) - ddof)


def _triangle(centred: Array) -> Array:
    """`(d, d)` R with `R^T R` the covariance."""
    return np.asarray(np.linalg.qr(centred, mode="r"))


def _nuclear_norm(matrix: Array) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False).sum())
