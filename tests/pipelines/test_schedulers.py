"""What is known about the latents at each step of a sampler."""

import numpy as np
import pytest
import torch

from xdyna.pipelines.schedulers import SAMPLERS, clean_estimate, noise_levels, official_scheduler, with_sampler


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_noise_levels_fall_to_none(sampler: str) -> None:
    scheduler = with_sampler(official_scheduler(), sampler)
    scheduler.set_timesteps(6)
    signal, noise = np.array(noise_levels(scheduler)).T
    assert len(noise) == 7
    assert (np.diff(noise) < 0).all()
    assert (signal[-1], noise[-1]) == (1, 0)
    if sampler == "euler":  # its latents are the clean ones plus noise
        assert (signal == 1).all()
    else:
        assert np.allclose(signal**2 + noise**2, 1, atol=1e-5)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_perfect_prediction_gives_the_clean_latents(sampler: str, prediction_type: str) -> None:
    scheduler = with_sampler(official_scheduler(prediction_type=prediction_type), sampler)
    scheduler.set_timesteps(4)
    generator = torch.Generator().manual_seed(0)
    clean, noise = torch.randn(2, 1, 4, 3, 8, 6, generator=generator)
    alphas = official_scheduler().alphas_cumprod
    for timestep, level in zip(scheduler.timesteps, noise_levels(scheduler)[:-1], strict=True):
        alpha = alphas[int(timestep)]
        velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        prediction = {"epsilon": noise, "v_prediction": velocity, "sample": clean}[prediction_type]
        latents = scheduler.add_noise(clean, noise, timestep[None])
        assert torch.allclose(clean_estimate(latents, prediction, level, prediction_type), clean, atol=1e-3)


def test_an_unknown_prediction_type_is_named() -> None:
    with pytest.raises(ValueError, match="prediction_type must be epsilon, v_prediction or sample, got 'flow'"):
        clean_estimate(torch.zeros(1), torch.zeros(1), (1.0, 0.0), "flow")
