"""The recipe: everything that is written with a result, so that it can be told what it is and made again."""

import json
import os
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from xdyna import __version__
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Frames, InputError, Video
from xdyna.video import read_metadata, write_video

AI_NOTE = "AI-generated: this video was made from a photo by xdyna and does not show a real event."
LABEL = "AI-generated"
LIBRARIES = ("torch", "diffusers", "transformers")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a video was made. Holds no file names: those can be private.

    Attributes:
        note: says that the video is AI-generated.
        model: key of the backend.
        revision: of its weights.
        settings: all fields of `AnimationSettings`, the seed among them.
        num_frames: frames of the result.
        seconds: wall time of the run.
        created: UTC, ISO 8601.
        versions: of xdyna and the libraries that compute.
    """

    note: str
    model: str
    revision: str
    settings: dict[str, Any]
    num_frames: int
    seconds: float
    created: str
    versions: dict[str, str]

    @classmethod
    def of(cls, animation: Animation, settings: AnimationSettings) -> "Recipe":
        """The recipe of a run that has just ended."""
        return cls(
            note=AI_NOTE,
            model=animation.model,
            revision=animation.revision,
            settings=settings.to_dict(),
            num_frames=len(animation.video),
            seconds=round(animation.seconds, 2),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            versions={"xdyna": __version__} | {name: _version(name) for name in LIBRARIES},
        )

    def to_json(self) -> str:
        """Indented JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Reads what `to_json` wrote.

        Raises:
            InputError: this is not a recipe.
        """
        try:
            content = json.loads(text)
            return cls(**{field.name: content[field.name] for field in fields(cls)})
        except (ValueError, TypeError, KeyError) as error:
            raise InputError("This is not an xdyna recipe. Give a JSON file or a video that xdyna wrote.") from error

    def animation_settings(self) -> AnimationSettings:
        """The settings, checked again."""
        try:
            return AnimationSettings(**self.settings)
        except (TypeError, ValueError) as error:
            raise InputError(f"The recipe's settings do not fit this version of xdyna: {error}.") from error


def save_animation(path: Path, animation: Animation, settings: AnimationSettings) -> Path:
    """Writes the video with its recipe in the container's metadata, and the recipe beside it as JSON.

    Args:
        path: of the MP4; the JSON gets the same stem.
        animation: what to write.
        settings: what made it; with `ai_label` the label is drawn into a corner.

    Returns:
        The path of the JSON.
    """
    recipe = Recipe.of(animation, settings)
    video = animation.video
    if settings.ai_label:
        video = Video(frames=labelled(video.frames), fps=video.fps)
    write_video(path, video, metadata={"title": LABEL, "description": AI_NOTE, "comment": recipe.to_json()})
    beside = path.with_suffix(".json")
    partial = beside.with_suffix(".json.partial")
    partial.write_text(recipe.to_json() + "\n", encoding="utf-8")
    os.replace(partial, beside)
    return beside


def read_recipe(path: Path) -> Recipe:
    """The recipe of an MP4 or of a JSON file.

    Raises:
        InputError: the file holds none.
    """
    if path.suffix == ".json":
        return Recipe.from_json(path.read_text(encoding="utf-8"))
    return Recipe.from_json(read_metadata(path).get("comment", ""))


def labelled(frames: Frames) -> Frames:
    """A copy of `(num_frames, height, width, 3)` uint8 RGB with a small legible label in the lower left corner."""
    height, width = frames.shape[1:3]
    scale = max(0.28, min(height, width) / 1100)
    (label_width, label_height), base = cv2.getTextSize(LABEL, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    margin = max(2, label_height // 2)
    origin = (2 * margin, height - margin - base)
    out = frames.copy()
    box = (slice(height - label_height - base - 2 * margin, height), slice(0, label_width + 4 * margin))
    for frame in out:
        frame[box] = (frame[box].astype(np.uint16) * 2 // 5).astype(np.uint8)
        cv2.putText(frame, LABEL, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"
