"""Official checkpoint files: their layout, and what happens to files that are not."""

import pickle
from pathlib import Path

import pytest
import torch
from tiny import load_layout, official_state, tiny_pipeline
from torch import nn

from xdyna.models.checkpoint import load_official, official_layout, read_checkpoint
from xdyna.models.dynamics_adapter import is_adapter_parameter
from xdyna.pipelines.convert import Shapes
from xdyna.schema import InputError

MODULES = ("unet", "controlnet_pose", "controlnet_face", "resampler")


@pytest.fixture(scope="module")
def full_size() -> dict[str, nn.Module]:
    return Shapes().build()


@pytest.mark.parametrize("name", MODULES)
def test_full_size_layout_is_the_released_one(full_size: dict[str, nn.Module], golden: Path, name: str) -> None:
    released = {key: tuple(shape) for key, shape in load_layout(golden)[name].items()}
    assert official_layout(full_size[name]) == released


@pytest.mark.parametrize("name", MODULES)
def test_parameter_count_is_the_released_one(full_size: dict[str, nn.Module], golden: Path, name: str) -> None:
    counted = sum(parameter.numel() for parameter in full_size[name].parameters())
    assert counted == load_layout(golden)["parameter_counts"][name]["params_total"]


def test_parts_of_the_unet_have_the_released_size(full_size: dict[str, nn.Module], golden: Path) -> None:
    counts = load_layout(golden)["parameter_counts"]["unet"]
    sizes = {key: value.numel() for key, value in full_size["unet"].named_parameters()}
    adapter = sum(size for key, size in sizes.items() if is_adapter_parameter(key))
    assert adapter == counts["dynamics_adapter(to_q_ff,to_out_ff)"]
    assert sum(size for key, size in sizes.items() if ".motion_modules." in key) == counts["motion_modules"]
    assert sum(size for key, size in sizes.items() if "_ip." in key) == counts["ip_adapter_kv(to_k_ip,to_v_ip)"]


@pytest.mark.parametrize("name", MODULES)
def test_tiny_modules_have_the_released_keys(golden: Path, name: str) -> None:
    assert set(official_layout(getattr(tiny_pipeline(), name))) == set(load_layout(golden)[name])


@pytest.mark.parametrize("name", MODULES)
def test_weights_survive_the_round_trip(name: str) -> None:
    source, target = getattr(tiny_pipeline(0), name), getattr(tiny_pipeline(1), name)
    load_official(target, official_state(source), "file")
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


def test_faults_are_named() -> None:
    model = tiny_pipeline().resampler
    state = official_state(model)
    del state["norm_out.bias"]
    state["surprise"] = torch.zeros(1)
    state["latents"] = torch.zeros(1, 2, 3)
    with pytest.raises(InputError) as error:
        load_official(model, state, "ip-adapter.bin")
    for part in ("ip-adapter.bin", "1 missing (norm_out.bias)", "1 unexpected (surprise)", "latents (1, 2, 3)"):
        assert part in str(error.value)


def test_differing_copies_of_a_position_table_are_refused() -> None:
    model = tiny_pipeline().unet
    state = official_state(model)
    key = next(key for key in state if key.endswith("attention_blocks.1.pos_encoder.pe"))
    state[key] = state[key] + 1
    with pytest.raises(InputError, match=r"copies of .* differ"):
        load_official(model, state, "unet.ckpt")


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("ran"),)


def test_code_in_a_checkpoint_never_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.zeros(1)}, "hook": _Bomb()}, tmp_path / "bomb.ckpt", pickle_module=pickle)
    with pytest.raises(InputError, match=r"bomb\.ckpt cannot be read"):
        read_checkpoint(tmp_path / "bomb.ckpt")
    assert not (tmp_path / "ran").exists()


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "empty.ckpt").touch()
    (tmp_path / "text.safetensors").write_text("hello")
    torch.save([1, 2], tmp_path / "list.ckpt")
    torch.save({"other": {}}, tmp_path / "wrong.bin")
    for name, entry, message in (
        ("absent.ckpt", None, "is not a file"),
        (".", None, "not a folder"),
        ("empty.ckpt", None, "cannot be read"),
        ("text.safetensors", None, "cannot be read"),
        ("list.ckpt", None, "holds no state dict"),
        ("wrong.bin", "image_proj", "no entry 'image_proj'"),
    ):
        with pytest.raises(InputError, match=message):
            read_checkpoint(tmp_path / name, entry)
