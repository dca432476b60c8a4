"""A cheap look at latents, without the decoder that makes the result."""

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import Tensor

from xdyna.models import PatchAutoencoder
from xdyna.pipelines.pixels import to_uint8
from xdyna.schema import Frames

# Red, green and blue of SD 1.5's four latent channels, in -1..1: a linear fit that is common knowledge among users of
# the model. Approximate: good for shapes and rough colours.
SD_LATENT_RGB = (
    (0.298, 0.207, 0.208),
    (0.187, 0.286, 0.173),
    (-0.158, 0.189, 0.264),
    (-0.184, -0.271, -0.473),
)


@torch.no_grad()
def preview_frames(vae: AutoencoderKL | AutoencoderTiny | PatchAutoencoder, latents: Tensor) -> Frames | None:
    """Pictures of latents: by a tiny autoencoder, else by a linear map.

    Args:
        vae: the autoencoder that the latents belong to, or a tiny one that stands in for it.
        latents: `(1, channels, num_frames, h, w)` as the diffusion model sees them, clean.

    Returns:
        `(num_frames, height, width, 3)` uint8 RGB: of the canvas's size with a tiny autoencoder, and with a
        `PatchAutoencoder`, whose decoder is linear but for a correction; of the latents' size with SD 1.5's; None for
        latents that nobody has a map for.
    """
    frames = latents[0].transpose(0, 1)
    if not isinstance(vae, PatchAutoencoder | AutoencoderTiny) and frames.shape[1] != len(SD_LATENT_RGB):
        return None
    # One by one, so that memory does not grow with the clip.
    return np.concatenate([_preview_frame(vae, frame) for frame in frames.split(1)])


def _preview_frame(vae: AutoencoderKL | AutoencoderTiny | PatchAutoencoder, latent: Tensor) -> Frames:
    latent = latent.float()
    if isinstance(vae, PatchAutoencoder):
        pixels = vae.linear_decoder((latent / vae.config.scaling_factor).to(vae.dtype)).float()
    elif isinstance(vae, AutoencoderTiny):
        pixels = vae.decode((latent / vae.config.scaling_factor).to(vae.dtype)).sample.float()
    else:
        pixels = torch.einsum("nchw,cr->nrhw", latent, latent.new_tensor(SD_LATENT_RGB))
    return to_uint8(pixels / 2 + 0.5).permute(0, 2, 3, 1).numpy()
