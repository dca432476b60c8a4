"""The autoencoder of xdyna-mini."""

from pathlib import Path

import pytest
import torch

from xdyna.training.autoencoder import crops, train_autoencoder


def test_principal_components_alone_already_show_the_picture(tmp_path: Path) -> None:
    vae = train_autoencoder(tmp_path / "vae", steps=5)
    with torch.no_grad():
        pixels = next(crops(seed=5))
        latents = vae.encode(pixels).latent_dist.mode()
        error = (vae.decode(latents).sample - pixels).square().mean()
    assert -10 * torch.log10(error / 4) > 21
    assert float(latents.std() * vae.config.scaling_factor) == pytest.approx(1, abs=0.15)
    assert [path.name for path in tmp_path.iterdir()] == ["vae"]
