"""Intervals contain what they should as often as they say."""

import numpy as np
import pytest

from xdyna.evaluation.frechet import frechet_distance
from xdyna.evaluation.intervals import (
    frechet_difference,
    frechet_interval,
    holm,
    mean_interval,
    split_distance,
    statistic_interval,
)


def clips(rng: np.random.Generator, n: int, shift: float = 0.0, d: int = 8) -> list[np.ndarray]:
    return list(rng.normal(shift, 1, (n, 1, d)).astype(np.float32))


def test_the_interval_of_a_mean() -> None:
    values = (7 * np.arange(30) % 11) / 10 - 0.3
    assert mean_interval(values) == pytest.approx((0.09333, 0.32), abs=0.01)


def test_a_mean_without_spread_or_with_too_few_clips() -> None:
    assert mean_interval(np.full(5, 2.5)) == (2.5, 2.5)
    assert np.isnan(mean_interval(np.array([1.0, 2.0]))).all()


def test_the_interval_of_a_distance_contains_the_distance_of_other_samples() -> None:
    rng = np.random.default_rng(0)

    def draw() -> tuple[list[np.ndarray], list[np.ndarray]]:
        return clips(rng, 40, 0.3), clips(rng, 40)

    expected = np.mean([frechet_distance(*map(np.concatenate, draw())) for _ in range(200)])
    held = [low <= expected <= high for low, high in (frechet_interval(*draw(), num_resamples=40) for _ in range(40))]
    assert np.mean(held) >= 0.9


def test_more_clips_make_it_narrower() -> None:
    rng = np.random.default_rng(0)
    widths = [np.ptp(frechet_interval(clips(rng, n, 0.3), clips(rng, n))) for n in (20, 320)]
    assert widths[1] < 0.5 * widths[0]


def test_clips_not_frames_are_drawn() -> None:
    """Repeating every frame of a clip adds no knowledge."""
    rng = np.random.default_rng(0)
    x, y = clips(rng, 30, 0.3), clips(rng, 30)
    repeated = [[np.repeat(clip, 16, axis=0) for clip in side] for side in (x, y)]
    widths = [np.ptp(frechet_interval(a, b, ddof=0)) for a, b in ((x, y), repeated)]
    assert widths[1] == pytest.approx(widths[0], rel=1e-3)


@pytest.mark.parametrize(("gap", "sure"), [(0.0, False), (0.6, True)])
def test_a_difference_of_two_methods(gap: float, sure: bool) -> None:
    rng = np.random.default_rng(0)
    truth, base = clips(rng, 60), clips(rng, 60, 0.3)
    other = [clip + np.float32(gap) for clip in base]
    value, (low, high) = frechet_difference(other, base, truth)
    assert low <= value <= high
    assert (low > 0 or high < 0) == sure


def test_methods_are_compared_on_the_same_clips() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="same clips"):
        frechet_difference(clips(rng, 3), clips(rng, 4), clips(rng, 4))


def test_two_halves_of_the_truth() -> None:
    rng = np.random.default_rng(0)
    few, many = split_distance(clips(rng, 100)), split_distance(clips(rng, 800))
    assert 0 < 4 * many < few
    assert split_distance([np.zeros((2, 3), np.float32)] * 4) == pytest.approx(0)
    assert np.isnan(split_distance(clips(rng, 3)))


def test_the_interval_of_any_statistic_is_that_of_the_mean_for_a_mean() -> None:
    values = np.random.default_rng(0).normal(10, 2, 200)
    value, (low, high) = statistic_interval(lambda k: float(values[k].mean()), len(values))
    error = values.std(ddof=1) / len(values) ** 0.5
    assert value == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((value - 1.96 * error, value + 1.96 * error), abs=0.15 * error)
    assert np.isnan(statistic_interval(lambda k: 1.0, 2)[1]).all()


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # Holm's own example
        ([0.5, 0.9], [1.0, 1.0]),
        ([], []),
    ],
)
def test_holm(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(adjusted)
