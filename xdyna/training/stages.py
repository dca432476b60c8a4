"""A stage of a training run, as data, and which parameters it trains."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from torch import nn

from xdyna.config import REFERENCE_MODES, setting
from xdyna.models.motion_module import ReferenceMotionModule
from xdyna.pipelines import XDynaPipeline
from xdyna.schema import InputError

COMPONENTS = ("unet", "controlnet_pose", "controlnet_face", "resampler", "image_encoder")
"""Components of the pipeline that can be trained."""

REFERENCE_PARTS = {
    "dynamics_adapter": r"unet\..*\.to_(q|out)_ff\.",
    "reference_attention": r"unet\.(?!.*motion_modules).*\.attn1\.to_(q|k|v|out)\.",
    "image_tokens": r"unet\..*\.to_[kv]_ip\.|resampler\.",
}
"""Parameters that carry the photo, by reference mode (paper figure 4)."""
assert set(REFERENCE_PARTS) == set(REFERENCE_MODES)

PARTS = {
    "reference": "",  # one of the above, by the recipe's reference mode
    "motion_modules": r"unet\..*motion_modules\.",
    **{name: rf"{name}\." for name in COMPONENTS},
}
"""What a stage can train: a pattern over `component.parameter` names."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage trains, on what, and for how long.

    Raises:
        InputError: a value is outside its range.
    """

    name: str = setting("", "Name of the stage in logs and pictures.")
    trains: tuple[str, ...] = setting((), f"Parts that are trained, all else is frozen: {', '.join(PARTS)}.")
    steps: int = setting(0, "Optimiser steps; give these or epochs.", low=0, high=10**9)
    epochs: float = setting(0.0, "Passes over the data; give these or steps.", low=0, high=10**6)
    batch_size: int = setting(1, "Clips per optimiser step, over all devices together.", low=1, high=2**16)
    clips_per_device: int = setting(
        1, "Clips a device holds at once; batch_size is reached by accumulation.", low=1, high=512
    )
    num_frames: int = setting(16, "Driving frames per clip.", low=1, high=24)
    learning_rate: float = setting(1e-5, "AdamW's.", low=0, high=1)
    warmup_steps: int = setting(0, "Steps over which the learning rate rises from zero.", low=0, high=10**9)
    decay_steps: int = setting(0, "Last steps, over which it falls to zero.", low=0, high=10**9)
    motion: bool = setting(True, "Motion modules run. Without them the frames of a clip come in any order.")
    face: bool = setting(False, "S-Face runs, on cross-identity face patches (paper section 3.3).")
    face_dropout: float = setting(0.0, "Share of clips whose face patches are withheld.", low=0, high=1)
    scenes: bool = setting(True, "Scene clips are mixed in at the recipe's scene_fraction (paper section 3.4).")

    def __post_init__(self) -> None:
        where = f"stage {self.name!r}"
        if not self.name:
            raise InputError("A stage of the recipe has no name.")
        unknown = [part for part in self.trains if part not in PARTS]
        if unknown or not self.trains:
            got = f"{unknown[0]!r}" if unknown else "nothing"
            raise InputError(f"{where} trains {got}; the parts are {', '.join(PARTS)}.")
        if (self.steps > 0) == (self.epochs > 0):
            raise InputError(f"{where} has steps {self.steps} and epochs {self.epochs:g}: give one of them, above 0.")
        if "controlnet_face" in self.trains and not self.face:
            raise InputError(f"{where} trains controlnet_face, which does not run: add face = true.")
        if "motion_modules" in self.trains and not self.motion:
            raise InputError(f"{where} trains motion_modules, which do not run: remove motion = false.")

    def total_steps(self, epoch_clips: int | None) -> int:
        """Optimiser steps, given the clips of one epoch; None where the data is endless.

        Raises:
            InputError: epochs of endless data.
        """
        if self.steps:
            return self.steps
        if epoch_clips is None:
            raise InputError(f"stage {self.name!r} counts epochs, but this data has no end: give it steps.")
        return ceil(self.epochs * epoch_clips / self.batch_size)

    def accumulation(self, num_processes: int) -> int:
        """Forward passes per optimiser step on each of several devices.

        Raises:
            InputError: the batch cannot be split evenly.
        """
        at_once = self.clips_per_device * num_processes
        if self.batch_size % at_once:
            raise InputError(
                f"stage {self.name!r}: a batch of {self.batch_size} clips cannot be split over {num_processes} "
                f"device(s) with {self.clips_per_device} at once. Make batch_size a multiple of {at_once}, or change "
                "clips_per_device or the number of devices."
            )
        return self.batch_size // at_once

    def learning_rate_at(self, step: int, total: int) -> float:
        """Linear warm-up, then constant, then a linear fall; `step` counts from 0 to `total` - 1."""
        rise = (step + 1) / self.warmup_steps if self.warmup_steps else 1.0
        fall = (total - step) / self.decay_steps if self.decay_steps else 1.0
        return self.learning_rate * min(1.0, rise, fall)


def trainable_components(pipeline: XDynaPipeline) -> dict[str, nn.Module]:
    """The components of a pipeline that can be trained, by name."""
    return {name: getattr(pipeline, name) for name in COMPONENTS}


def select_parameters(
    components: Mapping[str, nn.Module], stage: Stage, reference_mode: str
) -> dict[str, nn.Parameter]:
    """Freezes what the stage does not train and switches the motion modules on or off.

    Args:
        components: see `trainable_components`; modules on the meta device will do.
        stage: says what is trained.
        reference_mode: says what its part "reference" is.

    Returns:
        What it trains, by `component.parameter` name.
    """
    patterns = [PARTS[part] or REFERENCE_PARTS[reference_mode] for part in stage.trains]
    if not stage.motion:
        patterns = [rf"(?!{PARTS['motion_modules']})(?:{pattern})" for pattern in patterns]
    wanted = re.compile("|".join(patterns))
    chosen: dict[str, nn.Parameter] = {}
    for component, module in components.items():
        for name, parameter in module.named_parameters(prefix=component):
            parameter.requires_grad_(wanted.match(name) is not None)
            if parameter.requires_grad:
                chosen[name] = parameter
        module.train(any(parameter.requires_grad for parameter in module.parameters()))
    for module in components["unet"].modules():
        if isinstance(module, ReferenceMotionModule):
            module.enabled = stage.motion
    return chosen
