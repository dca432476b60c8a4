"""The settings of one run. Each field states its default, range and help once; sliders and flags are built from it."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any

SCHEDULERS = ("ddim", "dpm++", "unipc", "euler")


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field whose metadata carries range and help text."""
    metadata = {"help": help, "low": low, "high": high, "step": step, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class AnimationSettings:
    """How to animate. Defaults are those of the official X-Dyna script.

    Raises:
        ValueError: a value is outside its range; the message gives the value and the limit.
    """

    num_inference_steps: int = setting(25, "Denoising steps: more is finer and slower.", low=1, high=100, step=1)
    guidance_scale: float = setting(
        7.5, "Classifier-free guidance. 1 turns it off and halves the work.", low=1.0, high=20.0, step=0.1
    )
    adapter_strength: float = setting(
        1.0, "Dynamics-Adapter: how strongly the photo's appearance is carried over.", low=0.0, high=2.0, step=0.05
    )
    controlnet_pose_scale: float = setting(
        1.0, "How strictly the body follows the clip.", low=0.0, high=2.0, step=0.05
    )
    controlnet_face_scale: float = setting(
        1.0, "How strictly the face follows the clip.", low=0.0, high=2.0, step=0.05
    )
    ip_adapter_scale: float = setting(1.0, "Weight of the photo's image tokens.", low=0.0, high=2.0, step=0.05)
    height: int = setting(
        896, "Height of the video in pixels, a multiple of 8 (64 is best).", low=64, high=1536, step=8
    )
    width: int = setting(512, "Width of the video in pixels, a multiple of 8 (64 is best).", low=64, high=1536, step=8)
    num_frames: int = setting(16, "Frames to make at most; a shorter clip gives fewer.", low=2, high=600, step=1)
    fps: float = setting(
        8.0, "Frames per second taken from the clip and written to the video.", low=1, high=30, step=1
    )
    start_s: float = setting(0.0, "Where in the clip to start, in seconds.", low=0.0, high=3600.0, step=0.1)
    context_frames: int = setting(16, "Frames the model sees at once.", low=2, high=24, step=1)
    context_overlap: int = setting(4, "Frames that neighbouring windows share.", low=0, high=23, step=1)
    seed: int = setting(42, "Same seed, same video on the same machine.", low=0, high=2**31 - 1, step=1)
    prompt: str = setting("", "Text that describes the result.")
    negative_prompt: str = setting("", "Text that describes what to avoid.")
    scheduler: str = setting("ddim", "Sampler.", choices=SCHEDULERS)
    ai_label: bool = setting(True, "Draw a small AI-generated label into the video.")

    def __post_init__(self) -> None:
        for item in fields(self):
            value, low, high = getattr(self, item.name), item.metadata["low"], item.metadata["high"]
            choices = item.metadata["choices"]
            if low is not None and not low <= value <= high:
                raise ValueError(f"{item.name} must be between {low:g} and {high:g}, got {value:g}")
            if choices and value not in choices:
                raise ValueError(f"{item.name} must be one of {', '.join(choices)}, got {value!r}")
        for name in ("height", "width"):
            if getattr(self, name) % 8:
                raise ValueError(f"{name} must be a multiple of 8, got {getattr(self, name)}")
        if self.context_overlap >= self.context_frames:
            raise ValueError(
                f"context_overlap must be below context_frames ({self.context_frames}), got {self.context_overlap}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written beside every result."""
        return asdict(self)
