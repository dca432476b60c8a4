"""Samplers for the noise schedule X-Dyna was trained with."""

import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)
from torch import Tensor

SAMPLERS: dict[str, type[SchedulerMixin]] = {
    "ddim": DDIMScheduler,
    "dpm++": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "euler": EulerDiscreteScheduler,
    "lcm": LCMScheduler,  # for weights that were distilled for few steps
}


def official_scheduler(prediction_type: str = "epsilon", timestep_spacing: str = "leading") -> DDIMScheduler:
    """DDIM with linear betas 0.00085 to 0.012 over 1000 steps, leading spacing, offset 1: 25 steps are 961, ..., 1.

    A model of few steps wants "trailing" spacing, which starts from pure noise and ends in one large step.
    """
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="linear",
        steps_offset=1,
        clip_sample=False,
        set_alpha_to_one=True,
        timestep_spacing=timestep_spacing,
        prediction_type=prediction_type,
    )


def with_sampler(scheduler: SchedulerMixin, name: str) -> SchedulerMixin:
    """The same noise schedule under another sampler, a key of `SAMPLERS`."""
    return SAMPLERS[name].from_config(scheduler.config)


def num_skipped_steps(num_inference_steps: int, strength: float) -> int:
    """Return how many of the first steps are left out, as `get_timesteps` of diffusers' video-to-video pipelines does.

    Args:
        num_inference_steps: of the whole schedule.
        strength: the share of the steps that run, in 0..1.
    """
    return max(num_inference_steps - int(num_inference_steps * strength), 0)


def noise_levels(scheduler: SchedulerMixin) -> list[tuple[float, float]]:
    """What latents are made of on entering each step of a set schedule, and at its end: `(1, 0)`.

    Returns:
        `(signal, noise)` amplitudes, one pair more than there are timesteps.
    """
    timesteps = scheduler.timesteps
    ones = torch.ones(len(timesteps), device=timesteps.device)
    signal = scheduler.add_noise(ones, torch.zeros_like(ones), timesteps)
    noise = scheduler.add_noise(torch.zeros_like(ones), ones, timesteps)
    return [*zip(signal.tolist(), noise.tolist(), strict=True), (1.0, 0.0)]


def clean_estimate(latents: Tensor, prediction: Tensor, level: tuple[float, float], prediction_type: str) -> Tensor:
    """What a model takes the clean latents to be, before a step has moved the noisy ones towards it.

    Args:
        latents: that entered the step.
        prediction: of the model for them, guided.
        level: their signal and noise amplitudes, from `noise_levels`.
        prediction_type: "epsilon", "v_prediction" or "sample", as the scheduler's configuration says.

    Raises:
        ValueError: the prediction type is none of these.
    """
    signal, noise = level
    if prediction_type == "epsilon":
        return (latents - noise * prediction) / signal
    if prediction_type == "v_prediction":
        # Velocity is defined where signal^2 + noise^2 = 1; some samplers keep their latents at another size.
        size = (signal**2 + noise**2) ** 0.5
        return signal / size**2 * latents - noise / size * prediction
    if prediction_type == "sample":
        return prediction
    raise ValueError(f"prediction_type must be epsilon, v_prediction or sample, got {prediction_type!r}")
