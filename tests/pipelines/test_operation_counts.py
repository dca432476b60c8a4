"""How often each network runs in a run, and on how many frames: nothing is computed twice. Counts, not times."""

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel
from tiny import tiny_pipeline
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from xdyna.models.condition_embedding import embed_conditions
from xdyna.pipelines import XDynaPipeline, XDynaStep

STEPS = 2
RNG = np.random.default_rng(0)
IMAGE, OTHER_IMAGE = RNG.integers(0, 256, (2, 64, 48, 3), dtype=np.uint8)
CLIPS = RNG.integers(0, 256, (3, 7, 64, 48, 3), dtype=np.uint8)
ENCODERS = ("text_encoder", "image_encoder", "vae.encoder", "embedded pose frames", "embedded face frames")


@pytest.fixture
def pipeline() -> XDynaPipeline:
    return tiny_pipeline()


def arguments(num_frames: int = 3, **changes: Any) -> dict[str, Any]:
    pose, local, head = CLIPS[:, :num_frames]
    return {
        "image": IMAGE,
        "pose_frames": pose,
        "face_local_frames": local,
        "face_global_frames": head,
        "num_inference_steps": STEPS,
        "context_frames": 4,
        "context_overlap": 1,
        "generator": torch.Generator().manual_seed(7),
    } | changes


@contextmanager
def counted(pipeline: XDynaPipeline) -> Iterator[Counter[str]]:
    """Calls of encoders; pictures or frames, times the rows of a batch, of everything else."""
    counts: Counter[str] = Counter()

    def count(name: str, module: nn.Module, amount: Any) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            counts[name] += amount(inputs[0] if inputs else next(iter(kwargs.values())))

        return module.register_forward_pre_hook(hook, with_kwargs=True)

    def embed(controlnet: ControlNetModel, pictures: torch.Tensor) -> torch.Tensor:
        counts[f"embedded {'pose' if controlnet is pipeline.controlnet_pose else 'face'} frames"] += len(pictures)
        return embed_conditions(controlnet, pictures)

    hooks = [
        count("UNet calls", pipeline.unet, lambda _: 1),
        count("UNet frames", pipeline.unet, lambda sample: sample.shape[0] * sample.shape[2]),
        count("pose frames", pipeline.controlnet_pose, len),
        count("face frames", pipeline.controlnet_face, len),
        # A ControlNet must not embed pictures by itself: these would be counted twice.
        count("embedded pose frames", pipeline.controlnet_pose.controlnet_cond_embedding.conv_in, len),
        count("embedded face frames", pipeline.controlnet_face.controlnet_cond_embedding.conv_in, len),
        count("text_encoder", pipeline.text_encoder, lambda _: 1),
        count("image_encoder", pipeline.image_encoder, lambda _: 1),
        count("vae.encoder", pipeline.vae.encoder, lambda _: 1),
        count("decoded frames", pipeline.vae.decoder, len),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xdyna.pipelines.controls.embed_conditions", embed)
        yield counts
    for hook in hooks:
        hook.remove()


def counts_of(pipeline: XDynaPipeline, **changes: Any) -> dict[str, int]:
    with counted(pipeline) as counts:
        pipeline(**arguments(**changes))
    return {name: count for name, count in counts.items() if count}


def test_a_first_run(pipeline: XDynaPipeline) -> None:
    """Three frames, two steps, guidance, one text: the ControlNets serve both halves."""
    assert counts_of(pipeline) == {
        "text_encoder": 1,  # both prompts are empty
        "image_encoder": 1,
        "vae.encoder": 1,
        "embedded pose frames": 3,
        "embedded face frames": 3,
        "pose frames": STEPS * 3,
        "face frames": STEPS * 3,
        "UNet calls": STEPS,
        "UNet frames": STEPS * 2 * (1 + 3),
        "decoded frames": 3,
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"prompt": "sea"}, {"pose frames": STEPS * 2 * 3, "text_encoder": 2}, id="two texts"),
        pytest.param({"guidance_scale": 1.0}, {"UNet frames": STEPS * 4, "pose frames": STEPS * 3}, id="no guidance"),
        pytest.param(
            {"guidance_end": 0.5, "prompt": "sea"},
            {"UNet frames": 2 * 4 + 4, "pose frames": 2 * 3 + 3},
            id="guidance in the first step only",
        ),
        pytest.param({"controlnet_face_scale": 0.0}, {"face frames": 0, "embedded face frames": 0}, id="no face"),
        pytest.param(
            {"num_frames": 7},
            {"UNet frames": STEPS * 2 * 3 * (1 + 4), "pose frames": STEPS * 7, "embedded pose frames": 7},
            id="three windows share frames, which run through the ControlNets once",
        ),
        pytest.param(
            {"num_frames": 7, "window_schedule": "open"},
            {"pose frames": STEPS * 7, "decoded frames": 7},
            id="open windows",
        ),
    ],
)
def test_what_a_setting_costs(pipeline: XDynaPipeline, changes: dict[str, Any], expected: dict[str, int]) -> None:
    counts = Counter(counts_of(pipeline, **changes))
    assert {name: counts[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("changes", "done_again"),
    [
        ({"guidance_scale": 3.0}, {}),
        ({"adapter_strength": 0.5, "controlnet_pose_scale": 0.5, "ip_adapter_scale": 0.5}, {}),
        ({"generator": torch.Generator().manual_seed(8)}, {}),
        ({"prompt": "sea"}, {"text_encoder": 1}),
        ({"image": OTHER_IMAGE}, {"image_encoder": 1, "vae.encoder": 1}),
        ({"pose_frames": CLIPS[0, 1:4]}, {"embedded pose frames": 3}),
    ],
    ids=["guidance", "strengths", "seed", "prompt", "photo", "pose"],
)
def test_a_second_run_only_pays_for_what_is_new(
    pipeline: XDynaPipeline, changes: dict[str, Any], done_again: dict[str, int]
) -> None:
    pipeline(**arguments())
    counts = counts_of(pipeline, **changes)
    assert {name: counts[name] for name in ENCODERS if name in counts} == done_again


def test_a_second_run_gives_the_same_video(pipeline: XDynaPipeline) -> None:
    first, second = (pipeline(**arguments()).frames for _ in range(2))
    assert np.array_equal(first, second)


def test_other_weights_are_noticed(pipeline: XDynaPipeline) -> None:
    pipeline(**arguments())
    with torch.no_grad():
        for module in (pipeline.image_encoder, pipeline.vae, pipeline.controlnet_pose.controlnet_cond_embedding):
            next(module.parameters()).mul_(2)
    counts = counts_of(pipeline)
    again = {name: counts[name] for name in ENCODERS if name in counts}
    assert again == {"image_encoder": 1, "vae.encoder": 1, "embedded pose frames": 3}


def test_a_clip_too_long_to_keep_is_embedded_window_by_window(pipeline: XDynaPipeline) -> None:
    kept = pipeline(**arguments(7)).frames
    pipeline.cache.max_bytes = 0
    pipeline.cache.clear()
    assert counts_of(pipeline, num_frames=7)["embedded pose frames"] == STEPS * 7
    assert np.allclose(pipeline(**arguments(7)).frames, kept, atol=1e-4)
    assert pipeline.cache.used_bytes == 0


class HostReads(TorchDispatchMode):
    """Notes where a tensor's value is read by Python: on a GPU the host would wait there."""

    def __init__(self) -> None:
        super().__init__()
        self.places: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.is_nonzero.default):
            frames = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_stack()]
            # Samplers read their own tables, which stay with the CPU.
            if not any("/schedulers/" in frame for frame in frames):
                self.places.append([frame for frame in frames if "/torch/" not in frame][-2])
        return func(*args, **kwargs or {})


def test_nothing_in_the_loop_waits_for_the_device(pipeline: XDynaPipeline) -> None:
    events = pipeline.stream(**arguments(7, prompt="sea", output_type="latent"))
    next(events)  # the loop has begun
    with HostReads() as reads:
        steps = sum(isinstance(event, XDynaStep) for event in events)
    assert steps == 2 * 3 - 1
    assert reads.places == []
