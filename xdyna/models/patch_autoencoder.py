"""A small autoencoder that starts from principal components."""

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import Decoder, DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import Tensor, nn

LATENT_LOG_VARIANCE = -12.0  # the encoder is deterministic up to this


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Linear patches in, linear patches plus a learnt correction out.

    A stand-in for `AutoencoderKL` where one cannot be trained: the encoder and the linear half of the decoder are the
    principal components of picture patches, known in closed form; diffusers' convolutional decoder adds what is
    missing. The same interface as `AutoencoderKL`, eight pixels per latent cell.

    Args:
        latent_channels: principal components kept.
        block_out_channels: widths of the correcting decoder, which works at half the picture's size.
        norm_num_groups: groups of its normalisation.
        scaling_factor: 1 over the standard deviation of the latents.
    """

    patch_size = 8

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 12,
        block_out_channels: tuple[int, ...] = (32, 64, 64),
        norm_num_groups: int = 8,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        patch = self.patch_size
        self.encoder = nn.Conv2d(3, latent_channels, patch, stride=patch)
        self.linear_decoder = nn.ConvTranspose2d(latent_channels, 3, patch, stride=patch)
        self.decoder = Decoder(
            in_channels=latent_channels,
            out_channels=3 * 4,
            up_block_types=("UpDecoderBlock2D",) * len(block_out_channels),
            block_out_channels=block_out_channels,
            layers_per_block=1,
            norm_num_groups=norm_num_groups,
            mid_block_add_attention=False,
        )
        nn.init.zeros_(self.decoder.conv_out.weight)
        nn.init.zeros_(self.decoder.conv_out.bias)

    @apply_forward_hook
    def encode(self, x: Tensor) -> AutoencoderKLOutput:
        """Maps `(batch, 3, h, w)` in -1..1 to a distribution over `(batch, latent_channels, h / 8, w / 8)`."""
        mean = self.encoder(x)
        moments = torch.cat([mean, torch.full_like(mean, LATENT_LOG_VARIANCE)], dim=1)
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(moments))

    @apply_forward_hook
    def decode(self, z: Tensor) -> DecoderOutput:
        """Maps `(batch, latent_channels, h, w)` to `(batch, 3, 8 * h, 8 * w)`, about -1..1."""
        correction = nn.functional.pixel_shuffle(self.decoder(z), 2)
        return DecoderOutput(sample=self.linear_decoder(z) + correction)

    def fit(self, patches: Tensor) -> None:
        """Sets the linear half to the principal components of `(count, 3, 8, 8)` patches in -1..1.

        Components are scaled to the square root of their standard deviation: coarse ones stay larger than fine ones,
        so that diffusion settles them first, but fine ones are not drowned by the first grain of noise.
        """
        flat = patches.flatten(1).double()
        mean = flat.mean(dim=0)
        _, singular, components = torch.linalg.svd(flat - mean, full_matrices=False)
        kept = components[: self.config.latent_channels]
        spread = (singular[: len(kept)] / len(flat) ** 0.5).sqrt()[:, None]
        shape = (len(kept), 3, self.patch_size, self.patch_size)
        encoder = {"weight": (kept / spread).view(shape), "bias": -(kept @ mean) / spread[:, 0]}
        # One bias per colour cannot hold the mean patch; its even part is the mean colour, the rest is noise.
        decoder = {"weight": (kept * spread).view(shape), "bias": mean.view(3, -1).mean(dim=1)}
        self.encoder.load_state_dict(encoder)
        self.linear_decoder.load_state_dict(decoder)
