"""The Dynamics-Adapter (paper section 3.2) and its neighbours inside a spatial transformer.

New weights sit on diffusers' `Attention` modules under the official names; the processors hold no state, so swapping
one can never drop weights.
"""

import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn


def add_dynamics_adapter(attention: Attention) -> None:
    """Gives a self-attention layer the adapter's own query and output projector and the processor that uses them.

    The query starts as a copy of the layer's own and the output at zero (paper section 3.2), so the layer's behaviour
    does not change until it is trained.
    """
    attention.to_q_ff = nn.Linear(attention.query_dim, attention.inner_dim, bias=False)
    attention.to_out_ff = nn.Linear(attention.inner_dim, attention.query_dim)
    attention.to_q_ff.load_state_dict(attention.to_q.state_dict())
    nn.init.zeros_(attention.to_out_ff.weight)
    nn.init.zeros_(attention.to_out_ff.bias)
    attention.set_processor(DynamicsAdapterProcessor())


def add_image_tokens(attention: Attention) -> None:
    """Gives a cross-attention layer key and value projectors for image tokens (IP-Adapter)."""
    attention.to_k_ip = nn.Linear(attention.cross_attention_dim, attention.inner_dim, bias=False)
    attention.to_v_ip = nn.Linear(attention.cross_attention_dim, attention.inner_dim, bias=False)
    attention.set_processor(ImageTokenProcessor())


class DynamicsAdapterProcessor:
    """Self-attention plus a residual that reads the reference frame.

    With frame 0 of every clip the reference R (equations 1 to 3 of the paper):

        A_i  = softmax(Q_i  K_i^T / sqrt(d)) V_i
        A'_i = softmax(Q'_i K_R^T / sqrt(d)) V_R
        out  = A_i W_O + adapter_strength * (A'_i W'_O)
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        num_frames: int = 1,
        adapter_strength: float = 1.0,
        ip_adapter_scale: float = 1.0,
    ) -> Tensor:
        """Maps `(batch * num_frames, tokens, channels)` to the same shape. `ip_adapter_scale` is not used here."""
        query = _split_heads(attn, attn.to_q(hidden_states))
        key = _split_heads(attn, attn.to_k(hidden_states))
        value = _split_heads(attn, attn.to_v(hidden_states))
        output = attn.to_out[0](_merge_heads(F.scaled_dot_product_attention(query, key, value)))
        if adapter_strength == 0:
            return output
        # All frames of a clip read the same keys, so the frames are folded into the query's length.
        query = _split_heads(attn, _fold_frames(attn.to_q_ff(hidden_states), num_frames))
        residual = F.scaled_dot_product_attention(query, key[::num_frames], value[::num_frames])
        residual = attn.to_out_ff(_merge_heads(residual)).view_as(output)
        return output + adapter_strength * residual


class ImageTokenProcessor:
    """Cross-attention to text and to image tokens with one query and two separate softmaxes (IP-Adapter)."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        num_frames: int = 1,
        adapter_strength: float = 1.0,
        ip_adapter_scale: float = 1.0,
    ) -> Tensor:
        """Maps `(batch * num_frames, tokens, channels)` to the same shape. `adapter_strength` is not used here.

        `encoder_hidden_states` are `(batch, text_tokens, dim)` and `(batch, image_tokens, dim)`, once per clip.
        """
        text, image = encoder_hidden_states
        query = _split_heads(attn, _fold_frames(attn.to_q(hidden_states), num_frames))
        key, value = _split_heads(attn, attn.to_k(text)), _split_heads(attn, attn.to_v(text))
        output = F.scaled_dot_product_attention(query, key, value)
        if ip_adapter_scale:
            key, value = _split_heads(attn, attn.to_k_ip(image)), _split_heads(attn, attn.to_v_ip(image))
            output = output + ip_adapter_scale * F.scaled_dot_product_attention(query, key, value)
        return attn.to_out[0](_merge_heads(output)).view_as(hidden_states)


def _fold_frames(tokens: Tensor, num_frames: int) -> Tensor:
    return tokens.reshape(-1, num_frames * tokens.shape[1], tokens.shape[2])


def _split_heads(attn: Attention, tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _merge_heads(tokens: Tensor) -> Tensor:
    return tokens.transpose(1, 2).flatten(2)


def is_adapter_parameter(name: str) -> bool:
    """Whether a UNet parameter belongs to the Dynamics-Adapter."""
    return ".to_q_ff." in name or ".to_out_ff." in name
