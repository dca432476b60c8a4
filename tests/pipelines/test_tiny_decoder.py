"""A tiny autoencoder in the place of the large one: for the preview and for the result, an approximation."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderTiny
from tiny import randomise, tiny_pipeline

from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.preview import preview_frames

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
POSE = RNG.integers(0, 256, (3, 64, 48, 3), dtype=np.uint8)


def tiny_vae(latent_channels: int = 4) -> AutoencoderTiny:
    """Of TAESD's shape, with fewer and random channels."""
    torch.manual_seed(0)
    widths: dict[str, Any] = dict.fromkeys(("encoder_block_out_channels", "decoder_block_out_channels"), (8, 8, 8, 8))
    made = AutoencoderTiny(
        num_encoder_blocks=(1, 1, 1, 1), num_decoder_blocks=(1, 1, 1, 1), latent_channels=latent_channels, **widths
    ).eval()
    randomise(made)
    return made


@pytest.fixture
def pipeline() -> XDynaPipeline:
    return tiny_pipeline()


def run(pipeline: XDynaPipeline, **changes: Any) -> Any:
    arguments = {"num_inference_steps": 1, "generator": torch.Generator().manual_seed(7)} | changes
    return pipeline(IMAGE, POSE, **arguments).frames


def test_it_decodes_the_same_latents(pipeline: XDynaPipeline) -> None:
    latents, full = run(pipeline, output_type="latent"), run(pipeline)
    calls: list[int] = []
    pipeline.vae.decoder.register_forward_pre_hook(lambda *_: calls.append(1))
    pipeline.tiny_vae = tiny_vae()
    assert torch.equal(run(pipeline, output_type="latent"), latents)
    got = run(pipeline)
    assert calls == []
    assert got.shape == full.shape == (3, 64, 48, 3) and not np.array_equal(got, full)
    with torch.no_grad():
        decoded = pipeline.tiny_vae.decode(latents[0].transpose(0, 1)).sample
    expected = (decoded / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    assert 0 <= got.min() < got.max() <= 1
    assert np.allclose(got, expected, atol=1e-5)


def test_the_preview_is_what_it_decodes(pipeline: XDynaPipeline) -> None:
    pipeline.tiny_vae = tiny_vae()
    latents, frames = run(pipeline, output_type="latent"), run(pipeline, output_type="uint8")
    preview = preview_frames(pipeline.decoder, latents)
    assert preview is not None and preview.shape == frames.shape
    assert np.abs(preview.astype(int) - frames).max() <= 1
    assert preview.std() > 1


def test_one_for_other_latents_is_refused(pipeline: XDynaPipeline) -> None:
    pipeline.tiny_vae = tiny_vae(latent_channels=16)
    with pytest.raises(ValueError, match="must decode latents of 4 channels, got one for 16"):
        run(pipeline)
