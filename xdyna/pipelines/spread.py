"""The windows of a step on several devices."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import torch
from torch import Tensor

from xdyna.pipelines.controls import Windows
from xdyna.pipelines.denoiser import Denoiser


def predict_together(
    denoisers: Sequence[Denoiser], step: int, latents: Tensor, windows: Windows, guided: bool = True, first: int = 0
) -> Iterator[tuple[Windows, Tensor]]:
    """As `Denoiser.predict`, by several at the same time: the same within float tolerance.

    Each takes windows that are neighbours, so that few of the frames which windows share run through the ControlNets
    twice. Closing the iterator waits for what has begun.

    Args:
        denoisers: of one run, each on a device of its own; the first, where the latents are, decides how much is done
            at once.
        step: see `Denoiser.predict`.
        latents: likewise.
        windows: likewise.
        guided: likewise.
        first: likewise.

    Yields:
        As `Denoiser.predict`, in the order of the windows, on the device of the latents.
    """
    parts = split(windows, len(denoisers), denoisers[0].memory.windows_at_once)
    if len(parts) == 1:
        yield from denoisers[0].predict(step, latents, windows, guided, first)
        return
    with ThreadPoolExecutor(len(parts)) as threads:
        begun, start = [], 0
        for denoiser, part in zip(denoisers, parts, strict=False):
            done = min(max(first - start, 0), len(part))
            if done < len(part):
                begun.append(threads.submit(_predicted, denoiser, step, latents, part, guided, done))
            start += len(part)
        for work in begun:
            yield from work.result()


def split(windows: Windows, num_parts: int, at_once: int = 1) -> list[Windows]:
    """Windows in at most `num_parts` parts of about equal length, in order; groups of `at_once` stay together."""
    groups = -(-len(windows) // at_once)
    number = min(num_parts, groups)
    bounds = [groups * k // number * at_once for k in range(number + 1)]
    return [windows[start:end] for start, end in pairwise(bounds)]


@torch.no_grad()  # which is a thread's own
def _predicted(
    denoiser: Denoiser, step: int, latents: Tensor, windows: Windows, guided: bool, first: int
) -> list[tuple[Windows, Tensor]]:
    here = latents.to(denoiser.reference.device)
    predictions = denoiser.predict(step, here, windows, guided, first)
    return [(group, prediction.to(latents.device)) for group, prediction in predictions]
