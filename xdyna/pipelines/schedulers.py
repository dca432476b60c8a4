"""Samplers for the noise schedule X-Dyna was trained with."""

from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    SchedulerMixin,
    UniPCMultistepScheduler,
)

SAMPLERS: dict[str, type[SchedulerMixin]] = {
    "ddim": DDIMScheduler,
    "dpm++": DPMSolverMultistepScheduler,
    "unipc": UniPCMultistepScheduler,
    "euler": EulerDiscreteScheduler,
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
