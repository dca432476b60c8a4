"""Pictures of what a model makes of a few clips."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw
from torch import Tensor

from xdyna.pipelines import XDynaPipeline
from xdyna.schema import Image
from xdyna.training.recipe import Recipe
from xdyna.training.stages import Stage

NUM_SHOWN = 6  # frames of each clip
LABEL_PX = 46
GAP_PX = 4


def draw_sheet(pipeline: XDynaPipeline, samples: list[dict[str, Tensor]], recipe: Recipe, stage: Stage) -> Image:
    """Three rows per clip: its controls, its frames, and what the model makes of its photo.

    Args:
        pipeline: in evaluation state.
        samples: of the stage's data.
        recipe: says how many sampling steps.
        stage: says whether S-Face runs.

    Returns:
        `(height, width, 3)` uint8.
    """
    return np.concatenate([_clip_rows(pipeline, sample, recipe, stage) for sample in samples])


def _clip_rows(pipeline: XDynaPipeline, sample: dict[str, Tensor], recipe: Recipe, stage: Stage) -> Image:
    clips = {name: np.moveaxis(value.numpy(), -3, -1) for name, value in sample.items() if value.ndim >= 3}
    face = stage.face and bool(sample["face"].any())
    made = pipeline(
        clips["reference"],
        clips["pose"],
        clips["face_local"] if face else None,
        clips["face_global"] if face else None,
        num_inference_steps=recipe.num_inference_steps,
        guidance_scale=1.0,
        reference_mode=recipe.reference_mode,
        generator=torch.Generator().manual_seed(recipe.seed),
    ).frames
    made = (255 * made + 0.5).astype(np.uint8)
    controls = np.maximum(clips["pose"], clips["face_local"]) if face else clips["pose"]
    shown = np.unique(np.linspace(0, len(made) - 1, NUM_SHOWN).astype(int))
    rows = [("photo, pose", controls), ("truth", clips["frames"]), ("made", made)]
    height = made.shape[1]
    sheet = []
    for label, frames in rows:
        first = clips["reference"] if label == "photo, pose" else np.full_like(clips["reference"], 255)
        cells = [_label(label, height), first, *frames[shown]]
        sheet.append(np.concatenate([_padded(cell) for cell in cells], axis=1))
    return np.concatenate(sheet)


def _label(text: str, height: int) -> Image:
    picture = PILImage.new("RGB", (LABEL_PX, height), "white")
    ImageDraw.Draw(picture).text((4, 4), text.replace(", ", "\n"), fill="black")
    return np.asarray(picture)


def _padded(cell: NDArray[np.uint8]) -> Image:
    return np.pad(cell, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255)
