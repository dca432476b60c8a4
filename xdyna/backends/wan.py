"""What both versions of Wan-Animate have in common: segments, memory, and a run whose steps are reported."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from xdyna.backends.cost import Work, rates
from xdyna.backends.interface import SLOWER, Backend, Helpers, Limits, Plan, Stop
from xdyna.backends.main_memory import check_main_memory
from xdyna.backends.memory import fitting_mode, gpu_gb
from xdyna.backends.run import Run
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Floats, Frames, Progress
from xdyna.weights import locate, revision

LATENT_STRIDE = 4  # frames of a latent frame, but for a segment's first
ENCODING, DENOISING = "Encoding text, photo and clip", "Denoising"
LIMITS = {"height": Limits(low=64, high=1536, step=16), "width": Limits(low=64, high=1536, step=16)}


@dataclass(frozen=True, kw_only=True)
class WanBackend(Backend):
    """A version of Wan-Animate, run by the pipeline that diffusers has for it.

    Attributes:
        segment_frames: of the clips it was trained on, 4 k + 1.
        weights_gb: most weights on the GPU at one time, by memory mode, in 1e9 bytes.
        reference_gb: memory for what it keeps of the driving clip, for a million pixels of one frame of a segment.
    """

    segment_frames: int
    weights_gb: dict[str, float]
    reference_gb: float = 0.0

    def plan(
        self, settings: AnimationSettings, num_driving_frames: int | None = None, gpu_gb: float | None = None
    ) -> Plan:
        """See `Backend.plan`. Every driving frame gives a frame; a short clip is one segment of its own length."""
        num_frames, known = num_driving_frames or settings.num_frames, rates(self.name)
        length = segment_length(num_frames, self.segment_frames)
        segments = num_segments(num_frames, length)
        work = Work(
            height=settings.height,
            width=settings.width,
            num_frames=num_frames,
            frames_at_once=length,
            num_windows=segments,
            num_steps=settings.num_inference_steps,
            guided=settings.guidance_scale > 1,
        )
        at_once = length * settings.height * settings.width / 1e6
        needs = {
            mode: weights + at_once * (known.work_gb + self.reference_gb) for mode, weights in self.weights_gb.items()
        }
        mode = fitting_mode(self.title, needs, gpu_gb, settings.memory_mode)
        return Plan(
            height=settings.height,
            width=settings.width,
            fps=settings.fps,
            source_index=tuple(range(num_frames)),
            num_windows=segments,
            num_steps=segments * settings.num_inference_steps,
            seconds=work.seconds(known) * SLOWER[mode],
            memory_gb=needs[mode],
            device=known.device,
            measured=known.measured,
            memory_mode=mode,
            warnings=self.warnings(settings),
        )

    def warnings(self, settings: AnimationSettings) -> tuple[str, ...]:
        """Plain sentences about settings that are possible but not what it was trained for."""
        if self.native_fps is None or abs(settings.fps - self.native_fps) < 1:
            return ()
        return (
            f"{self.title} was trained at {self.native_fps:g} frames per second; at {settings.fps:g} it sees the clip "
            "move faster than people do.",
        )

    def load(self, device: str | None = None) -> "WanModel":
        """See `Backend.load`."""
        folder, device = locate(self.name), self.device(device)
        check_main_memory(self.title, [folder], self.weights_gb["full"])
        return WanModel(self, folder, device)

    @abstractmethod
    def open(self, folder: Path, dtype: Any) -> Any:
        """The diffusers pipeline from its folder, on the CPU."""

    @abstractmethod
    def place(self, pipeline: Any, memory_mode: str, device: str) -> None:
        """Sends the pipeline's models to where a run needs them."""

    @abstractmethod
    def call(
        self, pipeline: Any, photo: Any, seen: dict[str, Frames], settings: AnimationSettings, num_frames: int
    ) -> Floats:
        """Makes the clip, `(num_frames, height, width, 3)` in 0..1.

        Args:
            pipeline: on its device.
            photo: PIL picture of the size of the video.
            seen: from `prepare`.
            settings: with the size of the video.
            num_frames: of the video.
        """


class WanModel:
    """A pipeline and the device it is sent to.

    Args:
        backend: what it belongs to.
        folder: of the weights.
        device: where to compute.
    """

    def __init__(self, backend: WanBackend, folder: Path, device: str) -> None:
        self.backend, self.folder, self.device, self.revision = backend, folder, device, revision(folder)
        self.pipeline: Any = None
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
        """Yields a `Progress` per denoising step, then one `Animation`; see `Model.run`."""
        from PIL import Image

        from xdyna.photo import crop_to_aspect
        from xdyna.pipelines.wan_segments import WanStep, photo_preview, stream

        run = Run(self.backend.name, self.revision)
        yield run.progress(ENCODING, 0, 1, timed=False)
        settings = self.backend.at_canvas(settings, conditions)
        self.backend.check(settings)
        plan = self.backend.plan(settings, conditions.num_frames, gpu_gb(self.device))
        self._place(plan.memory_mode)
        seen = self.backend.prepare(conditions, settings)
        photo = crop_to_aspect(conditions.reference_image, conditions.size, conditions.photo_box)
        look = photo_preview(self.pipeline, photo)
        yield run.progress(ENCODING, 1, 1, timed=False)
        steps_done, total = 0, plan.num_steps
        events = stream(
            self.pipeline,
            lambda: self.backend.call(self.pipeline, Image.fromarray(photo), seen, settings, plan.num_frames),
            steps=settings.num_inference_steps,
            segments=plan.num_windows,
            num_frames=plan.num_frames,
            stop=stop,
        )
        for event in events:
            if isinstance(event, WanStep):
                steps_done = event.step
                yield run.progress(DENOISING, steps_done, total, look(event.clean_latents))
            else:
                following = plan.source_index[: len(event.frames)]
                yield run.animation(event.frames, conditions, seen, following, stopped=steps_done < total)

    def _place(self, memory_mode: str) -> None:
        """Opens the pipeline where a run needs it; another memory mode opens it anew."""
        import torch

        if self.pipeline is not None and self.memory_mode == memory_mode:
            return
        on_gpu = self.device.startswith("cuda")
        self.pipeline = None  # two do not fit
        self.pipeline = self.backend.open(self.folder, torch.bfloat16 if on_gpu else torch.float32)
        if on_gpu:
            self.backend.place(self.pipeline, memory_mode, self.device)
        self.memory_mode = memory_mode


def segment_length(num_frames: int, longest: int) -> int:
    """Frames of a segment: the shortest 4 k + 1 that holds a short clip at once, else the longest there is."""
    return min(longest, max(1, -(-(num_frames - 1) // LATENT_STRIDE)) * LATENT_STRIDE + 1)


def num_segments(num_frames: int, length: int, overlap: int = 1) -> int:
    """Segments of a clip, each of which begins with the last frames of the one before."""
    return max(1, -(-(num_frames - overlap) // (length - overlap)))
