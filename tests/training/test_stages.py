"""What a stage trains, and how its learning rate and batches go."""

from pathlib import Path

import pytest
from tiny import load_layout, tiny_pipeline
from torch._subclasses.fake_tensor import FakeTensorMode

from xdyna.models.motion_module import ReferenceMotionModule
from xdyna.schema import InputError
from xdyna.training.plan import blank_modules, plan_stage
from xdyna.training.recipe import load_recipe
from xdyna.training.stages import Stage, select_parameters, trainable_components

GOLDEN = Path(__file__).parent.parent / "golden"


def stage(**values: object) -> Stage:
    return Stage(**{"name": "x", "trains": ("unet",), "steps": 10} | values)


def test_full_size_counts_are_those_of_the_release() -> None:
    """`parameter_counts` of the golden layout are those of the official code's own modules."""
    counts = load_layout(GOLDEN)["parameter_counts"]
    recipe = load_recipe("full")
    with FakeTensorMode():
        modules = blank_modules(recipe)
        trained = [plan_stage(recipe, each, modules).trained for each in recipe.runs()]
    assert trained == [
        {
            "dynamics_adapter": counts["unet"]["dynamics_adapter(to_q_ff,to_out_ff)"],
            "motion_modules": counts["unet"]["motion_modules"],
            "controlnet_pose": counts["controlnet_pose"]["params_total"],
        },
        {"controlnet_face": counts["controlnet_face"]["params_total"]},
    ]


@pytest.mark.parametrize(
    ("mode", "kinds"),
    [
        ("dynamics_adapter", {"attn1.to_q_ff", "attn1.to_out_ff"}),
        ("reference_attention", {"attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out"}),
        ("image_tokens", {"attn2.to_k_ip", "attn2.to_v_ip"}),
    ],
)
def test_the_part_that_carries_the_photo_follows_the_ablation(mode: str, kinds: set[str]) -> None:
    components = trainable_components(tiny_pipeline())
    names = select_parameters(components, stage(trains=("reference",)), mode)
    of_unet = {name for name in names if name.startswith("unet.")}
    assert not any("motion_modules" in name for name in names)
    assert {".".join(name.split("transformer_blocks.0.")[1].split(".")[:2]) for name in of_unet} == kinds
    assert len({name.split(".attn")[0] for name in of_unet}) == 16  # every spatial transformer
    whole_resampler = {f"resampler.{name}" for name, _ in components["resampler"].named_parameters()}
    assert {*names} - of_unet == (whole_resampler if mode == "image_tokens" else set())


def test_only_what_is_selected_gets_gradients() -> None:
    components = trainable_components(tiny_pipeline())
    names = select_parameters(components, stage(trains=("controlnet_pose",)), "dynamics_adapter")
    learning = {
        f"{component}.{name}"
        for component, module in components.items()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }
    assert (
        learning == {*names} == {f"controlnet_pose.{n}" for n, _ in components["controlnet_pose"].named_parameters()}
    )


@pytest.mark.parametrize("motion", [True, False])
def test_motion_modules_rest_in_a_stage_of_pictures(motion: bool) -> None:
    components = trainable_components(tiny_pipeline())
    names = select_parameters(components, stage(motion=motion), "dynamics_adapter")
    assert any("motion_modules" in name for name in names) is motion
    modules = [module for module in components["unet"].modules() if isinstance(module, ReferenceMotionModule)]
    assert {module.enabled for module in modules} == {motion}


@pytest.mark.parametrize(
    ("warmup", "decay", "rates"),
    [
        (0, 0, [1, 1, 1, 1]),
        (2, 0, [0.5, 1, 1, 1]),
        (0, 2, [1, 1, 1, 0.5]),
        (2, 4, [0.5, 0.75, 0.5, 0.25]),
    ],
)
def test_learning_rate(warmup: int, decay: int, rates: list[float]) -> None:
    made = stage(learning_rate=1.0, warmup_steps=warmup, decay_steps=decay)
    assert [made.learning_rate_at(step, 4) for step in range(4)] == rates


@pytest.mark.parametrize(
    ("batch_size", "at_once", "processes", "expected"), [(8, 1, 1, 8), (8, 2, 1, 4), (8, 2, 4, 1), (8, 1, 8, 1)]
)
def test_accumulation_makes_the_same_batch_on_any_machine(
    batch_size: int, at_once: int, processes: int, expected: int
) -> None:
    assert stage(batch_size=batch_size, clips_per_device=at_once).accumulation(processes) == expected


def test_a_batch_that_cannot_be_split_is_refused() -> None:
    with pytest.raises(InputError, match=r"8 clips cannot be split over 3 device\(s\).*multiple of 3"):
        stage(batch_size=8).accumulation(3)


def test_epochs_become_steps() -> None:
    made = Stage(name="x", trains=("unet",), epochs=2.5, batch_size=4)
    assert made.total_steps(10) == 7  # 25 clips in fours, the last step repeats some
    with pytest.raises(InputError, match="counts epochs, but this data has no end"):
        made.total_steps(None)
