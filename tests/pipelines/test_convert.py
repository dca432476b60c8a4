"""The official release in, a pipeline that computes the same out."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SHAPES, official_state, tiny_pipeline, write_release

from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.convert import Sources, convert
from xdyna.schema import InputError


@pytest.fixture
def release(tmp_path: Path) -> dict[str, Path]:
    return write_release(tmp_path / "release", tiny_pipeline())


def test_the_converted_pipeline_computes_the_same(release: dict[str, Path], tmp_path: Path) -> None:
    folder = convert(Sources(**release), tmp_path / "xdyna", SHAPES, torch.float32)
    converted = XDynaPipeline.from_pretrained(folder)
    rng = np.random.default_rng(0)
    image, pose = (rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((80, 60, 3), (2, 64, 48, 3)))
    results = [
        pipeline(
            image,
            pose,
            pose,
            pose[::-1],
            prompt="water",
            num_inference_steps=2,
            generator=torch.Generator().manual_seed(0),
        ).frames
        for pipeline in (tiny_pipeline(), converted)
    ]
    assert np.allclose(*results, atol=1e-4)


def test_absent_keys_come_from_the_initialisation_file_only_if_given(release: dict[str, Path], tmp_path: Path) -> None:
    state = official_state(tiny_pipeline().unet)
    absent = "conv_in.bias"
    torch.save({key: value for key, value in state.items() if key != absent}, release["unet"])
    with pytest.raises(InputError, match=r"unet\.ckpt lacks 1 keys \(conv_in\.bias\).*--unet-initialisation"):
        convert(Sources(**release), tmp_path / "xdyna", SHAPES)
    initial = tmp_path / "init.pth"
    torch.save({absent: state[absent] + 1, "conv_out.bias": state["conv_out.bias"] + 1}, initial)
    folder = convert(Sources(**release, unet_initialisation=initial), tmp_path / "xdyna", SHAPES, torch.float32)
    unet = XDynaPipeline.from_pretrained(folder).unet
    assert torch.equal(unet.conv_in.bias, state[absent] + 1)
    assert torch.equal(unet.conv_out.bias, state["conv_out.bias"])


@pytest.mark.parametrize(
    ("source", "message"),
    [("unet", "is not a file"), ("stable_diffusion", "not a folder"), ("image_encoder", "not a folder")],
)
def test_a_missing_source_is_named(release: dict[str, Path], tmp_path: Path, source: str, message: str) -> None:
    release[source] = tmp_path / "nowhere"
    with pytest.raises(InputError, match=message):
        convert(Sources(**release), tmp_path / "xdyna", SHAPES)
    assert not (tmp_path / "xdyna").exists()
