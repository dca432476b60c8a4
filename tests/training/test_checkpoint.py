"""What a run leaves on disk is whole, or what was there before."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_pipeline
from torch import nn

from xdyna.pipelines import XDynaPipeline
from xdyna.schema import InputError
from xdyna.training.checkpoint import (
    CHECKPOINT,
    Position,
    export,
    load_checkpoint,
    save_checkpoint,
    save_snapshot,
)
from xdyna.training.recipe import load_recipe

RECIPE = load_recipe("full")
FULL_DISK = Path("/dev/full")


def save(folder: Path, value: float, size: int = 3) -> None:
    weights = {"unet.x": nn.Parameter(torch.full((size,), value))}
    save_checkpoint(folder, RECIPE, Position(stage=1, step=2, clips=3), weights, {"optimizer": {"state": {}}})


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path, RECIPE) is None
    save(tmp_path, 1.5)
    content = load_checkpoint(tmp_path, RECIPE)
    assert content is not None
    assert Position(**content["position"]) == Position(stage=1, step=2, clips=3)
    assert content["weights"]["unet.x"].tolist() == [1.5] * 3
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]


@pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full to stand for a full disk")
def test_a_full_disk_leaves_the_previous_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1.5)
    (tmp_path / f"{CHECKPOINT}.partial").symlink_to(FULL_DISK)
    with pytest.raises(InputError, match=r"its disk is full\. What was saved before is kept\. Make room"):
        save(tmp_path, 2.5, size=10**6)
    content = load_checkpoint(tmp_path, RECIPE)
    assert content is not None and content["weights"]["unet.x"].tolist() == [1.5] * 3
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT]  # and the torn file takes no room


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    save(tmp_path, 1.5)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"checkpoint\.pt is damaged .* Delete it to start over"):
        load_checkpoint(tmp_path, RECIPE)


def test_another_recipe_does_not_go_on(tmp_path: Path) -> None:
    save(tmp_path, 1.5)
    assert load_checkpoint(tmp_path, replace(RECIPE, log_every=7, workers=0)) is not None
    with pytest.raises(InputError, match=r"another recipe: seed was 0, now 1\. Give the same recipe"):
        load_checkpoint(tmp_path, replace(RECIPE, seed=1))


def test_snapshots_replace_one_another_and_ship_in_half_precision(tmp_path: Path) -> None:
    pipeline = tiny_pipeline()
    save_snapshot(tmp_path, pipeline)
    with torch.no_grad():
        pipeline.unet.conv_in.bias.fill_(0.25)
    save_snapshot(tmp_path, pipeline)
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]

    export(tmp_path, tmp_path / "shipped")
    assert set(XDynaPipeline.from_pretrained(tmp_path / "shipped").unet.conv_in.bias.tolist()) == {0.25}
    stored = load_file(tmp_path / "shipped" / "unet" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert not any("_name_or_path" in json.loads(path.read_text()) for path in tmp_path.glob("shipped/**/*.json"))


def test_a_run_without_a_snapshot_cannot_ship(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no snapshot yet"):
        export(tmp_path, tmp_path / "shipped")
