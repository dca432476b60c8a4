"""X-Dyna and xdyna-mini: the same pipeline with other weights."""

import time
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock

import numpy as np
import torch

from xdyna.config import AnimationSettings
from xdyna.pipelines import XDynaOutput, XDynaPipeline
from xdyna.pipelines.schedulers import with_sampler
from xdyna.preprocess.controls import draw_controls
from xdyna.schema import Animation, Conditions, Progress, Video
from xdyna.weights import locate, revision

_LOADING = Lock()  # diffusers cannot load twice at the same time

PHASES = {"denoise": "Denoising", "decode": "Decoding"}


class XDynaBackend:
    """A pipeline on its device.

    Args:
        name: key in `BACKENDS`, recorded with every result.
        pipeline: on the device it will run on.
        revision: of its weights.
    """

    def __init__(self, name: str, pipeline: XDynaPipeline, revision: str) -> None:
        self.name, self.pipeline, self.revision = name, pipeline, revision
        self.lock = Lock()

    def run(self, conditions: Conditions, settings: AnimationSettings) -> Iterator[Progress | Animation]:
        """Yields a `Progress` per window and per decoded frame, then one `Animation`. Close it to stop."""
        started = time.monotonic()
        yield Progress(phase="Encoding the photo", step=0, total=1)
        drawn = draw_controls(conditions)
        self.pipeline.scheduler = with_sampler(self.pipeline.scheduler, settings.scheduler)
        events = self.pipeline.stream(
            image=conditions.reference_image,
            pose_frames=drawn.pose,
            face_local_frames=drawn.face_local,
            face_global_frames=drawn.face_global,
            prompt=settings.prompt,
            negative_prompt=settings.negative_prompt,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            adapter_strength=settings.adapter_strength,
            controlnet_pose_scale=settings.controlnet_pose_scale,
            controlnet_face_scale=settings.controlnet_face_scale,
            ip_adapter_scale=settings.ip_adapter_scale,
            context_frames=settings.context_frames,
            context_overlap=settings.context_overlap,
            generator=torch.Generator().manual_seed(settings.seed),
        )
        phase, phase_started = "", started
        for event in events:
            if isinstance(event, XDynaOutput):
                frames = (event.frames * 255).round().astype(np.uint8)
                yield Animation(
                    video=Video(frames=frames, fps=conditions.fps),
                    controls=drawn,
                    model=self.name,
                    revision=self.revision,
                    seconds=time.monotonic() - started,
                )
                return
            if event.phase != phase:
                phase, phase_started = event.phase, time.monotonic() if phase else phase_started
            spent = time.monotonic() - phase_started
            yield Progress(
                phase=PHASES[event.phase],
                step=event.step,
                total=event.total,
                seconds_left=spent / event.step * (event.total - event.step),
            )


def load(name: str) -> XDynaBackend:
    """Loads a model on first use and keeps it. One model stays loaded at a time; any thread may ask.

    Args:
        name: a key of `BACKENDS`.

    Raises:
        InputError: its weights are not on this machine; the message gives the command that fetches them.
    """
    with _LOADING:
        return _load(name)


@lru_cache(maxsize=1)
def _load(name: str) -> XDynaBackend:
    folder = locate(name)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    # The mini model is stored in half precision and runs in single on a CPU, which computes no faster in half.
    dtype = torch.float16 if device == "cuda" else torch.float32
    pipeline = XDynaPipeline.from_pretrained(folder, dtype=dtype, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return XDynaBackend(name, pipeline.to(device), revision(folder))
