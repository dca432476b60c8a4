"""Wan-Animate-2 (arXiv 2608.06009) and its distilled weights: the clip itself drives, without pose or face."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xdyna.backends.interface import Limits
from xdyna.backends.wan import LIMITS, WanBackend, segment_length
from xdyna.config import AnimationSettings
from xdyna.schema import Conditions, Floats, Frames, InputError

COMPONENTS = ("text_encoder", "tokenizer", "image_encoder", "vae", "transformer", "scheduler")
CAPTION_HINT = (
    "Wan-Animate-2 wants a text that says how the person looks and where they are, not what they do: A young woman "
    "with short dark hair in a red coat, in a snowy street."
)


@dataclass(frozen=True, kw_only=True)
class WanAnimate2(WanBackend):
    """Version 2, a modular pipeline of diffusers.

    Attributes:
        log_scale: bias that the weights were trained with, see `FrameAttention`.
    """

    log_scale: float = 0.0

    def warnings(self, settings: AnimationSettings) -> tuple[str, ...]:
        """See `WanBackend.warnings`."""
        return super().warnings(settings) + (() if settings.prompt.strip() else (CAPTION_HINT,))

    def prepare(self, conditions: Conditions, settings: AnimationSettings) -> dict[str, Frames]:
        """The whole clip as it is, not laid onto the photo.

        Raises:
            InputError: there is only a motion file, or the clip cannot be read any more.
        """
        from xdyna.preprocess.letterbox import whole_frames

        clip = whole_frames(conditions)
        if not clip.any():
            raise InputError(
                f"{self.title} looks at the clip itself, and a motion file has no pictures. Give the video, or choose "
                "another model."
            )
        return {"clip": clip}

    def open(self, folder: Path, dtype: Any) -> Any:
        """See `WanBackend.open`. Its attention is replaced by one that needs no compiler."""
        import torch
        from diffusers import ModularPipeline

        from xdyna.pipelines.wan_animate_2 import use_frame_attention

        pipeline = ModularPipeline.from_pretrained(folder, local_files_only=True)
        # The index names the repository that each part was published in: here they all lie together.
        pipeline.load_components(dtype=dtype, pretrained_model_name_or_path=str(folder), local_files_only=True)
        missing = [name for name in COMPONENTS if getattr(pipeline, name, None) is None]
        if missing:  # which is only logged
            raise InputError(
                f"{folder} has no usable {' and no '.join(missing)}. Run `xdyna weights pull {self.name}` again."
            )
        pipeline.vae.to(torch.float32)
        use_frame_attention(pipeline.transformer, self.log_scale)
        return pipeline

    def place(self, pipeline: Any, memory_mode: str, device: str) -> None:
        """See `WanBackend.place`. A modular pipeline cannot offload by itself: its models are taken in groups."""
        import torch
        from diffusers.hooks import apply_group_offloading

        waiting = {
            "full": (),
            "model_offload": ("text_encoder", "image_encoder"),
            "sequential_offload": ("text_encoder", "image_encoder", "transformer"),
        }[memory_mode]
        for name in ("text_encoder", "image_encoder", "vae", "transformer"):
            module = getattr(pipeline, name)
            if name in waiting:
                apply_group_offloading(
                    module,
                    onload_device=torch.device(device),
                    offload_device=torch.device("cpu"),
                    offload_type="block_level" if name == "transformer" else "leaf_level",
                    num_blocks_per_group=1 if name == "transformer" else None,
                )
            else:
                module.to(device)

    def call(
        self, pipeline: Any, photo: Any, seen: dict[str, Frames], settings: AnimationSettings, num_frames: int
    ) -> Floats:
        """See `WanBackend.call`. The pipeline mirrors a clip once at most: a short one is brought to length before."""
        import torch
        from diffusers.guiders import ClassifierFreeGuidance
        from PIL import Image

        from xdyna.preprocess.live_photo import to_and_fro

        length = segment_length(num_frames, self.segment_frames)
        order = to_and_fro(num_frames, max(num_frames, length))
        pipeline.update_components(guider=ClassifierFreeGuidance(guidance_scale=settings.guidance_scale))
        videos = pipeline(
            image=photo,
            driving_video=[Image.fromarray(frame) for frame in seen["clip"][order]],
            prompt=settings.prompt,
            negative_prompt=settings.negative_prompt,
            height=settings.height,
            width=settings.width + 1,  # of both only the area counts: rounded down, it would sometimes lose 16 pixels
            segment_frame_length=length,
            num_inference_steps=settings.num_inference_steps,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="np",
            output="videos",
        )
        return videos[0][:num_frames]


BASE = AnimationSettings(height=800, width=640, num_frames=81, fps=24.0, num_inference_steps=40, guidance_scale=3.0)

WAN_ANIMATE_2 = WanAnimate2(
    name="wan-animate-2",
    title="Wan-Animate-2",
    notice=(
        "Reads the motion off the clip itself, face and hands included; no pose is drawn. The best and the slowest: a "
        "GPU with 80 GB, or 48 GB with weights waiting in 64 GB of main memory."
    ),
    sees="It sees the whole clip as it is: no pose is drawn, and the driver is not laid onto the photo.",
    defaults=BASE,
    needs=frozenset({"pictures", "prompt", "gpu"}),
    options=("num_inference_steps", "guidance_scale", "negative_prompt", "memory_mode"),
    limits={**LIMITS, "guidance_scale": Limits(low=1.0, high=10.0, step=0.1)},
    native_fps=24.0,
    min_gpu_gb=24.0,
    segment_frames=81,
    weights_gb={"full": 46.0, "model_offload": 33.5, "sequential_offload": 2.0},
    # Keys and values of 40 layers, 5120 wide, in half precision, for the 1 / 1024 token that a pixel of a frame is.
    reference_gb=2 * 40 * 5120 * 2 / 1024 / 1e3,
)

WAN_ANIMATE_2_DISTILLED = replace(
    WAN_ANIMATE_2,
    name="wan-animate-2-distilled",
    title="Wan-Animate-2 Distilled",
    notice=(
        "Wan-Animate-2 in 10 steps without guidance: eight times faster, nearly as good. A GPU with 80 GB, or 48 GB "
        "with weights waiting in 64 GB of main memory."
    ),
    defaults=replace(BASE, num_inference_steps=10, guidance_scale=1.0),
    options=("num_inference_steps", "memory_mode"),
    limits=LIMITS,
    log_scale=-1.3,
)
