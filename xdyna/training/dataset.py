"""A stage's clips, and which of them each step takes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from xdyna.schema import InputError
from xdyna.training.data import WorldClips
from xdyna.training.folder_data import FolderClips
from xdyna.training.recipe import Recipe
from xdyna.training.stages import Stage


class Clips(Dataset[dict[str, Tensor]]):
    """Samples that know their number.

    Args:
        source: samples by number, each a function of its number alone.
        epoch: clips of one epoch; None if the source is endless.
    """

    def __init__(self, source: Any, epoch: int | None) -> None:
        self.source, self.epoch = source, epoch

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """The source's sample and its `index`."""
        return {**self.source[index], "index": torch.tensor(index)}


def open_clips(recipe: Recipe, stage: Stage, seed: int | None = None) -> Clips:
    """The clips of a stage.

    Raises:
        InputError: the folder of clips is missing, empty, or of another size.
    """
    options, seed = recipe.sample_options(stage), recipe.seed if seed is None else seed
    if recipe.data == "world":
        return Clips(WorldClips(options, seed, recipe.height, recipe.width), None)
    folder = FolderClips(Path(recipe.data), options, seed, recipe.reenact or None)
    if (folder.height, folder.width) != (recipe.height, recipe.width):
        raise InputError(
            f"The clips in {recipe.data} are {folder.height} x {folder.width} pixels, the recipe says {recipe.height} "
            f"x {recipe.width}. Change height and width of the recipe, or prepare the clips in that size."
        )
    return Clips(folder, folder.num_human + (folder.num_scene if options.scene_fraction else 0))


def batch_indices(
    steps: Sequence[int], batch_size: int, at_once: int, process: int, num_processes: int
) -> Iterator[list[int]]:
    """Numbers of the samples that one of several processes takes, forward pass by forward pass.

    A function of the step alone, so that a run which goes on sees what it would have seen, on any number of devices.

    Args:
        steps: optimiser steps, from 0.
        batch_size: samples per step, over all processes.
        at_once: samples per forward pass and process.
        process: which process, from 0.
        num_processes: how many there are.
    """
    for step in steps:
        for start in range(process * at_once, batch_size, at_once * num_processes):
            yield list(range(step * batch_size + start, step * batch_size + start + at_once))
