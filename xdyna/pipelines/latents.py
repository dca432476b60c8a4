"""Tensors a clip starts from: normalised conditions and the first noisy latents."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xdyna.schema import Frames

BLUR_RADIUS = 4
BLUR_SIGMA = 18.0


def normalise_clip(frames: Frames) -> Tensor:
    """Scales a control clip to 0..1 by the darkest and brightest value of the whole clip.

    The ControlNets were trained on clips normalised like this. A constant clip carries no control and becomes zeros
    (the official code divides by zero there).

    Args:
        frames: `(num_frames, height, width, 3)` uint8.

    Returns:
        `(num_frames, 3, height, width)` float32.
    """
    return normalise_frames(frames, clip_range(frames))


def clip_range(frames: Frames) -> tuple[int, int]:
    """The darkest and the brightest value of a clip, 0..255."""
    return int(frames.min()), int(frames.max())


def normalise_frames(frames: Frames, limits: tuple[int, int]) -> Tensor:
    """Some frames of a control clip, scaled as `normalise_clip` scales the whole.

    Args:
        frames: `(any number, height, width, 3)` uint8.
        limits: `clip_range` of the clip.

    Returns:
        `(any number, 3, height, width)` float32.
    """
    values, ends = _signed(torch.from_numpy(np.ascontiguousarray(frames))), _signed(torch.tensor(limits))
    low, high = ends.unbind()
    clip = values.permute(0, 3, 1, 2)
    return (clip - low) / (high - low) if limits[0] < limits[1] else torch.zeros_like(clip)


def _signed(levels: Tensor) -> Tensor:
    """0..255 as -1..1."""
    return 2 * (levels.float() / 255) - 1


def blurred(latents: Tensor) -> Tensor:
    """A separable 9-tap Gaussian (sigma 18) over height and width with reflected borders; height and width >= 5."""
    taps = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, dtype=torch.float32)
    kernel = torch.exp(-(taps**2) / (2 * BLUR_SIGMA**2))
    kernel = (kernel / kernel.sum()).to(latents)
    planes = latents.flatten(0, -3)[:, None]
    planes = F.pad(planes, [BLUR_RADIUS] * 4, mode="reflect")
    planes = F.conv2d(planes, (kernel[:, None] * kernel[None, :])[None, None])
    return planes[:, 0].view_as(latents)


def downgraded(reference: Tensor, draw: Tensor) -> Tensor:
    """What the driving frames start from before noise: the reference with a random half of its values blurred.

    Args:
        reference: `(1, channels, 1, height, width)`.
        draw: `(1, channels, num_frames, height, width)` uniform in 0..1; 0.5 and more keeps the sharp latent.

    Returns:
        `(1, channels, num_frames, height, width)`.
    """
    return torch.where(draw >= 0.5, reference.expand_as(draw), blurred(reference).expand_as(draw))
