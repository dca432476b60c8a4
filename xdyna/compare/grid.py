"""A comparison as one video: every take under its label, with all recipes in the file."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xdyna.compare.take import Take
from xdyna.recipe import AI_NOTE, LABEL, Recipe
from xdyna.schema import InputError
from xdyna.video import read_metadata, side_by_side, write_video

NOTE = f"{AI_NOTE} It shows several settings side by side."


def save_comparison(path: Path, takes: Sequence[Take]) -> Path:
    """Writes the grid with every recipe in the container's metadata, and the same beside it as JSON.

    Recipes of takes that were made with `save_recipe` off are left out.

    Args:
        path: of the MP4; the JSON gets the same stem.
        takes: two or more.

    Returns:
        The path of the JSON.
    """
    entries = [{"label": take.label, "recipe": asdict(take.recipe)} for take in takes if _keeps_recipe(take)]
    text = json.dumps({"note": NOTE, "comparison": entries}, indent=2, ensure_ascii=False)
    grid = side_by_side([take.video for take in takes], [take.label for take in takes])
    write_video(path, grid, metadata={"title": LABEL, "description": NOTE, "comment": text})
    beside = path.with_suffix(".json")
    beside.write_text(text + "\n", encoding="utf-8")
    return beside


def save_take(path: Path, take: Take) -> None:
    """Writes one take as a run is written, with its recipe in the metadata."""
    comment = take.recipe.to_json() if _keeps_recipe(take) else AI_NOTE
    write_video(path, take.video, metadata={"title": LABEL, "description": AI_NOTE, "comment": comment})


def read_comparison(path: Path) -> dict[str, Recipe]:
    """The recipes of a grid by their labels.

    Raises:
        InputError: the file is no grid that `save_comparison` wrote.
    """
    try:
        entries: list[dict[str, Any]] = json.loads(read_metadata(path).get("comment", ""))["comparison"]
        return {entry["label"]: Recipe.from_json(json.dumps(entry["recipe"])) for entry in entries}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError("This is not a comparison. Give a grid video that xdyna wrote.") from error


def _keeps_recipe(take: Take) -> bool:
    return take.recipe.settings.get("save_recipe", True)
