"""DynamiCtrl: pose-driven animation with text control on CogVideoX 1.5."""

from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from xdyna.backends.cost import Work, rates
from xdyna.backends.interface import PHOTO_POSE, PLACING, SLOWER, Backend, Helpers, Limits, Plan, Stop
from xdyna.backends.main_memory import check_main_memory
from xdyna.backends.memory import gpu_gb
from xdyna.backends.run import Run
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Frames, Progress
from xdyna.weights import locate, revision

if TYPE_CHECKING:
    from xdyna.pipelines import DynamiCtrlPipeline

PHASES = {"encode": "Encoding text, photo and pose", "denoise": "Denoising", "decode": "Decoding"}
GB_PER_GIB = 1.073741824


class DynamiCtrl(Backend):
    """DynamiCtrl (arXiv 2503.21246): one clip of 8 k + 5 frames, the first in the photo's own pose."""

    def plan(
        self, settings: AnimationSettings, num_driving_frames: int | None = None, gpu_gb: float | None = None
    ) -> Plan:
        """See `Backend.plan`. A clip that is too short for the frames wanted gives the most that it has."""
        from xdyna.pipelines import dynamictrl_plan

        num_frames, shorter = settings.num_frames, tuple[str, ...]()
        dynamictrl_plan.check_num_frames(num_frames)
        if num_driving_frames is not None and num_driving_frames + 1 < num_frames:
            num_frames = dynamictrl_plan.largest_num_frames(num_driving_frames + 1)
            shorter = (f"The clip has {num_driving_frames} frames, enough for {num_frames} of {settings.num_frames}.",)
        own = dynamictrl_plan.plan(
            height=settings.height,
            width=settings.width,
            num_frames=num_frames,
            prompt=settings.prompt,
            gpu_gib=None if gpu_gb is None else gpu_gb / GB_PER_GIB,
            memory_mode=None if settings.memory_mode == "auto" else settings.memory_mode,
        )
        known = rates(self.name)
        work = Work(
            height=own.height,
            width=own.width,
            num_frames=num_frames,
            frames_at_once=num_frames,
            num_windows=1,
            num_steps=settings.num_inference_steps,
            guided=settings.guidance_scale > 1,
        )
        return Plan(
            height=own.height,
            width=own.width,
            fps=settings.fps,
            source_index=(PHOTO_POSE, *range(own.num_driving_frames)),
            num_windows=1,
            num_steps=settings.num_inference_steps,
            seconds=work.seconds(known) * SLOWER[own.memory_mode],
            memory_gb=own.peak_gib * GB_PER_GIB,
            device=known.device,
            measured=known.measured and own.memory_mode == "full",
            memory_mode=own.memory_mode,
            warnings=(*shorter, *own.notices),
        )

    def prepare(self, conditions: Conditions, settings: AnimationSettings) -> dict[str, Frames]:
        """The pose in DynamiCtrl's style: first the photo's own, then the driver's."""
        from xdyna.preprocess.draw_dynamictrl import draw_dynamictrl
        from xdyna.preprocess.live_photo import photo_landmarks
        from xdyna.preprocess.pose import concatenate

        used = self.plan(self.at_canvas(settings, conditions), conditions.num_frames).num_frames - 1
        pose = concatenate([conditions.reference_pose, conditions.pose[:used]])
        faces = np.concatenate([photo_landmarks(conditions)[None], conditions.face_landmarks[:used]])
        return {"pose": draw_dynamictrl(pose, faces, conditions.size)}

    def load(self, device: str | None = None) -> "DynamiCtrlModel":
        """See `Backend.load`."""
        folder = locate(self.name)
        import torch

        from xdyna.pipelines.dynamictrl_plan import MEMORY_MODES
        from xdyna.pipelines.dynamictrl_release import load_release

        device = self.device(device)
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        base = folder.with_name(f"{folder.name}-base")
        check_main_memory(self.title, [folder, base], MEMORY_MODES["full"].weights_gib * GB_PER_GIB)
        pipeline = load_release(folder, base if base.is_dir() else None, dtype)
        pipeline.set_progress_bar_config(disable=True)
        return DynamiCtrlModel(self, pipeline, revision(folder), device)


class DynamiCtrlModel:
    """A pipeline and the device it is sent to.

    Args:
        backend: what it was loaded from.
        pipeline: on the CPU.
        revision: of its weights.
        device: where to compute.
    """

    def __init__(self, backend: DynamiCtrl, pipeline: "DynamiCtrlPipeline", revision: str, device: str) -> None:
        self.backend, self.pipeline, self.revision, self.device = backend, pipeline, revision, device
        self.memory_mode = ""
        self.lock = Lock()

    def run(
        self,
        conditions: Conditions,
        settings: AnimationSettings,
        stop: Stop | None = None,
        unfinished: Path | None = None,
        helpers: Helpers | None = None,
    ) -> Iterator[Progress | Animation]:
        """Yields a `Progress` per encoding, step and decoding, then one `Animation`; see `Model.run`."""
        import torch

        from xdyna.photo import crop_to_aspect
        from xdyna.pipelines import DynamiCtrlOutput
        from xdyna.pipelines.linear_preview import LinearPreview

        run = Run(self.backend.name, self.revision)
        plan = self.backend.plan(
            self.backend.at_canvas(settings, conditions), conditions.num_frames, gpu_gb(self.device)
        )
        yield run.progress(PHASES["encode"], 0, 3, timed=False)
        self._place(plan.memory_mode)
        seen = self.backend.prepare(conditions, settings)
        photo = crop_to_aspect(conditions.reference_image, conditions.size, conditions.photo_box)
        events = self.pipeline.stream(
            image=photo,
            pose_frames=seen["pose"],
            prompt=settings.prompt,
            negative_prompt=settings.negative_prompt,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            generator=torch.Generator().manual_seed(settings.seed),
            output_type="uint8",
        )
        steps_done, look = 0, None
        for event in events:
            if isinstance(event, DynamiCtrlOutput):
                stopped = steps_done < settings.num_inference_steps
                yield run.animation(event.frames, conditions, seen, plan.source_index, stopped)
                return
            clean = event.clean_latents
            if event.phase == "encode" and clean is not None:
                look = LinearPreview(clean[0, 0], photo)
            steps_done = event.step if event.ends_denoising_step else steps_done
            preview = look(clean[0]) if look and clean is not None and event.ends_denoising_step else None
            yield run.progress(PHASES[event.phase], event.step, event.total, preview, timed=event.phase == "denoise")
            if stop is not None and stop():
                self.pipeline.interrupt = True

    def _place(self, memory_mode: str) -> None:
        """Sends the models to where a run needs them."""
        if self.memory_mode == memory_mode:
            return
        if not self.device.startswith("cuda"):
            memory_mode = "full"  # nothing to save on a CPU
        self.pipeline.remove_all_hooks()
        self.pipeline.set_memory_mode(memory_mode, self.device)
        self.memory_mode = memory_mode


DYNAMICTRL = DynamiCtrl(
    name="dynamictrl",
    title="DynamiCtrl",
    notice=(
        "Follows the pose and a text that describes photo and place, 768 x 1360, 37 frames. On a GPU with 32 GB, or "
        "24 GB with one model at a time. Weights Apache-2.0 on a base with conditions for commercial use."
    ),
    sees="It sees the pose, with dots for the face; the first frame is the photo's own pose.",
    defaults=AnimationSettings(
        height=1360, width=768, num_frames=37, fps=16.0, num_inference_steps=25, guidance_scale=3.0
    ),
    needs=frozenset({"pose", "prompt", "gpu"}),
    options=(*PLACING, "num_inference_steps", "guidance_scale", "negative_prompt", "memory_mode"),
    limits={
        "height": Limits(low=64, high=1536, step=16),
        "width": Limits(low=64, high=1536, step=16),
        "num_frames": Limits(low=5, high=85, step=8),
        "guidance_scale": Limits(low=1.0, high=20.0, step=0.1),
    },
    min_gpu_gb=12.0,
)
