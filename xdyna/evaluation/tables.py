"""Results as text: Markdown tables, JSON values, words."""

from typing import Any

import numpy as np


def text_table(rows: list[list[str]]) -> str:
    """Rows of cells as a Markdown table; the first row is its head."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]]) + "\n"


def words(value: object) -> str:
    """A value of a protocol as one line."""
    if isinstance(value, dict):
        return "; ".join(f"{key} {item}" for key, item in value.items()) or "none"
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def plain_values(value: Any) -> Any:
    """The value with None for numbers that JSON lacks: NaN and infinity."""
    if isinstance(value, dict):
        return {key: plain_values(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
