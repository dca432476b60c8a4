"""What a run starts from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import MotionAdapter
from tiny import randomise, tiny_pipeline
from torch import Tensor

from xdyna.models import PatchAutoencoder, XDynaUNet
from xdyna.pipelines import XDynaPipeline
from xdyna.schema import InputError
from xdyna.training import mini
from xdyna.training.recipe import Recipe, load_recipe
from xdyna.training.start import starting_pipeline, take_over

CPU = torch.device("cpu")


def animated(pipeline: XDynaPipeline, size: tuple[int, int] = (64, 48), **arguments: object) -> Tensor:
    rng = np.random.default_rng(0)
    image, *clips = (rng.integers(0, 256, (*shape, *size, 3), dtype=np.uint8) for shape in [(), (2,), (2,), (2,)])
    generator = torch.Generator().manual_seed(0)
    settings = {"num_inference_steps": 2, "guidance_scale": 1.0, "output_type": "latent"} | arguments
    return pipeline(image, *clips, generator=generator, **settings).frames


def test_reset_parts_start_as_the_paper_says(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    pipeline = starting_pipeline(tiny_recipe(), tmp_path, CPU)
    for layer in pipeline.unet.dynamics_adapters():
        assert torch.equal(layer.to_q_ff.weight, layer.to_q.weight)
        assert not layer.to_out_ff.weight.any() and not layer.to_out_ff.bias.any()
    backbone = pipeline.unet.state_dict()
    for controlnet in (pipeline.controlnet_pose, pipeline.controlnet_face):
        state = controlnet.state_dict()
        shared = set(state) & set(backbone)
        assert {"conv_in.weight", "mid_block.resnets.0.conv1.weight", "down_blocks.0.resnets.0.conv1.weight"} <= shared
        assert all(torch.equal(state[key], backbone[key]) for key in shared)

    # None of them has an effect yet.
    bare = animated(pipeline, adapter_strength=0.0, controlnet_pose_scale=0.0, controlnet_face_scale=0.0)
    assert torch.equal(animated(pipeline), bare)
    assert not torch.equal(animated(tiny_pipeline()), bare)


def test_motion_can_start_from_animatediff(tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> None:
    unet = tiny_pipeline(seed=3).unet
    adapter = MotionAdapter(
        block_out_channels=unet.config.block_out_channels,
        motion_norm_num_groups=unet.config.norm_num_groups,
        motion_num_attention_heads=unet.config.motion_num_attention_heads,
        motion_max_seq_length=unet.config.motion_max_seq_length,
        use_motion_mid_block=False,
    )
    adapter.save_pretrained(tmp_path / "adapter")
    pipeline = starting_pipeline(tiny_recipe(f"motion_adapter={tmp_path / 'adapter'}"), tmp_path, CPU)
    for name, weight in adapter.state_dict().items():
        assert torch.equal(pipeline.unet.state_dict()[name], weight), name
    with pytest.raises(InputError, match=r"motion_adapter .* cannot be loaded"):
        starting_pipeline(tiny_recipe(f"motion_adapter={tmp_path / 'nothing'}"), tmp_path, CPU)


def test_a_model_with_more_layers_starts_where_the_earlier_one_stood() -> None:
    """The shipped weights grew this way: attention at full resolution was added to a trained model."""
    torch.manual_seed(0)
    vae = PatchAutoencoder(latent_channels=mini.LATENT_CHANNELS)
    grown = mini.build_pipeline(vae)
    earlier = mini.build_pipeline(vae)
    earlier.unet = XDynaUNet.from_config(
        grown.unet.config,
        down_block_types=("DownBlockMotion", "CrossAttnDownBlockMotion", "CrossAttnDownBlockMotion"),
        up_block_types=("CrossAttnUpBlockMotion", "CrossAttnUpBlockMotion", "UpBlockMotion"),
    )
    randomise(earlier.unet)
    take_over(grown, earlier)
    kwargs = {"size": (96, 64), "controlnet_pose_scale": 0.5}
    torch.testing.assert_close(animated(grown, **kwargs), animated(earlier, **kwargs))
    with pytest.raises(InputError, match=r"start does not fit: its unet has down_blocks\.0\.attentions"):
        take_over(earlier, grown)


@pytest.mark.parametrize("key", ["model", "start"])
def test_a_missing_folder_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match="nowhere is not a pipeline folder"):
        starting_pipeline(load_recipe("mini", [f"{key}=nowhere"]), tmp_path, CPU)
