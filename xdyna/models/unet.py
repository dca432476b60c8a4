"""The X-Dyna UNet on diffusers' own motion UNet."""

from functools import partial

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_motion_model import (
    AnimateDiffTransformer3D,
    ModelMixin,  # noqa: F401  (diffusers' loader looks the base class up in this module)
    UNetMotionModel,
    UNetMotionOutput,
)
from torch import Tensor, nn

from xdyna.models.dynamics_adapter import (
    REFERENCE_MODES,
    add_dynamics_adapter,
    add_image_tokens,
    token_strengths,
)
from xdyna.models.motion_module import ClipGroupNorm, ReferenceMotionModule, copy_norm
from xdyna.models.reference_features import ReferenceFeatures


class XDynaUNet(UNetMotionModel):
    """SD 1.5 UNet + AnimateDiff motion modules + Dynamics-Adapter + image tokens (paper figure 2).

    One call sees the clean reference latent as frame 0, then the noisy driving frames. It differs from
    `UNetMotionModel` in four ways: group normalisation in the ResNet blocks and before the last convolution runs over
    all frames together; motion modules skip frame 0; spatial self-attention has the Dynamics-Adapter; cross-attention
    has image tokens.

    Args:
        num_image_tokens: how many of the last `encoder_hidden_states` are image tokens.
        use_position_encoding: adds a fixed two-dimensional position code after the first convolution. Off in X-Dyna,
            whose backbone has learnt positions; small models trained from scratch need it.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int | None = 64,
        in_channels: int = 4,
        out_channels: int = 4,
        down_block_types: tuple[str, ...] = (
            "CrossAttnDownBlockMotion",
            "CrossAttnDownBlockMotion",
            "CrossAttnDownBlockMotion",
            "DownBlockMotion",
        ),
        up_block_types: tuple[str, ...] = (
            "UpBlockMotion",
            "CrossAttnUpBlockMotion",
            "CrossAttnUpBlockMotion",
            "CrossAttnUpBlockMotion",
        ),
        block_out_channels: tuple[int, ...] = (320, 640, 1280, 1280),
        layers_per_block: int = 2,
        downsample_padding: int = 1,
        mid_block_scale_factor: float = 1,
        act_fn: str = "silu",
        norm_num_groups: int = 32,
        norm_eps: float = 1e-5,
        cross_attention_dim: int = 768,
        num_attention_heads: int | tuple[int, ...] = 8,
        motion_max_seq_length: int = 24,
        motion_num_attention_heads: int = 8,
        num_image_tokens: int = 16,
        use_position_encoding: bool = False,
        addition_embed_type: None = None,  # read by the parent's forward
    ) -> None:
        # The undecorated parent: its own decorator would write its other arguments into our config.
        UNetMotionModel.__init__.__wrapped__(
            self,
            sample_size=sample_size,
            in_channels=in_channels,
            out_channels=out_channels,
            down_block_types=down_block_types,
            up_block_types=up_block_types,
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            downsample_padding=downsample_padding,
            mid_block_scale_factor=mid_block_scale_factor,
            act_fn=act_fn,
            norm_num_groups=norm_num_groups,
            norm_eps=norm_eps,
            cross_attention_dim=cross_attention_dim,
            num_attention_heads=num_attention_heads,
            motion_max_seq_length=motion_max_seq_length,
            motion_num_attention_heads=motion_num_attention_heads,
            use_motion_mid_block=False,
        )
        for module in list(self.modules()):
            if isinstance(module, ResnetBlock2D):
                module.norm1 = copy_norm(module.norm1, ClipGroupNorm)
                module.norm2 = copy_norm(module.norm2, ClipGroupNorm)
            elif isinstance(module, AnimateDiffTransformer3D):
                ReferenceMotionModule.convert(module)
            elif isinstance(module, BasicTransformerBlock) and module.pos_embed is None:
                add_dynamics_adapter(module.attn1)
                add_image_tokens(module.attn2)
        self.conv_norm_out: nn.GroupNorm = copy_norm(self.conv_norm_out, ClipGroupNorm)
        if use_position_encoding:
            self.conv_in: nn.Conv2d = PositionedConv2d.like(self.conv_in)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | int,
        encoder_hidden_states: Tensor,
        down_block_additional_residuals: tuple[Tensor, ...] | None = None,
        mid_block_additional_residual: Tensor | None = None,
        adapter_strength: float = 1.0,
        ip_adapter_scale: float = 1.0,
        reference_mode: str = "dynamics_adapter",
        background_adapter_strength: float | None = None,
        person_masks: Tensor | None = None,
        reference_features: ReferenceFeatures | None = None,
        return_dict: bool = True,
    ) -> UNetMotionOutput | tuple[Tensor]:
        """Predicts noise for a clip.

        Args:
            sample: `(batch, channels, 1 + num_frames, height, width)` latents, the clean reference first.
            timestep: one for all frames, the reference included.
            encoder_hidden_states: `(batch, text_tokens + num_image_tokens, cross_attention_dim)`, text first.
            down_block_additional_residuals: ControlNet residuals of the driving frames,
                `(batch * num_frames, channels, height, width)` each, or a scalar; the reference gets none.
            mid_block_additional_residual: the same for the middle block.
            adapter_strength: weight of the Dynamics-Adapter; at 0 it is not computed.
            ip_adapter_scale: weight of the image tokens; at 0 they are not read.
            reference_mode: one of `REFERENCE_MODES`: "dynamics_adapter"; "reference_attention", which joins the
                reference's keys and values to every frame's self-attention instead (an approximation of a
                ReferenceNet unless trained so); "image_tokens", where self-attention does not see the reference. In
                every mode the reference stays in the clip's group statistics: the backbone was trained with it there,
                and the modes are to differ in nothing but attention. So in "image_tokens" its brightness and contrast
                still play a small part.
            background_adapter_strength: the adapter's weight outside the person; None is `adapter_strength`. Only
                "dynamics_adapter" reads it.
            person_masks: `(1 or batch, num_frames, any height, any width)` in 0..1, 1 on the person, soft edges
                welcome; driving frames only. Needed where the two weights differ.
            reference_features: an approximation. Empty ones are filled from a `sample` that is the reference alone;
                with filled ones, of as many rows, `sample` and result are the driving frames alone.
            return_dict: whether to wrap the result.

        Returns:
            `(batch, channels, 1 + num_frames, height, width)`; frame 0 carries no meaning.

        Raises:
            ValueError: there is no driving frame, or there are more than the motion modules have positions; the
                reference mode is unknown; masks are needed and missing.
        """
        num_frames = sample.shape[2]
        recording = reference_features is not None and not reference_features.moments
        num_driven = num_frames if reference_features is not None else num_frames - 1
        limit = self.config.motion_max_seq_length
        if not 1 <= num_driven <= limit:
            raise ValueError(f"a window needs 1 to {limit} driving frames beside the reference, got {num_driven}")
        if recording and num_frames > 1:
            raise ValueError(f"reference features are recorded from the reference alone, got {num_frames} frames")
        if reference_mode not in REFERENCE_MODES:
            raise ValueError(f"reference_mode must be one of {', '.join(REFERENCE_MODES)}, got {reference_mode!r}")
        self._tell_layers(num_frames, reference_features, recording)
        if reference_mode != "dynamics_adapter":
            background_adapter_strength = None

        num_text = encoder_hidden_states.shape[1] - self.config.num_image_tokens
        residuals = down_block_additional_residuals
        middle = mid_block_additional_residual
        pad = partial(_skip_reference, num_frames=num_frames) if reference_features is None else lambda driven: driven
        output = super().forward(
            sample,
            timestep,
            encoder_hidden_states=encoder_hidden_states.split([num_text, self.config.num_image_tokens], dim=1),
            down_block_additional_residuals=residuals and tuple(pad(r) for r in residuals),
            mid_block_additional_residual=None if middle is None else pad(middle),
            cross_attention_kwargs={
                "num_frames": num_frames,
                "adapter_strength": adapter_strength
                if recording
                else self._adapter_strengths(
                    sample,
                    adapter_strength,
                    background_adapter_strength,
                    person_masks,
                    with_reference=reference_features is None,
                ),
                "reference_mode": reference_mode,
                "ip_adapter_scale": ip_adapter_scale,
                "reference_features": reference_features,
                "recording": recording,
            },
            return_dict=return_dict,
        )
        if reference_features is not None:
            self._tell_layers(num_frames)  # else they would keep the features in memory
        return output

    def _tell_layers(
        self, num_frames: int, reference_features: ReferenceFeatures | None = None, recording: bool = False
    ) -> None:
        """What diffusers' blocks do not pass on to the layers in them."""
        for module in self.modules():
            if isinstance(module, ClipGroupNorm):
                module.num_frames = num_frames
                module.reference_features, module.recording = reference_features, recording
            elif isinstance(module, ReferenceMotionModule):
                module.reference_first = reference_features is None or recording

    def _adapter_strengths(
        self,
        sample: Tensor,
        person: float,
        background: float | None,
        person_masks: Tensor | None,
        with_reference: bool,
    ) -> float | dict[int, Tensor]:
        """One weight for all tokens, or one for each where person and background differ."""
        if background is None or background == person:
            return person
        if person_masks is None:
            raise ValueError(f"background_adapter_strength {background:g} is not {person:g}: give person_masks")
        masks = person_masks.to(sample).expand(len(sample), -1, -1, -1)
        strengths = token_strengths(masks, person, background, self._attention_sizes(*sample.shape[-2:]))
        if with_reference:
            return strengths
        clips = {tokens: weights.unflatten(0, (len(sample), -1)) for tokens, weights in strengths.items()}
        return {tokens: weights[:, 1:].flatten(0, 1) for tokens, weights in clips.items()}

    def _attention_sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """`(height, width)` at every level of the network, finest first."""
        padding = max(2 * self.config.downsample_padding, 1)  # without padding the downsampler adds one row itself
        sizes = [(height, width)]
        for _ in self.config.down_block_types[1:]:
            height, width = (height + padding - 1) // 2, (width + padding - 1) // 2
            sizes.append((height, width))
        return sizes

    def dynamics_adapters(self) -> list[Attention]:
        """The self-attention layers that carry a Dynamics-Adapter, in the order of the network."""
        return [m for m in self.modules() if isinstance(m, Attention) and hasattr(m, "to_q_ff")]

    def set_default_attn_processor(self) -> None:
        """Refused: the Dynamics-Adapter lives in its processors.

        Raises:
            ValueError: always.
        """
        raise ValueError("XDynaUNet has its own attention processors; the default ones would drop the adapter")


class PositionedConv2d(nn.Conv2d):
    """A convolution that adds a fixed sinusoidal code of each pixel's row and column to its output."""

    @classmethod
    def like(cls, conv: nn.Conv2d) -> "PositionedConv2d":
        """A fresh 3 x 3 layer with the channels of `conv`."""
        return cls(conv.in_channels, conv.out_channels, kernel_size=3, padding=1)

    def forward(self, input: Tensor) -> Tensor:
        """Maps `(batch, in_channels, height, width)` to `(batch, out_channels, height, width)`."""
        output = super().forward(input)
        height, width = output.shape[-2:]
        num_bands = self.out_channels // 4
        # Half a period over the picture at the lowest band, a period of two pixels at the highest.
        bands = torch.pi * torch.logspace(0, 1, num_bands, base=max(height, width) / 2, device=output.device)
        rows = torch.arange(height, device=output.device)[:, None] / height * bands
        columns = torch.arange(width, device=output.device)[:, None] / width * bands
        code = output.new_zeros(self.out_channels, height, width)
        code[: 2 * num_bands] = torch.cat([rows.sin(), rows.cos()], 1).T[:, :, None]
        code[2 * num_bands : 4 * num_bands] = torch.cat([columns.sin(), columns.cos()], 1).T[:, None, :]
        return output + code


def _skip_reference(residual: Tensor, num_frames: int) -> Tensor:
    """Puts a zero frame in front of each clip: `(batch * n, ...)` becomes `(batch * (n + 1), ...)`."""
    if not residual.ndim:
        return residual  # one number for all
    clips = residual.unflatten(0, (-1, num_frames - 1))
    return torch.cat([torch.zeros_like(clips[:, :1]), clips], dim=1).flatten(0, 1)
