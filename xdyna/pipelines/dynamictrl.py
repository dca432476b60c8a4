"""The DynamiCtrl pipeline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDPMScheduler, DiffusionPipeline
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from transformers import T5EncoderModel, T5Tokenizer

from xdyna.models.dynamictrl import DynamiCtrlTransformer
from xdyna.photo import crop_to_aspect
from xdyna.pipelines.dynamictrl_plan import MEMORY_MODES, check_num_frames, check_size, latent_frames
from xdyna.pipelines.pixels import to_uint8
from xdyna.schema import Frames, Image, InputError

LAG_FRAMES = 3  # the autoencoder makes four frames of the first latent frame; only the last of them is the first frame
ENCODINGS = 3  # text, photo, pose


@dataclass
class DynamiCtrlOutput(BaseOutput):
    """Result of the pipeline.

    Attributes:
        frames: `(num_frames, height, width, 3)` float32 in 0..1, or uint8 for `output_type="uint8"`; or latents
            `(1, num_latent_frames, channels, height / 8, width / 8)` for `output_type="latent"`. Frame 0 shows the
            photo's own pose.
    """

    frames: Any


@dataclass(frozen=True, kw_only=True)
class DynamiCtrlStep:
    """One unit of finished work.

    Attributes:
        phase: "encode" (text, photo, pose), "denoise" (one step) or "decode" (the whole clip).
        step: finished units, 1..total.
        total: units of this phase.
        latents: `(1, num_latent_frames, channels, h, w)` so far; None while encoding.
        noise_prediction: of a denoising step, `(1 or 2, num_latent_frames, channels, h, w)`: with guidance
            [unconditional, conditional], not combined yet. Else None.
        clean_latents: `(1, num_latent_frames, channels, h, w)`, of a denoising step the estimate of the finished
            latents, of the photo's encoding the photo's, one frame, as they would be among them. Else None.
    """

    phase: str
    step: int
    total: int
    latents: Tensor | None = None
    noise_prediction: Tensor | None = None
    clean_latents: Tensor | None = None

    @property
    def ends_denoising_step(self) -> bool:
        """Whether the latents have just changed."""
        return self.noise_prediction is not None


class DynamiCtrlPipeline(DiffusionPipeline):
    """Animates a photo with a drawn pose clip and a text that describes the photo (arXiv 2503.21246).

    Photo and pose go through the same autoencoder; text, photo and pose meet in full attention ("Joint-text").
    Guidance acts on the text alone: the pose is there in both halves.

    Args:
        vae: CogVideoX's autoencoder.
        transformer: `DynamiCtrlTransformer`.
        scheduler: CogVideoX's DPM sampler, a stochastic one.
        text_encoder: T5; None where prompts are always given as embeddings.
        tokenizer: belongs to the text encoder.
    """

    model_cpu_offload_seq = "text_encoder->transformer->vae"
    _optional_components: ClassVar[list[str]] = ["text_encoder", "tokenizer"]
    _callback_tensor_inputs: ClassVar[list[str]] = ["latents"]

    def __init__(
        self,
        vae: AutoencoderKLCogVideoX,
        transformer: DynamiCtrlTransformer,
        scheduler: CogVideoXDPMScheduler,
        text_encoder: T5EncoderModel | None = None,
        tokenizer: T5Tokenizer | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae, transformer=transformer, scheduler=scheduler, text_encoder=text_encoder, tokenizer=tokenizer
        )
        self._interrupt = False

    @property
    def interrupt(self) -> bool:
        """Set to True from a callback to stop after the current step; the estimate so far is decoded and returned."""
        return self._interrupt

    @interrupt.setter
    def interrupt(self, value: bool) -> None:
        self._interrupt = value

    def set_memory_mode(self, memory_mode: str, device: torch.device | str = "cuda") -> None:
        """Puts the models where they wait for their turn. Call it once, before the first run.

        Args:
            memory_mode: key of `MEMORY_MODES`; `dynamictrl_plan.peak_gib` estimates what each needs.
            device: where to compute.

        Raises:
            InputError: the mode is unknown, or there is no GPU.
        """
        if memory_mode not in MEMORY_MODES:
            raise InputError(f"The memory mode must be one of {', '.join(MEMORY_MODES)}, got {memory_mode!r}.")
        if torch.device(device).type == "cuda" and not torch.cuda.is_available():
            raise InputError(
                "DynamiCtrl needs an NVIDIA GPU, and torch finds none here. Run it on a machine with one."
            )
        self.vae.enable_tiling()
        self.vae.enable_slicing()
        if memory_mode == "model_offload":
            self.enable_model_cpu_offload(device=device)
        elif memory_mode == "sequential_offload":
            self.enable_sequential_cpu_offload(device=device)
        else:
            self.to(device)

    def check_inputs(self, image: Image, pose_frames: Frames, guidance_scale: float, num_inference_steps: int) -> None:
        """Raises if the arguments do not fit together.

        Raises:
            InputError: the clip's size or number of frames cannot be made; the message says what can.
            ValueError: another argument is wrong; the message gives the value and the limit.
        """
        for name, array, ndim in (("image", image, 3), ("pose_frames", pose_frames, 4)):
            if array.ndim != ndim or array.shape[-1] != 3 or array.dtype != np.uint8:
                shape = "(height, width, 3)" if ndim == 3 else "(num_frames, height, width, 3)"
                raise ValueError(f"{name} must be {shape} uint8, got {array.shape} {array.dtype}")
        check_num_frames(len(pose_frames))
        check_size(*pose_frames.shape[1:3])
        if guidance_scale < 1:
            raise ValueError(f"guidance_scale must be at least 1 (1 = off), got {guidance_scale}")
        if num_inference_steps < 1:
            raise ValueError(f"num_inference_steps must be at least 1, got {num_inference_steps}")

    def encode_prompt(self, prompt: str) -> Tensor:
        """Text tokens `(1, max_text_seq_length, dim)`, padding included: nothing masks it later.

        Raises:
            ValueError: there is no text encoder.
        """
        if self.text_encoder is None or self.tokenizer is None:
            raise ValueError("without a text encoder, give prompt_embeds and negative_prompt_embeds")
        ids = self.tokenizer(
            prompt,
            padding="max_length",
            max_length=self.transformer.config.max_text_seq_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        return self.text_encoder(ids.to(self._execution_device))[0].to(self.transformer.dtype)

    def encode_image(
        self,
        pixels: Tensor,
        num_latent_frames: int,
        generator: torch.Generator | None = None,
        scale: float | None = None,
    ) -> Tensor:
        """Reference latents: the photo as the first latent frame, zeros behind it.

        Args:
            pixels: `(1, 3, height, width)` in -1..1.
            num_latent_frames: of the clip.
            generator: for the draw from the posterior.
            scale: of the latents; None is what the autoencoder's configuration says. There `invert_scale_latents`
                asks for 1; the model was trained with the scaling factor, 0.7.

        Returns:
            `(1, num_latent_frames, channels, height / 8, width / 8)`.
        """
        photo = self._photo_scale(scale) * self._encode_clip(pixels[:, :, None], generator)
        return torch.cat([photo, photo.new_zeros(1, num_latent_frames - 1, *photo.shape[2:])], dim=1)

    def encode_pose(self, pixels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Pose latents of a drawn clip.

        Args:
            pixels: `(1, num_frames, 3, height, width)` in -1..1.
            generator: for the draw from the posterior.

        Returns:
            `(1, num_latent_frames, channels, height / 8, width / 8)`.
        """
        return self.vae.config.scaling_factor * self._encode_clip(pixels.transpose(1, 2), generator)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """All that the autoencoder makes of `(1, num_latent_frames, channels, h, w)`, the lagging frames included.

        Returns:
            `(1, 3, 4 * num_latent_frames, 8 * h, 8 * w)`, about -1..1.
        """
        scaled = latents.transpose(1, 2) / self.vae.config.scaling_factor
        return self.vae.decode(scaled.to(self.vae.dtype)).sample

    def predict_noise(
        self, latents: Tensor, image_latents: Tensor, pose_latents: Tensor, timestep: Tensor, text: Tensor, rope: Any
    ) -> Tensor:
        """One call of the transformer.

        Args:
            latents: `(1, num_latent_frames, channels, h, w)`.
            image_latents: the same shape.
            pose_latents: the same shape.
            timestep: scalar.
            text: `(1 or 2, tokens, dim)`; two rows are [unconditional, conditional].
            rope: from `transformer.rotary_embedding`.

        Returns:
            `(1 or 2, num_latent_frames, channels, h, w)` float32, not combined.
        """
        rows = len(text)
        video = torch.cat([latents, image_latents], dim=2).to(text.dtype)
        return self.transformer(
            video.expand(rows, -1, -1, -1, -1),
            text,
            timestep.expand(rows),
            pose_latents.to(text.dtype).expand(rows, -1, -1, -1, -1),
            image_rotary_emb=rope,
        ).sample.float()

    @torch.no_grad()
    def stream(
        self,
        image: Image,
        pose_frames: Frames,
        prompt: str = "",
        negative_prompt: str = "",
        num_inference_steps: int = 25,
        guidance_scale: float = 3.0,
        generator: torch.Generator | None = None,
        prompt_embeds: Tensor | None = None,
        negative_prompt_embeds: Tensor | None = None,
        image_latents: Tensor | None = None,
        pose_latents: Tensor | None = None,
        latents: Tensor | None = None,
        image_latent_scale: float | None = None,
        output_type: str = "np",
    ) -> Iterator[DynamiCtrlStep | DynamiCtrlOutput]:
        """Runs the pipeline piece by piece; closing the iterator stops it.

        Args:
            image: `(any height, any width, 3)` uint8 RGB, upright and uncropped; it is cropped as the pose was.
            pose_frames: `(8 k + 5, height, width, 3)` uint8 RGB, drawn by `draw_dynamictrl`; the first shows the
                photo's own pose. Their size, multiples of 16, is the size of the result.
            prompt: describes person and background of the photo; `dynamictrl_plan.CAPTION_HINT` says how.
            negative_prompt: describes what to avoid; used only with guidance.
            num_inference_steps: denoising steps, >= 1.
            guidance_scale: classifier-free guidance, >= 1; at 1 the unconditional half is not computed.
            generator: source of every random draw, the sampler's included; the same seed gives the same result on one
                machine. It draws for the photo, the pose, the first latents and the steps, in this order.
            prompt_embeds: `(1, tokens, dim)` instead of the prompt.
            negative_prompt_embeds: `(1, tokens, dim)` instead of the negative prompt.
            image_latents: `(1, num_latent_frames, channels, h, w)` instead of the photo's.
            pose_latents: the same shape, instead of the pose's.
            latents: the same shape, first noise instead of drawn one.
            image_latent_scale: see `scale` of `encode_image`.
            output_type: "np", "uint8" or "latent".

        Yields:
            `DynamiCtrlStep` after each piece of work, then one `DynamiCtrlOutput`.

        Raises:
            InputError: the clip's size or number of frames cannot be made.
            ValueError: arguments do not fit; the message gives the value and the limit.
        """
        # 1. Check inputs
        self.check_inputs(image, pose_frames, guidance_scale, num_inference_steps)
        num_frames, height, width = pose_frames.shape[:3]
        num_latent_frames = latent_frames(num_frames)
        device = self._execution_device
        guided = guidance_scale > 1
        self._interrupt = False

        try:
            # 2. Encode text, photo and pose
            text = self.encode_prompt(prompt) if prompt_embeds is None else prompt_embeds
            if guided:
                negative = (
                    self.encode_prompt(negative_prompt) if negative_prompt_embeds is None else negative_prompt_embeds
                )
                text = torch.cat([negative, text])
            text = text.to(device, self.transformer.dtype)
            yield DynamiCtrlStep(phase="encode", step=1, total=ENCODINGS)
            if image_latents is None:
                pixels = _pixels(crop_to_aspect(image, (height, width))[None])[:, 0]
                image_latents = self.encode_image(pixels, num_latent_frames, generator, image_latent_scale)
            photo = image_latents[:, :1] * (self.vae.config.scaling_factor / self._photo_scale(image_latent_scale))
            yield DynamiCtrlStep(phase="encode", step=2, total=ENCODINGS, clean_latents=photo)
            if pose_latents is None:
                pose_latents = self.encode_pose(_pixels(pose_frames), generator)
            yield DynamiCtrlStep(phase="encode", step=3, total=ENCODINGS)

            # 3. Prepare timesteps, latents and positions
            self.scheduler.set_timesteps(num_inference_steps, device=device)
            timesteps = self.scheduler.timesteps
            if latents is None:
                latents = randn_tensor(image_latents.shape, generator, device, torch.float32)
            latents = latents * self.scheduler.init_noise_sigma
            rope = self.transformer.rotary_embedding(*(latents.shape[k] for k in (1, 3, 4)), device)

            # 4. Denoise
            estimate = None  # of the finished latents, which the sampler extrapolates from
            for i, timestep in enumerate(timesteps):
                prediction = self.predict_noise(latents, image_latents, pose_latents, timestep, text, rope)
                velocity = prediction[-1:]
                if guided:
                    velocity = prediction[:1] + guidance_scale * (velocity - prediction[:1])
                latents, estimate = self.scheduler.step(
                    velocity, estimate, timestep, timesteps[i - 1] if i else None, latents, generator=generator
                )
                yield DynamiCtrlStep(
                    phase="denoise",
                    step=i + 1,
                    total=len(timesteps),
                    latents=latents,
                    noise_prediction=prediction,
                    clean_latents=estimate,
                )
                if self._interrupt:
                    latents = estimate
                    break

            # 5. Decode
            if output_type == "latent":
                yield DynamiCtrlOutput(frames=latents)
                return
            video = self.decode_latents(latents)[0, :, LAG_FRAMES:]
            yield DynamiCtrlStep(phase="decode", step=1, total=1, latents=latents)
            colours = (video.float() / 2 + 0.5).clamp(0, 1).permute(1, 2, 3, 0)
            frames = to_uint8(colours) if output_type == "uint8" else colours.cpu()
            yield DynamiCtrlOutput(frames=frames.numpy())
        finally:
            self.maybe_free_model_hooks()

    @torch.no_grad()
    def __call__(
        self,
        image: Image,
        pose_frames: Frames,
        *args: Any,
        callback_on_step_end: Callable[["DynamiCtrlPipeline", int, Tensor, dict[str, Any]], dict[str, Any]]
        | None = None,
        **kwargs: Any,
    ) -> DynamiCtrlOutput:
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
            if isinstance(event, DynamiCtrlOutput):
                return event
            if callback_on_step_end is not None and event.ends_denoising_step:
                timestep = self.scheduler.timesteps[event.step - 1]
                callback_on_step_end(self, event.step - 1, timestep, {"latents": event.latents})
        raise AssertionError("stream always ends with an output")

    def _photo_scale(self, scale: float | None) -> float:
        """See `scale` of `encode_image`."""
        if scale is not None:
            return scale
        return 1.0 if self.vae.config.invert_scale_latents else self.vae.config.scaling_factor

    def _encode_clip(self, pixels: Tensor, generator: torch.Generator | None) -> Tensor:
        """Unscaled float32 sample `(1, num_latent_frames, channels, h, w)` of `(1, 3, num_frames, height, width)`."""
        posterior = self.vae.encode(pixels.to(self._execution_device, self.vae.dtype)).latent_dist
        return posterior.sample(generator).transpose(1, 2).float()


def _pixels(frames: Frames) -> Tensor:
    """`(num_frames, height, width, 3)` uint8 as `(1, num_frames, 3, height, width)` float32 in -1..1."""
    return torch.from_numpy(frames).permute(0, 3, 1, 2)[None].float() / 127.5 - 1
