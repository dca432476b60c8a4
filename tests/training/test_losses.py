"""The loss: what chance decides, and what is weighted how."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tiny import tiny_pipeline
from torch import Tensor

from xdyna.pipelines.schedulers import official_scheduler
from xdyna.training.dataset import batch_indices, open_clips
from xdyna.training.losses import TrainingModel, draw, min_snr_weight, region_weight
from xdyna.training.recipe import Recipe, load_recipe
from xdyna.training.stages import Stage, select_parameters, trainable_components

SAMPLER = torch.tensor([999, 666, 332])
SHAPE = (4, 2, 8, 6)


def batch(recipe: Recipe, stage: Stage, size: int = 2) -> dict[str, Tensor]:
    clips = open_clips(recipe, stage)
    samples = [clips[k] for k in range(size)]
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def model(recipe: Recipe, stage: Stage) -> TrainingModel:
    pipeline = tiny_pipeline()
    select_parameters(trainable_components(pipeline), stage, recipe.reference_mode)
    return TrainingModel(pipeline, recipe, stage, 0)


def test_a_samples_draws_depend_on_its_number_alone() -> None:
    recipe = load_recipe("mini")
    stage = recipe.stages[1]
    together = draw((0, 1), [4, 5, 6], SHAPE, SAMPLER, recipe, stage)
    alone = draw((0, 1), [5], SHAPE, SAMPLER, recipe, stage)
    assert torch.equal(together.noise[1], alone.noise[0])
    assert together.timesteps[1] == alone.timesteps[0]
    assert not torch.equal(together.noise[0], together.noise[1])
    for other in ((1, 1), (0, 2)):  # another seed, another stage
        assert not torch.equal(draw(other, [5], SHAPE, SAMPLER, recipe, stage).noise, alone.noise)


def test_shares_of_what_chance_decides() -> None:
    recipe = replace(load_recipe("mini"), sampler_share=0.7, high_noise_share=0.15, image_dropout=0.1)
    draws = draw((0, 0), range(4000), (1, 1, 1, 1), SAMPLER, recipe, recipe.stages[1])
    listed = torch.isin(draws.timesteps, SAMPLER)
    assert listed.float().mean() == pytest.approx(0.7, abs=0.03)
    assert [(draws.timesteps[listed] == value).float().mean().item() for value in SAMPLER] == pytest.approx(
        [1 / 3] * 3, abs=0.03
    )
    others = draws.timesteps[~listed]
    assert others.min() >= 0 and others.max() <= 999
    assert (others >= 600).float().mean() == pytest.approx(0.15 + 0.85 * 0.4, abs=0.05)
    assert draws.keep_image.float().mean() == pytest.approx(0.9, abs=0.02)
    assert draws.keep_face.float().mean() == pytest.approx(0.8, abs=0.03)
    assert draws.noise.mean() == pytest.approx(0, abs=0.05) and draws.noise.std() == pytest.approx(1, abs=0.05)


def test_the_samplers_own_steps_are_those_of_xdyna_mini(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe("num_inference_steps=3")
    pipeline = tiny_pipeline()
    pipeline.scheduler = official_scheduler("v_prediction", "trailing")
    assert TrainingModel(pipeline, recipe, recipe.stages[0], 0).sampler.tolist() == SAMPLER.tolist()


def test_min_snr_weights() -> None:
    scheduler = official_scheduler()
    timesteps = torch.tensor([0, 500, 999])
    signal = scheduler.alphas_cumprod[timesteps]
    snr = (signal / (1 - signal)).tolist()
    assert min_snr_weight(scheduler, timesteps, velocity=False).tolist() == pytest.approx([5 / snr[0], 1, 1], rel=1e-4)
    assert min_snr_weight(scheduler, timesteps, velocity=True).tolist() == pytest.approx(
        [5 / (snr[0] + 1), snr[1] / (snr[1] + 1), snr[2] / (snr[2] + 1)], rel=1e-4
    )


def test_region_weights() -> None:
    person, face = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    person[..., 8:, :] = 1
    face[..., 8:, 8:12] = 1
    recipe = replace(load_recipe("mini"), person_weight=2.0, face_weight=4.0)
    weight = region_weight({"person": person, "face": face}, (2, 2), recipe)
    assert weight.tolist() == [[[[[1, 1], [3, 5]]]]]  # half of the last cell is face


@pytest.mark.parametrize("weighting", ["equal", "min_snr"])
@pytest.mark.parametrize("mode", ["dynamics_adapter", "reference_attention", "image_tokens"])
def test_every_mode_and_weighting_reaches_what_it_trains(
    tiny_recipe: Callable[..., Recipe], mode: str, weighting: str
) -> None:
    recipe = tiny_recipe(f"reference_mode={mode}", f"weighting={weighting}")
    made = model(recipe, recipe.stages[0])
    loss = made(batch(recipe, recipe.stages[0]))
    loss.backward()
    chosen = select_parameters(trainable_components(made.pipeline), recipe.stages[0], mode)
    silent = {name for name, parameter in chosen.items() if parameter.grad is None or not parameter.grad.any()}
    # Keys get no gradient from their bias-free first position only; all else must move.
    assert loss.ndim == 0 and loss > 0
    assert not {name for name in silent if "controlnet_cond_embedding" not in name}, silent


def test_s_face_rests_where_no_face_is(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe()
    stage = recipe.stages[1]
    made, clips = model(recipe, stage), batch(recipe, stage)
    assert clips["face"].flatten(1).any(dim=1).all()

    def moved_by_patches(clips: dict[str, Tensor]) -> bool:
        with torch.no_grad():
            loss, other = made(clips), made(clips | {"face_local": clips["face_local"].flip(-1)})
        return not torch.equal(loss, other)

    assert moved_by_patches(clips)
    assert not moved_by_patches(clips | {"face": torch.zeros_like(clips["face"])})


def test_batches_are_shared_out_without_gaps() -> None:
    alone = [list(batch_indices(range(2, 4), 8, 2, 0, 1))]
    shared = [list(batch_indices(range(2, 4), 8, 2, process, 2)) for process in (0, 1)]
    assert alone == [[[16, 17], [18, 19], [20, 21], [22, 23], [24, 25], [26, 27], [28, 29], [30, 31]]]
    assert shared == [
        [[16, 17], [20, 21], [24, 25], [28, 29]],
        [[18, 19], [22, 23], [26, 27], [30, 31]],
    ]
