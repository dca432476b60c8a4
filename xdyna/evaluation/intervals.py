"""How sure a number is: bootstrap over clips, which are the independent units; frames of one clip are not."""

from collections.abc import Callable

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from xdyna.evaluation.frechet import frechet_distance
from xdyna.schema import Floats

CONFIDENCE = 0.95
NUM_RESAMPLES = 100
Interval = tuple[float, float]
UNKNOWN: Interval = (float("nan"), float("nan"))


def mean_interval(values: NDArray[np.floating], *, num_resamples: int = 2000, seed: int = 0) -> Interval:
    """95 % BCa bootstrap interval of a mean; NaN for fewer than three values.

    Args:
        values: `(n,)` finite, one value per clip.
        num_resamples: draws.
        seed: of the draws.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 3:
        return UNKNOWN
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    drawn = scipy.stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=num_resamples,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def frechet_interval(
    x: list[Floats], y: list[Floats], *, ddof: int = 1, num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Interval:
    """95 % interval of a Fréchet distance at this number of clips: the value plus and minus 1.96 bootstrap errors.

    Drawing clips with replacement raises the distance itself, so percentiles of the draws never contain it; their
    spread is sound. In simulations the interval held the expected value in 98 to 100 % of the cases.

    Args:
        x: `(rows, d)` for each clip of the first set.
        y: the same of the second.
        ddof: as in `frechet_distance`.
        num_resamples: draws; fewer than 2 gives NaN.
        seed: of the draws.
    """
    if num_resamples < 2 or min(len(x), len(y)) < 3:
        return UNKNOWN
    rng = np.random.default_rng(seed)
    value = frechet_distance(np.concatenate(x), np.concatenate(y), ddof=ddof)
    draws = [
        frechet_distance(_drawn(x, _indices(rng, len(x))), _drawn(y, _indices(rng, len(y))), ddof=ddof)
        for _ in range(num_resamples)
    ]
    return _around(value, np.array(draws))


def statistic_interval(
    statistic: Callable[[NDArray[np.int64]], float], n: int, *, num_resamples: int = 400, seed: int = 0
) -> tuple[float, Interval]:
    """A number that is no mean of clips, with a 95 % interval: plus and minus 1.96 bootstrap errors.

    Args:
        statistic: of the clips with these indices, `(n,)`, repeats allowed; NaN draws are left out.
        n: clips.
        num_resamples: draws.
        seed: of the draws.
    """
    value = statistic(np.arange(n))
    if num_resamples < 2 or n < 3:
        return value, UNKNOWN
    rng = np.random.default_rng(seed)
    low, high = _around(value, np.array([statistic(_indices(rng, n)) for _ in range(num_resamples)]))
    return value, (low, high)


def frechet_difference(
    x: list[Floats],
    other: list[Floats],
    truth: list[Floats],
    *,
    ddof: int = 1,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> tuple[float, Interval]:
    """Distance of `x` from the truth minus that of `other`, with a 95 % interval.

    Both distances of a draw use the same clips, so the upward bias of resampling cancels.

    Args:
        x: `(rows, d)` for each clip of one method.
        other: the same clips, in the same order, of another method.
        truth: the true clips.
        ddof: as in `frechet_distance`.
        num_resamples: draws.
        seed: of the draws.
    """
    if len(x) != len(other):
        raise ValueError(f"both methods need the same clips, got {len(x)} and {len(other)}")

    def difference(made: NDArray[np.int64], true: NDArray[np.int64]) -> float:
        reference = _drawn(truth, true)
        first, second = (frechet_distance(_drawn(clips, made), reference, ddof=ddof) for clips in (x, other))
        return first - second

    value = difference(np.arange(len(x)), np.arange(len(truth)))
    if num_resamples < 2 or min(len(x), len(truth)) < 3:
        return value, UNKNOWN
    rng = np.random.default_rng(seed)
    draws = [difference(_indices(rng, len(x)), _indices(rng, len(truth))) for _ in range(num_resamples)]
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return value, (float(low), float(high))


def holm(p_values: list[float]) -> list[float]:
    """P-values adjusted for their number (Holm 1979): an order is claimed where they stay below 0.05."""
    adjusted, highest = [1.0] * len(p_values), 0.0
    for rank, k in enumerate(np.argsort(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[k]))
        adjusted[k] = highest
    return adjusted


def split_distance(clips: list[Floats], *, ddof: int = 1, seed: int = 0) -> float:
    """Fréchet distance between two random halves of one set: what a perfect method would score; NaN below 4 clips."""
    if len(clips) < 4:
        return float("nan")
    order = np.random.default_rng(seed).permutation(len(clips))
    half = len(clips) // 2
    return frechet_distance(_drawn(clips, order[:half]), _drawn(clips, order[half:]), ddof=ddof)


def _around(value: float, draws: NDArray[np.float64]) -> Interval:
    """The value plus and minus 1.96 standard deviations of its draws, not below 0."""
    margin = scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) * float(np.nanstd(draws, ddof=1))
    return max(0.0, value - margin), value + margin


def _indices(rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    return rng.integers(n, size=n)


def _drawn(clips: list[Floats], indices: NDArray[np.int64]) -> Floats:
    return np.concatenate([clips[k] for k in indices])
