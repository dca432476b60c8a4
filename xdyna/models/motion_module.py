"""The two layers in which X-Dyna's arithmetic differs from diffusers' AnimateDiff classes of the same shape."""

import torch
from diffusers.models.unets.unet_motion_model import AnimateDiffTransformer3D
from torch import Tensor, nn


class ClipGroupNorm(nn.GroupNorm):
    """Group normalisation with statistics over all frames of a clip, the reference frame included.

    diffusers normalises each frame alone. `num_frames` is set by the UNet before every call, since the blocks around
    this layer do not pass it on.
    """

    num_frames: int = 1

    def forward(self, input: Tensor) -> Tensor:
        """Maps `(batch * num_frames, channels, height, width)` to the same shape."""
        clips = input.unflatten(0, (-1, self.num_frames)).transpose(1, 2)
        return super().forward(clips).transpose(1, 2).flatten(0, 1)


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

    def forward(self, hidden_states: Tensor, *args: object, num_frames: int = 1, **kwargs: object) -> Tensor:
        """Maps `(batch * num_frames, channels, height, width)` to the same shape."""
        if not self.enabled:
            return hidden_states
        clips = hidden_states.unflatten(0, (-1, num_frames))
        driven = clips[:, 1:].flatten(0, 1)
        driven = super().forward(driven, *args, num_frames=num_frames - 1, **kwargs)
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
