"""What the pipeline does with masks of the person."""

from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_pipeline

from xdyna.models import REFERENCE_MODES
from xdyna.pipelines import XDynaPipeline, XDynaStep
from xdyna.pipelines.person import latent_masks, on_person
from xdyna.pipelines.schedulers import SAMPLERS, with_sampler

NUM_FRAMES, HEIGHT, WIDTH = 5, 64, 48
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
POSE, LOCAL, GLOBAL = (RNG.integers(0, 256, (NUM_FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(3))

EVERYWHERE = np.ones((NUM_FRAMES, HEIGHT, WIDTH), np.float32)
NOWHERE = np.zeros_like(EVERYWHERE)
LEFT = np.where(np.arange(WIDTH) < WIDTH // 2, EVERYWHERE, 0)
LATENT_LEFT, LATENT_RIGHT = np.s_[..., :3], np.s_[..., 3:]


@pytest.fixture(scope="module")
def pipeline() -> XDynaPipeline:
    return tiny_pipeline()


@pytest.fixture(scope="module")
def plain(pipeline: XDynaPipeline) -> torch.Tensor:
    return run(pipeline)


def arguments(**changes: Any) -> dict[str, Any]:
    """Two overlapping windows and both halves of guidance."""
    return {
        "image": IMAGE,
        "pose_frames": POSE,
        "face_local_frames": LOCAL,
        "face_global_frames": GLOBAL,
        "num_inference_steps": 3,
        "guidance_scale": 3.0,
        "prompt": "sea",
        "context_frames": 4,
        "context_overlap": 1,
        "generator": torch.Generator().manual_seed(7),
        "output_type": "latent",
    } | changes


def run(pipeline: XDynaPipeline, **changes: Any) -> torch.Tensor:
    return pipeline(**arguments(**changes)).frames


@pytest.mark.parametrize(
    "neutral",
    [
        {"reference_mode": "dynamics_adapter"},
        {"person_masks": LEFT},
        {"person_masks": LEFT, "background_adapter_strength": 1.0},
        {"person_masks": EVERYWHERE, "background_adapter_strength": 0.2},
        {"person_masks": EVERYWHERE, "controls_on_person_only": True},
        {"person_masks": EVERYWHERE, "static_background": True},
        {"person_masks": NOWHERE, "static_background": True, "reference_person_mask": EVERYWHERE[0]},
        {"background_adapter_strength": None, "controls_on_person_only": False, "static_background": False},
    ],
    ids=lambda change: "+".join(change),
)
def test_a_neutral_value_changes_no_bit(pipeline: XDynaPipeline, plain: torch.Tensor, neutral: dict[str, Any]) -> None:
    assert torch.equal(run(pipeline, **neutral), plain)


@pytest.mark.parametrize(
    "change",
    [
        *({"reference_mode": mode} for mode in REFERENCE_MODES[1:]),
        {"person_masks": LEFT, "background_adapter_strength": 0.2},
        {"person_masks": LEFT, "controls_on_person_only": True},
        {"person_masks": LEFT, "static_background": True},
    ],
    ids=lambda change: [*change][-1],
)
def test_every_switch_matters(pipeline: XDynaPipeline, plain: torch.Tensor, change: dict[str, Any]) -> None:
    changed = run(pipeline, **change)
    assert torch.isfinite(changed).all()
    assert (changed - plain).abs().max() > 0.05 * plain.std()


@pytest.mark.parametrize("mode", REFERENCE_MODES[1:])
def test_without_the_adapter_its_strengths_do_nothing(pipeline: XDynaPipeline, mode: str) -> None:
    changes = {"adapter_strength": 0.3, "background_adapter_strength": 0.7}
    assert torch.equal(run(pipeline, reference_mode=mode, **changes), run(pipeline, reference_mode=mode))


def test_controls_of_no_person_are_no_controls(pipeline: XDynaPipeline) -> None:
    masked = run(pipeline, person_masks=NOWHERE, controls_on_person_only=True)
    assert torch.equal(masked, run(pipeline, controlnet_pose_scale=0.0, controlnet_face_scale=0.0))


def test_residuals_end_at_the_person_at_every_resolution() -> None:
    masks = torch.zeros(2, 8, 6)
    masks[0, :, :3] = 1  # frame 0: the left half; frame 1: nobody
    residuals = [torch.ones(2 * 2, 5, 8, 6), torch.ones(2 * 2, 7, 4, 3)]
    fine, coarse = on_person(residuals, masks)
    for half in (0, 2):  # both halves of guidance
        assert fine[half, 0, 0].tolist() == [1, 1, 1, 0, 0, 0]
        assert coarse[half, 0, 0].tolist() == [1, 0.5, 0]
        assert not fine[half + 1].any() and not coarse[half + 1].any()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_static_background_ends_as_the_encoded_photo(pipeline: XDynaPipeline, sampler: str) -> None:
    reference = torch.randn(1, 4, 1, 8, 6, generator=torch.Generator().manual_seed(3))
    ddim = pipeline.scheduler
    try:
        pipeline.scheduler = with_sampler(ddim, sampler)
        changes = {"reference_latents": reference, "person_masks": LEFT, "num_inference_steps": 4}
        still = run(pipeline, **changes, static_background=True)
        free = run(pipeline, **changes)
    finally:
        pipeline.scheduler = ddim
    expected = reference.expand_as(still)
    assert torch.equal(still[LATENT_RIGHT], expected[LATENT_RIGHT])
    assert (free[LATENT_RIGHT] - expected[LATENT_RIGHT]).abs().max() > 0.1
    assert torch.isfinite(still).all()
    assert (still[LATENT_LEFT] - expected[LATENT_LEFT]).abs().max() > 0.1  # the person is made


def test_a_static_background_does_not_show_the_photos_person_a_second_time(pipeline: XDynaPipeline) -> None:
    reference = torch.randn(1, 4, 1, 8, 6, generator=torch.Generator().manual_seed(3))
    was_on_the_right = 1 - LEFT[0]
    still = run(
        pipeline,
        reference_latents=reference,
        person_masks=LEFT,
        reference_person_mask=was_on_the_right,
        static_background=True,
    )
    assert (still - reference).abs().amin(dim=(0, 1, 2)).min() > 0  # no cell is the photo's


def test_a_static_background_carries_the_noise_of_its_step(pipeline: XDynaPipeline) -> None:
    reference = torch.randn(1, 4, 1, 8, 6, generator=torch.Generator().manual_seed(3))
    events = pipeline.stream(
        **arguments(reference_latents=reference, person_masks=NOWHERE, static_background=True, num_inference_steps=5)
    )
    ends = [event.latents for event in events if isinstance(event, XDynaStep) and event.ends_denoising_step]
    alphas = pipeline.scheduler.alphas_cumprod[pipeline.scheduler.timesteps]
    noises = [(x - a.sqrt() * reference) / (1 - a).sqrt() for x, a in zip(ends[:-1], alphas[1:], strict=True)]
    assert noises[0].std() == pytest.approx(1, abs=0.1)
    assert all(torch.allclose(noise, noises[0], atol=1e-4) for noise in noises)  # one draw for all steps
    assert torch.equal(ends[-1], reference.expand_as(ends[-1]))


def test_each_window_gets_the_masks_of_its_frames(pipeline: XDynaPipeline) -> None:
    seen = []

    def record(_module: object, _args: object, kwargs: dict[str, Any]) -> None:
        seen.append(kwargs["person_masks"][0, :, 0, 0])

    numbered = EVERYWHERE * (np.arange(NUM_FRAMES, dtype=np.float32) / NUM_FRAMES)[:, None, None]
    hook = pipeline.unet.register_forward_pre_hook(record, with_kwargs=True)
    changes = {"person_masks": numbered, "background_adapter_strength": 0.5, "num_inference_steps": 1}
    run(pipeline, **changes, window_offsets=[1])
    hook.remove()
    frames = [(masks * NUM_FRAMES).round().int().tolist() for masks in seen]
    assert frames == [[1, 2, 3, 4], [4, 0, 1, 2]]


def test_masks_of_any_size_are_averaged_over_latent_cells() -> None:
    like = torch.zeros(1, 4, 1, 8, 6, dtype=torch.float16)
    masks = latent_masks(LEFT, like)
    assert masks.shape == (NUM_FRAMES, 8, 6)
    assert masks.dtype == like.dtype
    assert masks[0, 0].tolist() == [1, 1, 1, 0, 0, 0]
    assert torch.equal(latent_masks(LEFT[:, ::8, ::8], like), masks)
    assert latent_masks(EVERYWHERE[:, :5, :7], like).min() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"static_background": True}, "person_masks, which say where the person is, are needed for static_background"),
        (
            {"controls_on_person_only": True, "background_adapter_strength": 0.5},
            "are needed for background_adapter_strength, controls_on_person_only",
        ),
        ({"person_masks": LEFT[:3]}, r"person_masks must be \(5, height, width\), got \(3, 64, 48\)"),
        ({"person_masks": LEFT[0]}, r"person_masks must be \(5, height, width\), got \(64, 48\)"),
        ({"person_masks": 255 * LEFT}, "person_masks must lie in 0..1, got 0 to 255"),
        ({"person_masks": np.nan * LEFT}, "person_masks must lie in 0..1, got nan"),
        ({"reference_mode": "magic"}, "reference_mode must be one of"),
    ],
)
def test_bad_masks_are_explained(pipeline: XDynaPipeline, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(pipeline, **change)
