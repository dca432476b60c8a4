"""A cheap look at any model's latents: a linear map to colours, fitted to the one picture whose latents are known."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xdyna.pipelines.pixels import to_uint8
from xdyna.schema import Frames, Image

RIDGE = 1e-3  # keeps the fit tame where a photo has few colours


class LinearPreview:
    """Maps latents to colours as the photo and its own latents suggest.

    Args:
        latents: `(channels, h, w)` of the photo.
        photo: `(any height, any width, 3)` uint8 RGB, the picture that was encoded.
    """

    def __init__(self, latents: Tensor, photo: Image) -> None:
        known = _with_bias(latents.float().cpu().flatten(1).T)
        pixels = torch.from_numpy(np.ascontiguousarray(photo)).permute(2, 0, 1)[None].float() / 255
        colours = F.adaptive_avg_pool2d(pixels, (latents.shape[-2], latents.shape[-1]))[0].flatten(1).T
        square = known.T @ known
        ridge = RIDGE * square.diagonal().mean() * torch.eye(len(square))
        self.matrix = torch.linalg.solve(square + ridge, known.T @ colours)

    def __call__(self, latents: Tensor) -> Frames:
        """Pictures of clean latents.

        Args:
            latents: `(num_latent_frames, channels, h, w)`.

        Returns:
            `(num_latent_frames, h, w, 3)` uint8 RGB.
        """
        points = _with_bias(latents.float().cpu().permute(0, 2, 3, 1))
        return to_uint8(points @ self.matrix).numpy()


def _with_bias(points: Tensor) -> Tensor:
    """`(..., channels + 1)`: a one behind each point."""
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
