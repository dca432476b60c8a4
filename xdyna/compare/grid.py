"""A comparison as one video: every take under its label, with all recipes in the file."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from xdyna.compare.take import Take
from xdyna.compare.variants import MAX_VARIANTS
from xdyna.files import write_files
from xdyna.recipe import AI_NOTE, LABEL, Recipe, read_json
from xdyna.schema import InputError
from xdyna.video import encode_video, read_metadata, side_by_side

NOTE = f"{AI_NOTE} It shows several settings side by side."


def save_comparison(path: Path, takes: Sequence[Take]) -> Path:
    """Write the grid with every recipe in the container's metadata, and the same beside it as JSON.

    Recipes of takes that were made with `save_recipe` off are left out.

    Args:
        path: the MP4; the JSON gets the same stem.
        takes: two or more.

    Returns:
        The path of the JSON.

    Raises:
        UnsavedResultError: there is no room for them; the error holds the files.
    """
    write_files(path.parent, comparison_files(path, takes))
    return path.with_suffix(".json")


def comparison_files(path: Path, takes: Sequence[Take]) -> dict[str, bytes]:
    """Return what `save_comparison` writes, each file by its name: the video, then the recipes."""
    entries = [{"label": take.label, "recipe": asdict(take.recipe)} for take in takes if _keeps_recipe(take)]
    text = json.dumps({"note": NOTE, "comparison": entries}, indent=2, ensure_ascii=False)
    grid = side_by_side([take.video for take in takes], [take.label for take in takes])
    tags = {"title": LABEL, "description": NOTE, "comment": text}
    return {path.name: encode_video(grid, metadata=tags), path.with_suffix(".json").name: (text + "\n").encode()}


def save_take(path: Path, take: Take) -> None:
    """Write one take as a run is written, with its recipe in the metadata.

    Raises:
        UnsavedResultError: there is no room for it; the error holds the file.
    """
    comment = take.recipe.to_json() if _keeps_recipe(take) else AI_NOTE
    tags = {"title": LABEL, "description": AI_NOTE, "comment": comment}
    write_files(path.parent, {path.name: encode_video(take.video, metadata=tags)})


def read_comparison(path: Path) -> dict[str, Recipe]:
    """Read the recipes of a grid by their labels.

    Raises:
        InputError: the file is no grid that `save_comparison` wrote.
    """
    try:
        content = read_json(read_metadata(path).get("comment", ""))
    except InputError as error:
        raise _not_a_comparison() from error
    entries = content.get("comparison") if isinstance(content, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_VARIANTS:
        raise _not_a_comparison()
    recipes: dict[str, Recipe] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            raise _not_a_comparison()
        recipes[entry["label"]] = Recipe.from_dict(entry.get("recipe"))
    return recipes


def _not_a_comparison() -> InputError:
    return InputError("This is not a comparison. Give a grid video that xdyna wrote.")


def _keeps_recipe(take: Take) -> bool:
    return take.recipe.settings["save_recipe"]
