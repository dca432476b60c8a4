"""X-Dyna and xdyna-mini: the same pipeline with other weights."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from math import ceil
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from xdyna.backends.cost import Rates, Work, rates
from xdyna.backends.interface import PLACING, Backend, Helpers, Plan, Stop
from xdyna.backends.memory import fitting_mode, gpu_gb
from xdyna.backends.puppet import PUPPET
from xdyna.backends.run import Run
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Frames, InputError, Progress
from xdyna.weights import locate, revision

if TYPE_CHECKING:
    from xdyna.pipelines import XDynaPipeline

PHASES = {"denoise": "Denoising", "decode": "Decoding"}
SEES = "What the face control sees: the head above, eyes and mouth below; hatched where no face was found."
RESIDENT: dict[str, dict[str, float]] = {
    "full": {"full": 1.0, "model_offload": 0.5, "sequential_offload": 0.08},
    "float8": {"full": 0.66, "model_offload": 0.25, "sequential_offload": 0.04},
}
"""Share of the networks' memory that is on a GPU at once, by how weights are stored and by memory mode: from the sizes
of the networks, of which UNet and ControlNets have eight bits for a weight in "float8"."""
TINY_DECODER = "taesd"
OPTIONS = (
    *PLACING,
    *("num_inference_steps", "guidance_scale", "adapter_strength", "background_adapter_strength", "reference_mode"),
    *("static_background", "controls_on_person_only", "controlnet_pose_scale", "controlnet_face_scale"),
    *("ip_adapter_scale", "context_frames", "context_overlap", "negative_prompt", "scheduler"),
    *("memory_mode", "window_schedule", "guidance_start", "guidance_end", "reference_cache", "feature_cache_interval"),
    *("windows_at_once", "strength"),
)


class XDyna(Backend):
    """X-Dyna (arXiv 2501.10021): pose and S-Face ControlNets, windows over clips of any length."""

    def plan(
        self, settings: AnimationSettings, num_driving_frames: int | None = None, gpu_gb: float | None = None
    ) -> Plan:
        """See `Backend.plan`."""
        num_frames, known = num_driving_frames or settings.num_frames, rates(self.name)
        work = self.work(settings, num_frames)
        windows = work.num_windows
        # Steps outside the interval of guidance take half as long.
        unguided_s, share = replace(work, guided=False).seconds(known), settings.guidance_end - settings.guidance_start
        start_s = PUPPET.plan(settings, num_frames).seconds if settings.strength < 1 else 0.0
        storage = settings.weight_storage
        needs_gb = {mode: self.memory_gb(work, known, mode, storage) for mode in RESIDENT[storage]}
        mode = fitting_mode(self.title, needs_gb, gpu_gb, settings.memory_mode)
        return Plan(
            height=settings.height,
            width=settings.width,
            fps=settings.fps,
            source_index=tuple(range(num_frames)),
            num_windows=windows,
            num_steps=windows * work.num_steps,
            seconds=start_s + unguided_s + share * (work.seconds(known) - unguided_s),
            memory_gb=needs_gb[mode],
            device=known.device,
            measured=known.measured,
            memory_mode=mode,
        )

    def work(self, settings: AnimationSettings, num_frames: int) -> Work:
        """What a run has to do for a clip of so many frames."""
        return Work(
            height=settings.height,
            width=settings.width,
            num_frames=num_frames,
            frames_at_once=min(num_frames, settings.context_frames),
            num_windows=num_windows(num_frames, settings),
            num_steps=int(settings.num_inference_steps * settings.strength),
            guided=settings.guidance_scale > 1,
            windows_at_once=settings.windows_at_once,
        )

    def memory_gb(self, work: Work, known: Rates, memory_mode: str, weight_storage: str) -> float:
        """Peak memory in 1e9 bytes; all modes but the first run one half of guidance after the other."""
        # A CPU holds the networks in every mode.
        resident = RESIDENT[weight_storage][memory_mode] if "gpu" in self.needs else 1.0
        return work.memory_gb(known, resident, halves_at_once=memory_mode == "full")

    def prepare(self, conditions: Conditions, settings: AnimationSettings) -> dict[str, Frames]:
        """The pose, and the eyes and mouth and the head that the face ControlNet sees."""
        from xdyna.preprocess.controls import draw_controls

        return dict(vars(draw_controls(conditions)))

    def load(self, device: str | None = None) -> "XDynaModel":
        """See `Backend.load`."""
        folder = locate(self.name)
        import torch

        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        return XDynaModel(self, self.open(device), revision(folder), device)

    def open(self, device: str) -> "XDynaPipeline":
        """The pipeline from its folder, on the CPU, in the precision that a device wants."""
        import torch

        from xdyna.pipelines import XDynaPipeline

        # The mini model is stored in half precision and runs in single on a CPU, which computes no faster in half.
        dtype = torch.float16 if device.startswith("cuda") else torch.float32
        pipeline = XDynaPipeline.from_pretrained(locate(self.name), dtype=dtype, local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


class XDynaModel:
    """A pipeline on its device.

    Args:
        backend: what it was loaded from.
        pipeline: on the CPU.
        revision: of its weights.
        device: where to compute.
    """

    def __init__(self, backend: XDyna, pipeline: "XDynaPipeline", revision: str, device: str = "cpu") -> None:
        self.backend, self.pipeline, self.revision, self.device = backend, pipeline, revision, device
        self.memory_mode, self.weight_storage = "", "full"
        self.lock = Lock()

    def run(
        self,
        conditions: Conditions,
        settings: AnimationSettings,
        stop: Stop | None = None,
        unfinished: Path | None = None,
        helpers: Helpers | None = None,
    ) -> Iterator[Progress | Animation]:
        """Yields a `Progress` per window and per decoded frame, then one `Animation`; see `Model.run`."""
        import torch

        from xdyna.photo import crop_to_aspect
        from xdyna.pipelines import XDynaOutput
        from xdyna.pipelines.preview import preview_frames
        from xdyna.pipelines.schedulers import with_sampler

        run = Run(self.backend.name, self.revision)
        yield run.progress("Encoding the photo", 0, 1, timed=False)
        plan = self.backend.plan(settings, conditions.num_frames, gpu_gb(self.device))
        self._place(plan.memory_mode, settings)
        seen = self.backend.prepare(conditions, settings)
        init_video = None if settings.strength == 1 else (yield from _puppet_frames(conditions, settings))
        self.pipeline.scheduler = with_sampler(self.pipeline.scheduler, settings.scheduler)

        def helping(at_most: int) -> list["XDynaPipeline"]:
            models = [model for model in helpers(at_most) if isinstance(model, XDynaModel)] if helpers else []
            for model in models:
                model._place(plan.memory_mode, settings)
            return [model.pipeline for model in models]

        events = self.pipeline.stream(
            image=crop_to_aspect(conditions.reference_image, conditions.size, conditions.photo_box),
            pose_frames=seen["pose"],
            face_local_frames=seen["face_local"],
            face_global_frames=seen["face_global"],
            prompt=settings.prompt,
            negative_prompt=settings.negative_prompt,
            num_inference_steps=settings.num_inference_steps,
            guidance_scale=settings.guidance_scale,
            adapter_strength=settings.adapter_strength,
            controlnet_pose_scale=settings.controlnet_pose_scale,
            controlnet_face_scale=settings.controlnet_face_scale,
            ip_adapter_scale=settings.ip_adapter_scale,
            reference_mode=settings.reference_mode,
            background_adapter_strength=settings.background_adapter_strength,
            controls_on_person_only=settings.controls_on_person_only,
            static_background=settings.static_background,
            person_masks=conditions.person_masks,
            reference_person_mask=conditions.reference_person_mask if conditions.matte is None else conditions.matte,
            context_frames=settings.context_frames,
            context_overlap=settings.context_overlap,
            window_schedule=settings.window_schedule,
            guidance_start=settings.guidance_start,
            guidance_end=settings.guidance_end,
            reference_cache=settings.reference_cache,
            feature_cache_interval=settings.feature_cache_interval,
            init_video=init_video,
            strength=settings.strength,
            generator=torch.Generator().manual_seed(settings.seed),
            unfinished=unfinished,
            helpers=helping,
            output_type="uint8",
        )
        steps_done = 0
        for event in events:
            if isinstance(event, XDynaOutput):
                stopped = steps_done < self.pipeline.num_timesteps
                frames = tuple(range(len(event.frames)))
                uses_matte = settings.static_background or init_video is not None
                yield run.animation(event.frames, conditions, seen, frames, stopped, uses_matte)
                continue  # to the pipeline's end, which removes what it kept for the case of a kill
            clean = event.clean_latents
            preview = None if clean is None else preview_frames(self.pipeline.decoder, clean)
            yield run.progress(PHASES[event.phase], event.step, event.total, preview)
            steps_done = event.denoising_step + 1
            if stop is not None and stop():
                self.pipeline.interrupt = True

    def _place(self, memory_mode: str, settings: AnimationSettings) -> None:
        """Makes the pipeline what a run wants."""
        from diffusers import AutoencoderTiny

        if settings.weight_storage != self.weight_storage:
            self.memory_mode = ""
            if settings.weight_storage == "float8":
                self.pipeline.store_weights_in_float8()
            else:  # what was rounded away is only in the files
                self.pipeline = self.backend.open(self.device)
            self.weight_storage = settings.weight_storage
        if memory_mode != self.memory_mode:
            self.pipeline.set_memory_mode(memory_mode, self.device)
            self.memory_mode = memory_mode
        self.pipeline.memory = replace(self.pipeline.memory, windows_at_once=settings.windows_at_once)
        if settings.decoder == "full":
            self.pipeline.tiny_vae = None
        elif self.pipeline.tiny_vae is None:
            tiny = AutoencoderTiny.from_pretrained(locate(TINY_DECODER), dtype=self.pipeline.vae.dtype)
            self.pipeline.tiny_vae = tiny.to(self.device)


def _puppet_frames(conditions: Conditions, settings: AnimationSettings) -> Generator[Progress, None, Frames]:
    """Yield the progress of Puppet and return its frames, `(num_frames, height, width, 3)` uint8 RGB.

    Raises:
        InputError: Puppet refuses the photo or the clip.
    """
    try:
        for event in PUPPET.load().run(conditions, settings):
            if isinstance(event, Animation):
                return event.video.frames
            yield replace(event, seconds_left=None)
    except InputError as error:
        raise InputError(f"There are no frames of Puppet's to begin from. {error} Or set strength to 1.") from error
    raise AssertionError("a run always ends with its animation")


def num_windows(num_frames: int, settings: AnimationSettings) -> int:
    """Windows of one denoising step: those of `xdyna.pipelines.context`, counted without loading it."""
    if num_frames <= settings.context_frames:
        return 1
    stride = settings.context_frames - settings.context_overlap
    if settings.window_schedule == "open":
        return ceil((num_frames - settings.context_frames) / stride) + 1  # one more at some steps
    return ceil(num_frames / stride)


OFFICIAL = AnimationSettings()

XDYNA = XDyna(
    name="xdyna",
    title="X-Dyna",
    notice="The official X-Dyna weights. Real people, 512 x 896, on a GPU with 20 GB or more.",
    sees=SEES,
    defaults=OFFICIAL,
    needs=frozenset({"pose", "face", "gpu"}),
    options=(*OPTIONS, "weight_storage", "decoder"),
    resumes=True,
    spreads=True,
    min_gpu_gb=20.0,
)

XDYNA_MINI = XDyna(
    name="xdyna-mini",
    title="xdyna-mini",
    notice=(
        "Small demo model, trained on drawn characters, 128 x 224. It shows every part of X-Dyna on any CPU, "
        "but blurs real photos: for those choose Puppet, or run `xdyna weights pull` on a machine with a GPU."
    ),
    sees=SEES,
    defaults=replace(OFFICIAL, height=224, width=128, num_inference_steps=3, guidance_scale=1.0),
    needs=frozenset({"pose", "face"}),
    options=OPTIONS,
    resumes=True,
    spreads=True,
    drawn_only=True,
)
