"""What a run leaves on disk: a checkpoint for going on, a snapshot for using. Each is written whole or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn

from xdyna.pipelines import XDynaPipeline
from xdyna.schema import InputError
from xdyna.training.recipe import Recipe

CHECKPOINT, SNAPSHOT = "checkpoint.pt", "snapshot"
FREE_TO_CHANGE = {"log_every", "save_every_s", "sheet_every", "workers", "cpu_threads"}


@dataclass
class Position:
    """How far a run has come; everything here is finished.

    Attributes:
        stage: stages.
        step: optimiser steps of the stage after them.
        seconds: of training.
        clips: seen.
    """

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    clips: int = 0


def save_checkpoint(
    folder: Path, recipe: Recipe, position: Position, weights: Mapping[str, nn.Parameter], state: Mapping[str, Any]
) -> None:
    """Replaces the checkpoint of a run; the previous one stays until the new one is on the disk.

    Args:
        folder: of the run.
        recipe: kept, so that a run is not continued with another.
        position: how far the run has come.
        weights: every parameter trained so far, by name.
        state: optimiser, average and scaler of the running stage; empty between stages.

    Raises:
        InputError: the disk is full or cannot be written.
    """
    partial = folder / f"{CHECKPOINT}.partial"
    content = {
        "recipe": recipe.to_dict(),
        "position": asdict(position),
        "weights": {name: weight.detach() for name, weight in weights.items()},
        "state": dict(state),
    }
    with _room_on(folder, partial):
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, folder / CHECKPOINT)


def load_checkpoint(folder: Path, recipe: Recipe) -> dict[str, Any] | None:
    """The content of a run's checkpoint, on the CPU; None if there is none.

    Raises:
        InputError: the file is damaged, or belongs to another recipe.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        before, now = content["recipe"], recipe.to_dict()
    except (RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        raise InputError(f"{path} is damaged ({error}). Delete it to start over, or give another folder.") from error
    changed = [key for key in now if now[key] != before.get(key) and key not in FREE_TO_CHANGE]
    if changed:
        old, new = (json.dumps(values.get(changed[0])) for values in (before, now))
        raise InputError(
            f"The run in {folder} was started with another recipe: {changed[0]} was {old}, now {new}. Give the same "
            "recipe to go on, or another folder to start anew."
        )
    return content


def save_snapshot(folder: Path, pipeline: XDynaPipeline) -> None:
    """Replaces the snapshot of a run, a folder that `XDynaPipeline.from_pretrained` loads.

    Raises:
        InputError: the disk is full or cannot be written.
    """
    final, partial, previous = (folder / f"{SNAPSHOT}{suffix}" for suffix in ("", ".partial", ".previous"))
    with _room_on(folder, partial):
        shutil.rmtree(partial, ignore_errors=True)
        pipeline.save_pretrained(partial)
        shutil.rmtree(previous, ignore_errors=True)
        if final.exists():  # a folder cannot be replaced in one step
            final.rename(previous)
        partial.rename(final)
        shutil.rmtree(previous, ignore_errors=True)


def export(folder: Path, output: Path) -> None:
    """Writes the last snapshot in half precision, as it ships.

    Raises:
        InputError: the run has no snapshot yet.
    """
    if not (folder / SNAPSHOT / "model_index.json").is_file():
        raise InputError(f"{folder} holds no snapshot yet. Give the folder of a run that has finished a stage.")
    with _room_on(output, output):
        XDynaPipeline.from_pretrained(folder / SNAPSHOT, dtype=torch.float16).save_pretrained(output)
    for path in output.rglob("*.json"):  # where it was trained is nobody's business
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop("_name_or_path", None):
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _room_on(folder: Path, partial: Path) -> Iterator[None]:
    """Turns a failed write into a plain sentence and gives back the room that the torn file took."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        partial.unlink(missing_ok=True)
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        reason = "its disk is full" if full else str(error)
        raise InputError(
            f"{folder} cannot be written: {reason}. What was saved before is kept. Make room, then run the same "
            "command again to go on from there."
        ) from error
