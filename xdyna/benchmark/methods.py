"""What a model and simple baselines make of a rendered clip's first frame and a driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from xdyna.backends import BACKENDS
from xdyna.backends.interface import Model
from xdyna.pipelines import XDynaPipeline
from xdyna.preprocess.draw import draw_landmarks, draw_pose
from xdyna.preprocess.face import face_patches
from xdyna.schema import Animation, Conditions, Frames, Image
from xdyna.training.data import HELD_OUT_SEEDS, pasted_faces
from xdyna.world import WorldClip, render_clip

NUM_FRAMES, FPS = 8, 4.0
PUPPET, COPY, MEAN, CEILING = "puppet", "copy the photo", "mean picture", "autoencoder alone"
BASELINES = (COPY, MEAN, CEILING)
MEAN_PICTURE_CLIPS = 48


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How a model is run.

    Attributes:
        height: of the clips in pixels.
        width: likewise.
        num_inference_steps: of the sampler.
        guidance_scale: 1 for none.
        strength: below 1 a clip with a person begins from Puppet's frames, see `XDynaPipeline.stream`.
        scheduler: a key of `xdyna.pipelines.schedulers.SAMPLERS`.
        approximations: arguments of `XDynaPipeline` that leave something out, such as `guidance_end`.
        reference_mode: how attention reads the photo.
        face_control: "s-face", the driver's face patches; "landmarks", the driver's landmarks, moved to the place of
            the person's face and drawn into the pose; or "none".
    """

    height: int = 224
    width: int = 128
    num_inference_steps: int = 3
    guidance_scale: float = 1.0
    strength: float = 1.0
    scheduler: str = "ddim"
    approximations: Mapping[str, Any] = field(default_factory=dict)
    reference_mode: str = "dynamics_adapter"
    face_control: str = "s-face"


def benchmark_clip(number: int, person: bool, setup: Setup) -> WorldClip:
    """Clip `number`: the photo, then `NUM_FRAMES` true frames a quarter of a second apart, from held-out seeds."""
    return _render(HELD_OUT_SEEDS + number, setup, person=person)


def driver_clip(number: int, setup: Setup) -> WorldClip:
    """Another character who does the same as the person of clip `number`."""
    seed = HELD_OUT_SEEDS + number
    return _render(seed, setup, character_seed=seed + HELD_OUT_SEEDS)


def mean_picture(setup: Setup) -> Image:
    """Mean of the photos of 48 other clips: what can be drawn without looking."""
    photos = [
        render_clip(HELD_OUT_SEEDS - 1 - k, num_frames=1, height=setup.height, width=setup.width).frames[0]
        for k in range(MEAN_PICTURE_CLIPS)
    ]
    return np.mean(photos, axis=0).round().astype(np.uint8)


def puppet_clip(puppet: Model, clip: WorldClip, number: int, setup: Setup) -> Frames:
    """What Puppet makes of the photo, the true pose and a stranger's face: the same as the model is given.

    Args:
        puppet: loaded.
        clip: with a person.
        number: of the clip.
        setup: for its driver.

    Returns:
        `(NUM_FRAMES, height, width, 3)` uint8 RGB.

    Raises:
        InputError: Puppet refuses the photo.
    """
    given = Conditions(
        reference_image=clip.frames[0],
        reference_pose=clip.pose[:1],
        driving_frames=np.zeros_like(clip.frames[1:]),
        pose=clip.pose[1:],
        face_landmarks=driver_clip(number, setup).face_landmarks[1:],
        alignment=np.eye(2, 3),
        fps=FPS,
    )
    settings = replace(BACKENDS["puppet"].defaults, height=setup.height, width=setup.width, fps=FPS)
    *_, made = puppet.run(given, settings)
    assert isinstance(made, Animation)
    return made.video.frames


def animate_clip(
    pipeline: XDynaPipeline, clip: WorldClip, number: int, setup: Setup, init_video: Frames | None = None
) -> Frames:
    """What a model makes of the photo, the true pose and a stranger's face.

    Args:
        pipeline: the model.
        clip: the truth, whose first frame is the photo.
        number: of the clip.
        setup: how to run.
        init_video: what a run of a strength below 1 begins from; None runs all steps.

    Returns:
        `(NUM_FRAMES, height, width, 3)` uint8 RGB.
    """
    pose = draw_pose(clip.pose[1:], (setup.height, setup.width))
    local: Frames | None = None
    whole: Frames | None = None
    if clip.person_mask.any() and setup.face_control != "none":
        driver = driver_clip(number, setup)
        moved, landmarks = pasted_faces(driver.frames[1:], driver.face_landmarks[1:], clip.face_landmarks[1:])
        if setup.face_control == "landmarks":
            draw_landmarks(pose, landmarks)
        else:
            local, whole = face_patches(moved, landmarks)
    made = pipeline(
        clip.frames[0],
        pose,
        face_local_frames=local,
        face_global_frames=whole,
        num_inference_steps=setup.num_inference_steps,
        guidance_scale=setup.guidance_scale,
        init_video=init_video,
        strength=1.0 if init_video is None else setup.strength,
        reference_mode=setup.reference_mode,
        generator=torch.Generator().manual_seed(HELD_OUT_SEEDS + number),
        **setup.approximations,
    ).frames
    return (made * 255).round().astype(np.uint8)


def baseline_clips(pipeline: XDynaPipeline, clip: WorldClip, mean: Image) -> dict[str, Frames]:
    """The baselines by name; the autoencoder's own reconstruction of the truth is the model's ceiling."""
    truth = clip.frames[1:]
    pixels = torch.from_numpy(truth).permute(0, 3, 1, 2).to(pipeline.vae.device, pipeline.vae.dtype) / 127.5 - 1
    with torch.no_grad():
        decoded = pipeline.vae.decode(pipeline.vae.encode(pixels).latent_dist.mode()).sample
    decoded = ((decoded.float().clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).round().byte().cpu()
    return {
        COPY: np.broadcast_to(clip.frames[0], truth.shape),
        MEAN: np.broadcast_to(mean, truth.shape),
        CEILING: decoded.numpy(),
    }


def _render(seed: int, setup: Setup, *, person: bool = True, character_seed: int | None = None) -> WorldClip:
    return render_clip(
        seed,
        num_frames=NUM_FRAMES + 1,
        height=setup.height,
        width=setup.width,
        fps=FPS,
        person=person,
        character_seed=character_seed,
    )
