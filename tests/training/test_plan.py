"""Dry runs."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from torch._subclasses.fake_tensor import FakeTensorMode

from xdyna.training.plan import StagePlan, blank_modules, describe, plan_stage
from xdyna.training.recipe import Recipe, load_recipe


def plan(recipe: Recipe, **changes: object) -> StagePlan:
    with FakeTensorMode():
        return plan_stage(recipe, replace(recipe.stages[0], **changes), blank_modules(recipe))


def test_weights_gradients_moments_and_average_are_exact(tiny_recipe: Callable[..., Recipe]) -> None:
    made = plan(tiny_recipe())
    trained = sum(made.trained.values())
    assert (made.gradients, made.optimizer, made.average) == (4 * trained, 8 * trained, 4 * trained)
    assert made.weights > made.gradients


def test_activations_grow_with_what_is_held_at_once(tiny_recipe: Callable[..., Recipe]) -> None:
    recipe = tiny_recipe("gradient_checkpointing=false", "height=256", "width=192")
    one, two = (plan(recipe, clips_per_device=count).activations for count in (1, 2))
    assert two == pytest.approx(2 * one, rel=0.05)
    checkpointed = plan(replace(recipe, gradient_checkpointing=True)).activations
    assert checkpointed < 0.5 * one
    assert plan(replace(recipe, precision="bfloat16")).activations < 0.75 * one


def test_full_size_fits_one_large_gpu() -> None:
    """The paper's recipe, worked out without its weights: about 3 billion parameters and 36 GB."""
    text = describe(load_recipe("full"), num_processes=8)
    assert "stage 0 body: 5 epochs of 8 clips (1 at once x 8 device(s) x 1 accumulated), 16 frames" in text
    assert "trains 803,210,000 parameters: dynamics_adapter 24,793,280, motion_modules 417,137,600, " in text
    assert "reference_mode = 'dynamics_adapter'" in text
    memory = float(text.split("memory per device about ")[1].split(" GB")[0])
    assert 30 < memory < 45
