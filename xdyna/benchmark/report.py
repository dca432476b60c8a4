"""Writes a finished benchmark: one table as Markdown, JSON and CSV, every clip, and a picture."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PILImage

from xdyna.benchmark.outcome import Outcome, save_outcomes
from xdyna.benchmark.run import Benchmark
from xdyna.benchmark.summary import Bar, Cell, Row
from xdyna.evaluation.tables import plain_values, text_table, words

ARROWS = {"higher": " ↑", "lower": " ↓", "one": " (1)"}


def write_benchmark(found: Benchmark, folder: Path) -> list[Path]:
    """Writes `table.md`, `table.csv`, `report.json`, `clips.csv`, `clips.npz` and `sheet.png`.

    Args:
        found: what to write.
        folder: made if it does not exist.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / n for n in ("table.md", "table.csv", "report.json", "clips.csv", "clips.npz", "sheet.png")]
    files[0].write_text(markdown(found), encoding="utf-8")
    _write_csv(files[1], _table_records(found.rows))
    files[2].write_text(
        json.dumps(plain_values(as_record(found)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    _write_csv(files[3], _clip_records(found.outcomes))
    save_outcomes(files[4], found.outcomes)
    PILImage.fromarray(found.sheet).save(files[5])
    return files


def markdown(found: Benchmark) -> str:
    """The table of each kind of clips, the bars, and the exact protocol."""
    parts = [f"# Benchmark of {found.settings['model']}\n"]
    for kind in dict.fromkeys(row.kind for row in found.rows):
        rows = [row for row in found.rows if row.kind == kind]
        methods = list(rows[0].cells)
        count = max(cell.num_clips for cell in rows[0].cells.values())
        table = [["", *methods, "n", "real halves"]]
        for row in rows:
            halves = f"{row.real_halves:.2f}" if np.isfinite(row.real_halves) else ""
            cells = [shown(row.cells[method]) for method in methods]
            table.append([row.score + ARROWS[row.better], *cells, str(row.cells[methods[0]].num_clips), halves])
        parts += [f"## {count} {kind}\n", text_table(table)]
    parts.append(
        "In brackets: 95 % interval. *Real halves*: the same distance between two halves of the true clips, about "
        "what a perfect model would get; half as many clips raise it.\n"
    )
    bars = [["bar", "measured", "n", "wanted", "reached"]]
    bars += [[b.name, _with_interval(b), str(b.num_clips), b.wanted, "yes" if b.reached else "no"] for b in found.bars]
    parts += ["## Bars of xdyna-mini\n", text_table(bars), "## Protocol\n"]
    parts += [f"- {name}: {words(value)}" for name, value in found.settings.items()]
    return "\n".join(parts) + "\n"


def as_record(found: Benchmark) -> dict[str, Any]:
    """Everything but the single clips as plain values."""
    return {
        "rows": [asdict(row) for row in found.rows],
        "bars": [{**asdict(bar), "reached": bar.reached} for bar in found.bars],
        "settings": found.settings,
    }


def shown(cell: Cell) -> str:
    """A number and its interval, three or four digits."""
    if not np.isfinite(cell.value):
        return "n/a"
    if not np.isfinite(cell.interval).all():
        return _number(cell.value)
    return f"{_number(cell.value)} ({_number(cell.interval[0])} to {_number(cell.interval[1])})"


def _with_interval(bar: Bar) -> str:
    return f"{bar.value:.3f} ({bar.interval[0]:.3f} to {bar.interval[1]:.3f})"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 3 else f"{value:.3f}"


def _table_records(rows: list[Row]) -> list[dict[str, object]]:
    return [
        {
            "clips": row.kind,
            "score": row.score,
            "better": row.better,
            "method": method,
            "value": cell.value,
            "low": cell.interval[0],
            "high": cell.interval[1],
            "n": cell.num_clips,
            "real_halves": row.real_halves,
        }
        for row in rows
        for method, cell in row.cells.items()
    ]


def _clip_records(outcomes: dict[str, Outcome]) -> list[dict[str, object]]:
    return [
        {"clips": kind, "clip": k, "scene": scene, "method": method}
        | {name: values[k] for name, values in columns.items()}
        for kind, outcome in outcomes.items()
        for method, columns in outcome.scores.items()
        for k, scene in enumerate(outcome.scenes)
    ]


def _write_csv(path: Path, records: list[dict[str, object]]) -> None:
    names = list(dict.fromkeys(name for record in records for name in record))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(records)
