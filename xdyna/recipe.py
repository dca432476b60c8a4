"""The recipe: everything that is written with a result, so that it can be told what it is and made again."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from xdyna import __version__
from xdyna.config import KINDS, AnimationSettings, is_unicode, shown
from xdyna.files import write_files
from xdyna.provenance import identity_from_environment, sign
from xdyna.schema import Animation, Frames, InputError, Video
from xdyna.video import encode_video, read_metadata

AI_NOTE = "AI-generated: this video was made from a photo by xdyna and does not show a real event."
LABEL = "AI-generated"
LIBRARIES = ("torch", "diffusers", "transformers")
MAX_RECIPE_LETTERS = 2**18  # about a hundred times a usual one: a comparison of four fits
MAX_LETTERS, MAX_VERSIONS = 200, 50
MAX_FRAMES, MAX_SECONDS = 100_000, 1e8
SETTINGS = {item.name for item in fields(AnimationSettings)}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a video was made. Holds no file names: those can be private.

    Attributes:
        note: says that the video is AI-generated.
        model: key of the backend.
        revision: of its weights.
        settings: all fields of `AnimationSettings`. The seed must be given; others that are not, such as those that
            an older version did not have, get their defaults.
        num_frames: frames of the result.
        seconds: wall time of the run.
        created: UTC, ISO 8601.
        versions: of xdyna and the libraries that compute.
        matte: the start of the SHA-256 of the mask of the photo's person, if a user corrected it and the model looked
            at it: then the video cannot be made again without that mask. Else empty.
        stopped: whether the run was ended before its last step; the video then cannot be made again from the rest.

    Raises:
        InputError: a value is of another type or beyond all bounds; anybody may have written it.
    """

    note: str
    model: str
    revision: str
    settings: dict[str, Any]
    num_frames: int
    seconds: float
    created: str
    versions: dict[str, str]
    matte: str = ""
    stopped: bool = False

    def __post_init__(self) -> None:
        for name in ("note", "model", "revision", "created", "matte"):
            _check_text(name, getattr(self, name))
        _check_number("num_frames", self.num_frames, int, 1, MAX_FRAMES)
        _check_number("seconds", self.seconds, float, 0, MAX_SECONDS)
        if not isinstance(self.stopped, bool):
            raise not_a_recipe(f"stopped must be {KINDS[bool]}, got {shown(self.stopped)}")
        if not isinstance(self.versions, dict) or len(self.versions) > MAX_VERSIONS:
            raise not_a_recipe(f"versions must be at most {MAX_VERSIONS} named texts, got {shown(self.versions)}")
        for name, version_ in self.versions.items():
            _check_text("a name in versions", name)
            _check_text("a version", version_)
        object.__setattr__(self, "settings", _whole_settings(self.settings))

    @classmethod
    def of(cls, animation: Animation, settings: AnimationSettings) -> "Recipe":
        """Return the recipe of a run that has just ended."""
        return cls(
            note=AI_NOTE,
            model=animation.model,
            revision=animation.revision,
            settings=settings.to_dict(),
            num_frames=len(animation.video),
            seconds=round(animation.seconds, 2),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions={"xdyna": __version__} | {name: _version(name) for name in LIBRARIES},
            matte=animation.matte,
            stopped=animation.stopped,
        )

    def to_json(self) -> str:
        """Return indented JSON."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Recipe":
        """Read what `to_json` wrote.

        Raises:
            InputError: this is not a recipe.
        """
        return cls.from_dict(read_json(text))

    @classmethod
    def from_dict(cls, content: object) -> "Recipe":
        """Read the plain values of a recipe; what a later version has put beside them is passed over.

        Raises:
            InputError: this is not a recipe.
        """
        if not isinstance(content, dict):
            raise not_a_recipe(f"it holds {type(content).__name__} where named values belong")
        missing = [item.name for item in fields(cls) if item.default is MISSING and item.name not in content]
        if missing:
            raise not_a_recipe(f"{missing[0]} is missing")
        return cls(**{item.name: content[item.name] for item in fields(cls) if item.name in content})

    def animation_settings(self) -> AnimationSettings:
        """Return the settings."""
        return AnimationSettings(**self.settings)


def read_json(text: str) -> object:
    """Read JSON that anybody may have written.

    Args:
        text: at most `MAX_RECIPE_LETTERS`.

    Raises:
        InputError: it is longer, or no JSON.
    """
    if len(text) > MAX_RECIPE_LETTERS:
        raise not_a_recipe(f"it has {len(text)} letters and a recipe has at most {MAX_RECIPE_LETTERS}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: brackets within brackets without end
        raise not_a_recipe("it is not JSON") from error


def not_a_recipe(reason: str) -> InputError:
    """Return the error for everything that is not a recipe."""
    return InputError(f"This is not an xdyna recipe: {reason}. Give a JSON file or a video that xdyna wrote.")


def save_animation(
    path: Path, animation: Animation, settings: AnimationSettings, sound: bytes | None = None
) -> Path | None:
    """Write the video and, unless `save_recipe` is off, its recipe in the container and beside it as JSON.

    Args:
        path: the MP4; the JSON gets the same stem.
        animation: what to write.
        settings: what made it.
        sound: the clip's (`Conditions.sound`); left out where `keep_sound` is off.

    Returns:
        The path of the JSON, or None where no recipe was wanted.

    Raises:
        UnsavedResultError: there is no room for them; the error holds the files.
    """
    write_files(path.parent, animation_files(path, animation.video, Recipe.of(animation, settings), sound))
    return path.with_suffix(".json") if settings.save_recipe else None


def animation_files(path: Path, video: Video, recipe: Recipe, sound: bytes | None = None) -> dict[str, bytes]:
    """Return what `save_animation` writes, each file by its name; the arguments are those of `encode_result`."""
    files = {path.name: encode_result(video, recipe, sound)}
    if recipe.settings["save_recipe"]:
        files[path.with_suffix(".json").name] = (recipe.to_json() + "\n").encode()
    return files


def write_result(path: Path, video: Video, recipe: Recipe, sound: bytes | None = None) -> None:
    """Write an MP4 that says that it is AI-generated; see `encode_result`.

    Args:
        path: the MP4.
        video: see `encode_result`.
        recipe: likewise.
        sound: likewise.

    Raises:
        InputError: as for `encode_result`.
        UnsavedResultError: there is no room for it; the error holds the file.
    """
    write_files(path.parent, {path.name: encode_result(video, recipe, sound)})


def encode_result(video: Video, recipe: Recipe, sound: bytes | None = None) -> bytes:
    """Return an MP4 that says that it is AI-generated, whatever else the recipe's settings leave out.

    Args:
        video: the result, or a picture of it beside others.
        recipe: how it was made. With `ai_label` the label is drawn into a corner; with `save_recipe` the recipe goes
            into the container; with `keep_sound` the sound does.
        sound: an M4A file as `xdyna.video.read_sound` gives it, or None.

    Raises:
        InputError: the certificate to sign with, which the environment names, cannot be used.
    """
    identity = identity_from_environment()  # a broken certificate is told before the work
    settings = recipe.animation_settings()
    if settings.ai_label:
        video = Video(frames=labelled(video.frames), fps=video.fps)
    tags = {"title": LABEL, "description": AI_NOTE, "comment": recipe.to_json() if settings.save_recipe else AI_NOTE}
    content = encode_video(video, metadata=tags, sound=sound if settings.keep_sound else None)
    return content if identity is None else sign(content, identity)


def read_recipe(path: Path) -> Recipe:
    """Read the recipe of an MP4 or of a JSON file.

    Raises:
        InputError: the file holds none, or cannot be read.
    """
    if path.suffix.lower() != ".json":
        return Recipe.from_json(read_metadata(path).get("comment", ""))
    try:
        if not path.is_file():  # a pipe or a device may never end
            raise not_a_recipe(f"{path.name} is not a file")
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_RECIPE_LETTERS + 1)
    except OSError as error:
        raise not_a_recipe(f"{path.name} cannot be read ({error.strerror})") from error
    return Recipe.from_json(text)


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


def _whole_settings(given: object) -> dict[str, Any]:
    """Return all settings of a recipe, checked."""
    problem = "The recipe's settings do not fit this version of xdyna: "
    if not isinstance(given, dict):
        raise InputError(f"{problem}they must be named values, got {shown(given)}.")
    if unknown := [name for name in given if name not in SETTINGS]:
        raise InputError(f"{problem}there is no setting {shown(unknown[0])} here. Update xdyna, or remove it.")
    if "seed" not in given:
        raise InputError(f"{problem}the seed is missing, without which no video can be made again.")
    try:
        return AnimationSettings(**given).to_dict()
    except ValueError as error:
        raise InputError(f"{problem}{error}.") from error


def _check_text(name: str, value: object, max_length: int = MAX_LETTERS) -> None:
    if not isinstance(value, str) or len(value) > max_length or not is_unicode(value):
        raise not_a_recipe(f"{name} must be a text of at most {max_length} letters, got {shown(value)}")


def _check_number(name: str, value: Any, kind: type, low: float, high: float) -> None:
    accepted = (int, float) if kind is float else kind
    fits = isinstance(value, accepted) and not isinstance(value, bool)
    if not fits or not low <= value <= high:
        raise not_a_recipe(f"{name} must be {KINDS[kind]} between {low:g} and {high:g}, got {shown(value)}")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"
