"""ControlNets and the clips they read: each frame prepared once, and run once a denoising step."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from diffusers import ControlNetModel
from torch import Tensor

from xdyna.models.condition_embedding import embed_conditions
from xdyna.pipelines.content_cache import ContentCache, content_hash, weights_key
from xdyna.pipelines.latents import clip_range, normalise_frames
from xdyna.pipelines.person import on_person
from xdyna.schema import Frames

EMBEDDED_AT_ONCE = 4  # pictures; more only takes more memory

Windows = Sequence[Sequence[int]]


class Control:
    """One ControlNet and the clip that it reads.

    Args:
        controlnet: with `AheadConditionEmbedding` at its entrance.
        clips: one or more of `(num_frames, height, width, 3)` uint8 RGB, joined along the channels; each is scaled to
            0..1 by its own darkest and brightest value.
        scale: of its residuals.
        device: that computes.
        cache: keeps the embedded clip if it has room for all of it; the embeddings of a longer clip are made window
            by window, so that memory does not grow with the clip.
    """

    def __init__(
        self,
        controlnet: ControlNetModel,
        clips: Sequence[Frames],
        scale: float,
        device: torch.device,
        cache: ContentCache,
    ) -> None:
        self.controlnet, self.clips, self.scale, self.device = controlnet, clips, scale, device
        self._ranges = [clip_range(clip) for clip in clips]
        self._embedded: Tensor | None = None
        num_frames, height, width, _ = clips[0].shape
        embedding = controlnet.controlnet_cond_embedding
        shrunk = 2 ** (len(embedding.blocks) // 2)
        values = num_frames * embedding.conv_out.out_channels * (height // shrunk) * (width // shrunk)
        if values * torch.empty(0, dtype=controlnet.dtype).element_size() <= cache.max_bytes:
            key = ("condition", content_hash(*clips), weights_key(embedding), controlnet.dtype, device)
            self._embedded = cache.get(key, lambda: self._embed(range(num_frames)))

    def embedded(self, frames: Sequence[int]) -> Tensor:
        """The embedded pictures of some frames, `(len(frames), embedding, height / 8, width / 8)`."""
        return self._embed(frames) if self._embedded is None else self._embedded[frames]

    def _embed(self, frames: Sequence[int]) -> Tensor:
        parts = [frames[start : start + EMBEDDED_AT_ONCE] for start in range(0, len(frames), EMBEDDED_AT_ONCE)]
        return torch.cat([embed_conditions(self.controlnet, self._pictures(part)) for part in parts])

    def _pictures(self, frames: Sequence[int]) -> Tensor:
        """`(len(frames), channels, height, width)` in 0..1."""
        normalised = [
            normalise_frames(clip[np.asarray(frames)], limits)
            for clip, limits in zip(self.clips, self._ranges, strict=True)
        ]
        return torch.cat(normalised, dim=1).to(self.device, self.controlnet.dtype)


class StepResiduals:
    """The ControlNets' residuals of one denoising step, for one window after another.

    ControlNets see every frame alone, so a frame that several windows share runs through them once; what it gave is
    kept until the last of these windows.

    Args:
        controls: whose residuals are summed.
        latents: `(1, channels, num_frames, h, w)` of the whole clip.
        timestep: scalar.
        text: `(rows, tokens, dim)`; the ControlNets see no image tokens.
        windows: of this step, in the order in which they will be asked for.
        person_masks: `(num_frames, h, w)` in 0..1; outside the person there will be no residual. None keeps all.
        frames_at_once: that run through a ControlNet together; 0 is all that a window needs.
    """

    def __init__(
        self,
        controls: Sequence[Control],
        latents: Tensor,
        timestep: Tensor,
        text: Tensor,
        windows: Windows,
        person_masks: Tensor | None = None,
        frames_at_once: int = 0,
    ) -> None:
        self.controls, self.latents, self.timestep, self.text = controls, latents, timestep, text
        self.person_masks, self.frames_at_once = person_masks, frames_at_once
        self._uses_left = Counter(frame for window in windows for frame in window)
        self._kept: dict[int, list[Tensor]] = {}

    def of(self, frames: Sequence[int]) -> list[Tensor]:
        """Residuals of the down path and then of the middle block, or none without controls.

        Args:
            frames: of one window, or of several behind one another.

        Returns:
            `(rows, len(frames), channels, height, width)` each.
        """
        if not self.controls:
            return []
        self._uses_left.subtract(frames)
        new = [frame for frame in dict.fromkeys(frames) if frame not in self._kept]
        step = self.frames_at_once or max(1, len(new))
        parts = [self._run(new[start : start + step]) for start in range(0, len(new), step)]
        made = [torch.cat(level, dim=1) if len(level) > 1 else level[0] for level in zip(*parts, strict=True)]
        if new == list(frames):
            residuals = made
        else:
            rows = {frame: [level[:, k] for level in made] for k, frame in enumerate(new)} | self._kept
            levels = zip(*(rows[frame] for frame in frames), strict=True)
            residuals = [torch.stack(level, dim=1) for level in levels]
        # Copies, since a part of a tensor would keep the whole of it in memory.
        self._kept |= {
            frame: [level[:, k].clone() for level in made] for k, frame in enumerate(new) if self._uses_left[frame]
        }
        self._kept = {frame: levels for frame, levels in self._kept.items() if self._uses_left[frame]}
        return residuals

    def _run(self, frames: list[int]) -> list[Tensor]:
        """`(rows, len(frames), ...)` each."""
        rows = len(self.text)
        latents = self.latents[0, :, frames].transpose(0, 1).repeat(rows, 1, 1, 1)
        text = self.text.repeat_interleave(len(frames), dim=0)
        total: list[Tensor] = []
        for control in self.controls:
            down, middle = control.controlnet(
                latents,
                self.timestep,
                encoder_hidden_states=text,
                controlnet_cond=control.embedded(frames).repeat(rows, 1, 1, 1),
                conditioning_scale=control.scale,
                return_dict=False,
            )
            residuals = [*down, middle]
            total = [a + b for a, b in zip(total, residuals, strict=True)] if total else residuals
        if self.person_masks is not None:
            total = on_person(total, self.person_masks[frames])
        return [residual.unflatten(0, (rows, len(frames))) for residual in total]
