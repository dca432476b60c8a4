"""What follows from knowing where the person is, on the grid of the latents."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xdyna.schema import Floats


def latent_masks(masks: Floats, like: Tensor) -> Tensor:
    """Masks `(num_frames, any height, any width)` as `(num_frames, h, w)` of the latents `like` `(..., h, w)`."""
    planes = torch.from_numpy(np.ascontiguousarray(masks, np.float32))[:, None]
    return F.interpolate(planes, like.shape[-2:], mode="area")[:, 0].to(like)


def on_person(residuals: list[Tensor], person_masks: Tensor) -> list[Tensor]:
    """ControlNet residuals faded out where no person is.

    The paper (section 3.4) trains on scenes with blank controls so that the blank part of a control map leaves the
    background alone; this makes sure of it at run time, also with weights that were not trained so.

    Args:
        residuals: `(batch * num_frames, channels, height, width)` each, of any resolution.
        person_masks: `(num_frames, h, w)` in 0..1.
    """
    planes = person_masks[:, None]
    weights = {size: F.interpolate(planes, size, mode="area") for size in {r.shape[-2:] for r in residuals}}
    num_frames = len(person_masks)
    return [(r.unflatten(0, (-1, num_frames)) * weights[r.shape[-2:]]).flatten(0, 1) for r in residuals]


class StaticBackground:
    """The reference, put back around the person before the first and after every step, noised to that step's level.

    An imitation of what methods that disentangle or freeze the background show (paper section 3.1, figure 3 b), for
    comparison; X-Dyna itself does nothing of the kind. After the last step the background is the encoded reference.

    Args:
        reference: `(1, channels, 1, h, w)`.
        noise: `(1, channels, num_frames, h, w)`, standard normal; best the one that the clip starts from.
        generated: `(num_frames, h, w)` in 0..1: 1 where the model's own result stays.
    """

    def __init__(self, reference: Tensor, noise: Tensor, generated: Tensor) -> None:
        self.reference, self.noise, self.generated = reference, noise, generated

    def restore(self, latents: Tensor, level: tuple[float, float]) -> Tensor:
        """`(1, channels, num_frames, h, w)` latents of a level of `schedulers.noise_levels`, with the background."""
        signal, noise = level
        return torch.lerp(signal * self.reference + noise * self.noise, latents, self.generated)
