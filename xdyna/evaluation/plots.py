"""Pictures of an evaluation."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xdyna.evaluation.study import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from xdyna.evaluation.scores import Evaluation

COLOURS = ("#3b6fb6", "#d9822b", "#4f9d69", "#a95aa1", "#7a7a7a", "#c2504f")
PANEL_INCHES = (2.6, 2.4)
COLUMNS = 4


def plot_evaluation(evaluation: "Evaluation", folder: Path) -> list[Path]:
    """Every clip's score as a dot, per column and method, with the mean and its interval: `clips.png`.

    Columns without any value are left out; no file is written if none is left.
    """
    panels = [
        name
        for name, metric in evaluation.metrics.items()
        if metric.clip and any(np.isfinite(scores[name].value) for scores in evaluation.scores.values())
    ]
    if not panels:
        return []
    rows = -(-len(panels) // COLUMNS)
    figure = _figure(PANEL_INCHES[0] * min(COLUMNS, len(panels)), PANEL_INCHES[1] * rows + 0.3)
    for k, name in enumerate(panels):
        metric = evaluation.metrics[name]
        axes = figure.add_subplot(rows, min(COLUMNS, len(panels)), k + 1)
        scale = 100 if metric.percent else 1
        for place, (method, scores) in enumerate(evaluation.scores.items()):
            values = scale * np.array([row[name] for row in evaluation.per_clip[method].values()])
            _column(axes, place, values[np.isfinite(values)], scale * np.array(scores[name].interval))
        axes.set_title(metric.heading + (", %" if metric.percent else ""), fontsize=9, loc="left")
        _name_columns(axes, list(evaluation.scores))
        if metric.percent:
            axes.set_ylim(-4, 104)
        if metric.scientific:
            axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
            axes.yaxis.get_offset_text().set_fontsize(7)
    return [_saved(figure, folder / "clips.png")]


def plot_study(study: Study, folder: Path) -> Path:
    """Mean rating per method and criterion with 95 % intervals over users: `study.png`."""
    figure = _figure(1.6 + 1.5 * len(study.ratings), 3.2)
    axes = figure.add_subplot()
    width = 0.8 / len(study.methods)
    for k, method in enumerate(study.methods):
        means = [ratings[:, k].mean() for ratings in study.ratings.values()]
        errors = [1.96 * ratings[:, k].std(ddof=1) / len(study.users) ** 0.5 for ratings in study.ratings.values()]
        places = np.arange(len(means)) + (k - (len(study.methods) - 1) / 2) * width
        colour = COLOURS[k % len(COLOURS)]
        axes.bar(places, means, 0.92 * width, yerr=errors, color=colour, label=method, error_kw={"linewidth": 1})
    axes.set_xticks(range(len(study.ratings)), list(study.ratings), fontsize=9)
    axes.set_ylabel("mean rating", fontsize=9)
    axes.tick_params(axis="y", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(fontsize=8, frameon=False, ncols=min(3, len(study.methods)), loc="outside upper center")
    return _saved(figure, folder / "study.png")


def _column(axes: "Axes", place: int, values: np.ndarray, interval: np.ndarray) -> None:
    colour = COLOURS[place % len(COLOURS)]
    spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(values))
    axes.plot(place + spread, values, "o", color=colour, alpha=0.45, markersize=3.5, markeredgewidth=0)
    if len(values):
        axes.plot([place - 0.25, place + 0.25], [values.mean()] * 2, color=colour, linewidth=2)
    if np.isfinite(interval).all():
        axes.plot([place, place], interval, color=colour, linewidth=1)


def _name_columns(axes: "Axes", names: list[str]) -> None:
    long = sum(map(len, names)) > 24
    axes.set_xticks(range(len(names)), names, fontsize=8, rotation=30 if long else 0, ha="right" if long else "center")
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.tick_params(axis="y", labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _saved(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=150)
    return path
