"""Control pictures embedded ahead of time."""

import torch.nn.functional as F
from diffusers import ControlNetModel
from diffusers.models.controlnets.controlnet import ControlNetConditioningEmbedding
from torch import Tensor, nn


class AheadConditionEmbedding(ControlNetConditioningEmbedding):
    """The convolutions at a ControlNet's entrance, which let pictures pass that are embedded already.

    A control picture stays the same over all denoising steps, both halves of guidance and all windows that show its
    frame, so its embedding need not be computed more than once.
    """

    def forward(self, conditioning: Tensor) -> Tensor:
        """Maps `(frames, channels, height, width)` in 0..1 to `(frames, embedding, height / 8, width / 8)`.

        Embeddings, which are told from pictures by their number of channels, come back as they are.
        """
        if conditioning.shape[1] == self.conv_in.in_channels:
            return super().forward(conditioning)
        return conditioning

    @classmethod
    def convert(cls, controlnet: ControlNetModel) -> None:
        """Gives a ControlNet this entrance in place; parameters keep their names and values."""
        embedding = controlnet.controlnet_cond_embedding
        if embedding.conv_in.in_channels == embedding.conv_out.out_channels:
            raise ValueError("embeddings cannot be told from pictures that have as many channels")
        embedding.__class__ = cls


def embed_conditions(controlnet: ControlNetModel, pictures: Tensor) -> Tensor:
    """What a ControlNet's entrance makes of control pictures.

    Args:
        controlnet: converted by `AheadConditionEmbedding.convert`.
        pictures: `(frames, channels, height, width)` in 0..1, on the device and of the type to compute with. The
            ControlNet's own weights may rest elsewhere, as they do under offloading, or in a smaller type.

    Returns:
        `(frames, embedding, height / 8, width / 8)`.
    """
    embedding = controlnet.controlnet_cond_embedding
    hidden = pictures
    for layer in (embedding.conv_in, *embedding.blocks):
        hidden = F.silu(_convolved(layer, hidden))
    return _convolved(embedding.conv_out, hidden)


def _convolved(layer: nn.Conv2d, hidden: Tensor) -> Tensor:
    """The layer without its hooks: those of offloading cannot run a part of a network by itself."""
    assert layer.bias is not None
    return F.conv2d(hidden, layer.weight.to(hidden), layer.bias.to(hidden), layer.stride, layer.padding)
