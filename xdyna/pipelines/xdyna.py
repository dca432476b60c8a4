"""The X-Dyna pipeline."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, DiffusionPipeline, LCMScheduler
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image as PILImage
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from xdyna.models import PatchAutoencoder, Resampler, XDynaUNet
from xdyna.models.condition_embedding import AheadConditionEmbedding
from xdyna.photo import crop_to_aspect
from xdyna.pipelines.approximations import Approximations, approximations
from xdyna.pipelines.content_cache import ContentCache, Key, content_hash, weights_key
from xdyna.pipelines.context import SCHEDULES, context_windows, open_windows
from xdyna.pipelines.controls import Control, Windows
from xdyna.pipelines.denoiser import Denoiser, WindowBlend
from xdyna.pipelines.latents import downgraded
from xdyna.pipelines.memory import MEMORY_MODES, place, store_in_float8
from xdyna.pipelines.person import StaticBackground, latent_masks
from xdyna.pipelines.schedulers import clean_estimate, noise_levels, num_skipped_steps
from xdyna.pipelines.spread import predict_together
from xdyna.pipelines.unfinished import UnfinishedRun, run_key
from xdyna.pipelines.xdyna_inputs import (
    check_choice,
    check_clips,
    check_decoder,
    check_masks,
    check_range,
    check_start,
)
from xdyna.schema import Floats, Frames, Image

Helpers = Callable[[int], Sequence["XDynaPipeline"]]

CACHE_BYTES = 2**30  # what is kept from one run for the next: encodings and embedded clips


@dataclass
class XDynaOutput(BaseOutput):
    """Result of the pipeline.

    Attributes:
        frames: `(num_frames, height, width, 3)` float32 in 0..1, or uint8 for `output_type="uint8"`, a quarter of the
            memory; or latents `(1, channels, num_frames, height / 8, width / 8)` for `output_type="latent"`.
    """

    frames: Any


@dataclass(frozen=True, kw_only=True)
class XDynaStep:
    """One unit of finished work.

    Attributes:
        phase: "denoise" (one window of one step) or "decode" (one frame).
        step: finished units, 1..total.
        total: units of this phase.
        denoising_step: index of the current denoising step, among those that run.
        latents: the clip so far; they change once per denoising step.
        noise_prediction: guided prediction of a step that has just ended, else None.
        clean_latents: what that prediction takes the finished clip to be, else None; `preview_frames` shows it.
    """

    phase: str
    step: int
    total: int
    denoising_step: int
    latents: Tensor
    noise_prediction: Tensor | None = None
    clean_latents: Tensor | None = None

    @property
    def ends_denoising_step(self) -> bool:
        """Whether the latents have just changed."""
        return self.noise_prediction is not None


class XDynaPipeline(DiffusionPipeline):
    """Animates a reference image with a pose clip and face patches (paper section 3).

    Args:
        vae: encodes the reference, decodes the result.
        unet: `XDynaUNet`.
        controlnet_pose: reads the drawn pose, 3 channels.
        controlnet_face: S-Face, reads local and global face patches, 6 channels.
        scheduler: any of diffusers' first-order samplers; the official one is DDIM with linear betas.
        resampler: makes image tokens from CLIP features.
        image_encoder: CLIP vision model.
        feature_extractor: CLIP's picture processor.
        text_encoder: CLIP text model; a model without one ignores the prompt.
        tokenizer: belongs to the text encoder.

    Attributes:
        tiny_vae: decodes in the place of `vae` unless it is None, such as
            `AutoencoderTiny.from_pretrained("madebyollin/taesd")`: faster, and an approximation. The caller puts it on
            the device.
    """

    model_cpu_offload_seq = "text_encoder->image_encoder->resampler->controlnet_pose->controlnet_face->unet->vae"
    _optional_components: ClassVar[list[str]] = ["text_encoder", "tokenizer"]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents"]

    def __init__(
        self,
        vae: AutoencoderKL | PatchAutoencoder,
        unet: XDynaUNet,
        controlnet_pose: ControlNetModel,
        controlnet_face: ControlNetModel,
        scheduler: KarrasDiffusionSchedulers,
        resampler: Resampler,
        image_encoder: CLIPVisionModelWithProjection,
        feature_extractor: CLIPImageProcessor,
        text_encoder: CLIPTextModel | None = None,
        tokenizer: CLIPTokenizer | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            unet=unet,
            controlnet_pose=controlnet_pose,
            controlnet_face=controlnet_face,
            scheduler=scheduler,
            resampler=resampler,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
        )
        for controlnet in (controlnet_pose, controlnet_face):
            AheadConditionEmbedding.convert(controlnet)
        self.cache = ContentCache(CACHE_BYTES)
        self.memory = MEMORY_MODES["full"]
        self.tiny_vae: AutoencoderTiny | None = None
        self.vae_scale_factor = 8  # of SD 1.5's autoencoder and of every one that stands in for it
        self._interrupt = False
        self._num_timesteps = 0

    @property
    def num_timesteps(self) -> int:
        """Return the number of denoising steps of the last run: fewer than asked for below a strength of 1."""
        return self._num_timesteps

    @property
    def interrupt(self) -> bool:
        """Set to True to stop after the current denoising step: its estimate of the finished clip is returned."""
        return self._interrupt

    @interrupt.setter
    def interrupt(self, value: bool) -> None:
        self._interrupt = value

    def set_memory_mode(self, name: str, device: torch.device | str) -> None:
        """Puts the networks where a memory mode wants them; the result stays the same.

        Args:
            name: a key of `xdyna.pipelines.memory.MEMORY_MODES`.
            device: that computes.

        Raises:
            ValueError: there is no such mode.
        """
        check_choice("memory mode", name, tuple(MEMORY_MODES))
        self.memory = MEMORY_MODES[name]
        self.cache.max_bytes = int(CACHE_BYTES * self.memory.cache_share)
        self.cache.clear()
        place(self, self.memory, device)

    def store_weights_in_float8(self) -> None:
        """Halves the memory of UNet and ControlNets by rounding, see `xdyna.pipelines.memory.store_in_float8`.

        Networks move to the CPU; `set_memory_mode` puts them where they compute. What was cached is forgotten.
        """
        place(self, MEMORY_MODES["full"], "cpu")
        for network in (self.unet, self.controlnet_pose, self.controlnet_face):
            store_in_float8(network)
        self.cache.clear()

    @property
    def decoder(self) -> AutoencoderKL | AutoencoderTiny | PatchAutoencoder:
        """What turns latents into pictures."""
        return self.vae if self.tiny_vae is None else self.tiny_vae

    def encode_prompt(self, prompt: str) -> Tensor:
        """Text tokens `(1, 77, dim)`; without a text encoder one zero token, which attention ignores."""
        if self.text_encoder is None:
            return torch.zeros(1, 1, self.unet.config.cross_attention_dim, dtype=self.unet.dtype, device=self._device)
        ids = self.tokenizer(
            prompt,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return self.text_encoder(ids.to(self._device))[0].to(self.unet.dtype)

    def encode_image(self, image: Image) -> tuple[Tensor, Tensor]:
        """Image tokens `(1, num_image_tokens, dim)`: of no picture (all-zero pixels), and of the picture."""
        pixels = self.feature_extractor(images=PILImage.fromarray(image), return_tensors="pt").pixel_values
        pixels = pixels.to(self._device, self.image_encoder.dtype)
        features = self.image_encoder(
            torch.cat([torch.zeros_like(pixels), pixels]), output_hidden_states=True
        ).hidden_states[-2]
        negative, positive = self.resampler(features.to(self.resampler.dtype)).to(self.unet.dtype).chunk(2)
        return negative, positive

    def encode_reference(self, image: Image, height: int, width: int) -> Tensor:
        """Moments of the cropped picture's latent, `(1, 2 * channels, height / 8, width / 8)`."""
        pixels = torch.from_numpy(crop_to_aspect(image, (height, width))).permute(2, 0, 1)[None]
        pixels = (pixels.float() / 127.5 - 1).to(self._device, self.vae.dtype)
        return self.vae.encode(pixels).latent_dist.parameters

    def sample_reference(self, moments: Tensor, generator: torch.Generator | None) -> Tensor:
        """A latent from its moments, `(1, channels, 1, height / 8, width / 8)`: the official code takes no mean."""
        sample = DiagonalGaussianDistribution(moments).sample(generator)
        return self.scale_latents(sample).to(self.unet.dtype)

    def scale_latents(self, sample: Tensor) -> Tensor:
        """One VAE sample `(1, channels, h, w)` as the diffusion model sees it, `(1, channels, 1, h, w)`."""
        return (sample * self.vae.config.scaling_factor)[:, :, None]

    def prepare_latents(self, reference: Tensor, draw: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """First latents of the driving frames: the downgraded reference, noised to the first timestep.

        Args:
            reference: `(1, channels, 1, h, w)`.
            draw: `(1, channels, num_frames, h, w)` uniform in 0..1.
            noise: the same shape, standard normal.
            timestep: scalar, the first of the schedule.
        """
        return self.scheduler.add_noise(downgraded(reference, draw), noise, timestep[None])

    def encode_video(self, frames: Frames, generator: torch.Generator | None) -> Tensor:
        """Return a sample of a clip's latents, `(1, channels, num_frames, h, w)`, frame by frame as diffusers does.

        Args:
            frames: `(num_frames, height, width, 3)` uint8 RGB.
            generator: draws the sample.
        """
        height, width = frames.shape[1:3]
        return torch.cat(
            [self.sample_reference(self.encode_reference(frame, height, width), generator) for frame in frames], dim=2
        )

    def decode_frame(self, latent: Tensor) -> np.ndarray:
        """One latent `(1, channels, h, w)` as `(height, width, 3)` float32 in 0..1."""
        decoder = self.decoder
        pixels = decoder.decode((latent / decoder.config.scaling_factor).to(decoder.dtype)).sample
        return (pixels / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0).float().cpu().numpy()

    @torch.no_grad()
    def stream(
        self,
        image: Image,
        pose_frames: Frames,
        face_local_frames: Frames | None = None,
        face_global_frames: Frames | None = None,
        prompt: str = "",
        negative_prompt: str = "",
        num_inference_steps: int = 25,
        guidance_scale: float = 7.5,
        adapter_strength: float = 1.0,
        controlnet_pose_scale: float = 1.0,
        controlnet_face_scale: float = 1.0,
        ip_adapter_scale: float = 1.0,
        reference_mode: str = "dynamics_adapter",
        background_adapter_strength: float | None = None,
        controls_on_person_only: bool = False,
        static_background: bool = False,
        person_masks: Floats | None = None,
        reference_person_mask: Floats | None = None,
        context_frames: int = 16,
        context_overlap: int = 4,
        window_schedule: str = "loop",
        guidance_start: float = 0.0,
        guidance_end: float = 1.0,
        reference_cache: bool = False,
        feature_cache_interval: int = 1,
        unfinished: Path | None = None,
        helpers: "Helpers | None" = None,
        generator: torch.Generator | None = None,
        prompt_embeds: Tensor | None = None,
        image_embeds: Tensor | None = None,
        reference_latents: Tensor | None = None,
        latents: Tensor | None = None,
        window_offsets: list[int] | None = None,
        init_video: Frames | None = None,
        strength: float = 1.0,
        output_type: str = "np",
    ) -> Iterator[XDynaStep | XDynaOutput]:
        """Runs the pipeline piece by piece; closing the iterator stops it.

        Args:
            image: `(any height, any width, 3)` uint8 RGB, upright and uncropped.
            pose_frames: `(num_frames, height, width, 3)` uint8 RGB; their size is the size of the result.
            face_local_frames: S-Face's local patches, same shape; None turns S-Face off.
            face_global_frames: S-Face's global patches, same shape.
            prompt: describes the result.
            negative_prompt: describes what to avoid; used only with guidance.
            num_inference_steps: denoising steps, >= 1.
            guidance_scale: classifier-free guidance, >= 1; at 1 the unconditional half is not computed.
            adapter_strength: scales the Dynamics-Adapter's residual.
            controlnet_pose_scale: scales the pose ControlNet; at 0 it does not run.
            controlnet_face_scale: scales S-Face; at 0 it does not run.
            ip_adapter_scale: scales the image tokens.
            reference_mode: how spatial attention reads the reference, one of `xdyna.models.REFERENCE_MODES`:
                "dynamics_adapter"; "reference_attention" or "image_tokens" imitate a ReferenceNet and an IP-Adapter
                (paper figure 3), approximately, since the weights were trained for the adapter.
            background_adapter_strength: scales the Dynamics-Adapter's residual outside the person; None is
                `adapter_strength`. An addition of ours: the official code has one strength.
            controls_on_person_only: whether the ControlNets' residuals are kept from the background (in the spirit of
                paper section 3.4, which reaches this by training).
            static_background: whether the photo's background is put back at every step, as methods without background
                dynamics show it; an imitation for comparison.
            person_masks: `(num_frames, any height, any width)` float in 0..1, 1 on the person as the clip moves, soft
                edges welcome; the three above need it.
            reference_person_mask: `(any height, any width)` float in 0..1, the person in the cropped photo: a static
                background does not show them there once they have moved away. None shows them.
            context_frames: frames of one window, at most what the motion modules hold (24).
            context_overlap: frames that neighbouring windows share.
            window_schedule: "loop", where windows wrap round the clip's end as in the official code, or "open", where
                they do not and fade into one another over their overlap.
            guidance_start: share of the steps, 0..1, after which guidance begins; before, only the conditional half
                is computed.
            guidance_end: share of the steps after which it ends.
            reference_cache: whether the reference is computed once a timestep, by itself, instead of with every
                window. An approximation: see `xdyna.models.reference_features`.
            feature_cache_interval: every how many steps the whole UNet and the ControlNets run; at the others their
                coarse features are those of the step before. 1 is exact; more is an approximation.
            unfinished: a folder for this run alone. If the program is killed, the same call with the same folder goes
                on where it was. It is gone once the iterator has been asked for more than the output; whoever closes
                it instead keeps the finished steps until `xdyna.pipelines.unfinished.discard`.
            helpers: asked before every step for at most so many pipelines with the same weights on other devices,
                which take their share of its windows; the result is the same within float tolerance. Not asked with
                a feature cache, whose features stay on one device.
            generator: source of every random draw; the same seed gives the same result on one machine.
            prompt_embeds: `(2, tokens, dim)` [negative, positive] instead of the prompts.
            image_embeds: `(2, tokens, dim)` [unconditional, conditional] instead of CLIP.
            reference_latents: `(1, channels, 1, h, w)` instead of the VAE's.
            latents: `(1, channels, num_frames, h, w)` first noisy latents instead of drawn ones.
            window_offsets: one per step that runs, instead of drawn ones.
            init_video: `(num_frames, height, width, 3)` uint8 RGB that the run begins from, noised, instead of from
                the downgraded reference. At a strength of 1 it is ignored.
            strength: as in diffusers' video-to-video pipelines, above 0 and at most 1: the share of the steps that
                run, the last `int(num_inference_steps * strength)`, and so how far the start is noised. The noise is
                the same at every strength.
            output_type: "np", "uint8" or "latent".

        Yields:
            `XDynaStep` after each window and each decoded frame, then one `XDynaOutput`.

        Raises:
            ValueError: arguments do not fit; the message gives the value and the limit.
        """
        # 1. Check inputs
        num_frames, height, width = pose_frames.shape[:3]
        clips = {
            "pose_frames": pose_frames,
            "face_local_frames": face_local_frames,
            "face_global_frames": face_global_frames,
            "init_video": init_video,
        }
        check_clips(height, width, clips, self.vae_scale_factor)
        check_range("context_frames", context_frames, 1, self.unet.config.motion_max_seq_length)
        check_range("context_overlap", context_overlap, 0, context_frames - 1)
        check_range("guidance_scale", guidance_scale, 1, hint=" (1 = off)")
        check_range("guidance_start", guidance_start, 0, guidance_end)
        check_range("guidance_end", guidance_end, guidance_start, 1)
        check_range("num_inference_steps", num_inference_steps, 1)
        check_start(strength, num_inference_steps, init_video is not None or latents is not None)
        check_range("feature_cache_interval", feature_cache_interval, 1)
        check_choice("window_schedule", window_schedule, SCHEDULES)
        masked = {
            "background_adapter_strength": reference_mode == "dynamics_adapter"
            and background_adapter_strength not in (None, adapter_strength),
            "controls_on_person_only": controls_on_person_only,
            "static_background": static_background,
        }
        check_masks(person_masks, num_frames, [name for name, needed in masked.items() if needed])
        check_decoder(self.tiny_vae, self.unet)
        self._interrupt = False

        # 2. Encode text, picture and reference, unless an earlier run did
        if prompt_embeds is None:
            prompt_embeds = torch.cat([self._text(negative_prompt), self._text(prompt)])
        if image_embeds is None:
            image_embeds = self._image_tokens(image)
        if reference_latents is None:
            reference_latents = self.sample_reference(self._reference_moments(image, height, width), generator)

        # 3. Prepare conditions
        faces: list[Frames] = []
        if face_local_frames is not None and face_global_frames is not None:
            faces = [face_local_frames, face_global_frames]
        read = {
            "controlnet_pose": ([pose_frames], controlnet_pose_scale),
            "controlnet_face": (faces, controlnet_face_scale),
        }
        masks = None
        if person_masks is not None and any(masked.values()):
            masks = latent_masks(person_masks, reference_latents)

        # 4. Prepare timesteps and latents. Timesteps stay with the CPU, where samplers compute with single numbers, so
        # that nothing in the loop below waits for the device.
        self.scheduler.set_timesteps(num_inference_steps)
        skipped = num_skipped_steps(num_inference_steps, strength)
        timesteps, levels = self.scheduler.timesteps[skipped:], noise_levels(self.scheduler)[skipped:]
        self._num_timesteps = len(timesteps)
        if skipped and hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(skipped)
        shape = (1, reference_latents.shape[1], num_frames, *reference_latents.shape[3:])
        noise: Tensor | None = None
        if latents is None:
            draw = torch.rand(shape, generator=generator, dtype=torch.float32).to(reference_latents)
            noise = randn_tensor(shape, generator, self._device, reference_latents.dtype)
            if init_video is None or strength == 1:
                latents = self.prepare_latents(reference_latents, draw, noise, timesteps[0])
            else:
                start = self.encode_video(init_video, generator)
                latents = self.scheduler.add_noise(start, noise, timesteps[:1])
        background: StaticBackground | None = None
        if static_background and masks is not None:
            if noise is None:
                noise = randn_tensor(shape, generator, self._device, reference_latents.dtype)
            generated = masks
            if reference_person_mask is not None:
                generated = masks.maximum(latent_masks(reference_person_mask[None], reference_latents))
            background = StaticBackground(reference_latents, noise, generated)
            latents = background.restore(latents, levels[0])
        if window_offsets is None:
            window_offsets = [self._draw_offset(context_frames, generator) for _ in timesteps]
        options = {
            "adapter_strength": adapter_strength,
            "ip_adapter_scale": ip_adapter_scale,
            "reference_mode": reference_mode,
            "background_adapter_strength": background_adapter_strength,
        }
        lay = context_windows if window_schedule == "loop" else open_windows
        windows = [lay(num_frames, context_frames, context_overlap, offset) for offset in window_offsets]
        fade = context_overlap if window_schedule == "open" else 0

        def denoiser(pipeline: XDynaPipeline, approximate: Approximations) -> Denoiser:
            here = pipeline._device
            return Denoiser(
                pipeline.unet,
                timesteps,
                reference_latents.to(here),
                prompt_embeds.to(here),
                image_embeds.to(here),
                pipeline._controls(read),
                options=options,
                person_masks=None if masks is None else masks.to(here),
                controls_on_person_only=controls_on_person_only,
                memory=self.memory,
                approximations=approximate,
            )

        # 5. Denoise, from where an earlier call was killed if there was one
        kept = None
        if unfinished is not None:
            tensors = [reference_latents, prompt_embeds, image_embeds, latents, next(self.unet.parameters())]
            tensors += [] if masks is None else [masks]
            drawn = [clip for clips, scale in read.values() if scale for clip in clips]
            key = run_key(
                [*(tensor.detach().float().cpu().numpy() for tensor in tensors), *drawn],
                [options, windows, fade, guidance_scale, guidance_start, guidance_end, reference_cache],
                [feature_cache_interval, controls_on_person_only, static_background],
                [scale for _, scale in read.values()],
                [type(self.scheduler).__name__, dict(self.scheduler.config), timesteps.tolist()],
            )
            kept = UnfinishedRun(unfinished, key)
            latents = kept.restore(latents, self.scheduler, generator)
        first = 0 if kept is None else kept.next_step
        total, finished, last = sum(map(len, windows)), sum(map(len, windows[:first])), first - 1
        with approximations(self.unet, self.cache, reference_cache, feature_cache_interval) as approximate:
            main = denoiser(self, approximate)
            helping: dict[XDynaPipeline, Denoiser] = {}
            for i in range(first, len(timesteps)):
                last = i
                guided = guidance_scale > 1 and guidance_start <= i / len(timesteps) < guidance_end
                model_input = self.scheduler.scale_model_input(latents, timesteps[i])
                blend = WindowBlend(latents, halves=2 if guided else 1, overlap=fade)
                denoisers = [main]
                if helpers is not None and approximate.deep is None:
                    for helper in helpers(len(windows[i]) - 1):
                        if helper not in helping:
                            own = Approximations(helper.cache if reference_cache else None)
                            helping[helper] = denoiser(helper, own)
                        denoisers.append(helping[helper])
                for window, predicted in self._windows(denoisers, i, model_input, windows[i], guided, kept):
                    blend.add(window, predicted)
                    finished += 1
                    if window is not windows[i][-1]:
                        yield XDynaStep(phase="denoise", step=finished, total=total, denoising_step=i, latents=latents)
                prediction = blend.result()
                if guided:
                    unconditional, conditional = prediction.chunk(2)
                    prediction = unconditional + guidance_scale * (conditional - unconditional)
                clean = clean_estimate(latents, prediction, levels[i], self.scheduler.config.prediction_type)
                latents = self._sampler_step(prediction, timesteps[i], latents, generator)
                if background is not None:
                    clean = background.restore(clean, levels[-1])
                    latents = background.restore(latents, levels[i + 1])
                if kept is not None:
                    kept.finish_step(i, latents, self.scheduler, generator)
                yield XDynaStep(
                    phase="denoise",
                    step=finished,
                    total=total,
                    denoising_step=i,
                    latents=latents,
                    noise_prediction=prediction,
                    clean_latents=clean,
                )
                if self._interrupt and i + 1 < len(timesteps):
                    latents = clean
                    break

        # 6. Decode, frame by frame so that memory does not grow with the clip
        frames: Any = latents
        if output_type != "latent":
            frames = np.empty((num_frames, height, width, 3), np.uint8 if output_type == "uint8" else np.float32)
            for k in range(num_frames):
                frame = self.decode_frame(latents[:, :, k])
                frames[k] = (frame * 255).round() if output_type == "uint8" else frame
                yield XDynaStep(
                    phase="decode",
                    step=k + 1,
                    total=num_frames,
                    denoising_step=last,
                    latents=latents,
                )
        self.maybe_free_model_hooks()
        yield XDynaOutput(frames=frames)
        if kept is not None:  # not before somebody has had the time to save the result
            kept.discard()

    @staticmethod
    def _windows(
        denoisers: Sequence[Denoiser],
        step: int,
        latents: Tensor,
        windows: Windows,
        guided: bool,
        kept: UnfinishedRun | None,
    ) -> Iterator[tuple[Sequence[int], Tensor]]:
        """Each window and what is predicted for it, `(halves, channels, frames, h, w)`; finished ones are read."""
        main = denoisers[0]
        if main.approximations.deep is not None:
            kept = None  # the features of finished windows would be missing
        read = [] if kept is None else kept.finished_windows(step)
        whole_groups = len(read) - len(read) % main.memory.windows_at_once
        number = len(read) if len(read) == len(windows) else whole_groups
        for window, predicted in zip(windows, read[:number], strict=False):
            yield window, predicted.to(latents)
        if number == len(windows):
            return
        for group, batch in predict_together(denoisers, step, latents, windows, guided, number):
            for window, predicted in zip(group, batch.unbind(dim=1), strict=True):
                if kept is not None and len(windows) > 1:
                    kept.finish_window(step, number, predicted)
                number += 1
                yield window, predicted

    def _sampler_step(
        self, prediction: Tensor, timestep: Tensor, latents: Tensor, generator: torch.Generator | None
    ) -> Tensor:
        """The latents after a step; a sampler that draws noise on the way draws it from the run's generator."""
        draws = {"generator": generator} if isinstance(self.scheduler, LCMScheduler) else {}
        return self.scheduler.step(prediction, timestep, latents, **draws).prev_sample

    @torch.no_grad()
    def __call__(
        self,
        image: Image,
        pose_frames: Frames,
        *args: Any,
        callback_on_step_end: Callable[["XDynaPipeline", int, Tensor, dict[str, Any]], dict[str, Any]] | None = None,
        **kwargs: Any,
    ) -> XDynaOutput:
        """Runs the pipeline to its end. Takes the arguments of `stream`.

        Args:
            image: see `stream`.
            pose_frames: see `stream`.
            *args: see `stream`.
            callback_on_step_end: called as `callback(pipeline, step, timestep, {"latents": ...})` after each denoising
                step; set `pipeline.interrupt = True` in it to stop there.
            **kwargs: see `stream`.

        Returns:
            The finished clip.
        """
        for event in self.stream(image, pose_frames, *args, **kwargs):
            if isinstance(event, XDynaOutput):
                return event
            if callback_on_step_end is not None and event.ends_denoising_step:
                timestep = self.scheduler.timesteps[event.denoising_step - self.num_timesteps]
                callback_on_step_end(self, event.denoising_step, timestep, {"latents": event.latents})
        raise AssertionError("stream always ends with an output")

    @property
    def _device(self) -> torch.device:
        return self._execution_device

    def _text(self, prompt: str) -> Tensor:
        """`encode_prompt`, once per prompt."""
        if self.text_encoder is None:
            return self.encode_prompt(prompt)
        key = self._key("text", prompt, weights_key(self.text_encoder))
        return self.cache.get(key, lambda: self.encode_prompt(prompt))

    def _image_tokens(self, image: Image) -> Tensor:
        """`encode_image`, once per picture, as `(2, num_image_tokens, dim)`."""
        key = self._key("image", content_hash(image), weights_key(self.image_encoder), weights_key(self.resampler))
        return self.cache.get(key, lambda: torch.cat(self.encode_image(image)))

    def _reference_moments(self, image: Image, height: int, width: int) -> Tensor:
        """`encode_reference`, once per picture and size."""
        key = self._key("reference", content_hash(image), height, width, weights_key(self.vae))
        return self.cache.get(key, lambda: self.encode_reference(image, height, width))

    def _key(self, *parts: Hashable) -> Key:
        """Of the cache: what was kept on another device or in another type is of no use."""
        return *parts, self._device, self.unet.dtype

    def _controls(self, read: Mapping[str, tuple[list[Frames], float]]) -> list[Control]:
        """The ControlNets that run, by name with the clips they read and the scale of their residuals."""
        return [
            Control(getattr(self, name), clips, scale, self._device, self.cache)
            for name, (clips, scale) in read.items()
            if clips and scale
        ]

    @staticmethod
    def _draw_offset(context_frames: int, generator: torch.Generator | None) -> int:
        return int(torch.randint(context_frames, (1,), generator=generator))
