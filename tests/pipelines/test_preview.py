"""A look at latents without the decoder."""

import numpy as np
import torch
from diffusers import AutoencoderKL

from xdyna.models import PatchAutoencoder
from xdyna.pipelines.preview import preview_frames


def test_the_patch_autoencoder_shows_pictures_of_the_canvas() -> None:
    torch.manual_seed(0)
    vae = PatchAutoencoder(latent_channels=12, block_out_channels=(8, 8, 8), norm_num_groups=4, scaling_factor=0.5)
    vae.fit(torch.rand(200, 3, 8, 8) * 2 - 1)
    latents = torch.randn(1, 12, 3, 6, 5)
    shown = preview_frames(vae, latents)
    assert shown is not None
    assert (shown.shape, shown.dtype) == ((3, 48, 40, 3), np.uint8)
    # Before training the decoder's correction is zero, so that the linear half is all of it.
    with torch.no_grad():
        decoded = vae.decode(latents[0].transpose(0, 1) / vae.config.scaling_factor).sample
    expected = (decoded.permute(0, 2, 3, 1) / 2 + 0.5).clamp(0, 1).numpy() * 255
    assert np.abs(shown - expected).max() <= 0.51
    assert expected.std() > 5


def test_a_long_clip_takes_no_more_at_once_than_a_short_one() -> None:
    vae = PatchAutoencoder(latent_channels=12, block_out_channels=(8, 8, 8), norm_num_groups=4)
    at_once: list[int] = []
    vae.linear_decoder.register_forward_hook(lambda *call: at_once.append(len(call[-1])))
    assert len(preview_frames(vae, torch.randn(1, 12, 40, 3, 2))) == 40
    assert set(at_once) == {1}


def test_latents_of_sd_are_shown_at_their_own_size() -> None:
    vae = AutoencoderKL(block_out_channels=(4,), norm_num_groups=4)
    latents = torch.zeros(1, 4, 3, 8, 6)
    latents[:, 0, 1], latents[:, 0, 2] = -2, 2  # its first channel is brightness
    grey, dark, bright = preview_frames(vae, latents)
    assert (grey == 128).all()
    assert (dark < 110).all() and (bright > 146).all()
    assert grey.shape == (8, 6, 3)


def test_unknown_latents_have_no_preview() -> None:
    vae = AutoencoderKL(block_out_channels=(4,), norm_num_groups=4, latent_channels=16)
    assert preview_frames(vae, torch.zeros(1, 16, 3, 8, 6)) is None
