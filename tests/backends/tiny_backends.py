"""Every backend at tiny size: random weights in the layout its loader expects, and inputs that any of them takes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from diffusers import ModularPipeline
from tiny import tiny_pipeline
from tiny_dynamictrl import tiny_dynamictrl
from tiny_wan import tiny_wan_animate, tiny_wan_animate_2

from xdyna.schema import Conditions, Pose

NUM_FRAMES, HEIGHT, WIDTH, FPS = 6, 80, 64, 8.0
STANDING = np.array(  # a person who fills most of the picture, in shares of it
    [
        *((0.5, 0.12), (0.5, 0.24), (0.38, 0.25), (0.32, 0.4), (0.3, 0.52), (0.62, 0.25), (0.68, 0.4), (0.7, 0.52)),
        *((0.43, 0.52), (0.43, 0.72), (0.43, 0.93), (0.57, 0.52), (0.57, 0.72), (0.57, 0.93)),
        *((0.47, 0.1), (0.53, 0.1), (0.43, 0.12), (0.57, 0.12)),
    ],
    np.float32,
)


def standing(num_frames: int, scale: int = 1) -> Pose:
    """A person who moves a little, without hands."""
    body = (
        STANDING * np.array([WIDTH * scale, HEIGHT * scale], np.float32)
        + np.linspace(0, 3, num_frames, dtype=np.float32)[:, None, None]
    )
    return Pose(
        body=body.astype(np.float32),
        body_scores=np.ones((num_frames, 18), np.float32),
        hands=np.full((num_frames, 2, 21, 2), np.nan, np.float32),
        hand_scores=np.zeros((num_frames, 2, 21), np.float32),
    )


def tiny_conditions(num_frames: int = NUM_FRAMES, scale: int = 1) -> Conditions:
    """Noise for pictures, `scale` times as large, with a person in it and a face."""
    rng = np.random.default_rng(0)
    height, width = scale * HEIGHT, scale * WIDTH
    face = scale * rng.uniform([28, 5], [36, 13], (68, 2)).astype(np.float32)
    mask = np.zeros((num_frames, HEIGHT // 8, WIDTH // 8), np.float32)
    mask[:, 1:9, 2:6] = 1
    return Conditions(
        reference_image=rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        reference_pose=standing(1, scale),
        driving_frames=rng.integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8),
        pose=standing(num_frames, scale),
        face_landmarks=np.repeat(face[None], num_frames, axis=0),
        alignment=np.eye(2, 3),
        fps=FPS,
        person_masks=mask,
        reference_person_mask=mask[0],
    )


def _write_xdyna(folder: Path) -> None:
    tiny_pipeline().save_pretrained(folder / "xdyna")


def _write_nothing(folder: Path) -> None:
    """Its weights come with xdyna, or it has none."""


def _write_dynamictrl(folder: Path) -> None:
    """As published: a transformer alone; the rest is its base's."""
    pipeline = tiny_dynamictrl()
    pipeline.transformer.save_pretrained(folder / "dynamictrl")
    base = folder / "dynamictrl-base"
    pipeline.save_pretrained(base)


def _write_wan_animate(folder: Path) -> None:
    tiny_wan_animate().save_pretrained(folder / "wan-animate")


def _write_wan_animate_2(folder: Path) -> None:
    _save_modular(tiny_wan_animate_2(), folder / "wan-animate-2")


def _write_wan_animate_2_distilled(folder: Path) -> None:
    _save_modular(tiny_wan_animate_2(distilled=True), folder / "wan-animate-2-distilled")


def _save_modular(pipeline: ModularPipeline, folder: Path) -> None:
    """As a copy of the hub's: its index still names the repository that it came from."""
    pipeline.save_pretrained(str(folder), overwrite_modular_index=True)
    index = folder / "modular_model_index.json"
    index.write_text(index.read_text().replace(str(folder), "Wan-AI/elsewhere"))


WRITERS: dict[str, Callable[[Path], None]] = {
    "xdyna": _write_xdyna,
    "xdyna-mini": _write_nothing,
    "puppet": _write_nothing,
    "dynamictrl": _write_dynamictrl,
    "wan-animate": _write_wan_animate,
    "wan-animate-2": _write_wan_animate_2,
    "wan-animate-2-distilled": _write_wan_animate_2_distilled,
}
"""By key of `BACKENDS`: writes tiny weights below the folder that `XDYNA_WEIGHTS` names."""
