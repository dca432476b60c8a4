"""Modes that need less memory give the same video."""

from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_pipeline

from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.memory import MEMORY_MODES, MemoryMode, place

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
CLIPS = RNG.integers(0, 256, (3, 7, 64, 48, 3), dtype=np.uint8)


@pytest.fixture
def pipeline() -> XDynaPipeline:
    return tiny_pipeline()


def run(pipeline: XDynaPipeline, **changes: Any) -> np.ndarray:
    arguments: dict[str, Any] = {
        "num_inference_steps": 2,
        "guidance_scale": 2.0,
        "context_frames": 4,
        "context_overlap": 1,
        "generator": torch.Generator().manual_seed(7),
    }
    return pipeline(IMAGE, *CLIPS, **arguments | changes).frames


@pytest.mark.parametrize("prompt", ["", "sea"], ids=["one text", "two texts"])
@pytest.mark.parametrize(
    "mode",
    [
        *MEMORY_MODES.values(),
        MemoryMode(windows_at_once=2),
        MemoryMode(windows_at_once=8, guidance_passes=2, control_frames_at_once=3),
    ],
    ids=lambda mode: f"{mode.offload}-{mode.windows_at_once}-{mode.guidance_passes}-{mode.control_frames_at_once}",
)
def test_every_mode_makes_the_same_video(pipeline: XDynaPipeline, mode: MemoryMode, prompt: str) -> None:
    expected = run(pipeline, prompt=prompt)
    pipeline.memory = mode
    assert np.allclose(run(pipeline, prompt=prompt), expected, atol=1e-4)
    masks = np.broadcast_to(np.arange(48) < 24, (7, 64, 48)).astype(np.float32)
    masked = {"person_masks": masks, "background_adapter_strength": 0.5, "controls_on_person_only": True}
    got = run(pipeline, prompt=prompt, **masked)
    pipeline.memory = MemoryMode()
    assert np.allclose(got, run(pipeline, prompt=prompt, **masked), atol=1e-4)


@pytest.mark.parametrize(("name", "rows"), [("full", 2), ("model_offload", 1), ("sequential_offload", 1)])
def test_a_smaller_mode_does_less_at_once(pipeline: XDynaPipeline, name: str, rows: int) -> None:
    pipeline.set_memory_mode(name, "cpu")
    shapes: list[int] = []
    frames: list[int] = []
    pipeline.unet.register_forward_pre_hook(lambda _, inputs: shapes.append(len(inputs[0])))
    pipeline.controlnet_pose.register_forward_pre_hook(lambda _, inputs: frames.append(len(inputs[0])))
    run(pipeline)
    assert set(shapes) == {rows}
    assert max(frames) <= 4
    assert (pipeline.cache.used_bytes == 0) == (name == "sequential_offload")
    assert pipeline.vae.use_tiling == (name == "sequential_offload")


def test_an_unknown_mode_is_named(pipeline: XDynaPipeline) -> None:
    with pytest.raises(ValueError, match=r"memory mode must be one of full, .*, got 'tiny'"):
        pipeline.set_memory_mode("tiny", "cpu")


def test_whole_levels_of_brightness_take_a_quarter_of_the_memory(pipeline: XDynaPipeline) -> None:
    floats, levels = run(pipeline), run(pipeline, output_type="uint8")
    assert levels.dtype == np.uint8
    assert np.array_equal(levels, (floats * 255).round().astype(np.uint8))
    assert 4 * levels.nbytes == floats.nbytes


def test_weights_may_rest_in_eight_bits(pipeline: XDynaPipeline) -> None:
    """An approximation: eight bits hold one to two digits."""
    networks = (pipeline.unet, pipeline.controlnet_pose, pipeline.controlnet_face)

    def stored_bytes() -> int:
        return sum(parameter.nbytes for network in networks for parameter in network.parameters())

    exact, before = run(pipeline, output_type="latent"), stored_bytes()
    pipeline.store_weights_in_float8()
    small = run(pipeline, output_type="latent")
    assert pipeline.unet.mid_block.resnets[0].conv1.weight.dtype == torch.float8_e4m3fn
    assert stored_bytes() < 0.3 * before  # of 32 bits; some layers of normalisation keep them
    assert pipeline.unet.dtype == torch.float32  # in which it computes
    assert 1e-3 < (small - exact).norm() / exact.norm() < 0.1
    assert np.array_equal(small, run(pipeline, output_type="latent"))


def test_what_was_encoded_is_found_again_with_weights_in_eight_bits(pipeline: XDynaPipeline) -> None:
    pipeline.store_weights_in_float8()
    run(pipeline)
    used = pipeline.cache.used_bytes
    assert used > 0
    run(pipeline)
    assert pipeline.cache.used_bytes == used


def test_networks_can_be_placed_elsewhere_after_they_waited_layer_by_layer(pipeline: XDynaPipeline) -> None:
    def hooked() -> int:
        registries = [getattr(module, "_diffusers_hook", None) for module in pipeline.unet.modules()]
        return sum(
            registry is not None and registry.get_hook("group_offloading") is not None for registry in registries
        )

    expected = run(pipeline)
    pipeline.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")
    assert hooked() > 100
    place(pipeline, MEMORY_MODES["full"], "cpu")
    assert hooked() == 0
    assert np.array_equal(run(pipeline), expected)
