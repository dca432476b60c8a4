"""Modes that save work at a small error: off they change nothing, on they stay close, and they do save."""

from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_pipeline
from torch import Tensor

from xdyna.models import REFERENCE_MODES
from xdyna.models.reference_features import ReferenceFeatures
from xdyna.pipelines import XDynaPipeline

NUM_FRAMES, STEPS = 7, 4
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
POSE, LOCAL, GLOBAL = RNG.integers(0, 256, (3, NUM_FRAMES, 64, 48, 3), dtype=np.uint8)
MASKS = np.broadcast_to(np.arange(48) < 24, (NUM_FRAMES, 64, 48)).astype(np.float32)


@pytest.fixture(scope="module")
def pipeline() -> XDynaPipeline:
    return tiny_pipeline()


def run(pipeline: XDynaPipeline, **changes: Any) -> Tensor:
    """Three windows a step, both ControlNets, guidance with two texts."""
    arguments: dict[str, Any] = {
        "face_local_frames": LOCAL,
        "face_global_frames": GLOBAL,
        "num_inference_steps": STEPS,
        "guidance_scale": 2.0,
        "prompt": "sea",
        "context_frames": 4,
        "context_overlap": 1,
        "generator": torch.Generator().manual_seed(7),
        "output_type": "latent",
    }
    return pipeline(IMAGE, POSE, **arguments | changes).frames


@pytest.fixture(scope="module")
def exact(pipeline: XDynaPipeline) -> Tensor:
    return run(pipeline)


def error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


@pytest.mark.parametrize(
    "neutral",
    [
        {"guidance_start": 0.0, "guidance_end": 1.0},
        {"reference_cache": False},
        {"feature_cache_interval": 1},
        {"window_schedule": "loop"},
    ],
    ids=lambda change: "+".join(change),
)
def test_a_neutral_value_changes_no_bit(pipeline: XDynaPipeline, exact: Tensor, neutral: dict[str, Any]) -> None:
    assert torch.equal(run(pipeline, **neutral), exact)


@pytest.mark.parametrize(
    "change",
    [
        {"guidance_end": 0.5},
        {"guidance_start": 0.5},
        {"reference_cache": True},
        {"feature_cache_interval": 2},
        {"feature_cache_interval": 2, "reference_cache": True, "guidance_end": 0.5},
        {"window_schedule": "open"},
    ],
    ids=lambda change: "+".join(change),
)
def test_an_approximation_differs_but_is_near(pipeline: XDynaPipeline, exact: Tensor, change: dict[str, Any]) -> None:
    """Random weights: they say that it is the same picture, no more. docs/speed.md measures trained ones."""
    got = run(pipeline, **change)
    unrelated = run(pipeline, generator=torch.Generator().manual_seed(8))
    assert 1e-4 < error(got, exact) < 0.9 * error(unrelated, exact)
    assert torch.equal(run(pipeline, **change), got)


def test_no_guidance_at_any_step_is_no_guidance(pipeline: XDynaPipeline) -> None:
    off = run(pipeline, guidance_scale=1.0)
    assert torch.equal(run(pipeline, guidance_start=0.0, guidance_end=0.0), off)


def calls(pipeline: XDynaPipeline, **changes: Any) -> tuple[list[tuple[int, ...]], int, int]:
    """Shapes that the UNet got, how often its deepest block ran, and frames that the pose ControlNet got."""
    shapes: list[tuple[int, ...]] = []
    frames: list[int] = []
    deep: list[int] = []
    hooks = [
        pipeline.unet.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape))),
        pipeline.unet.mid_block.resnets[0].register_forward_pre_hook(lambda *_: deep.append(1)),
        pipeline.controlnet_pose.register_forward_pre_hook(lambda _, inputs: frames.append(len(inputs[0]))),
    ]
    run(pipeline, **changes)
    for hook in hooks:
        hook.remove()
    return shapes, len(deep), sum(frames)


def test_the_reference_runs_once_a_step_and_not_at_all_in_later_runs(pipeline: XDynaPipeline) -> None:
    pipeline.cache.clear()
    reference, window = (2, 4, 1, 8, 6), (2, 4, 4, 8, 6)
    shapes, *_ = calls(pipeline, reference_cache=True)
    assert shapes == [reference, window, window, window] * STEPS
    shapes, *_ = calls(pipeline, reference_cache=True, guidance_scale=3.0, controlnet_pose_scale=0.5)
    assert shapes == [window] * 3 * STEPS
    # Another strength gives other features; so does another seed, which draws the photo's latent anew.
    for change in ({"adapter_strength": 0.5}, {"generator": torch.Generator().manual_seed(8)}):
        shapes, *_ = calls(pipeline, reference_cache=True, **change)
        assert shapes.count(reference) == STEPS


def test_kept_features_spare_coarse_blocks_and_controlnets(pipeline: XDynaPipeline) -> None:
    shapes, deep, frames = calls(pipeline, feature_cache_interval=2)
    assert len(shapes) == 3 * STEPS
    assert deep == 3 * STEPS // 2
    assert frames == 2 * NUM_FRAMES * STEPS // 2


def test_hooks_are_gone_after_a_run(pipeline: XDynaPipeline, exact: Tensor) -> None:
    run(pipeline, feature_cache_interval=2)
    events = pipeline.stream(IMAGE, POSE, num_inference_steps=4, feature_cache_interval=2)
    next(events)
    events.close()
    assert torch.equal(run(pipeline), exact)


@pytest.mark.parametrize("mode", REFERENCE_MODES)
def test_recorded_features_are_exact_where_nothing_is_shared(pipeline: XDynaPipeline, mode: str) -> None:
    """A frame that equals the reference leaves its statistics as they are, so nothing is lost by computing it alone.

    Motion modules are off: they change driving frames but not the reference.
    """
    unet = tiny_pipeline().unet
    for module in unet.modules():
        if hasattr(module, "reference_first"):
            module.enabled = False
    reference = torch.randn(2, 4, 1, 8, 6, generator=torch.Generator().manual_seed(0))
    tokens = torch.randn(2, 20, 32, generator=torch.Generator().manual_seed(1))
    features = ReferenceFeatures()
    with torch.no_grad():
        unet(reference, 500, tokens, reference_features=features, reference_mode=mode)
        clip = reference.expand(-1, -1, 3, -1, -1)
        got = unet(clip, 500, tokens, reference_features=features, reference_mode=mode).sample
        joint = unet(torch.cat([reference, clip], dim=2), 500, tokens, reference_mode=mode).sample[:, :, 1:]
    assert torch.allclose(got, joint, atol=1e-3)
    assert features.nbytes > 0


def test_recording_needs_the_reference_alone(pipeline: XDynaPipeline) -> None:
    with pytest.raises(ValueError, match="recorded from the reference alone, got 3 frames"):
        pipeline.unet(torch.zeros(1, 4, 3, 8, 6), 1, torch.zeros(1, 20, 32), reference_features=ReferenceFeatures())


def test_approximations_go_with_two_strengths(pipeline: XDynaPipeline) -> None:
    masked = {"person_masks": MASKS, "background_adapter_strength": 0.5}
    near = run(pipeline, reference_cache=True, **masked)
    assert error(near, run(pipeline, **masked)) < 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"guidance_start": 0.6, "guidance_end": 0.5}, "guidance_start must be between 0 and 0.5, got 0.6"),
        ({"guidance_end": 1.5}, "guidance_end must be between 0 and 1, got 1.5"),
        ({"feature_cache_interval": 0}, "feature_cache_interval must be at least 1, got 0"),
        ({"window_schedule": "ring"}, "window_schedule must be one of loop, open, got 'ring'"),
    ],
)
def test_bad_values_are_named(pipeline: XDynaPipeline, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(pipeline, **change)
