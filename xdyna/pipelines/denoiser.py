"""From noisy latents of a whole clip to the predicted noise of one step, window by window."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xdyna.models import XDynaUNet
from xdyna.models.reference_features import ReferenceFeatures
from xdyna.pipelines.approximations import Approximations, KeptResiduals
from xdyna.pipelines.content_cache import Key, content_hash, weights_key
from xdyna.pipelines.context import taper
from xdyna.pipelines.controls import Control, StepResiduals, Windows
from xdyna.pipelines.memory import MEMORY_MODES, MemoryMode


class Denoiser:
    """The UNet with everything that stays the same over the steps of a run.

    Args:
        unet: predicts.
        timesteps: `(num_inference_steps,)` on the CPU.
        reference: `(1, channels, 1, h, w)`, the clean latent of the photo.
        text: `(2, tokens, dim)`, [unconditional, conditional].
        image_tokens: `(2, tokens, dim)`, likewise.
        controls: the ControlNets with their clips.
        options: more arguments of `XDynaUNet.forward`, the same for every call.
        person_masks: `(num_frames, h, w)` in 0..1, for options that need them.
        controls_on_person_only: whether the ControlNets are kept from the background, by these masks.
        memory: how much is done at once.
        approximations: what is not computed anew; none by default.
    """

    def __init__(
        self,
        unet: XDynaUNet,
        timesteps: Tensor,
        reference: Tensor,
        text: Tensor,
        image_tokens: Tensor,
        controls: Sequence[Control] = (),
        *,
        options: Mapping[str, Any] | None = None,
        person_masks: Tensor | None = None,
        controls_on_person_only: bool = False,
        memory: MemoryMode = MEMORY_MODES["full"],
        approximations: Approximations | None = None,
    ) -> None:
        self.unet, self.timesteps, self.reference, self.controls = unet, timesteps, reference, controls
        # Their copy is on the device, so that nothing waits for it in the loop.
        self._device_timesteps = timesteps.to(reference.device)
        self.text, self.tokens = text, torch.cat([text, image_tokens], dim=1)
        self.options, self.person_masks, self.memory = dict(options or {}), person_masks, memory
        self.control_masks = person_masks if controls_on_person_only else None
        self.approximations = approximations or Approximations()
        # The ControlNets see no image tokens, so with one text in both halves they would do the same work twice.
        self.one_text = torch.equal(text[0], text[1])

    def predict(
        self, step: int, latents: Tensor, windows: Windows, guided: bool = True, first: int = 0
    ) -> Iterator[tuple[Windows, Tensor]]:
        """Runs all windows of a step.

        Args:
            step: counted from 0.
            latents: `(1, channels, num_frames, h, w)`, scaled as the sampler wants it.
            windows: frames of each, all of one length.
            guided: whether the unconditional half is needed.
            first: windows that an earlier run has finished; a multiple of `memory.windows_at_once`.

        Yields:
            Some windows, and what the UNet made of them, `(halves, len(windows), channels, frames, h, w)`, where the
            halves are [unconditional, conditional] or the conditional one alone.
        """
        halves = [0, 1] if guided else [1]
        timestep = self._device_timesteps[step]
        features = None
        if self.approximations.features_cache is not None:
            key = self._features_key(step, halves)
            features = self.approximations.reference_features(key, lambda: self._record(timestep, halves))
        residuals: StepResiduals | KeptResiduals
        if self.approximations.replays(step, halves):
            residuals = self.approximations.residuals
        else:
            text = self.text[1:] if self.one_text else self.text[halves]
            residuals = StepResiduals(
                self.controls, latents, timestep, text, windows, self.control_masks, self.memory.control_frames_at_once
            )
        at_once = self.memory.windows_at_once
        for start in range(0, len(windows), at_once):
            group = windows[start : start + at_once]
            frames = [frame for window in group for frame in window]
            control = residuals.of(frames)
            if start < first:
                continue  # now frames that it shares were computed in the same company as before: not a bit differs
            clips = torch.cat([latents[:, :, window] for window in group])
            masks = None if self.person_masks is None else torch.stack([self.person_masks[w] for w in group])
            if isinstance(residuals, StepResiduals):
                self.approximations.keep(frames, control)
            predicted = []
            for rows in self._passes(halves):
                self.approximations.enter(rows, group)
                chosen = [halves.index(half) for half in rows]
                own = control if rows == halves else [r[chosen] if r.ndim and len(r) > 1 else r for r in control]
                seen = features and features.rows(chosen, len(group))
                predicted.append(self._unet(clips, timestep, rows, own, masks, seen))
            yield group, torch.cat(predicted) if len(predicted) > 1 else predicted[0]

    def _passes(self, halves: list[int]) -> list[list[int]]:
        """The halves that run as one batch, pass by pass."""
        return [halves] if self.memory.guidance_passes == 1 else [[half] for half in halves]

    def _features_key(self, step: int, halves: list[int]) -> Key:
        options = tuple(sorted(self.options.items()))
        return "reference features", *self._inputs_key, float(self.timesteps[step]), tuple(halves), options

    @cached_property
    def _inputs_key(self) -> Key:
        inputs = (tensor.float().cpu().numpy() for tensor in (self.reference, self.tokens))
        return content_hash(*inputs), weights_key(self.unet), self.reference.device

    def _record(self, timestep: Tensor, halves: list[int]) -> ReferenceFeatures:
        """What driving frames would read of the reference, from the reference alone."""
        features = ReferenceFeatures()
        self.unet(
            self.reference.expand(len(halves), -1, -1, -1, -1),
            timestep,
            encoder_hidden_states=self.tokens[halves],
            reference_features=features,
            **self.options,
        )
        return features

    def _unet(
        self,
        clips: Tensor,
        timestep: Tensor,
        halves: list[int],
        control: list[Tensor],
        masks: Tensor | None,
        features: ReferenceFeatures | None,
    ) -> Tensor:
        """`(windows, channels, frames, h, w)` to `(halves, windows, channels, frames, h, w)`."""
        rows, count = len(halves), len(clips)
        sample = clips
        if features is None:
            sample = torch.cat([self.reference.expand(count, -1, -1, -1, -1), clips], dim=2)
        residuals = [r.expand(rows, *r.shape[1:]).flatten(0, 1) if r.ndim else r for r in control]
        predicted = self.unet(
            sample.expand(rows, *sample.shape).flatten(0, 1),
            timestep,
            encoder_hidden_states=self.tokens[halves].repeat_interleave(count, dim=0),
            down_block_additional_residuals=tuple(residuals[:-1]) or None,
            mid_block_additional_residual=residuals[-1] if residuals else None,
            person_masks=None if masks is None else masks.repeat(rows, 1, 1, 1),
            reference_features=features,
            **self.options,
        ).sample
        return predicted[:, :, -clips.shape[2] :].unflatten(0, (rows, count))


class WindowBlend:
    """The mean of what overlapping windows say about each frame.

    Args:
        like: `(1, channels, num_frames, h, w)`; the result has its shape but for the first dimension.
        halves: 2 with guidance, 1 without.
        overlap: frames over which a window's say rises from its ends; 0 gives all its frames an equal say.
    """

    def __init__(self, like: Tensor, halves: int, overlap: int = 0) -> None:
        self.overlap = overlap
        self._sum = like.new_zeros(halves, *like.shape[1:])
        self._weight = like.new_zeros(like.shape[2])

    def add(self, window: Sequence[int], prediction: Tensor) -> None:
        """Takes `(halves, channels, frames, h, w)` of a window into account."""
        if not self.overlap:
            self._sum[:, :, window] += prediction
            self._weight[window] += 1
            return
        weights = torch.tensor(taper(len(window), self.overlap), dtype=self._sum.dtype, device=self._sum.device)
        self._sum[:, :, window] += prediction * weights[:, None, None]
        self._weight[window] += weights

    def result(self) -> Tensor:
        """`(halves, channels, num_frames, h, w)`."""
        return self._sum / self._weight[:, None, None]
