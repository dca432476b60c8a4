"""One finished column of a comparison."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from xdyna.compare.measure import Measures, measure
from xdyna.compare.variants import differences
from xdyna.config import AnimationSettings
from xdyna.recipe import Recipe, labelled, read_recipe
from xdyna.schema import Animation, Conditions, InputError, Mask, Video
from xdyna.video import ReadLimits, probe, read_video

PERSON = 0.5  # of a mask in 0..1
MAX_FRAMES = 600
LIMITS = ReadLimits(max_bytes=2**28)  # several are held at once; larger ones are read smaller


@dataclass(frozen=True, kw_only=True, eq=False)
class Take:
    """One way the video was made.

    Attributes:
        label: a few words.
        video: as it is shown: with the AI label where the recipe asks for it.
        recipe: how it was made.
        measures: how it moves.
    """

    label: str
    video: Video
    recipe: Recipe
    measures: Measures


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A variant that could not be made.

    Attributes:
        label: the variant's.
        reason: what its model says, and what to do.
    """

    label: str
    reason: str

    def __str__(self) -> str:
        return f"“{self.label}” was left out. {self.reason}"


def take_of(label: str, animation: Animation, settings: AnimationSettings, conditions: Conditions) -> Take:
    """A variant that has just been made. Frames that follow none of the clip's are left out: so all takes line up.

    Args:
        label: the variant's.
        animation: the result.
        settings: what made it.
        conditions: what it was made from; their mask tells person and background apart, alike for all variants whose
            result has no masks of its own.
    """
    video = animation.video
    if animation.source_index:
        video = Video(frames=video.frames[np.asarray(animation.source_index) >= 0], fps=video.fps)
    shown = Video(frames=labelled(video.frames), fps=video.fps) if settings.ai_label else video
    return Take(
        label=label,
        video=shown,
        recipe=Recipe.of(animation, settings),
        measures=measure(video, _person(animation, conditions, video), conditions.reference_image),
    )


def takes_of_files(paths: list[Path]) -> list[Take]:
    """Videos that xdyna wrote earlier, labelled by what differs between them.

    Raises:
        InputError: one of them cannot be read, or carries no recipe.
    """
    from xdyna.evaluation.masks import segment_person

    recipes = [_recipe(path) for path in paths]
    takes = []
    for label, path, recipe in zip(_labels(recipes), paths, recipes, strict=True):
        video = read_video(path, fps=probe(path).fps, num_frames=MAX_FRAMES, limits=LIMITS)
        takes.append(
            Take(label=label, video=video, recipe=recipe, measures=measure(video, segment_person(video.frames)))
        )
    return takes


def _recipe(path: Path) -> Recipe:
    try:
        return read_recipe(path)
    except InputError as error:
        raise InputError(f"{path.name} carries no recipe of xdyna. Choose videos that it wrote.") from error


def _labels(recipes: list[Recipe]) -> list[str]:
    """What differs, where it is little enough to say in a title; else "Run 1", "Run 2"."""
    found = differences([{"model": recipe.model} | recipe.settings for recipe in recipes])
    if len(found) == 1:
        ((name, values),) = found.items()
        if len(set(map(str, values))) == len(values):
            return [f"{name.replace('_', ' ')} {value}" for value in values]
    return [f"Run {number}" for number in range(1, len(recipes) + 1)]


def _person(animation: Animation, conditions: Conditions, video: Video) -> Mask:
    """`(num_frames, height, width)` of the video."""
    height, width = video.frames.shape[1:3]
    known = conditions.person_masks if animation.person_masks is None else animation.person_masks
    if known is None:
        return np.zeros((len(video), height, width), bool)
    masks = known[: len(video)]
    return np.stack([cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) > PERSON for mask in masks])
