"""The X-Dyna pipeline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, DiffusionPipeline
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image as PILImage
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from xdyna.models import PatchAutoencoder, Resampler, XDynaUNet
from xdyna.photo import crop_to_aspect
from xdyna.pipelines.context import context_windows
from xdyna.pipelines.latents import downgraded, normalise_clip
from xdyna.schema import Frames, Image

MIN_LATENT_SIZE = 5  # the blur of the first latents reflects four pixels


@dataclass
class XDynaOutput(BaseOutput):
    """Result of the pipeline.

    Attributes:
        frames: `(num_frames, height, width, 3)` float32 in 0..1, or latents
            `(1, channels, num_frames, height / 8, width / 8)` for `output_type="latent"`.
    """

    frames: Any


@dataclass(frozen=True, kw_only=True)
class XDynaStep:
    """One unit of finished work.

    Attributes:
        phase: "denoise" (one window of one step) or "decode" (one frame).
        step: finished units, 1..total.
        total: units of this phase.
        denoising_step: index of the current denoising step.
        latents: the clip so far; they change once per denoising step.
        noise_prediction: guided prediction of a step that has just ended, else None.
    """

    phase: str
    step: int
    total: int
    denoising_step: int
    latents: Tensor
    noise_prediction: Tensor | None = None

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
        self.vae_scale_factor = 8  # of SD 1.5's autoencoder and of every one that stands in for it
        self._interrupt = False

    @property
    def interrupt(self) -> bool:
        """Set to True from a callback to stop after the current step; what is done is decoded and returned."""
        return self._interrupt

    @interrupt.setter
    def interrupt(self, value: bool) -> None:
        self._interrupt = value

    def check_inputs(
        self,
        height: int,
        width: int,
        clips: dict[str, Frames | None],
        context_frames: int,
        context_overlap: int,
        guidance_scale: float,
        num_inference_steps: int,
    ) -> None:
        """Raises a ValueError that gives the value and the limit if the arguments do not fit together."""
        factor = self.vae_scale_factor
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
                raise ValueError(
                    f"{name} must be (num_frames, {height}, {width}, 3) uint8, got {clip.shape} {clip.dtype}"
                )
        if (clips["face_local_frames"] is None) != (clips["face_global_frames"] is None):
            raise ValueError("face_local_frames and face_global_frames belong together: give both or neither")
        limit = self.unet.config.motion_max_seq_length
        if not 1 <= context_frames <= limit:
            raise ValueError(f"context_frames must be between 1 and {limit}, got {context_frames}")
        if not 0 <= context_overlap < context_frames:
            raise ValueError(f"context_overlap must be between 0 and {context_frames - 1}, got {context_overlap}")
        if guidance_scale < 1:
            raise ValueError(f"guidance_scale must be at least 1 (1 = off), got {guidance_scale}")
        if num_inference_steps < 1:
            raise ValueError(f"num_inference_steps must be at least 1, got {num_inference_steps}")

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

    def encode_reference(self, image: Image, height: int, width: int, generator: torch.Generator | None) -> Tensor:
        """Latent of the cropped picture, `(1, channels, 1, height / 8, width / 8)`, sampled from the posterior."""
        pixels = torch.from_numpy(crop_to_aspect(image, (height, width))).permute(2, 0, 1)[None]
        pixels = (pixels.float() / 127.5 - 1).to(self._device, self.vae.dtype)
        posterior = self.vae.encode(pixels).latent_dist
        return self.scale_latents(posterior.sample(generator)).to(self.unet.dtype)

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

    def decode_frame(self, latent: Tensor) -> np.ndarray:
        """One latent `(1, channels, h, w)` as `(height, width, 3)` float32 in 0..1."""
        pixels = self.vae.decode((latent / self.vae.config.scaling_factor).to(self.vae.dtype)).sample
        return (pixels / 2 + 0.5).clamp(0, 1)[0].permute(1, 2, 0).float().cpu().numpy()

    def control_residuals(
        self,
        latents: Tensor,
        timestep: Tensor,
        text: Tensor,
        controls: list[tuple[ControlNetModel, Tensor, float]],
    ) -> tuple[tuple[Tensor, ...] | None, Tensor | None]:
        """Sums the residuals of all ControlNets.

        Args:
            latents: `(batch, channels, num_frames, h, w)`, the driving frames of a window.
            timestep: scalar.
            text: `(batch, tokens, dim)`; the ControlNets see no image tokens.
            controls: ControlNet, its condition `(num_frames, channels, height, width)` and its scale.

        Returns:
            Residuals of the down path and of the middle block, `(batch * num_frames, ...)`, or None and None.
        """
        batch, _, num_frames = latents.shape[:3]
        frames = latents.transpose(1, 2).flatten(0, 1)
        text = text.repeat_interleave(num_frames, dim=0)
        total: list[Tensor] | None = None
        for controlnet, condition, scale in controls:
            down, middle = controlnet(
                frames,
                timestep,
                encoder_hidden_states=text,
                controlnet_cond=condition.repeat(batch, 1, 1, 1),
                conditioning_scale=scale,
                return_dict=False,
            )
            residuals = [*down, middle]
            total = residuals if total is None else [a + b for a, b in zip(total, residuals, strict=True)]
        return (None, None) if total is None else (tuple(total[:-1]), total[-1])

    def predict_noise(
        self,
        latents: Tensor,
        reference: Tensor,
        timestep: Tensor,
        text: Tensor,
        image_tokens: Tensor,
        controls: list[tuple[ControlNetModel, Tensor, float]],
        adapter_strength: float,
        ip_adapter_scale: float,
    ) -> Tensor:
        """One window through ControlNets and UNet.

        Args:
            latents: `(1, channels, num_frames, h, w)`.
            reference: `(1, channels, 1, h, w)`.
            timestep: scalar.
            text: `(1 or 2, tokens, dim)`; two rows are [unconditional, conditional].
            image_tokens: `(1 or 2, tokens, dim)`.
            controls: see `control_residuals`.
            adapter_strength: weight of the Dynamics-Adapter.
            ip_adapter_scale: weight of the image tokens.

        Returns:
            `(1 or 2, channels, 1 + num_frames, h, w)`; frame 0 is the reference and carries no meaning.
        """
        rows = len(text)
        # The ControlNets see no image tokens, so with one text in both rows they would do the same work twice.
        shared = rows == 2 and torch.equal(text[0], text[1])
        control_rows = 1 if shared else rows
        down, middle = self.control_residuals(
            latents.expand(control_rows, -1, -1, -1, -1), timestep, text[:control_rows], controls
        )
        if shared and down is not None and middle is not None:
            down, middle = tuple(residual.repeat(2, 1, 1, 1) for residual in down), middle.repeat(2, 1, 1, 1)
        sample = torch.cat([reference, latents], dim=2).expand(rows, -1, -1, -1, -1)
        return self.unet(
            sample,
            timestep,
            encoder_hidden_states=torch.cat([text, image_tokens], dim=1),
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            adapter_strength=adapter_strength,
            ip_adapter_scale=ip_adapter_scale,
        ).sample

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
        context_frames: int = 16,
        context_overlap: int = 4,
        generator: torch.Generator | None = None,
        prompt_embeds: Tensor | None = None,
        image_embeds: Tensor | None = None,
        reference_latents: Tensor | None = None,
        latents: Tensor | None = None,
        window_offsets: list[int] | None = None,
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
            context_frames: frames of one window, at most what the motion modules hold (24).
            context_overlap: frames that neighbouring windows share.
            generator: source of every random draw; the same seed gives the same result on one machine.
            prompt_embeds: `(2, tokens, dim)` [negative, positive] instead of the prompts.
            image_embeds: `(2, tokens, dim)` [unconditional, conditional] instead of CLIP.
            reference_latents: `(1, channels, 1, h, w)` instead of the VAE's.
            latents: `(1, channels, num_frames, h, w)` first noisy latents instead of drawn ones.
            window_offsets: one per step instead of drawn ones.
            output_type: "np" or "latent".

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
        }
        self.check_inputs(height, width, clips, context_frames, context_overlap, guidance_scale, num_inference_steps)
        self._interrupt = False
        guided = guidance_scale > 1
        halves = slice(0, 2) if guided else slice(1, 2)

        # 2. Encode text, picture and reference
        if prompt_embeds is None:
            prompt_embeds = torch.cat([self.encode_prompt(negative_prompt), self.encode_prompt(prompt)])
        if image_embeds is None:
            image_embeds = torch.cat(self.encode_image(image))
        if reference_latents is None:
            reference_latents = self.encode_reference(image, height, width, generator)
        text, image_tokens = prompt_embeds[halves], image_embeds[halves]

        # 3. Prepare conditions
        controls: list[tuple[ControlNetModel, Tensor, float]] = []
        if controlnet_pose_scale:
            controls.append((self.controlnet_pose, self._condition(pose_frames), controlnet_pose_scale))
        if controlnet_face_scale and face_local_frames is not None and face_global_frames is not None:
            face = torch.cat([self._condition(face_local_frames), self._condition(face_global_frames)], dim=1)
            controls.append((self.controlnet_face, face, controlnet_face_scale))

        # 4. Prepare timesteps and latents
        self.scheduler.set_timesteps(num_inference_steps, device=self._device)
        timesteps = self.scheduler.timesteps
        if latents is None:
            shape = (1, reference_latents.shape[1], num_frames, *reference_latents.shape[3:])
            draw = torch.rand(shape, generator=generator, dtype=torch.float32).to(reference_latents)
            noise = randn_tensor(shape, generator, self._device, reference_latents.dtype)
            latents = self.prepare_latents(reference_latents, draw, noise, timesteps[0])

        # 5. Denoise
        windows = context_windows(num_frames, context_frames, context_overlap, 0)
        total = len(timesteps) * len(windows)
        for i, timestep in enumerate(timesteps):
            offset = self._draw_offset(context_frames, generator) if window_offsets is None else window_offsets[i]
            windows = context_windows(num_frames, context_frames, context_overlap, offset)
            model_input = self.scheduler.scale_model_input(latents, timestep)
            prediction = latents.new_zeros(len(text), *latents.shape[1:])
            counts = latents.new_zeros(num_frames)
            for j, window in enumerate(windows):
                prediction[:, :, window] += self.predict_noise(
                    model_input[:, :, window],
                    reference_latents,
                    timestep,
                    text,
                    image_tokens,
                    [(controlnet, condition[window], scale) for controlnet, condition, scale in controls],
                    adapter_strength,
                    ip_adapter_scale,
                )[:, :, 1:]
                counts[window] += 1
                if j + 1 < len(windows):
                    yield XDynaStep(
                        phase="denoise",
                        step=i * len(windows) + j + 1,
                        total=total,
                        denoising_step=i,
                        latents=latents,
                    )
            prediction /= counts[:, None, None]
            if guided:
                unconditional, conditional = prediction.chunk(2)
                prediction = unconditional + guidance_scale * (conditional - unconditional)
            latents = self.scheduler.step(prediction, timestep, latents).prev_sample
            yield XDynaStep(
                phase="denoise",
                step=(i + 1) * len(windows),
                total=total,
                denoising_step=i,
                latents=latents,
                noise_prediction=prediction,
            )
            if self._interrupt:
                break

        # 6. Decode, frame by frame so that memory does not grow with the clip
        if output_type == "latent":
            yield XDynaOutput(frames=latents)
            return
        frames = np.empty((num_frames, height, width, 3), np.float32)
        for k in range(num_frames):
            frames[k] = self.decode_frame(latents[:, :, k])
            yield XDynaStep(phase="decode", step=k + 1, total=num_frames, denoising_step=i, latents=latents)
        self.maybe_free_model_hooks()
        yield XDynaOutput(frames=frames)

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
                timestep = self.scheduler.timesteps[event.denoising_step]
                callback_on_step_end(self, event.denoising_step, timestep, {"latents": event.latents})
        raise AssertionError("stream always ends with an output")

    @property
    def _device(self) -> torch.device:
        return self._execution_device

    def _condition(self, frames: Frames) -> Tensor:
        return normalise_clip(frames).to(self._device, self.unet.dtype)

    @staticmethod
    def _draw_offset(context_frames: int, generator: torch.Generator | None) -> int:
        return int(torch.randint(context_frames, (1,), generator=generator))
