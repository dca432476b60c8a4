"""The training loss of a batch of clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.training_utils import compute_snr
from torch import Tensor, nn

from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.latents import normalise_clip
from xdyna.training.recipe import Recipe
from xdyna.training.stages import Stage, trainable_components

HIGH_NOISE = 400  # timesteps at the noisy end, where layout and pose are decided
MIN_SNR_GAMMA = 5.0

Batch = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Draws:
    """What chance decides about a batch.

    Attributes:
        noise: `(batch, channels, num_frames, h, w)` float32, standard normal.
        timesteps: `(batch,)` int64 in 0..999.
        keep_image: `(batch,)` bool, whether the image tokens are those of the photo.
        keep_face: `(batch,)` bool, whether S-Face sees its patches.
    """

    noise: Tensor
    timesteps: Tensor
    keep_image: Tensor
    keep_face: Tensor


def draw(
    key: tuple[int, int], indices: Sequence[int], shape: tuple[int, ...], sampler: Tensor, recipe: Recipe, stage: Stage
) -> Draws:
    """Draws for some samples, each a function of `key` and its index alone.

    So neither a stop and resume nor the split over devices changes what a sample is trained with.

    Args:
        key: the run's seed and the stage's number.
        indices: of the samples.
        shape: of one sample's noise, `(channels, num_frames, h, w)`.
        sampler: timesteps of the sampler, `(num_inference_steps,)` int64.
        recipe: says how timesteps are spread and how often the photo is dropped.
        stage: says how often the face is dropped.
    """
    noise, timesteps, keep_image, keep_face = [], [], [], []
    for index in indices:
        seed = int(np.random.SeedSequence((*key, index)).generate_state(1, np.uint64)[0])
        generator = torch.Generator().manual_seed(seed)
        noise.append(torch.randn(shape, generator=generator))
        from_sampler, high, where, image, face = torch.rand(5, generator=generator).tolist()
        low = 1000 - HIGH_NOISE if high < recipe.high_noise_share else 0
        anywhere = int(low + where * (1000 - low))
        listed = int(sampler[int(where * len(sampler))])
        timesteps.append(listed if from_sampler < recipe.sampler_share else anywhere)
        keep_image.append(image >= recipe.image_dropout)
        keep_face.append(face >= stage.face_dropout)
    return Draws(
        noise=torch.stack(noise),
        timesteps=torch.tensor(timesteps),
        keep_image=torch.tensor(keep_image),
        keep_face=torch.tensor(keep_face),
    )


class TrainingModel(nn.Module):
    """Pipeline and loss as one module, so that one call is one unit for mixed precision and several devices.

    Args:
        pipeline: its components already set up for the stage.
        recipe: says what the loss looks at.
        stage: says whether S-Face runs.
        number: the stage's position in the recipe, from 0; part of the seed.
    """

    def __init__(self, pipeline: XDynaPipeline, recipe: Recipe, stage: Stage, number: int) -> None:
        super().__init__()
        self.pipeline, self.recipe, self.stage, self.number = pipeline, recipe, stage, number
        self.trainable = nn.ModuleDict(trainable_components(pipeline))  # what devices have to keep equal
        pipeline.scheduler.set_timesteps(recipe.num_inference_steps)
        self.sampler = pipeline.scheduler.timesteps.clone()
        with torch.no_grad():
            self.text = pipeline.encode_prompt("").detach()

    def forward(self, batch: Batch) -> Tensor:
        """Error of the predicted noise or velocity of the driving frames.

        Args:
            batch: collated samples of the data, and their `index` `(batch,)`.

        Returns:
            Scalar float32.
        """
        pipeline, recipe = self.pipeline, self.recipe
        size, frames = batch["frames"].shape[:2]
        with torch.no_grad():
            pictures = torch.cat([batch["reference"], batch["frames"].flatten(0, 1)]).float() / 127.5 - 1
            latents = pipeline.vae.encode(pictures).latent_dist.mode().float() * pipeline.vae.config.scaling_factor
        reference = latents[:size, :, None]
        clean = latents[size:].unflatten(0, (size, frames)).transpose(1, 2)
        key = (recipe.seed, self.number)
        draws = draw(key, batch["index"].tolist(), clean.shape[1:], self.sampler, recipe, self.stage)
        noise, timesteps = draws.noise.to(clean), draws.timesteps.to(clean.device)
        noisy = pipeline.scheduler.add_noise(clean, noise, timesteps)
        velocity = pipeline.scheduler.config.prediction_type == "v_prediction"
        target = pipeline.scheduler.get_velocity(clean, noise, timesteps) if velocity else noise

        text = self.text.expand(size, -1, -1)
        down, middle = self._residuals(batch, noisy, timesteps, text, draws.keep_face)
        prediction = pipeline.unet(
            torch.cat([reference, noisy], dim=2),
            timesteps,
            encoder_hidden_states=torch.cat([text, self._image_tokens(batch, draws.keep_image)], dim=1),
            down_block_additional_residuals=down,
            mid_block_additional_residual=middle,
            reference_mode=recipe.reference_mode,
        ).sample[:, :, 1:]
        weight = region_weight(batch, clean.shape[-2:], recipe)
        error = weight * (prediction.float() - target).square()
        if recipe.weighting == "min_snr":
            error = error * min_snr_weight(pipeline.scheduler, timesteps, velocity).view(-1, 1, 1, 1, 1)
        return error.mean() / weight.mean()

    def _residuals(
        self, batch: Batch, noisy: Tensor, timesteps: Tensor, text: Tensor, keep_face: Tensor
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        size, _, frames = noisy.shape[:3]
        controls = [(self.pipeline.controlnet_pose, conditions(batch["pose"]), torch.ones(size))]
        if self.stage.face:
            patches = torch.cat([conditions(batch["face_local"]), conditions(batch["face_global"])], dim=1)
            # Without a face S-Face is left out when animating, so here too.
            shown = batch["face"].flatten(1).any(dim=1).cpu() & keep_face
            controls.append((self.pipeline.controlnet_face, patches, shown.float()))
        total: list[Tensor] | None = None
        for controlnet, condition, gate in controls:
            down, middle = controlnet(
                noisy.transpose(1, 2).flatten(0, 1),
                timesteps.repeat_interleave(frames),
                encoder_hidden_states=text.repeat_interleave(frames, dim=0),
                controlnet_cond=condition.to(noisy),
                return_dict=False,
            )
            gates = gate.to(noisy.device).repeat_interleave(frames)[:, None, None, None]
            residuals = [gates * residual for residual in (*down, middle)]
            total = residuals if total is None else [a + b for a, b in zip(total, residuals, strict=True)]
        assert total is not None
        return tuple(total[:-1]), total[-1]

    def _image_tokens(self, batch: Batch, keep: Tensor) -> Tensor:
        pipeline = self.pipeline
        pixels = pipeline.feature_extractor(images=list(batch["reference"].cpu()), return_tensors="pt").pixel_values
        pixels = (pixels * keep[:, None, None, None]).to(batch["reference"].device)
        features = pipeline.image_encoder(pixels, output_hidden_states=True).hidden_states[-2]
        return pipeline.resampler(features)


def region_weight(batch: Batch, size: tuple[int, int], recipe: Recipe) -> Tensor:
    """The loss's weight, `(batch, 1, num_frames, h, w)`: the background is larger and easier than person and face."""
    person, face = (F.adaptive_avg_pool2d(batch[name].float(), size)[:, None] for name in ("person", "face"))
    return 1 + recipe.person_weight * person + recipe.face_weight * face


def min_snr_weight(scheduler: object, timesteps: Tensor, velocity: bool) -> Tensor:
    """`(batch,)`: min(SNR, 5) over SNR, or over SNR + 1 where the model predicts velocity (arXiv 2303.09556)."""
    snr = compute_snr(scheduler, timesteps)
    return snr.clamp(max=MIN_SNR_GAMMA) / (snr + 1 if velocity else snr)


def conditions(clips: Tensor) -> Tensor:
    """`(batch, num_frames, 3, h, w)` uint8 as the pipeline would normalise them, `(batch * num_frames, 3, h, w)`."""
    return torch.cat([normalise_clip(clip.permute(0, 2, 3, 1).cpu().numpy()) for clip in clips])
