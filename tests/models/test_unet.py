"""What the X-Dyna UNet adds to diffusers' motion UNet."""

import pytest
import torch
from tiny import SHAPES, tiny_pipeline

from xdyna.models import XDynaUNet

TOKENS = 77 + 16


@pytest.fixture(scope="module")
def unet() -> XDynaUNet:
    return tiny_pipeline().unet.eval()


def call(unet: XDynaUNet, sample: torch.Tensor, tokens: torch.Tensor | None = None, **kwargs: float) -> torch.Tensor:
    tokens = torch.ones(len(sample), TOKENS, SHAPES.unet["cross_attention_dim"]) if tokens is None else tokens
    with torch.no_grad():
        return unet(sample, 500, tokens, **kwargs).sample


def clip(frames: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, 4, frames, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_a_fresh_adapter_changes_nothing() -> None:
    torch.manual_seed(0)
    fresh = XDynaUNet(**SHAPES.unet).eval()
    sample = clip(3)
    assert torch.equal(call(fresh, sample), call(fresh, sample, adapter_strength=0.0))
    assert all(torch.equal(layer.to_q_ff.weight, layer.to_q.weight) for layer in fresh.dynamics_adapters())


def test_the_adapter_is_in_every_spatial_transformer(unet: XDynaUNet) -> None:
    assert len(unet.dynamics_adapters()) == 16


def test_strengths_scale_their_branch(unet: XDynaUNet) -> None:
    sample = clip(3)
    plain = call(unet, sample)
    for name in ("adapter_strength", "ip_adapter_scale"):
        assert torch.equal(call(unet, sample, **{name: 1.0}), plain)
        assert not torch.allclose(call(unet, sample, **{name: 0.5}), plain, atol=1e-4)
        assert torch.allclose(call(unet, sample, **{name: 0.0}), call(unet, sample, **{name: 1e-7}), atol=1e-4)


def test_only_the_last_tokens_are_image_tokens(unet: XDynaUNet) -> None:
    sample, dim = clip(2), SHAPES.unet["cross_attention_dim"]
    tokens = torch.randn(1, TOKENS, dim, generator=torch.Generator().manual_seed(1))
    other = tokens.clone()
    other[:, -16:] += 1
    off = {"ip_adapter_scale": 0.0}
    assert torch.equal(call(unet, sample, tokens, **off), call(unet, sample, other, **off))
    assert not torch.equal(call(unet, sample, tokens), call(unet, sample, other))


def test_clips_of_a_batch_do_not_mix(unet: XDynaUNet) -> None:
    first, second = clip(4, 0), clip(4, 1)
    both = call(unet, torch.cat([first, second]))
    assert torch.allclose(both[:1], call(unet, first), atol=1e-4)
    assert torch.allclose(both[1:], call(unet, second), atol=1e-4)


def test_odd_sizes_come_back_unchanged(unet: XDynaUNet) -> None:
    sample = torch.randn(1, 4, 3, 18, 13)
    assert call(unet, sample).shape == sample.shape


@pytest.mark.parametrize("frames", [1, 26])
def test_a_window_must_fit_the_motion_modules(unet: XDynaUNet, frames: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 24 driving frames .* got {frames - 1}"):
        call(unet, clip(frames))


def test_stock_attention_processors_are_refused(unet: XDynaUNet) -> None:
    with pytest.raises(ValueError, match="drop the adapter"):
        unet.set_default_attn_processor()


def test_position_encoding_tells_places_apart() -> None:
    torch.manual_seed(0)
    unet = XDynaUNet(**SHAPES.unet, use_position_encoding=True)
    code = unet.conv_in(torch.zeros(1, 4, 28, 16))
    places = code[0].flatten(1).T
    assert len(torch.unique(places.round(decimals=4), dim=0)) == 28 * 16
