"""Writes a finished evaluation: Markdown and LaTeX tables, JSON, and a CSV with every clip."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from xdyna.evaluation.plots import plot_evaluation, plot_study
from xdyna.evaluation.protocols import PROTOCOLS, Metric
from xdyna.evaluation.scores import Evaluation, Score
from xdyna.evaluation.study import Study
from xdyna.evaluation.tables import plain_values, text_table, words

OF_EVERY_SCORE = ["Method", "Score", "Value", "95 % interval", "Clips"]
OF_SET_SCORES = ["Features", "Real halves", "MMD"]
"""Columns of "How sure" that only scores of whole sets fill."""


def write_evaluation(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes `table.md`, `table.tex`, `report.json`, `clips.csv` and the plots.

    Args:
        evaluation: what to write.
        folder: made if it does not exist.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "table.md": markdown(evaluation),
        "table.tex": latex(evaluation),
        "report.json": json.dumps(plain_values(as_record(evaluation)), indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    _write_clips(evaluation, folder / "clips.csv")
    return [*(folder / name for name in texts), folder / "clips.csv", *plot_evaluation(evaluation, folder)]


def markdown(evaluation: Evaluation) -> str:
    """The table, then how sure each number is, what was skipped and why, and the exact protocol."""
    metrics = _filled(evaluation)
    table = [["Method", *(m.heading for m in metrics.values())]]
    details = [OF_EVERY_SCORE + OF_SET_SCORES]
    for method, scores in evaluation.scores.items():
        table.append([method, *(metric.shown(scores[name].value) for name, metric in metrics.items())])
        details += [[method, *_details(metric, scores[name])] for name, metric in metrics.items()]
    parts = [f"# {PROTOCOLS[evaluation.protocol].title}\n", text_table(table)]
    if len({tuple(clips) for clips in evaluation.per_clip.values()}) > 1:
        parts.append("The methods rest on different clips; the differences below use those they share.\n")
    of_sets = any(metric.clip is None for metric in metrics.values())
    parts += ["## How sure\n", text_table(details if of_sets else [row[: len(OF_EVERY_SCORE)] for row in details])]
    if of_sets:
        parts.append(
            "*Real halves*: the same score between two halves of the real clips, about what a perfect method would "
            "get. *MMD*: polynomial MMD on the same features, which few clips do not bias.\n"
        )
    if evaluation.differences:
        parts += [f"## Difference from {next(iter(evaluation.scores))}\n", text_table(_differences(evaluation))]
    if evaluation.missing:
        parts.append("## Left out\n")
        reasons: dict[str, list[str]] = {}
        for name, why in evaluation.missing.items():
            reasons.setdefault(why, []).append(evaluation.metrics[name].title)
        parts += [*(f"- {', '.join(titles)}: {why}" for why, titles in reasons.items()), ""]
    if evaluation.skipped:
        rows = [[clip.method, clip.name, clip.reason] for clip in evaluation.skipped]
        parts += ["## Skipped clips\n", text_table([["Method", "Clip", "Why"], *rows])]
    parts.append("## Protocol\n")
    parts += [f"- {name}: {words(value)}" for name, value in evaluation.settings.items()]
    return "\n".join(parts) + "\n"


def latex(evaluation: Evaluation) -> str:
    """The table for a paper: needs the package booktabs; the best value of a column is bold."""
    metrics = _filled(evaluation)
    arrows = {"lower": r" $\downarrow$", "higher": r" $\uparrow$", "": ""}
    lines = [
        r"\begin{tabular}{l" + "r" * len(metrics) + "}",
        r"\toprule",
        " & ".join(["Method", *(_escaped(m.title) + arrows[m.better] for m in metrics.values())]) + r" \\",
        r"\midrule",
    ]
    best = {name: _best(evaluation, name, metric) for name, metric in metrics.items()}
    for method, scores in evaluation.scores.items():
        cells = [_escaped(method)]
        for name, metric in metrics.items():
            shown = _escaped(metric.shown(scores[name].value))
            cells.append(rf"\textbf{{{shown}}}" if scores[name].value == best[name] else shown)
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def as_record(evaluation: Evaluation) -> dict[str, Any]:
    """Everything as plain values."""
    return {
        "protocol": evaluation.protocol,
        "scores": {m: {k: asdict(s) for k, s in scores.items()} for m, scores in evaluation.scores.items()},
        "differences": [asdict(difference) for difference in evaluation.differences],
        "skipped": [asdict(clip) for clip in evaluation.skipped],
        "missing": evaluation.missing,
        "settings": evaluation.settings,
        "clips": evaluation.per_clip,
    }


def write_study(study: Study, folder: Path) -> list[Path]:
    """Writes a user study as `study.md`, `study.tex`, `study.json` and a plot."""
    folder.mkdir(parents=True, exist_ok=True)
    tests = {criterion: study.anova(criterion) for criterion in study.ratings}
    means = [["Method", *study.ratings]]
    means += [
        [method, *(f"{ratings[:, k].mean():.2f}" for ratings in study.ratings.values())]
        for k, method in enumerate(study.methods)
    ]
    tested = [["Criterion", "F", "p", "df", "Friedman chi2", "p", "pairs with Tukey p < 0.05"]]
    for criterion, test in tests.items():
        pairs = [f"{a} / {b}" for (a, b), p in test.pairs.items() if p < 0.05]
        anova = [f"{test.f:.3f}", f"{test.p:.3g}", f"{test.df[0]}, {test.df[1]}"]
        ranks = [f"{test.friedman:.2f}", f"{test.friedman_p:.3g}"]
        tested.append([criterion, *anova, *ranks, "; ".join(pairs) or "none"])
    text = [f"# User study\n\n{len(study.users)} users, mean over the cases of each.\n", text_table(means)]
    text += ["\n## Analysis of variance\n", text_table(tested)]
    if study.left_out:
        text.append(f"\nLeft out, for they did not rate every method: {', '.join(study.left_out)}.\n")
    record = {
        "methods": study.methods,
        "users": len(study.users),
        "left_out": study.left_out,
        "means": {c: dict(zip(study.methods, r.mean(axis=0), strict=True)) for c, r in study.ratings.items()},
        "anova": {
            c: {**asdict(test), "pairs": [[a, b, p] for (a, b), p in test.pairs.items()]} for c, test in tests.items()
        },
    }
    rows = [" & ".join(map(_escaped, row)) + r" \\" for row in means]
    table = [r"\begin{tabular}{l" + "r" * len(study.ratings) + "}", r"\toprule", rows[0], r"\midrule", *rows[1:]]
    files = {
        "study.md": "\n".join(text) + "\n",
        "study.tex": "\n".join([*table, r"\bottomrule", r"\end{tabular}", ""]),
        "study.json": json.dumps(plain_values(record), indent=1, ensure_ascii=False) + "\n",
    }
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
    return [*(folder / name for name in files), plot_study(study, folder)]


def _filled(evaluation: Evaluation) -> dict[str, Metric]:
    """The columns whose network was there."""
    return {name: metric for name, metric in evaluation.metrics.items() if name not in evaluation.missing}


def _details(metric: Metric, score: Score) -> list[str]:
    of_sets = metric.clip is None
    return [
        metric.title,
        metric.shown(score.value),
        _interval(metric, score.interval),
        str(score.num_clips),
        str(score.num_features) if of_sets else "",
        metric.shown(score.real_split) if of_sets else "",
        metric.shown(score.mmd) if of_sets else "",
    ]


def _differences(evaluation: Evaluation) -> list[list[str]]:
    rows = [["Method", "Score", "Difference", "95 % interval", "Clips", "Interval excludes 0"]]
    for d in evaluation.differences:
        metric = evaluation.metrics[d.metric]
        sure = "yes" if d.interval[0] > 0 or d.interval[1] < 0 else "no"
        row = [d.method, metric.title, metric.shown(d.value), _interval(metric, d.interval), str(d.num_clips), sure]
        rows.append(row)
    return rows


def _interval(metric: Metric, interval: tuple[float, float]) -> str:
    low, high = map(metric.shown, interval)
    return f"{low} to {high}" if np.isfinite(interval).all() else "n/a"


def _best(evaluation: Evaluation, name: str, metric: Metric) -> float:
    values = [scores[name].value for scores in evaluation.scores.values() if np.isfinite(scores[name].value)]
    if not values or not metric.better or len(evaluation.scores) < 2:
        return float("nan")
    return min(values) if metric.better == "lower" else max(values)


def _write_clips(evaluation: Evaluation, path: Path) -> None:
    columns = [name for name, metric in evaluation.metrics.items() if metric.clip and name not in evaluation.missing]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["method", "clip", *columns])
        for method, clips in evaluation.per_clip.items():
            for clip, values in clips.items():
                cells = ["" if np.isnan(values[name]) else f"{values[name]:.8g}" for name in columns]
                writer.writerow([method, clip, *cells])


def _escaped(text: str) -> str:
    return "".join("\\" + c if c in "&%$#_{}" else c for c in text)
