"""Runs diffusers' Wan-Animate pipelines step by step: neither yields, and the second one knows no callback.

A run is a blocking call that makes one segment of the clip after another. Here it works in a thread of its own, in
lockstep with whoever reads the events: it waits inside the sampler's step until the next event is asked for.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
import torch
from diffusers.modular_pipelines.wan_animate_2.denoise import decode_vae, encode_vae
from torch import Tensor

from xdyna.pipelines.linear_preview import LinearPreview
from xdyna.pipelines.pixels import to_uint8
from xdyna.schema import Floats, Frames, Image

TRAIN_TIMESTEPS = 1000


@dataclass(frozen=True, kw_only=True)
class WanStep:
    """A denoising step that has ended.

    Attributes:
        step: counts from 1 over all segments.
        segment: counts from 0.
        clean_latents: `(num_latent_frames, channels, h, w)`, the estimate of the segment's finished latents; the
            first one, which holds the photo, is left out.
    """

    step: int
    segment: int
    clean_latents: Tensor


@dataclass(frozen=True, kw_only=True)
class WanOutput:
    """The clip, or as much of it as there was when the run was stopped.

    Attributes:
        frames: `(num_frames, height, width, 3)` uint8 RGB.
    """

    frames: Frames


class _StoppedError(Exception):
    """Ends the call from within; the estimate is decoded outside of it."""


class _ClosedError(Exception):
    """Nobody reads the events any more."""


def photo_preview(pipeline: Any, photo: Image) -> LinearPreview:
    """A map from latents to colours, from the photo and its latents.

    Args:
        pipeline: whose `vae` encodes the photo.
        photo: `(height, width, 3)` uint8 RGB, of the size of the video.
    """
    device = pipeline._execution_device
    pixels = torch.from_numpy(np.ascontiguousarray(photo)).permute(2, 0, 1)[None, :, None].float() / 127.5 - 1
    with torch.no_grad():
        latents = encode_vae(pipeline.vae, pixels.to(device))
    return LinearPreview(latents[0, :, 0], photo)


def stream(
    pipeline: Any,
    call: Callable[[], Floats],
    *,
    steps: int,
    segments: int,
    num_frames: int,
    stop: Callable[[], bool] | None = None,
    overlap: int = 1,
) -> Iterator[WanStep | WanOutput]:
    """Runs a call of a Wan-Animate pipeline; closing the iterator ends it within its current step.

    Args:
        pipeline: whose `scheduler` and `vae` the call uses.
        call: the run; returns `(num_frames, height, width, 3)` in 0..1.
        steps: denoising steps of a segment.
        segments: of the clip.
        num_frames: of the clip.
        stop: asked after every step; once it returns True, the segment's estimate is decoded and the run ends.
        overlap: frames that a segment takes over from the one before.

    Yields:
        `WanStep` after each step, then one `WanOutput`.
    """
    events: SimpleQueue[WanStep | WanOutput | Exception] = SimpleQueue()
    turn, closed, stopping = threading.Semaphore(0), threading.Event(), threading.Event()
    decoded: list[Tensor] = []
    done = 0

    def after_step(clean: Tensor) -> None:
        nonlocal done
        done += 1
        latents = clean[0, :, 1:].transpose(0, 1)
        events.put(WanStep(step=done, segment=(done - 1) // steps, clean_latents=latents))
        turn.acquire()
        if closed.is_set():
            raise _ClosedError
        if stopping.is_set() and done < steps * segments:
            decode_vae(pipeline.vae, clean[:, :, 1:].float())  # noted like every other
            raise _StoppedError

    def work() -> None:
        try:
            with torch.no_grad(), _watched(pipeline, after_step, decoded):
                events.put(WanOutput(frames=to_uint8(torch.from_numpy(call())).numpy()))
        except _StoppedError:
            events.put(WanOutput(frames=_joined(decoded, overlap)[:num_frames]))
        except _ClosedError:
            pass
        except Exception as error:  # raised again where the events are read
            events.put(error)

    worker = threading.Thread(target=work, name="wan-animate", daemon=True)
    worker.start()
    try:
        while True:
            event = events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, WanOutput):
                return
            if stop is not None and stop():
                stopping.set()
            turn.release()
    finally:
        closed.set()
        turn.release()
        worker.join()


@contextmanager
def _watched(pipeline: Any, after_step: Callable[[Tensor], None], decoded: list[Tensor]) -> Iterator[None]:
    """Reports every step of the sampler with its estimate of the end, and notes what the autoencoder decodes."""
    scheduler, vae = pipeline.scheduler, pipeline.vae
    step, decode = scheduler.step, vae.decode

    def watched_step(velocity: Tensor, timestep: Tensor, sample: Tensor, *args: Any, **kwargs: Any) -> Any:
        # The model predicts the flow from the clip to noise: t of the way along, the clip lies t of it back.
        clean = sample - float(timestep) / TRAIN_TIMESTEPS * velocity
        moved = step(velocity, timestep, sample, *args, **kwargs)
        after_step(clean)
        return moved

    def watched_decode(*args: Any, **kwargs: Any) -> Any:
        frames = decode(*args, **kwargs)
        decoded.append(frames[0].float().cpu())
        return frames

    scheduler.step, vae.decode = watched_step, watched_decode
    try:
        yield
    finally:
        del scheduler.step, vae.decode


def _joined(decoded: list[Tensor], overlap: int) -> Frames:
    """Decoded segments `(1, 3, frames, height, width)` in -1..1 as one clip."""
    parts = [part if k == 0 else part[:, :, overlap:] for k, part in enumerate(decoded)]
    clip = to_uint8(torch.cat(parts, dim=2)[0] / 2 + 0.5)
    return np.ascontiguousarray(clip.permute(1, 2, 3, 0).numpy())
