"""The recipe: everything that is written with a result, so that it can be told what it is and made again."""

import json
import os
from dataclasses import Field, asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from xdyna import __version__
from xdyna.config import AnimationSettings, value_type
from xdyna.provenance import identity_from_environment, sign
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
        stopped: whether the run was ended before its last step; the video then cannot be made again from the rest.
    """

    note: str
    model: str
    revision: str
    settings: dict[str, Any]
    num_frames: int
    seconds: float
    created: str
    versions: dict[str, str]
    stopped: bool = False

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
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions={"xdyna": __version__} | {name: _version(name) for name in LIBRARIES},
            stopped=animation.stopped,
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
            return cls(**{item.name: content[item.name] for item in fields(cls) if item.name in content})
        except (ValueError, TypeError, KeyError) as error:
            raise InputError("This is not an xdyna recipe. Give a JSON file or a video that xdyna wrote.") from error

    def animation_settings(self) -> AnimationSettings:
        """The settings, checked again: they may come out of anybody's file.

        Raises:
            InputError: a setting is unknown, of another type, or outside its range.
        """
        try:
            for item in fields(AnimationSettings):
                if item.name in self.settings:
                    _check_type(item, self.settings[item.name])
            return AnimationSettings(**self.settings)
        except (TypeError, ValueError) as error:
            raise InputError(f"The recipe's settings do not fit this version of xdyna: {error}.") from error


def save_animation(
    path: Path, animation: Animation, settings: AnimationSettings, sound: bytes | None = None
) -> Path | None:
    """Writes the video and, unless `save_recipe` is off, its recipe in the container and beside it as JSON.

    Args:
        path: of the MP4; the JSON gets the same stem.
        animation: what to write.
        settings: what made it.
        sound: of the clip (`Conditions.sound`); left out where `keep_sound` is off.

    Returns:
        The path of the JSON, or None where no recipe was wanted.
    """
    recipe = Recipe.of(animation, settings)
    write_result(path, animation.video, recipe, sound)
    if not settings.save_recipe:
        return None
    beside = path.with_suffix(".json")
    partial = beside.with_suffix(".json.partial")
    partial.write_text(recipe.to_json() + "\n", encoding="utf-8")
    os.replace(partial, beside)
    return beside


def write_result(path: Path, video: Video, recipe: Recipe, sound: bytes | None = None) -> None:
    """Writes an MP4 that says that it is AI-generated, whatever else the recipe's settings leave out.

    Args:
        path: of the MP4.
        video: the result, or a picture of it beside others.
        recipe: of the result. With `ai_label` the label is drawn into a corner; with `save_recipe` the recipe goes
            into the container; with `keep_sound` the sound does.
        sound: an M4A file as `xdyna.video.read_sound` gives it, or None.

    Raises:
        InputError: the certificate to sign with, which the environment names, cannot be used.
    """
    identity = identity_from_environment()  # a broken certificate is told before anything is written
    settings = recipe.animation_settings()
    if settings.ai_label:
        video = Video(frames=labelled(video.frames), fps=video.fps)
    tags = {"title": LABEL, "description": AI_NOTE, "comment": recipe.to_json() if settings.save_recipe else AI_NOTE}
    write_video(path, video, metadata=tags, sound=sound if settings.keep_sound else None)
    if identity is not None:
        sign(path, identity)


def read_recipe(path: Path) -> Recipe:
    """The recipe of an MP4 or of a JSON file.

    Raises:
        InputError: the file holds none.
    """
    if path.suffix.lower() == ".json":
        return Recipe.from_json(path.read_text(encoding="utf-8", errors="replace"))
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


def _check_type(item: Field[Any], value: object) -> None:
    kind = value_type(item)
    accepted = (int, float) if kind is float else kind
    if value is None and item.default is None:
        return  # left open
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{item.name} must be {kind.__name__}, got {value!r:.40}")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"
