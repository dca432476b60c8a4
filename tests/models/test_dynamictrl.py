"""What DynamiCtrl adds to CogVideoX 1.5: a pose stream, and how its release is read."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel
from safetensors.torch import save_file
from tiny_dynamictrl import TEXT_DIM, TRANSFORMER, tiny_transformer

from xdyna.models import DynamiCtrlTransformer
from xdyna.models.dynamictrl_checkpoint import load_dynamictrl
from xdyna.schema import InputError


@pytest.fixture(scope="module")
def transformer() -> DynamiCtrlTransformer:
    return tiny_transformer()


def inputs(seed: int = 0, rows: int = 1) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "hidden_states": torch.randn(rows, 2, 8, 4, 6, generator=generator),
        "encoder_hidden_states": torch.randn(rows, 8, TEXT_DIM, generator=generator),
        "timestep": torch.full((rows,), 600),
        "control_hidden_states": torch.randn(rows, 2, 4, 4, 6, generator=generator),
    }


@torch.no_grad()
def call(model: DynamiCtrlTransformer, **changes: Any) -> torch.Tensor:
    return model(**inputs() | changes).sample


def published() -> DynamiCtrlTransformer:
    with torch.device("meta"):
        return DynamiCtrlTransformer()


def stock_of(model: DynamiCtrlTransformer) -> CogVideoXTransformer3DModel:
    return CogVideoXTransformer3DModel(**{k: v for k, v in model.config.items() if not k.startswith("_")})


def test_the_defaults_are_cogvideox_1_5_with_a_pose_norm_in_every_block() -> None:
    ours = published()
    with torch.device("meta"):
        stock = stock_of(ours)
    added = {
        f"transformer_blocks.{i}.control_norm1.{name}": shape
        for i in range(42)
        for name, shape in {
            "linear.weight": (9216, 512),
            "linear.bias": (9216,),
            "norm.weight": (3072,),
            "norm.bias": (3072,),
        }.items()
    }
    expected = {key: tuple(value.shape) for key, value in stock.state_dict().items()} | added
    assert {key: tuple(value.shape) for key, value in ours.state_dict().items()} == expected
    assert ours.num_parameters() == 5_770_420_864


def test_the_published_list_of_keys_and_shapes(test_data: Path) -> None:
    manifest = json.loads((test_data / "backends" / "dynamictrl_manifest.json").read_text())["full"]
    ours = published()
    assert {key: list(value.shape) for key, value in ours.state_dict().items()} == manifest["all_keys"]
    assert {key: ours.config[key] for key in manifest["config"]} == manifest["config"]


def test_video_text_and_pose_all_matter(transformer: DynamiCtrlTransformer) -> None:
    plain, other = call(transformer), inputs(seed=1)
    for name in ("hidden_states", "encoder_hidden_states", "control_hidden_states"):
        assert not torch.allclose(plain, call(transformer, **{name: other[name]}), atol=1e-3)
    for change in ({"timestep": torch.tensor([10])}, {"ofs": torch.zeros(1)}):
        assert not torch.allclose(plain, call(transformer, **change), atol=1e-4)


def test_the_pose_chains_from_block_to_block_but_not_beyond_the_last() -> None:
    model = tiny_transformer()
    plain = call(model)
    gates = slice(2 * 32, 3 * 32)  # shift, scale, gate
    with torch.no_grad():
        model.transformer_blocks[-1].control_norm1.linear.bias[gates] += 1
        assert torch.equal(call(model), plain)
        model.transformer_blocks[0].control_norm1.linear.bias[gates] += torch.randn(32)
        assert not torch.allclose(call(model), plain, atol=1e-4)


def test_the_pose_comes_only_through_its_norms() -> None:
    model = tiny_transformer()
    with torch.no_grad():
        for block in model.transformer_blocks:
            for parameter in block.control_norm1.parameters():
                parameter.zero_()
    stock = stock_of(model)
    stock.load_state_dict({key: value for key, value in model.state_dict().items() if "control_norm1" not in key})
    given = inputs()
    del given["control_hidden_states"]
    rope = model.rotary_embedding(2, 4, 6)
    with torch.no_grad():
        expected = stock.eval()(**given, ofs=torch.full((1,), 2.0), image_rotary_emb=rope).sample
    assert torch.allclose(call(model), expected, atol=1e-5)


def test_clips_of_a_batch_do_not_mix(transformer: DynamiCtrlTransformer) -> None:
    both = inputs(rows=2)
    with torch.no_grad():
        together = transformer(**both).sample
        alone = [transformer(**{key: value[k : k + 1] for key, value in both.items()}).sample for k in range(2)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_gradient_checkpointing_and_fused_projections_change_nothing() -> None:
    model = tiny_transformer()
    plain = call(model)
    model.enable_gradient_checkpointing()
    checkpointed = model.train()(**inputs()).sample
    checkpointed.sum().backward()
    assert torch.allclose(checkpointed, plain, atol=1e-5)
    assert model.transformer_blocks[0].control_norm1.linear.weight.grad.abs().sum() > 0
    model.eval().fuse_qkv_projections()
    assert torch.allclose(call(model), plain, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"control_hidden_states": torch.zeros(1, 1, 4, 4, 6)}, r"shape \(1, 2, 4, 4, 6\), got \(1, 1, 4, 4, 6\)"),
        (
            {"hidden_states": torch.zeros(1, 3, 8, 4, 6), "control_hidden_states": torch.zeros(1, 3, 4, 4, 6)},
            "latent frames must be a multiple of 2.*'num_frames': 3",
        ),
        (
            {"hidden_states": torch.zeros(1, 2, 8, 14, 6), "control_hidden_states": torch.zeros(1, 2, 4, 14, 6)},
            "at most 12 x 12.*'height': 14",
        ),
    ],
    ids=["pose of another length", "odd frames", "beyond the last position"],
)
def test_what_does_not_fit_is_named(
    transformer: DynamiCtrlTransformer, change: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(transformer, **change)


def test_save_and_load(transformer: DynamiCtrlTransformer, tmp_path: Path) -> None:
    transformer.save_pretrained(tmp_path)
    loaded = DynamiCtrlTransformer.from_pretrained(tmp_path)
    assert loaded.config.num_layers == 2
    assert torch.allclose(call(loaded), call(transformer), atol=1e-5)


@pytest.mark.parametrize("place", [".", "transformer"], ids=["at the root", "in the transformer folder"])
@pytest.mark.parametrize("max_shard_size", ["10GB", "50KB"], ids=["one file", "shards"])
def test_both_published_layouts_load(
    transformer: DynamiCtrlTransformer, tmp_path: Path, place: str, max_shard_size: str
) -> None:
    transformer.save_pretrained(tmp_path / place, max_shard_size=max_shard_size)
    config = tmp_path / place / "config.json"
    config.write_text(config.read_text().replace("DynamiCtrlTransformer", "DynamiCtrlTransformerModel"))
    assert torch.allclose(call(load_dynamictrl(tmp_path, torch.float32)), call(transformer), atol=1e-5)
    assert load_dynamictrl(tmp_path).dtype == torch.bfloat16


NORM = "transformer_blocks.1.control_norm1.norm.bias"


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        ([NORM], {}, f"1 missing .{NORM}"),
        ([], {"extra.weight": (1,)}, "1 unexpected .extra.weight"),
        ([], {NORM: (31,)}, rf"1 mis-shaped .{NORM} \(31,\) instead of \(32,\)"),
    ],
    ids=["missing", "unexpected", "mis-shaped"],
)
def test_loading_is_strict(
    transformer: DynamiCtrlTransformer, tmp_path: Path, removed: list[str], added: dict[str, tuple], message: str
) -> None:
    state = {key: value for key, value in transformer.state_dict().items() if key not in removed}
    transformer.save_config(tmp_path)
    save_file(state | {key: torch.zeros(shape) for key, shape in added.items()}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=message):
        load_dynamictrl(tmp_path)


def test_plain_cogvideox_is_not_taken_for_dynamictrl(tmp_path: Path) -> None:
    CogVideoXTransformer3DModel(**TRANSFORMER, patch_size_t=2, patch_bias=False).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"8 missing .*control_norm1"):
        load_dynamictrl(tmp_path)


def test_a_folder_without_a_transformer_is_refused(transformer: DynamiCtrlTransformer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither transformer/config\.json nor config\.json is there"):
        load_dynamictrl(tmp_path)
    transformer.save_config(tmp_path)
    with pytest.raises(InputError, match="no weights"):
        load_dynamictrl(tmp_path)
