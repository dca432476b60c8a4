"""Which orderings of the paper's table 4 hold here: decided by a rule, not by looking."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from xdyna.benchmark.outcome import PEOPLE, TRUTH, Outcome
from xdyna.benchmark.scores import CHANGE, EXPRESSION, FACE_CORRELATION, PLACE, POSE
from xdyna.benchmark.summary import texture_name
from xdyna.evaluation.frechet import frechet_distance
from xdyna.evaluation.intervals import CONFIDENCE, Interval, holm
from xdyna.evaluation.tables import plain_values, text_table

REGIONS = {texture_name(region): region for region in ("foreground", "background", "whole")}
COMPARED = (*REGIONS, FACE_CORRELATION)
"""Our columns, in the order of the paper's FG-DTFVD, BG-DTFVD, DTFVD and Face-Cos."""
ALSO_SHOWN = ("person PSNR", "face PSNR", POSE, EXPRESSION, "background PSNR", CHANGE, PLACE)
FULL = "full"
PAPER = {
    FULL: ("X-Dyna", (0.900, 1.101, 1.518, 0.497)),
    "refnet": ("w/RefNet", (2.137, 2.694, 2.823, 0.466)),
    "image-tokens": ("w/IP-A", (3.738, 4.702, 4.851, 0.292)),
    "landmarks": ("w/lmk", (0.914, 1.125, 1.589, 0.406)),
    "no-face": ("wo/face", (0.912, 1.098, 1.550, 0.442)),
    "no-fusion": ("wo/fusion", (1.301, 1.467, 1.652, 0.495)),
}
"""Table 4 of the paper: its name and values in the order of `COMPARED`."""
ABLATIONS = tuple(PAPER)
LEVEL = 0.05
NUM_RESAMPLES = 200
REPRODUCED, UNRESOLVED, CONTRADICTED = VERDICTS = ("reproduced", "unresolved", "contradicted")


@dataclass(frozen=True, kw_only=True)
class Number:
    """One cell: mean over seeds.

    Attributes:
        value: of the seeds that are there.
        interval: 95 %, over clips.
        per_seed: value of each.
    """

    value: float
    interval: Interval
    per_seed: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One ordering of the paper, an ablation against the full model.

    Attributes:
        ablation: one of `ABLATIONS`.
        column: one of `COMPARED`.
        paper: the ablation minus the full model in the paper's table.
        gap: the same here.
        p: that the gap is 0, adjusted for all orderings in the table.
        verdict: one of `VERDICTS`.
    """

    ablation: str
    column: str
    paper: float
    gap: Number
    p: float
    verdict: str


@dataclass(frozen=True, kw_only=True)
class Ablations:
    """The table.

    Attributes:
        numbers: by ablation and column.
        verdicts: of all orderings whose two models are there.
        num_clips: clips with a person behind each number.
        text: all of it as Markdown.
    """

    numbers: dict[str, dict[str, Number]]
    verdicts: list[Verdict]
    num_clips: int
    text: str


def judge(found: Mapping[str, Mapping[int, Mapping[str, Outcome]]], seeds: tuple[int, ...]) -> Ablations:
    """Makes the table and decides about every ordering of the paper.

    The gap between an ablation and the full model is the mean over seeds; its standard error comes from a bootstrap
    over clips, the same clips for both models, for generated and true clips and for all seeds. An ordering is resolved
    if every seed of the plan is there, every seed's gap has the same sign, and the two-sided p-value of the gap, by
    the normal distribution and adjusted for all orderings (Holm), is below 0.05. A resolved gap of the paper's sign
    reproduces it, one of the other sign contradicts it. All else is unresolved.

    Args:
        found: outcomes by ablation, seed and kind of clips.
        seeds: of the plan.
    """
    if not found:
        return Ablations(numbers={}, verdicts=[], num_clips=0, text="No run is finished yet.\n")
    people = {name: {seed: kinds[PEOPLE] for seed, kinds in runs.items()} for name, runs in found.items()}
    num_clips = len(next(iter(next(iter(people.values())).values())).scenes)
    picks = np.random.default_rng(0).integers(num_clips, size=(NUM_RESAMPLES, num_clips))
    draws = {
        name: {column: {s: _draws(outcome, column, picks) for s, outcome in runs.items()} for column in _columns()}
        for name, runs in people.items()
    }
    numbers = {name: {column: _number(list(d.values())) for column, d in rows.items()} for name, rows in draws.items()}
    gaps: list[tuple[str, str, float, Number, float]] = []
    for name in ABLATIONS[1:]:
        for k, column in enumerate(COMPARED):
            both = [s for s in seeds if s in people.get(name, {}) and s in people.get(FULL, {})]
            if both:
                gap, p = _gap([draws[name][column][s] - draws[FULL][column][s] for s in both])
                gaps.append((name, column, PAPER[name][1][k] - PAPER[FULL][1][k], gap, p))
    adjusted = holm([gap[-1] for gap in gaps])
    verdicts = [
        Verdict(ablation=n, column=c, paper=paper, gap=gap, p=p, verdict=_verdict(paper, gap, p, len(seeds)))
        for (n, c, paper, gap, _), p in zip(gaps, adjusted, strict=True)
    ]
    return Ablations(
        numbers=numbers, verdicts=verdicts, num_clips=num_clips, text=_text(numbers, verdicts, num_clips, seeds)
    )


def write_ablations(found: Ablations, folder: Path) -> list[Path]:
    """Writes `ablations.md` and `ablations.json`."""
    record = {
        "clips": found.num_clips,
        "numbers": {name: {c: asdict(n) for c, n in row.items()} for name, row in found.numbers.items()},
        "verdicts": [asdict(verdict) for verdict in found.verdicts],
    }
    files = [folder / "ablations.md", folder / "ablations.json"]
    files[0].write_text(found.text, encoding="utf-8")
    files[1].write_text(json.dumps(plain_values(record), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return files


def _columns() -> tuple[str, ...]:
    return (*COMPARED, *ALSO_SHOWN)


def _draws(outcome: Outcome, column: str, picks: NDArray[np.int64]) -> NDArray[np.float64]:
    """The column's value, then its bootstrap draws, `(1 + NUM_RESAMPLES,)`."""
    everything = np.arange(picks.shape[1])
    model = outcome.methods[0]
    if column in REGIONS:
        made, true = (outcome.features[owner][REGIONS[column]] for owner in (model, TRUTH))
        return np.array([frechet_distance(made[k], true[k]) for k in (everything, *picks)])
    values = outcome.scores[model][column]
    return np.array([np.nanmean(values[k]) for k in (everything, *picks)])


def _number(per_seed: list[NDArray[np.float64]]) -> Number:
    mean = np.mean(per_seed, axis=0)
    margin = float(scipy.stats.norm.ppf((1 + CONFIDENCE) / 2) * np.std(mean[1:], ddof=1))
    value = float(mean[0])
    return Number(
        value=value, interval=(value - margin, value + margin), per_seed=tuple(float(draws[0]) for draws in per_seed)
    )


def _gap(per_seed: list[NDArray[np.float64]]) -> tuple[Number, float]:
    number = _number(per_seed)
    error = float(np.std(np.mean(per_seed, axis=0)[1:], ddof=1))
    if error == 0:
        return number, 0.0 if number.value else 1.0
    return number, float(2 * scipy.stats.norm.sf(abs(number.value) / error))


def _verdict(paper: float, gap: Number, p: float, num_seeds: int) -> str:
    agree = len(gap.per_seed) == num_seeds and len({np.sign(value) for value in gap.per_seed}) == 1
    if not agree or p >= LEVEL:
        return UNRESOLVED
    return REPRODUCED if np.sign(gap.value) == np.sign(paper) else CONTRADICTED


def _text(
    numbers: Mapping[str, Mapping[str, Number]], verdicts: list[Verdict], num_clips: int, seeds: tuple[int, ...]
) -> str:
    arrows = dict.fromkeys(REGIONS, " ↓") | {CHANGE: " (1)"}
    table = [["", "seeds", *(column + arrows.get(column, " ↑") for column in _columns())]]
    for name, row in numbers.items():
        count = f"{len(next(iter(row.values())).per_seed)} of {len(seeds)}"
        table.append([f"{PAPER[name][0]} ({name})", count, *(_shown(number) for number in row.values())])
    orders = [["ablation", "score", "paper's gap", "gap here", "seeds", "adjusted p", "verdict"]]
    orders += [
        [
            f"{PAPER[v.ablation][0]} ({v.ablation})",
            v.column,
            f"{v.paper:+.3f}",
            _shown(v.gap),
            ", ".join(f"{value:+.3f}" for value in v.gap.per_seed),
            f"{v.p:.3g}",
            v.verdict,
        ]
        for v in verdicts
    ]
    counts = ", ".join(f"{sum(v.verdict == kind for v in verdicts)} {kind}" for kind in VERDICTS)
    return "\n".join(
        [
            "# Table 4 in miniature\n",
            f"Mean over seeds, on {num_clips} clips with a person; in brackets 95 % over clips.\n",
            text_table(table),
            f"## The paper's orderings: {counts}\n",
            "Each ablation minus the full model. Resolved: all seeds agree in sign and Holm's p is below 0.05.\n",
            text_table(orders),
        ]
    )


def _shown(number: Number) -> str:
    low, high = number.interval
    return f"{number.value:.3f} ({low:.3f} to {high:.3f})"
