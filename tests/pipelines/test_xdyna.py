"""The pipeline: reproducible, interruptible, saved and loaded without loss."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import seeded_run, tiny_pipeline

from xdyna.pipelines import XDynaOutput, XDynaPipeline, XDynaStep
from xdyna.pipelines.schedulers import SAMPLERS, with_sampler

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (80, 60, 3), dtype=np.uint8)
POSE, LOCAL, GLOBAL = (RNG.integers(0, 256, (3, 64, 48, 3), dtype=np.uint8) for _ in range(3))


@pytest.fixture(scope="module")
def pipeline() -> XDynaPipeline:
    return tiny_pipeline()


def arguments(**changes: Any) -> dict[str, Any]:
    return {
        "image": IMAGE,
        "pose_frames": POSE,
        "face_local_frames": LOCAL,
        "face_global_frames": GLOBAL,
        "num_inference_steps": 2,
        "generator": torch.Generator().manual_seed(7),
    } | changes


def run(pipeline: XDynaPipeline, **changes: Any) -> np.ndarray:
    return pipeline(**arguments(**changes)).frames


def test_output(pipeline: XDynaPipeline) -> None:
    frames = run(pipeline)
    assert frames.shape == POSE.shape
    assert frames.dtype == np.float32
    assert 0 <= frames.min() < frames.max() <= 1
    latents = run(pipeline, output_type="latent")
    assert latents.shape == (1, 4, 3, 8, 6)


def test_same_seed_same_video_other_seed_other_video(pipeline: XDynaPipeline) -> None:
    torch.manual_seed(1)
    first = run(pipeline)
    torch.manual_seed(2)  # the global generator plays no part
    assert np.array_equal(first, run(pipeline))
    assert not np.allclose(first, run(pipeline, generator=torch.Generator().manual_seed(8)), atol=1e-3)


def test_save_and_load(pipeline: XDynaPipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path)
    loaded = XDynaPipeline.from_pretrained(tmp_path)
    for name in ("unet", "controlnet_pose", "controlnet_face", "resampler", "vae"):
        saved, read = (getattr(p, name).state_dict() for p in (pipeline, loaded))
        assert saved.keys() == read.keys()
        assert all(torch.equal(saved[key], read[key]) for key in saved)
    # Not bit-equal: tensors read from a file are aligned differently in memory, so other kernels may run.
    assert np.allclose(run(pipeline), run(loaded), atol=1e-4)


def test_nothing_has_changed_since_parity_was_proven(golden: Path) -> None:
    expected = load_file(golden / "pipeline_seeded.safetensors")["latents"]
    assert (seeded_run()["latents"] - expected).abs().max() < 1e-3 * expected.std()


@pytest.mark.parametrize(
    "change",
    [
        {"adapter_strength": 0.5},
        {"controlnet_pose_scale": 0.5},
        {"controlnet_face_scale": 0.0},
        {"ip_adapter_scale": 0.0},
        {"guidance_scale": 1.0},
        {"guidance_scale": 3.0},
        {"prompt": "fire"},
        {"negative_prompt": "fire"},
        {"face_local_frames": None, "face_global_frames": None},
        {"image": IMAGE[::-1]},
        {"pose_frames": POSE[::-1]},
        {"num_inference_steps": 3},
    ],
    ids=lambda change: "+".join(change),
)
def test_every_argument_matters(pipeline: XDynaPipeline, change: dict[str, Any]) -> None:
    assert not np.allclose(run(pipeline), run(pipeline, **change), atol=1e-4)


def test_turning_the_face_control_off_is_leaving_it_out(pipeline: XDynaPipeline) -> None:
    without = run(pipeline, face_local_frames=None, face_global_frames=None)
    assert np.array_equal(without, run(pipeline, controlnet_face_scale=0.0))


def test_guidance_of_one_is_the_conditional_half(pipeline: XDynaPipeline) -> None:
    """Skipping the unconditional half is exact, since u + 1 (c - u) = c."""
    barely = run(pipeline, guidance_scale=1.0 + 1e-6, prompt="sea")
    assert np.allclose(run(pipeline, guidance_scale=1.0, prompt="sea"), barely, atol=1e-4)


def test_equal_prompts_share_the_controlnets_without_changing_the_result(pipeline: XDynaPipeline) -> None:
    embeds = torch.cat([pipeline.encode_prompt("sea")] * 2)
    nudged = embeds.clone()
    nudged[0, 0, 0] += 1e-6  # unequal, so both halves are computed
    shared = run(pipeline, prompt_embeds=embeds)
    assert np.allclose(shared, run(pipeline, prompt_embeds=nudged), atol=1e-3)


def test_a_strength_of_one_ignores_the_video(pipeline: XDynaPipeline) -> None:
    assert np.array_equal(run(pipeline, init_video=LOCAL, strength=1.0), run(pipeline))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_strength_runs_the_last_steps(pipeline: XDynaPipeline, sampler: str) -> None:
    seen: list[int] = []

    def note(_: XDynaPipeline, step: int, timestep: torch.Tensor, __: dict[str, torch.Tensor]) -> dict:
        seen.append(int(timestep))
        return {}

    ddim = pipeline.scheduler
    try:
        pipeline.scheduler = with_sampler(ddim, sampler)
        changes = {"init_video": LOCAL, "num_inference_steps": 5, "strength": 0.5, "callback_on_step_end": note}
        frames = run(pipeline, **changes)
        assert seen == [int(timestep) for timestep in pipeline.scheduler.timesteps[-2:]]
        assert pipeline.num_timesteps == 2
    finally:
        pipeline.scheduler = ddim
    assert np.isfinite(frames).all()


def test_a_run_begins_from_the_noised_video(pipeline: XDynaPipeline) -> None:
    """Windows of a long clip share the noise that they would have without the video."""
    video, pose = RNG.integers(0, 256, (2, 7, 64, 48, 3), dtype=np.uint8)
    reference, shape = torch.ones(1, 4, 1, 8, 6), (1, 4, 7, 8, 6)
    changes = {"pose_frames": pose, "face_local_frames": None, "face_global_frames": None, "context_frames": 4}
    changes |= {"context_overlap": 1, "reference_latents": reference, "init_video": video, "strength": 0.5}
    first = next(pipeline.stream(**arguments(**changes)))
    generator = torch.Generator().manual_seed(7)
    torch.rand(shape, generator=generator)  # which half of the reference would be blurred
    noise = torch.randn(shape, generator=generator)
    clean = pipeline.encode_video(video, generator)
    assert isinstance(first, XDynaStep)
    expected = pipeline.scheduler.add_noise(clean, noise, pipeline.scheduler.timesteps[-1:])
    assert torch.equal(first.latents, expected)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers(pipeline: XDynaPipeline, sampler: str) -> None:
    ddim = pipeline.scheduler
    try:
        pipeline.scheduler = with_sampler(ddim, sampler)
        frames = run(pipeline, num_inference_steps=3)
    finally:
        pipeline.scheduler = ddim
    assert np.isfinite(frames).all()
    assert frames.std() > 0.01


def test_a_long_clip_runs_in_windows(pipeline: XDynaPipeline) -> None:
    pose = RNG.integers(0, 256, (7, 64, 48, 3), dtype=np.uint8)
    changes = {"pose_frames": pose, "face_local_frames": None, "face_global_frames": None, "context_frames": 4}
    events = list(pipeline.stream(**arguments(**changes, context_overlap=1)))
    steps = [event for event in events if isinstance(event, XDynaStep) and event.phase == "denoise"]
    assert [event.step for event in steps] == [1, 2, 3, 4, 5, 6]  # three windows in each of two steps
    assert [event.ends_denoising_step for event in steps] == [False, False, True] * 2
    assert isinstance(events[-1], XDynaOutput)
    assert events[-1].frames.shape == pose.shape


def test_progress_counts_up_to_its_total(pipeline: XDynaPipeline) -> None:
    events = [event for event in pipeline.stream(**arguments()) if isinstance(event, XDynaStep)]
    assert [(e.phase, e.step, e.total) for e in events] == [
        ("denoise", 1, 2),
        ("denoise", 2, 2),
        ("decode", 1, 3),
        ("decode", 2, 3),
        ("decode", 3, 3),
    ]


def test_callback_sees_each_step_and_can_stop(pipeline: XDynaPipeline) -> None:
    seen = []

    def stop_after_two(
        pipe: XDynaPipeline, step: int, timestep: torch.Tensor, tensors: dict[str, torch.Tensor]
    ) -> dict:
        seen.append((step, int(timestep), tensors["latents"].shape[2]))
        pipe.interrupt = step == 1
        return {}

    frames = run(pipeline, num_inference_steps=5, callback_on_step_end=stop_after_two)
    assert seen == [(0, 801, 3), (1, 601, 3)]
    assert frames.shape == POSE.shape  # what was done is decoded


def test_a_stopped_run_keeps_the_estimate_of_the_finished_clip(pipeline: XDynaPipeline) -> None:
    def stop(pipe: XDynaPipeline, *_: object) -> dict:
        pipe.interrupt = True
        return {}

    kept = run(pipeline, num_inference_steps=3, callback_on_step_end=stop, output_type="latent")
    events = pipeline.stream(**arguments(num_inference_steps=3, output_type="latent"))
    ends = [event for event in events if isinstance(event, XDynaStep) and event.ends_denoising_step]
    assert torch.equal(kept, ends[0].clean_latents)
    assert not torch.equal(kept, ends[0].latents)  # which are mostly noise still
    assert torch.allclose(ends[-1].clean_latents, ends[-1].latents, atol=1e-4)  # the last step ends at the estimate


def test_closing_the_stream_stops_the_work(pipeline: XDynaPipeline) -> None:
    calls = []
    hook = pipeline.unet.register_forward_hook(lambda *_: calls.append(1))
    events = pipeline.stream(**arguments(num_inference_steps=50))
    next(events)
    events.close()
    hook.remove()
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pose_frames": np.zeros((2, 60, 48, 3), np.uint8)}, "height must be a multiple of 8, at least 40, got 60"),
        ({"pose_frames": np.zeros((2, 64, 32, 3), np.uint8)}, "width must be a multiple of 8, at least 40, got 32"),
        ({"pose_frames": np.zeros((0, 64, 48, 3), np.uint8)}, "the same number of frames"),
        ({"face_local_frames": LOCAL[:2]}, "the same number of frames"),
        ({"face_global_frames": None}, "belong together"),
        ({"face_local_frames": LOCAL.astype(np.float32)}, "face_local_frames must be .* uint8"),
        ({"context_frames": 25}, "context_frames must be between 1 and 24, got 25"),
        ({"context_frames": 4, "context_overlap": 4}, "context_overlap must be between 0 and 3, got 4"),
        ({"guidance_scale": 0.5}, "guidance_scale must be at least 1"),
        ({"num_inference_steps": 0}, "num_inference_steps must be at least 1"),
        ({"init_video": POSE, "strength": 0.0}, "strength must be above 0 and at most 1, got 0"),
        ({"init_video": POSE, "strength": 1.5}, "strength must be above 0 and at most 1, got 1.5"),
        ({"init_video": POSE, "strength": 0.4}, "at least one of the 2 steps, so at least 1/2, got 0.4"),
        ({"strength": 0.5}, "init_video, which a strength of 0.5 begins from, is missing"),
        ({"init_video": POSE[:2], "strength": 0.5}, "the same number of frames"),
        ({"init_video": POSE[:, :32], "strength": 0.5}, r"init_video must be \(num_frames, 64, 48, 3\) uint8"),
    ],
)
def test_bad_arguments_give_value_and_limit(pipeline: XDynaPipeline, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(pipeline, **change)
