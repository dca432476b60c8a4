"""From measurements to the table: every number with its interval and the number of clips behind it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xdyna.benchmark.methods import CEILING, COPY
from xdyna.benchmark.outcome import TRUTH, Outcome
from xdyna.benchmark.scores import CHANGE, COLOUR, COLUMNS, EXPRESSION, PLACE, POSE
from xdyna.evaluation.frechet import frechet_distance
from xdyna.evaluation.intervals import (
    UNKNOWN,
    Interval,
    frechet_interval,
    mean_interval,
    split_distance,
    statistic_interval,
)
from xdyna.evaluation.spectrum import spectrum_distance
from xdyna.schema import Floats

SPECTRUM = "motion spectrum, dB"
NUM_RESAMPLES = 400


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of the table.

    Attributes:
        value: NaN where it cannot be had.
        interval: 95 %.
        num_clips: clips it rests on.
    """

    value: float
    interval: Interval
    num_clips: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """One score of all methods on one kind of clips.

    Attributes:
        kind: one of `KINDS`.
        score: its name.
        better: "higher", "lower" or "one".
        cells: by method.
        real_halves: a set score between two halves of the true clips, what a perfect method would get; else NaN.
    """

    kind: str
    score: str
    better: str
    cells: dict[str, Cell]
    real_halves: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What xdyna-mini's weights should reach: `low <= value <= high`."""

    name: str
    value: float
    interval: Interval
    num_clips: int
    low: float = -np.inf
    high: float = np.inf

    @property
    def reached(self) -> bool:
        """Whether the value, not its interval, lies within the limits."""
        return bool(self.low <= self.value <= self.high)

    @property
    def wanted(self) -> str:
        """The limits in words."""
        limits = ((">=", self.low), ("<=", self.high))
        return " and ".join(f"{sign} {limit:g}" for sign, limit in limits if np.isfinite(limit))


def texture_name(region: str) -> str:
    """Name of the texture distance of a region."""
    return {"whole": "", "foreground": "FG-", "background": "BG-"}[region] + "DTFD"


def summarise(outcomes: Mapping[str, Outcome], num_resamples: int = NUM_RESAMPLES) -> list[Row]:
    """All rows of the table, means first, then the scores of whole sets."""
    rows = []
    for kind, outcome in outcomes.items():
        for name in outcome.columns():
            cells = {method: _mean_cell(columns[name]) for method, columns in outcome.scores.items()}
            rows.append(Row(kind=kind, score=name, better=COLUMNS[name].better, cells=cells))
        rows.append(
            Row(
                kind=kind,
                score=SPECTRUM,
                better="lower",
                cells={method: _spectrum_cell(outcome, method, num_resamples) for method in outcome.methods},
            )
        )
        for region, true in outcome.features[TRUTH].items():
            cells = {m: _texture_cell(outcome.features[m][region], true, num_resamples) for m in outcome.methods}
            halves = split_distance(clipwise(true))
            rows.append(Row(kind=kind, score=texture_name(region), better="lower", cells=cells, real_halves=halves))
    return rows


def clipwise(features: Floats) -> list[Floats]:
    """`(n, d)` features as the list of `(1, d)` per clip that the bootstrap draws from."""
    return list(features[:, None])


def measured_bars(people: Outcome, scenery: Outcome) -> list[Bar]:
    """All bars. Their definitions are xdyna-mini's model card: they do not change."""
    made = people.methods[0]

    def gain(outcome: Outcome, column: str) -> NDArray[np.float64]:
        return outcome.scores[made][column] - outcome.scores[COPY][column]

    def mean(name: str, values: NDArray[np.float64], low: float = -np.inf, high: float = np.inf) -> Bar:
        cell = _mean_cell(values)
        return Bar(name=name, value=cell.value, interval=cell.interval, num_clips=cell.num_clips, low=low, high=high)

    own, scenes = people.scores[made], scenery.scores[made]
    return [
        mean("person PSNR over copying, dB", gain(people, "person PSNR"), low=4),
        mean("PSNR over copying, dB", gain(people, "PSNR"), low=2.5),
        mean("SSIM over copying", gain(people, "SSIM"), low=0),
        mean("pose retrieval", own[POSE], low=0.7),
        mean("expression retrieval", own[EXPRESSION], low=0.4),
        mean("scene clips, PSNR over copying, dB", gain(scenery, "PSNR"), low=-0.5),
        mean("background change / true", own[CHANGE], low=0.5, high=1.5),
        mean("scene clips, change / true", scenes[CHANGE], low=0.5, high=1.5),
        # What the latents allow is what the autoencoder alone reaches; half of it is a living background.
        _place_of_change([people, scenery]),
        mean("clothes colour error, 0..255", own[COLOUR], high=6),
    ]


def _place_of_change(outcomes: list[Outcome]) -> Bar:
    """How well the background moves where it should, relative to the autoencoder's own reconstruction."""
    made, ceiling = (
        np.concatenate([outcome.scores[method][PLACE] for outcome in outcomes])
        for method in (outcomes[0].methods[0], CEILING)
    )
    value, interval = statistic_interval(lambda k: float(np.nanmean(made[k]) / np.nanmean(ceiling[k])), len(made))
    return Bar(
        name="place of background change, share of ceiling",
        value=value,
        interval=interval,
        num_clips=int(np.isfinite(made).sum()),
        low=0.5,
    )


def _mean_cell(values: NDArray[np.float64]) -> Cell:
    kept = values[np.isfinite(values)]
    if not kept.size:
        return Cell(value=float("nan"), interval=UNKNOWN, num_clips=0)
    return Cell(value=float(kept.mean()), interval=mean_interval(kept), num_clips=len(kept))


def _spectrum_cell(outcome: Outcome, method: str, num_resamples: int) -> Cell:
    made, true, scenes = outcome.spectra[method], outcome.spectra[TRUTH], outcome.scenes

    def distance(chosen: NDArray[np.int64]) -> float:
        return spectrum_distance(made[chosen], true[chosen], [scenes[k] for k in chosen])

    value, interval = statistic_interval(distance, len(made), num_resamples=num_resamples)
    return Cell(value=value, interval=interval, num_clips=int(np.isfinite(true).all(axis=1).sum()))


def _texture_cell(made: Floats, true: Floats, num_resamples: int) -> Cell:
    if len(made) < 2:
        return Cell(value=float("nan"), interval=UNKNOWN, num_clips=len(made))
    interval = frechet_interval(clipwise(made), clipwise(true), num_resamples=num_resamples)
    return Cell(value=frechet_distance(made, true), interval=interval, num_clips=len(made))
