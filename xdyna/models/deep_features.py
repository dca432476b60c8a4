"""The UNet's coarse half, kept from one denoising step for the next: an approximation.

Between neighbouring steps the coarse features of a UNet change little, the fine ones much (DeepCache, arXiv
2312.00858). diffusers' own caches look for a transformer's list of blocks (first block, MagCache), or keep what the
last call gave (pyramid attention, TaylorSeer), which here belongs to another window: windows move between steps. So
these hooks keep features frame by frame.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.hooks import HookRegistry, ModelHook
from diffusers.models.unets.unet_motion_model import UNetMotionModel
from torch import Tensor, nn

HOOK = "xdyna_deep_features"


class DeepFeatures:
    """What the blocks below the finest level gave, by frame.

    Attributes:
        replaying: whether these blocks are left out and what they gave is read.
        frames: names of those that run next, in the order in which the UNet sees them.
    """

    def __init__(self) -> None:
        self.replaying, self.frames = False, list[Hashable]()
        self._kept: dict[Hashable, Tensor] = {}

    def keep(self, output: Tensor) -> None:
        """Takes `(rows * len(frames), channels, height, width)`."""
        by_frame = output.unflatten(0, (-1, len(self.frames))).unbind(dim=1)
        self._kept |= {frame: features.clone() for frame, features in zip(self.frames, by_frame, strict=True)}

    def read(self) -> Tensor:
        """The same of the frames that run now."""
        return torch.stack([self._kept[frame] for frame in self.frames], dim=1).flatten(0, 1)


class _DeepBlockHook(ModelHook):
    """Leaves out a block when replaying.

    Args:
        features: shared by all blocks.
        num_skips: how many skip connections the block feeds; None where its output is no pair.
        is_last: whether its output is what is kept.
    """

    def __init__(self, features: DeepFeatures, num_skips: int | None, is_last: bool) -> None:
        super().__init__()
        self.features, self.num_skips, self.is_last = features, num_skips, is_last

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Runs the block, or returns placeholders of one value that the blocks behind do not read."""
        if not self.features.replaying:
            output = self.fn_ref.original_forward(*args, **kwargs)
            if self.is_last:
                self.features.keep(output)
            return output
        if self.is_last:
            return self.features.read()
        hidden = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        placeholder = hidden.new_zeros(1, 1, 1, 1)
        return placeholder if self.num_skips is None else (placeholder, (placeholder,) * self.num_skips)


@contextmanager
def deep_features(unet: UNetMotionModel) -> Iterator[DeepFeatures]:
    """Puts hooks on every block of the UNet below its finest level, and takes them off at the end."""
    features = DeepFeatures()
    down = {block: len(block.resnets) + len(block.downsamplers or ()) for block in unet.down_blocks[1:]}
    up: Sequence[nn.Module] = unet.up_blocks[:-1]
    hooked = [*down, unet.mid_block, *up]
    for block in hooked:
        hook = _DeepBlockHook(features, down.get(block), is_last=block is up[-1])
        HookRegistry.check_if_exists_or_initialize(block).register_hook(hook, HOOK)
    try:
        yield features
    finally:
        for block in hooked:
            block._diffusers_hook.remove_hook(HOOK, recurse=False)
