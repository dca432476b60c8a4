"""What can be wrong with the arguments of the X-Dyna pipeline. Messages give the value and the limit."""

from collections.abc import Mapping, Sequence

import numpy as np
from diffusers import AutoencoderTiny

from xdyna.models import XDynaUNet
from xdyna.pipelines.schedulers import num_skipped_steps
from xdyna.schema import Floats, Frames

MIN_LATENT_SIZE = 5  # the blur of the first latents reflects four pixels


def check_clips(height: int, width: int, clips: Mapping[str, Frames | None], factor: int) -> None:
    """Refuses clips whose size the networks cannot make, or that do not belong together.

    Args:
        height: of the result.
        width: of the result.
        clips: control clips by the name of their argument; those of the face come together.
        factor: pixels per latent cell.

    Raises:
        ValueError: always with value and limit.
    """
    for name, value in (("height", height), ("width", width)):
        if value % factor or value < MIN_LATENT_SIZE * factor:
            raise ValueError(
                f"{name} must be a multiple of {factor}, at least {MIN_LATENT_SIZE * factor}, got {value}"
            )
    lengths = {name: len(clip) for name, clip in clips.items() if clip is not None}
    if len(set(lengths.values())) > 1 or min(lengths.values()) < 1:
        raise ValueError(f"all control clips must have the same number of frames, at least 1, got {lengths}")
    for name, clip in clips.items():
        if clip is not None and (clip.shape[1:] != (height, width, 3) or clip.dtype != np.uint8):
            raise ValueError(f"{name} must be (num_frames, {height}, {width}, 3) uint8, got {clip.shape} {clip.dtype}")
    if (clips["face_local_frames"] is None) != (clips["face_global_frames"] is None):
        raise ValueError("face_local_frames and face_global_frames belong together: give both or neither")


def check_start(strength: float, num_inference_steps: int, given: bool) -> None:
    """Refuse a strength that leaves no step, or that has nothing to begin from.

    Args:
        strength: the share of the steps that run.
        num_inference_steps: of the whole schedule.
        given: whether there is a clip or latents to begin from.

    Raises:
        ValueError: always with value and limit.
    """
    if not 0 < strength <= 1:
        raise ValueError(f"strength must be above 0 and at most 1, got {strength:g}")
    if num_skipped_steps(num_inference_steps, strength) == num_inference_steps:
        raise ValueError(
            f"strength must leave at least one of the {num_inference_steps} steps, so at least "
            f"1/{num_inference_steps}, got {strength:g}"
        )
    if strength < 1 and not given:
        raise ValueError(f"init_video, which a strength of {strength:g} begins from, is missing")


def check_masks(person_masks: Floats | None, num_frames: int, needed_by: Sequence[str]) -> None:
    """Refuses masks that are missing where an argument needs them, or do not fit the clip.

    Raises:
        ValueError: always with value and limit.
    """
    if person_masks is None:
        if needed_by:
            raise ValueError(f"person_masks, which say where the person is, are needed for {', '.join(needed_by)}")
    elif person_masks.ndim != 3 or len(person_masks) != num_frames:
        raise ValueError(f"person_masks must be ({num_frames}, height, width), got {person_masks.shape}")
    elif not 0 <= person_masks.min() <= person_masks.max() <= 1:
        raise ValueError(f"person_masks must lie in 0..1, got {person_masks.min():g} to {person_masks.max():g}")


def check_decoder(tiny_vae: AutoencoderTiny | None, unet: XDynaUNet) -> None:
    """Refuses a tiny decoder for other latents than the model's."""
    if tiny_vae is not None and tiny_vae.config.latent_channels != unet.config.in_channels:
        raise ValueError(
            f"tiny_vae must decode latents of {unet.config.in_channels} channels, got one for "
            f"{tiny_vae.config.latent_channels}"
        )


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Refuses a word that is not among the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_range(name: str, value: float, low: float, high: float | None = None, hint: str = "") -> None:
    """Refuses a number outside `low <= value <= high`; without `high` there is no upper end."""
    if high is None and not value >= low:
        raise ValueError(f"{name} must be at least {low:g}{hint}, got {value:g}")
    if high is not None and not low <= value <= high:
        raise ValueError(f"{name} must be between {low:g} and {high:g}{hint}, got {value:g}")
