"""The Dynamics-Adapter (paper section 3.2) and its neighbours inside a spatial transformer.

New weights sit on diffusers' `Attention` modules under the official names; the processors hold no state, so swapping
one can never drop weights.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from xdyna.models.reference_features import ReferenceFeatures

REFERENCE_MODES = ("dynamics_adapter", "reference_attention", "image_tokens")
"""How spatial self-attention reads the reference (paper figures 3 and 4), see `DynamicsAdapterProcessor`."""


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


def token_strengths(
    person_masks: Tensor, person: float, background: float, sizes: Sequence[tuple[int, int]]
) -> dict[int, Tensor]:
    """The adapter's strength for each token: one value on the person, another elsewhere, mixed along soft edges.

    The reference frame, which has no mask, gets the person's.

    Args:
        person_masks: `(batch, num_frames, height, width)` in 0..1, driving frames only.
        person: strength where the mask is 1.
        background: strength where the mask is 0.
        sizes: `(height, width)` of every resolution that has attention.

    Returns:
        By number of tokens, `(batch * (1 + num_frames), tokens, 1)`.
    """
    strengths = {}
    for size in sizes:
        mask = F.interpolate(person_masks, size, mode="area").flatten(2)[..., None]
        mask = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1).flatten(0, 1)
        # Filled on the device: a number sent there would make the host wait.
        strengths[mask.shape[1]] = torch.full_like(mask, background).lerp(torch.full_like(mask, person), mask)
    return strengths


class DynamicsAdapterProcessor:
    """Self-attention that may read the reference frame, in one of three modes.

    "dynamics_adapter" adds a residual. With frame 0 of every clip the reference R (equations 1 to 3 of the paper):

        A_i  = softmax(Q_i  K_i^T / sqrt(d)) V_i
        A'_i = softmax(Q'_i K_R^T / sqrt(d)) V_R
        out  = A_i W_O + adapter_strength * (A'_i W'_O)

    "reference_attention" joins the reference's keys and values to each frame's own, as networks with a ReferenceNet
    do (paper section 3.1, figure 4 b); the adapter is not computed:

        out  = softmax(Q_i [K_i, K_R]^T / sqrt(d)) [V_i, V_R] W_O

    Here K_R and V_R come from the UNet itself instead of a trained copy of it. With weights that were trained for the
    adapter this is an approximation of a ReferenceNet.

    "image_tokens" reads nothing of the reference (figure 4 a): out = A_i W_O.
    """

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        num_frames: int = 1,
        adapter_strength: float | dict[int, Tensor] = 1.0,
        reference_mode: str = "dynamics_adapter",
        ip_adapter_scale: float = 1.0,
        reference_features: ReferenceFeatures | None = None,
        recording: bool = False,
    ) -> Tensor:
        """Maps `(batch * num_frames, tokens, channels)` to the same shape. `ip_adapter_scale` is not used here.

        `adapter_strength` is one number or, from `token_strengths`, one for each token. With `reference_features`
        there are driving frames only, and the reference's keys and values come from there; or the reference only,
        when `recording` them.
        """
        query = _split_heads(attn, attn.to_q(hidden_states))
        key = _split_heads(attn, attn.to_k(hidden_states))
        value = _split_heads(attn, attn.to_v(hidden_states))
        reference = key[::num_frames], value[::num_frames]
        if recording and reference_features is not None:
            reference_features.keys[id(attn)] = reference
        elif reference_features is not None:
            reference = reference_features.keys[id(attn)]
        if reference_mode == "reference_attention":
            key, value = (_with_reference(*pair, num_frames) for pair in zip((key, value), reference, strict=True))
        output = attn.to_out[0](_merge_heads(F.scaled_dot_product_attention(query, key, value)))
        if reference_mode != "dynamics_adapter" or adapter_strength == 0:
            return output
        # All frames of a clip read the same keys, so the frames are folded into the query's length.
        query = _split_heads(attn, _fold_frames(attn.to_q_ff(hidden_states), num_frames))
        residual = F.scaled_dot_product_attention(query, *reference)
        residual = attn.to_out_ff(_merge_heads(residual)).view_as(output)
        if isinstance(adapter_strength, dict):
            return output + adapter_strength[output.shape[1]] * residual
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
        adapter_strength: float | dict[int, Tensor] = 1.0,
        reference_mode: str = "dynamics_adapter",
        ip_adapter_scale: float = 1.0,
        reference_features: ReferenceFeatures | None = None,
        recording: bool = False,
    ) -> Tensor:
        """Maps `(batch * num_frames, tokens, channels)` to the same shape. The adapter's arguments are not used here.

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


def _with_reference(states: Tensor, reference: Tensor, num_frames: int) -> Tensor:
    """`(batch * num_frames, heads, tokens, width)`, and behind each frame's tokens its clip's `(batch, ...)`."""
    return torch.cat([states, reference.repeat_interleave(num_frames, dim=0)], dim=2)


def _split_heads(attn: Attention, tokens: Tensor) -> Tensor:
    return tokens.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


def _merge_heads(tokens: Tensor) -> Tensor:
    return tokens.transpose(1, 2).flatten(2)


def is_adapter_parameter(name: str) -> bool:
    """Whether a UNet parameter belongs to the Dynamics-Adapter."""
    return ".to_q_ff." in name or ".to_out_ff." in name
