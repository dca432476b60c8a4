"""The DynamiCtrl transformer (arXiv 2503.21246) on diffusers' CogVideoX 1.5."""

from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.transformers.cogvideox_transformer_3d import (
    CogVideoXBlock,
    CogVideoXTransformer3DModel,
    ModelMixin,  # noqa: F401  (diffusers' loader looks the base class up in this module)
)
from torch import Tensor, nn

OFS = 2.0  # the constant that CogVideoX 1.5 image-to-video embeds beside the timestep

Rope = tuple[Tensor, Tensor]
"""Cosines and sines, `(video_tokens, head_dim)` float32 each."""


class PoseAdaptiveLayerNorm(nn.Module):
    """Normalises pose tokens, with shift, scale and gate from the timestep (PadaLN).

    Args:
        embedding_dim: width of the tokens.
        conditioning_dim: width of the timestep embedding.
        eps: of the normalisation.
        elementwise_affine: whether the normalisation has weights of its own.
    """

    def __init__(self, embedding_dim: int, conditioning_dim: int, eps: float, elementwise_affine: bool) -> None:
        super().__init__()
        self.silu = nn.SiLU()
        self.linear = nn.Linear(conditioning_dim, 3 * embedding_dim)
        self.norm = nn.LayerNorm(embedding_dim, eps=eps, elementwise_affine=elementwise_affine)

    def forward(self, pose: Tensor, temb: Tensor) -> tuple[Tensor, Tensor]:
        """Maps `(batch, tokens, dim)` to the normalised tokens and their gate `(batch, 1, dim)`."""
        shift, scale, gate = self.linear(self.silu(temb))[:, None].chunk(3, dim=-1)
        return self.norm(pose) * (1 + scale) + shift, gate


class DynamiCtrlBlock(CogVideoXBlock):
    """A CogVideoX block whose attention sees the pose added to the normalised video tokens.

    The pose never passes attention or feed-forward. It is not a residual stream either: the normalised, gated pose
    replaces the one that came in, and the next block normalises that.

    Args:
        dim: width of the tokens.
        num_attention_heads: of the joint attention.
        attention_head_dim: width of a head.
        time_embed_dim: width of the timestep embedding.
        norm_elementwise_affine: whether normalisations have weights of their own.
        norm_eps: of all normalisations but the attention's.
        **kwargs: see `CogVideoXBlock`.
    """

    def __init__(
        self,
        dim: int,
        num_attention_heads: int,
        attention_head_dim: int,
        time_embed_dim: int,
        norm_elementwise_affine: bool = True,
        norm_eps: float = 1e-5,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            dim,
            num_attention_heads,
            attention_head_dim,
            time_embed_dim,
            norm_elementwise_affine=norm_elementwise_affine,
            norm_eps=norm_eps,
            **kwargs,
        )
        self.control_norm1 = PoseAdaptiveLayerNorm(dim, time_embed_dim, norm_eps, norm_elementwise_affine)

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        temb: Tensor,
        image_rotary_emb: Rope | None = None,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Runs one block.

        Args:
            hidden_states: `(batch, 2 * video_tokens, dim)`, the video and behind it the pose.
            encoder_hidden_states: `(batch, text_tokens, dim)`.
            temb: `(batch, time_embed_dim)`.
            image_rotary_emb: positions of the video tokens.
            attention_kwargs: for the attention processor.

        Returns:
            Video with pose, and text, in the same shapes.
        """
        video, pose = hidden_states.chunk(2, dim=1)
        text = encoder_hidden_states

        normed_video, normed_text, video_gate, text_gate = self.norm1(video, text, temb)
        pose, pose_gate = self.control_norm1(pose, temb)
        attended_video, attended_text = self.attn1(
            hidden_states=normed_video + pose,
            encoder_hidden_states=normed_text,
            image_rotary_emb=image_rotary_emb,
            **(attention_kwargs or {}),
        )
        video, text = video + video_gate * attended_video, text + text_gate * attended_text

        normed_video, normed_text, video_gate, text_gate = self.norm2(video, text, temb)
        fed = self.ff(torch.cat([normed_text, normed_video], dim=1))
        fed_text, fed_video = fed.split([text.shape[1], video.shape[1]], dim=1)
        video, text = video + video_gate * fed_video, text + text_gate * fed_text
        return torch.cat([video, pose * (1 + pose_gate)], dim=1), text


class DynamiCtrlTransformer(CogVideoXTransformer3DModel):
    """CogVideoX 1.5 image-to-video with a pose stream (Pose-adaptive Layer Norm).

    The pose is a clip of latents from the same VAE. It passes the same patch embedding as the video, with its channels
    given twice since there is no reference to put beside it. Then it rides through the blocks behind the video tokens,
    as further frames that only `DynamiCtrlBlock` tells apart. Defaults are those of the release.

    Args:
        num_attention_heads: of every block.
        attention_head_dim: width of a head.
        in_channels: noisy latents and reference latents together.
        out_channels: of the prediction; also the channels of the pose latents.
        flip_sin_to_cos: order within timestep embeddings.
        freq_shift: of timestep embeddings.
        time_embed_dim: width of the timestep embedding.
        ofs_embed_dim: width of the `ofs` embedding; the two are added, so it must be the same.
        text_embed_dim: width of the text encoder.
        num_layers: number of blocks.
        dropout: used in training.
        attention_bias: whether queries, keys and values have a bias.
        sample_width: widest latents that have a position, in latent cells.
        sample_height: the same for the height.
        sample_frames: length it was made for; not a limit.
        patch_size: latent cells of a token along height and width.
        patch_size_t: latent frames of a token.
        temporal_compression_ratio: video frames of a latent frame.
        max_text_seq_length: text tokens.
        activation_fn: of the feed-forward layers.
        timestep_activation_fn: of the timestep embedding.
        norm_elementwise_affine: whether normalisations have weights of their own.
        norm_eps: of normalisations.
        spatial_interpolation_scale: unused with rotary positions.
        temporal_interpolation_scale: unused with rotary positions.
        use_rotary_positional_embeddings: whether positions are rotary.
        use_learned_positional_embeddings: whether positions are learnt.
        patch_bias: read only where `patch_size_t` is None.
    """

    _no_split_modules = ["DynamiCtrlBlock", "CogVideoXPatchEmbed"]  # noqa: RUF012  (as in the parent)

    @register_to_config
    def __init__(
        self,
        num_attention_heads: int = 48,
        attention_head_dim: int = 64,
        in_channels: int = 32,
        out_channels: int = 16,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        time_embed_dim: int = 512,
        ofs_embed_dim: int = 512,
        text_embed_dim: int = 4096,
        num_layers: int = 42,
        dropout: float = 0.0,
        attention_bias: bool = True,
        sample_width: int = 300,
        sample_height: int = 300,
        sample_frames: int = 81,
        patch_size: int = 2,
        patch_size_t: int = 2,
        temporal_compression_ratio: int = 4,
        max_text_seq_length: int = 226,
        activation_fn: str = "gelu-approximate",
        timestep_activation_fn: str = "silu",
        norm_elementwise_affine: bool = True,
        norm_eps: float = 1e-5,
        spatial_interpolation_scale: float = 1.875,
        temporal_interpolation_scale: float = 1.0,
        use_rotary_positional_embeddings: bool = True,
        use_learned_positional_embeddings: bool = False,
        patch_bias: bool = False,
    ) -> None:
        # The undecorated parent: its own decorator would write `num_layers=0` into our config.
        CogVideoXTransformer3DModel.__init__.__wrapped__(
            self,
            num_attention_heads=num_attention_heads,
            attention_head_dim=attention_head_dim,
            in_channels=in_channels,
            out_channels=out_channels,
            flip_sin_to_cos=flip_sin_to_cos,
            freq_shift=freq_shift,
            time_embed_dim=time_embed_dim,
            ofs_embed_dim=ofs_embed_dim,
            text_embed_dim=text_embed_dim,
            num_layers=0,
            dropout=dropout,
            attention_bias=attention_bias,
            sample_width=sample_width,
            sample_height=sample_height,
            sample_frames=sample_frames,
            patch_size=patch_size,
            patch_size_t=patch_size_t,
            temporal_compression_ratio=temporal_compression_ratio,
            max_text_seq_length=max_text_seq_length,
            activation_fn=activation_fn,
            timestep_activation_fn=timestep_activation_fn,
            norm_elementwise_affine=norm_elementwise_affine,
            norm_eps=norm_eps,
            spatial_interpolation_scale=spatial_interpolation_scale,
            temporal_interpolation_scale=temporal_interpolation_scale,
            use_rotary_positional_embeddings=use_rotary_positional_embeddings,
            use_learned_positional_embeddings=use_learned_positional_embeddings,
            patch_bias=patch_bias,
        )
        self.transformer_blocks = nn.ModuleList(
            DynamiCtrlBlock(
                dim=num_attention_heads * attention_head_dim,
                num_attention_heads=num_attention_heads,
                attention_head_dim=attention_head_dim,
                time_embed_dim=time_embed_dim,
                dropout=dropout,
                activation_fn=activation_fn,
                attention_bias=attention_bias,
                norm_elementwise_affine=norm_elementwise_affine,
                norm_eps=norm_eps,
            )
            for _ in range(num_layers)
        )

    def forward(
        self,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        timestep: Tensor,
        control_hidden_states: Tensor,
        ofs: Tensor | None = None,
        image_rotary_emb: Rope | None = None,
        attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
    ) -> Transformer2DModelOutput | tuple[Tensor]:
        """Predicts the velocity of a clip of latents.

        Args:
            hidden_states: `(batch, num_frames, in_channels, h, w)`, noisy latents and reference latents along the
                channels; `num_frames`, `h` and `w` are multiples of their patch sizes.
            encoder_hidden_states: `(batch, text_tokens, text_embed_dim)`.
            timestep: `(batch,)`.
            control_hidden_states: `(batch, num_frames, in_channels / 2, h, w)` pose latents.
            ofs: `(1,)` or `(batch,)`; None is the constant 2.
            image_rotary_emb: positions of the video tokens; None computes them.
            attention_kwargs: for the attention processors.
            return_dict: whether to wrap the result.

        Returns:
            `(batch, num_frames, out_channels, h, w)`.

        Raises:
            ValueError: the pose latents do not fit the video's, or there is no position for a token.
        """
        batch, num_frames, channels, height, width = hidden_states.shape
        expected = (batch, num_frames, channels // 2, height, width)
        if control_hidden_states.shape != expected:
            raise ValueError(
                f"control_hidden_states must have shape {expected}, got {tuple(control_hidden_states.shape)}"
            )
        pose = control_hidden_states.repeat(1, 1, 2, 1, 1)
        output = super().forward(
            torch.cat([hidden_states, pose], dim=1),
            encoder_hidden_states,
            timestep,
            ofs=hidden_states.new_full((1,), OFS) if ofs is None else ofs,
            image_rotary_emb=image_rotary_emb or self.rotary_embedding(num_frames, height, width, self.device),
            attention_kwargs=attention_kwargs,
            return_dict=False,
        )[0]
        video = output[:, :num_frames]  # what stands behind it is the pose stream through the output layers
        return Transformer2DModelOutput(sample=video) if return_dict else (video,)

    def rotary_embedding(
        self, num_frames: int, height: int, width: int, device: torch.device | str | None = None
    ) -> Rope:
        """Positions of the tokens of a clip of latents, counted from its first frame and its top left corner.

        Args:
            num_frames: latent frames.
            height: latent cells.
            width: latent cells.
            device: where to put them.

        Returns:
            Cosines and sines, `(tokens, head_dim)` float32 each, frame by frame and row by row.

        Raises:
            ValueError: a size is no multiple of the patch, or lies beyond the last position.
        """
        sizes = {"num_frames": num_frames, "height": height, "width": width}
        patch, patch_t = self.config.patch_size, self.config.patch_size_t
        if num_frames % patch_t or height % patch or width % patch:
            raise ValueError(
                f"latent frames must be a multiple of {patch_t}, height and width of {patch}, got {sizes}"
            )
        if height > self.config.sample_height or width > self.config.sample_width:
            limits = f"{self.config.sample_height} x {self.config.sample_width}"
            raise ValueError(f"latents must be at most {limits} (height x width), got {sizes}")
        return get_3d_rotary_pos_embed(
            embed_dim=self.config.attention_head_dim,
            crops_coords=None,
            grid_size=(height // patch, width // patch),
            temporal_size=num_frames // patch_t,
            grid_type="slice",
            max_size=(self.config.sample_height // patch, self.config.sample_width // patch),
            device=device,
        )
