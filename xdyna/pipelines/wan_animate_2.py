"""What diffusers' Wan-Animate-2 lacks: attention that needs no compiler, and the bias of the distilled weights."""

from typing import Any

import torch
import torch.nn.functional as F
from diffusers import WanAnimate2Transformer3DModel
from diffusers.models.transformers.transformer_wan_animate_2 import WanAnimate2AttnProcessor, rope_apply
from torch import Tensor


class FrameAttention:
    """Self-attention of Wan-Animate-2, one latent frame after another.

    A frame of the clip attends to all frames of the clip and to the driving frame of the same moment; the photo's
    frame, the first, attends to the clip alone. diffusers states this as a block mask for flex attention, which needs
    `torch.compile` and otherwise holds every score in memory. Taken frame by frame, it is plain attention without any
    mask, in the same number of operations.

    Args:
        log_scale: added to the scores of the keys of the clip's first frame behind the photo's; the distilled weights
            were trained with -1.3, the base weights with 0.
    """

    def __init__(self, log_scale: float = 0.0) -> None:
        self.log_scale = log_scale
        self.dense = WanAnimate2AttnProcessor()

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        rotary_emb: Tensor,
        grid_sizes: Tensor,
        kv_cache: Any,
        kv_cache_mode: str,
        rope_stride: int = 1,
        reference_rotary_emb: Tensor | None = None,
        reference_grid_sizes: Tensor | None = None,
        reference_rope_stride: int = 1,
        **geometry: Any,
    ) -> Tensor:
        """Takes the arguments of `WanAnimate2AttnProcessor`; `geometry` describes a mask that is not needed."""
        if kv_cache_mode == "extract":
            return self.dense(attn, hidden_states, rotary_emb, grid_sizes, kv_cache, kv_cache_mode, rope_stride)
        assert reference_rotary_emb is not None and reference_grid_sizes is not None
        heads, value = attn.heads, attn.to_v(hidden_states)
        query = attn.norm_q(attn.to_q(hidden_states)).unflatten(2, (heads, -1))
        key = attn.norm_k(attn.to_k(hidden_states)).unflatten(2, (heads, -1))
        value = value.unflatten(2, (heads, -1))
        query = rope_apply(query, grid_sizes, rotary_emb, rope_stride).type_as(value)
        key = rope_apply(key, grid_sizes, rotary_emb, rope_stride).type_as(value)
        driving_key, driving_value = kv_cache.get()
        driving_key = rope_apply(
            driving_key, reference_grid_sizes, reference_rotary_emb, reference_rope_stride
        ).type_as(value)

        num_frames, height, width = grid_sizes[0].tolist()
        tokens = height * width
        bias = self._bias(num_frames, tokens, query)
        frames = []
        for k in range(num_frames):
            own = slice(k * tokens, (k + 1) * tokens)
            moment = slice((k - 1) * tokens, k * tokens) if k else slice(0, 0)
            frames.append(
                F.scaled_dot_product_attention(
                    query[:, own].transpose(1, 2),
                    torch.cat([key, driving_key[:, moment]], dim=1).transpose(1, 2),
                    torch.cat([value, driving_value[:, moment]], dim=1).transpose(1, 2),
                    attn_mask=None if bias is None else bias[..., : key.shape[1] + (tokens if k else 0)],
                )
            )
        attended = torch.cat(frames, dim=2).transpose(1, 2).flatten(2, 3).type_as(query)
        return attn.to_out[1](attn.to_out[0](attended))

    def _bias(self, num_frames: int, tokens: int, query: Tensor) -> Tensor | None:
        """`(1, 1, 1, keys)`, or None where nothing is to be added."""
        if not self.log_scale:
            return None
        bias = query.new_zeros(1, 1, 1, (num_frames + 1) * tokens)
        bias[..., tokens : 2 * tokens] = self.log_scale
        return bias


def use_frame_attention(transformer: WanAnimate2Transformer3DModel, log_scale: float = 0.0) -> None:
    """Lets a transformer attend frame by frame, in place.

    Args:
        transformer: of Wan-Animate-2.
        log_scale: see `FrameAttention`.
    """
    for block in transformer.blocks:
        block.self_attn.processor = FrameAttention(log_scale)
    transformer.create_mask = _no_mask  # minutes of compiling for a mask that nobody reads


def _no_mask(*_: Any) -> None:
    return None
