"""Attention of Wan-Animate-2 without a compiler."""

from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_wan_animate_2 import WanAnimate2KVCache
from tiny_wan import TEXT_DIM, tiny_wan_animate_2_transformer
from torch.nn.attention.flex_attention import create_block_mask

from xdyna.pipelines.wan_animate_2 import use_frame_attention

FRAMES, HEIGHT, WIDTH = 3, 4, 6  # of the driving latents; the clip has one more, the photo's


def predicted(transformer: Any) -> torch.Tensor:
    """One evaluation at a fixed input: the driving clip is read, then the noisy one."""
    draw = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draw)

    grid = torch.tensor([[FRAMES, HEIGHT // 2, WIDTH // 2]])
    tokens = HEIGHT * WIDTH // 4
    image, cache = noise(1, 5, 1280), WanAnimate2KVCache(2)
    shared = {"kv_cache": cache, "timestep": torch.tensor([500.0]), "encoder_hidden_states_image": image}
    with torch.no_grad():
        transformer(
            [noise(4, FRAMES, HEIGHT, WIDTH)],
            condition_latents=[noise(8, FRAMES, HEIGHT, WIDTH)],
            encoder_hidden_states=[noise(7, TEXT_DIM)],
            kv_cache_mode="extract",
            seq_len=FRAMES * tokens,
            offset_grid_sizes=grid,
            **shared,
        )
        return transformer(
            [noise(4, FRAMES + 1, HEIGHT, WIDTH)],
            condition_latents=[noise(8, FRAMES + 1, HEIGHT, WIDTH)],
            encoder_hidden_states=[noise(7, TEXT_DIM)],
            kv_cache_mode="cached",
            seq_len=(FRAMES + 1) * tokens,
            reference_grid_sizes=grid,
            origin_len=4 * FRAMES - 3,
            origin_area=[8 * HEIGHT, 8 * WIDTH],
            **shared,
        ).sample[0]


def test_it_is_the_same_attention_as_diffusers(monkeypatch: pytest.MonkeyPatch) -> None:
    def uncompiled(*args: Any, **kwargs: Any) -> Any:
        return create_block_mask(*args, **kwargs | {"_compile": False})

    monkeypatch.setattr("diffusers.models.transformers.transformer_wan_animate_2.create_block_mask", uncompiled)
    transformer = tiny_wan_animate_2_transformer()
    theirs = predicted(transformer)
    use_frame_attention(transformer)
    assert torch.allclose(predicted(transformer), theirs, atol=2e-5)


def test_the_distilled_weights_have_a_bias_of_their_own() -> None:
    transformer = tiny_wan_animate_2_transformer()
    use_frame_attention(transformer)
    base = predicted(transformer)
    use_frame_attention(transformer, log_scale=-1.3)
    assert not torch.allclose(predicted(transformer), base, atol=1e-3)


def test_a_very_low_bias_hides_the_first_frame() -> None:
    """What the photo's frame and the others make then does not depend on the first frame's keys."""
    transformer = tiny_wan_animate_2_transformer()
    use_frame_attention(transformer, log_scale=-1e4)
    tokens = HEIGHT * WIDTH // 4
    seen: list[torch.Tensor] = []
    original = torch.nn.functional.scaled_dot_product_attention

    def watched(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: Any) -> torch.Tensor:
        attended = original(query, key, value, **options)
        without = torch.cat([key[:, :, :tokens], key[:, :, 2 * tokens :]], 2)
        values = torch.cat([value[:, :, :tokens], value[:, :, 2 * tokens :]], 2)
        if options.get("attn_mask") is not None:
            seen.append((attended - original(query, without, values)).abs().max())
        return attended

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xdyna.pipelines.wan_animate_2.F.scaled_dot_product_attention", watched)
        predicted(transformer)
    assert len(seen) == 2 * (FRAMES + 1)
    assert max(seen) < 1e-5
