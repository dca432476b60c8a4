"""What the X-Dyna UNet adds to diffusers' motion UNet."""

from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention
from tiny import SHAPES, tiny_pipeline

from xdyna.config import REFERENCE_MODES as MODES_IN_SETTINGS
from xdyna.models import REFERENCE_MODES, XDynaUNet
from xdyna.models.dynamics_adapter import add_dynamics_adapter, is_adapter_parameter, token_strengths

TOKENS = 77 + 16


@pytest.fixture(scope="module")
def unet() -> XDynaUNet:
    return tiny_pipeline().unet.eval()


def call(unet: XDynaUNet, sample: torch.Tensor, tokens: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
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


def test_the_settings_list_the_same_modes() -> None:
    assert MODES_IN_SETTINGS == REFERENCE_MODES


def test_each_reference_mode_reads_the_reference_differently(unet: XDynaUNet) -> None:
    outputs = [call(unet, clip(3), reference_mode=mode) for mode in REFERENCE_MODES]
    assert torch.equal(outputs[0], call(unet, clip(3)))
    for k, output in enumerate(outputs):
        assert torch.isfinite(output).all()
        assert not torch.allclose(output, outputs[k - 1], atol=1e-3)


def test_image_tokens_mode_is_the_adapter_at_zero(unet: XDynaUNet) -> None:
    off = call(unet, clip(3), adapter_strength=0.0)
    assert torch.equal(call(unet, clip(3), reference_mode="image_tokens"), off)


def test_joined_attention_is_one_softmax_over_own_and_reference_tokens() -> None:
    """softmax([q k_i, q k_R]) [v_i, v_R] by hand, which for the reference itself is its plain self-attention."""
    torch.manual_seed(0)
    layer = Attention(16, heads=2, dim_head=8)
    add_dynamics_adapter(layer)
    frames = torch.randn(2 * 3, 5, 16)  # two clips of a reference and two frames
    got = layer(frames, num_frames=3, reference_mode="reference_attention").unflatten(0, (2, 3))

    clips = frames.unflatten(0, (2, 3))
    seen = torch.cat([clips, clips[:, :1].expand_as(clips)], dim=2)
    query, key, value = (
        project(tokens).unflatten(-1, (2, 8)).transpose(-3, -2)
        for project, tokens in ((layer.to_q, clips), (layer.to_k, seen), (layer.to_v, seen))
    )
    attended = (query @ key.transpose(-1, -2) / 8**0.5).softmax(-1) @ value
    assert torch.allclose(got, layer.to_out[0](attended.transpose(-3, -2).flatten(-2)), atol=1e-5)
    plain = layer(frames, num_frames=3, reference_mode="image_tokens").unflatten(0, (2, 3))
    assert torch.allclose(got[:, 0], plain[:, 0], atol=1e-5)
    assert not torch.allclose(got[:, 1:], plain[:, 1:], atol=1e-2)


def test_an_unknown_mode_is_named(unet: XDynaUNet) -> None:
    with pytest.raises(ValueError, match=r"reference_mode must be one of dynamics_adapter, .* got 'magic'"):
        call(unet, clip(2), reference_mode="magic")


@pytest.mark.parametrize("size", [(16, 16), (18, 13)])
def test_equal_strengths_inside_and_outside_are_one_strength(unet: XDynaUNet, size: tuple[int, int]) -> None:
    sample = torch.randn(2, 4, 3, *size)
    masks = torch.rand(1, 2, 64, 48)
    for strength in (0.0, 0.5, 1.0):
        plain = call(unet, sample, adapter_strength=strength)
        same = call(unet, sample, adapter_strength=strength, background_adapter_strength=strength, person_masks=masks)
        assert torch.equal(plain, same)
    everywhere = call(unet, sample, background_adapter_strength=0.0, person_masks=torch.ones_like(masks))
    assert torch.equal(call(unet, sample), everywhere)


def test_strengths_follow_the_mask_token_by_token() -> None:
    masks = torch.zeros(1, 1, 4, 6)
    masks[..., :3] = 1  # the person is on the left
    strengths = token_strengths(masks, 1.0, 0.25, [(4, 6), (2, 3)])
    assert strengths.keys() == {24, 6}
    assert (strengths[24][0] == 1).all()  # the reference
    assert strengths[24][1, :, 0].view(4, 6)[0].tolist() == [1, 1, 1, 0.25, 0.25, 0.25]
    assert strengths[6][1, :, 0].view(2, 3)[0].tolist() == [1, 0.625, 0.25]  # half a cell of person


def test_two_strengths_need_masks(unet: XDynaUNet) -> None:
    with pytest.raises(ValueError, match=r"background_adapter_strength 0.5 is not 1: give person_masks"):
        call(unet, clip(2), background_adapter_strength=0.5)


@pytest.mark.parametrize("mode", REFERENCE_MODES)
def test_every_mode_can_be_trained_and_checkpointing_changes_no_gradient(mode: str) -> None:
    unet = tiny_pipeline().unet.train()
    tokens = torch.randn(1, TOKENS, SHAPES.unet["cross_attention_dim"], generator=torch.Generator().manual_seed(1))
    reads = {"reference_mode": mode, "background_adapter_strength": 0.5, "person_masks": torch.rand(1, 2, 16, 16)}

    def gradients() -> dict[str, torch.Tensor | None]:
        unet.zero_grad(set_to_none=True)
        unet(clip(3), 500, tokens, **reads).sample[:, :, 1:].square().mean().backward()
        return {name: parameter.grad for name, parameter in unet.named_parameters()}

    calls: list[object] = []
    unet.dynamics_adapters()[0].register_forward_hook(lambda module, *_: calls.append(module))
    plain = gradients()
    assert len(calls) == 1
    unet.enable_gradient_checkpointing()
    checkpointed = gradients()
    assert len(calls) == 1 + 2  # forward, and once more in the backward pass
    for name, gradient in plain.items():
        idle = is_adapter_parameter(name) and mode != "dynamics_adapter"
        assert (gradient is None) == (checkpointed[name] is None) == idle, name
        if gradient is not None:
            assert torch.equal(gradient, checkpointed[name]), name


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
