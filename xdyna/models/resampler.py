"""CLIP image features to image tokens."""

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from diffusers.models.modeling_utils import ModelMixin


class Resampler(ModelMixin, IPAdapterPlusImageProjection, ConfigMixin):
    """The resampler of IP-Adapter-plus as a pipeline component.

    Maps `(batch, patches + 1, embedding_dim)`, the penultimate hidden states of a CLIP image encoder, to
    `(batch, num_queries, output_dim)` image tokens.
    """

    @register_to_config
    def __init__(
        self,
        dim: int = 768,
        depth: int = 4,
        dim_head: int = 64,
        heads: int = 12,
        num_queries: int = 16,
        embedding_dim: int = 1280,
        output_dim: int = 768,
        ff_mult: int = 4,
    ) -> None:
        # Not super(): ModelMixin would build the projection once more at its default, full size.
        IPAdapterPlusImageProjection.__init__(
            self,
            embed_dims=embedding_dim,
            output_dims=output_dim,
            hidden_dims=dim,
            depth=depth,
            dim_head=dim_head,
            heads=heads,
            num_queries=num_queries,
            ffn_ratio=ff_mult,
        )
