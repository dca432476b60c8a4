"""The examples that ship beside the package: a photo, a clip, and the result made of them."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, kw_only=True)
class Example:
    """One pair with its finished result.

    Attributes:
        name: stem of its files.
        title: for people.
        photo: image file.
        clip: driving video.
        result: video made from both.
        credit: where the pictures come from.
    """

    name: str
    title: str
    photo: Path
    clip: Path
    result: Path
    credit: str

    @property
    def recipe(self) -> Path:
        """Written beside every result."""
        return self.result.with_suffix(".json")


def load_examples(folder: Path = FOLDER) -> list[Example]:
    """Reads `examples.json`. An installed package comes without examples: then the list is empty."""
    listing = folder / "examples.json"
    if not listing.is_file():
        return []
    return [
        Example(
            name=entry["name"],
            title=entry["title"],
            credit=entry["credit"],
            **{part: folder / entry[part] for part in ("photo", "clip", "result")},
        )
        for entry in json.loads(listing.read_text(encoding="utf-8"))
    ]
