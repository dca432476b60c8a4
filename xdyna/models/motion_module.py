"""The two layers in which X-Dyna's arithmetic differs from diffusers' AnimateDiff classes of the same shape."""

from functools import partial

import torch
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn

from xdyna.models.reference_features import ReferenceFeatures


class ClipGroupNorm(nn.GroupNorm):
    """Group normalisation with statistics over all frames of a clip, the reference frame included.

    diffusers normalises each frame alone. `num_frames` is set by the UNet before every call, since the blocks around
    this layer do not pass it on.
    """

    num_frames: int = 1
    reference_features: ReferenceFeatures | None = None
    recording: bool = False

    def forward(self, input: Tensor) -> Tensor:
        """Maps `(batch * num_frames, channels, height, width)` to the same shape."""
        clips = input.unflatten(0, (-1, self.num_frames)).transpose(1, 2)
        if self.reference_features is None:
            return super().forward(clips).transpose(1, 2).flatten(0, 1)
        return self._with_recorded(clips, self.reference_features).transpose(1, 2).flatten(0, 1)

    def _with_recorded(self, clips: Tensor, features: ReferenceFeatures) -> Tensor:
        """Statistics as if the recorded reference were one more frame; or, recording, those of the reference."""
        rows, channels, num_frames = clips.shape[:3]
        values = clips[0, 0].numel()
        normed, mean, deviation = torch.native_group_norm(
            clips.contiguous(), None, None, rows, channels, values, self.num_groups, self.eps
        )
        mean, variance = mean.float(), deviation.float() ** -2 - self.eps
        if self.recording:
            features.moments[id(self)] = mean, variance
            change, shift = torch.ones_like(mean), torch.zeros_like(mean)
        else:
            other_mean, other_variance = features.moments[id(self)]
            joint_mean = (num_frames * mean + other_mean) / (num_frames + 1)
            squares = num_frames * (variance + mean**2) + other_variance + other_mean**2
            joint = (squares / (num_frames + 1) - joint_mean**2 + self.eps).rsqrt()
            change, shift = joint * (variance + self.eps).sqrt(), (mean - joint_mean) * joint
        weight, bias = (tensor.unflatten(0, (self.num_groups, -1)) for tensor in (self.weight, self.bias))
        scale = (change[..., None] * weight).flatten(1).to(clips)
        offset = (shift[..., None] * weight + bias).flatten(1).to(clips)
        return torch.addcmul(offset[:, :, None, None, None], normed, scale[:, :, None, None, None])


class FrameGroupNorm(nn.GroupNorm):
    """Group normalisation of each frame alone, for callers that hand over `(batch, channels, frames, h, w)`."""

    def forward(self, input: Tensor) -> Tensor:
        """Maps `(batch, channels, num_frames, height, width)` to the same shape."""
        frames = input.transpose(1, 2)
        return super().forward(frames.flatten(0, 1)).view_as(frames).transpose(1, 2)


class ReferenceMotionModule(AnimateDiffTransformer3D):
    """A motion module that lets frame 0, the reference, pass untouched and runs over the driving frames.

    Temporal position 0 is the first driving frame. With `enabled` False it passes everything, as AnimateDiff's
    zero-initialised modules do before training: image training skips their work.
    """

    enabled: bool = True
    reference_first: bool = True  # whether frame 0 is the reference
    gradient_checkpointing: bool = False  # set by `enable_gradient_checkpointing`, which finds it by its name

    def forward(self, hidden_states: Tensor, *args: object, num_frames: int = 1, **kwargs: object) -> Tensor:
        """Maps `(batch * num_frames, channels, height, width)` to the same shape."""
        if not self.enabled or (self.reference_first and num_frames == 1):
            return hidden_states
        if not self.reference_first:
            return super().forward(hidden_states, *args, num_frames=num_frames, **kwargs)
        clips = hidden_states.unflatten(0, (-1, num_frames))
        driven = clips[:, 1:].flatten(0, 1)
        run = partial(super().forward, num_frames=num_frames - 1, **kwargs)
        if self.gradient_checkpointing and torch.is_grad_enabled():
            driven = self._gradient_checkpointing_func(run, driven, *args)
        else:
            driven = run(driven, *args)
        driven = driven.unflatten(0, (-1, num_frames - 1))
        return torch.cat([clips[:, :1], driven], dim=1).flatten(0, 1)

    @classmethod
    def convert(cls, module: AnimateDiffTransformer3D) -> None:
        """Turns a stock motion module into this class in place; parameters keep their names."""
        module.norm = copy_norm(module.norm, FrameGroupNorm)
        module.__class__ = cls


def copy_norm(norm: nn.GroupNorm, kind: type[nn.GroupNorm]) -> nn.GroupNorm:
    """A fresh layer of class `kind` with the shape of `norm`."""
    return kind(norm.num_groups, norm.num_channels, eps=norm.eps, affine=norm.affine)
