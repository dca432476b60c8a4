"""The stages of a training run, as data."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage trains, on what, and for how long.

    Attributes:
        name: key of the stage in checkpoints and logs.
        trains: pipeline components whose parameters are trained; all others are frozen.
        motion: whether the motion modules run. Without them the frames of a clip may come in any order.
        face: whether S-Face runs, on cross-identity face patches (paper section 3.3).
        steps: optimiser steps.
        batch_size: clips per step.
        num_frames: driving frames per clip.
        learning_rate: of AdamW, after `warmup_steps`.
        scene_fraction: share of clips without a person, whose controls are blank (harmonic data fusion, paper
            section 3.4).
        warmup_steps: steps of linear warm-up.
    """

    name: str
    trains: tuple[str, ...]
    motion: bool
    face: bool
    steps: int
    batch_size: int
    num_frames: int
    learning_rate: float
    scene_fraction: float = 0.15
    warmup_steps: int = 100


_BODY = ("unet", "controlnet_pose", "resampler", "image_encoder")

MINI_STAGES: tuple[Stage, ...] = (
    # From scratch, most is to be learnt about single pictures: where things are and what the photo says about them.
    Stage(
        name="appearance",
        trains=_BODY,
        motion=False,
        face=False,
        steps=2250,
        batch_size=8,
        num_frames=4,
        learning_rate=5e-4,
    ),
    Stage(
        name="motion",
        trains=_BODY,
        motion=True,
        face=False,
        steps=568,
        batch_size=2,
        num_frames=16,
        learning_rate=3e-4,
        scene_fraction=0.3,
    ),
    Stage(
        name="face",
        trains=("controlnet_face",),
        motion=True,
        face=True,
        steps=140,
        batch_size=4,
        num_frames=8,
        learning_rate=5e-4,
        scene_fraction=0.0,
    ),
)
