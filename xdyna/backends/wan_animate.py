"""Wan-Animate (arXiv 2509.14055): animates the photo's person, or puts it into the clip."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from xdyna.backends.interface import PLACING, Limits
from xdyna.backends.wan import LIMITS, WanBackend, segment_length
from xdyna.config import AnimationSettings
from xdyna.schema import Conditions, Floats, Frames, Image, InputError

AUTHORS_PROMPT = "People in the video are doing actions."


class WanAnimate(WanBackend):
    """Version 1, `WanAnimatePipeline`: sees a drawn pose and a square face, to replace also clip and mask."""

    def prepare(self, conditions: Conditions, settings: AnimationSettings) -> dict[str, Frames]:
        """The pose, the faces as squares of 512; to replace, also the clip without its person and where that was.

        Raises:
            InputError: to replace, the person must be known and the clip must have pictures.
        """
        from xdyna.preprocess.draw_wan_animate import draw_wan_animate, replacement_masks, square_faces

        seen = {
            "pose": draw_wan_animate(conditions.pose, conditions.size),
            "face": square_faces(*_faces(conditions)),
        }
        if settings.mode == "replace":
            if conditions.person_masks is None or not conditions.driving_frames.any():
                raise InputError(
                    "To replace a person, the clip itself is needed: a motion file has no pictures. Give the video, "
                    "or choose the mode animate."
                )
            masks = replacement_masks(conditions.person_masks, conditions.size)
            seen["background"] = conditions.driving_frames * (masks == 0)[..., None]
            seen["mask"] = masks[..., None].repeat(3, axis=-1)
        return seen

    def open(self, folder: Path, dtype: Any) -> Any:
        """See `WanBackend.open`. The autoencoder works in single precision."""
        import torch
        from diffusers import WanAnimatePipeline

        pipeline = WanAnimatePipeline.from_pretrained(folder, dtype=dtype, local_files_only=True)
        pipeline.vae.to(torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def place(self, pipeline: Any, memory_mode: str, device: str) -> None:
        """See `WanBackend.place`."""
        pipeline.vae.enable_tiling()
        if memory_mode == "model_offload":
            pipeline.enable_model_cpu_offload(device=device)
        elif memory_mode == "sequential_offload":
            pipeline.enable_sequential_cpu_offload(device=device)
        else:
            pipeline.to(device)

    def call(
        self, pipeline: Any, photo: Any, seen: dict[str, Frames], settings: AnimationSettings, num_frames: int
    ) -> Floats:
        """See `WanBackend.call`."""
        import torch
        from PIL import Image

        clips = {f"{name}_video": [Image.fromarray(frame) for frame in frames] for name, frames in seen.items()}
        output = pipeline(
            image=photo,
            **clips,
            prompt=settings.prompt.strip() or AUTHORS_PROMPT,
            negative_prompt=settings.negative_prompt if settings.guidance_scale > 1 else None,
            mode=settings.mode,
            height=settings.height,
            width=settings.width,
            segment_frame_length=segment_length(num_frames, self.segment_frames),
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="np",
        )
        return output.frames[0]


def _faces(conditions: Conditions) -> tuple[Iterable[Image], Floats]:
    """Where to cut the faces out: of the clip as read, whose faces are not small, where there is one."""
    if conditions.clip is not None and conditions.motion is not None:
        return conditions.clip, conditions.motion.face_landmarks
    return conditions.driving_frames, conditions.face_landmarks


WAN_ANIMATE = WanAnimate(
    name="wan-animate",
    title="Wan-Animate",
    notice=(
        "Real people in good quality; the only one that can also replace the person of a clip. 17 billion parameters: "
        "a GPU with 64 GB, or less with weights waiting in 64 GB of main memory."
    ),
    sees=(
        "It sees the pose, and the face as a square; hatched where no face was found. To replace a person, it also "
        "sees the clip without them, and where that was."
    ),
    defaults=AnimationSettings(
        height=832, width=480, num_frames=77, fps=30.0, num_inference_steps=20, guidance_scale=1.0
    ),
    needs=frozenset({"pose", "face", "pictures", "masks", "gpu"}),
    options=(*PLACING, "num_inference_steps", "guidance_scale", "negative_prompt", "mode", "memory_mode"),
    limits={**LIMITS, "guidance_scale": Limits(low=1.0, high=10.0, step=0.1)},
    native_fps=30.0,
    min_gpu_gb=8.0,
    segment_frames=77,
    weights_gb={"full": 48.0, "model_offload": 35.0, "sequential_offload": 1.0},
)
