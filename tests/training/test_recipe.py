"""Recipes: strict to read, and each ablation says only what differs."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from xdyna.schema import InputError
from xdyna.training.recipe import load_recipe, recipe_from, shipped_recipes

STAGE = {"name": "only", "trains": ["unet"], "steps": 1}


def test_paper_values_of_the_full_recipe() -> None:
    recipe = load_recipe("full")
    assert (recipe.height, recipe.width) == (896, 512)
    body, face = recipe.stages
    assert (body.trains, body.epochs, body.scenes) == (("reference", "controlnet_pose", "motion_modules"), 5, True)
    assert (face.trains, face.epochs, face.scenes) == (("controlnet_face",), 2, False)
    assert {(stage.learning_rate, stage.num_frames) for stage in recipe.stages} == {(1e-5, 16)}


@pytest.mark.parametrize("base", ["full", "mini"])
@pytest.mark.parametrize(
    ("ablation", "field", "value"),
    [
        ("refnet", "reference_mode", "reference_attention"),
        ("image-tokens", "reference_mode", "image_tokens"),
        ("landmarks", "face_control", "landmarks"),
        ("no-face", "face_control", "none"),
        ("no-fusion", "scene_fraction", 0.0),
    ],
)
def test_an_ablation_differs_in_one_value(base: str, ablation: str, field: str, value: object) -> None:
    whole, changed = load_recipe(base), load_recipe(f"{base}-{ablation}")
    differing = [item.name for item in fields(whole) if getattr(whole, item.name) != getattr(changed, item.name)]
    assert differing == [field]
    assert getattr(changed, field) == value


def test_the_table_above_is_all_there_is() -> None:
    assert len(shipped_recipes()) == 2 * 6


@pytest.mark.parametrize(
    ("face_control", "stages", "controls"),
    [
        ("s-face", ["body", "face"], ["none", "s-face"]),
        ("landmarks", ["body"], ["landmarks"]),
        ("none", ["body"], ["none"]),
    ],
)
def test_without_s_face_its_stage_goes(face_control: str, stages: list[str], controls: list[str]) -> None:
    recipe = load_recipe("full", [f"face_control={face_control}"])
    runs = recipe.runs()
    assert [stage.name for stage in runs] == stages
    assert [recipe.sample_options(stage).face for stage in runs] == controls


def test_without_s_face_a_joint_stage_trains_the_rest() -> None:
    *_, joint = load_recipe("mini-no-face").runs()
    assert joint.trains == ("unet", "controlnet_pose", "resampler", "image_encoder")
    assert not joint.face


def test_scenes_are_mixed_in_where_the_stage_says_so() -> None:
    recipe = load_recipe("full")
    assert [recipe.sample_options(stage).scene_fraction for stage in recipe.stages] == [recipe.scene_fraction, 0]


def test_changes_reach_into_stages() -> None:
    recipe = load_recipe(
        "mini", ["stages.0.steps=7", "data=my clips", "ema_decay = 0", "stages.1.trains=['resampler']"]
    )
    assert (recipe.stages[0].steps, recipe.data, recipe.ema_decay) == (7, "my clips", 0.0)
    assert recipe.stages[1].trains == ("resampler",)


def test_files_of_either_kind_build_on_one_another(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"base": "full-no-fusion", "seed": 5}))
    (tmp_path / "b.toml").write_text('base = "a.json"\nwidth = 256\n')
    recipe = load_recipe(str(tmp_path / "b.toml"))
    assert (recipe.scene_fraction, recipe.seed, recipe.width) == (0, 5, 256)


def test_what_is_written_beside_a_checkpoint_reads_back() -> None:
    recipe = load_recipe("mini")
    assert recipe_from(recipe.to_dict(), "stored") == recipe


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sede": 1}, "unknown key 'sede'; did you mean seed?"),
        ({"qqqq": 1}, "unknown key 'qqqq'. Known are: model,"),
        ({"stages": [STAGE | {"stpes": 3}]}, "unknown key 'stpes'; did you mean steps?"),
        ({"seed": "one"}, "seed must be a int, got 'one'"),
        ({"compile": 1}, "compile must be a bool, got 1"),
        ({"scene_fraction": 2}, "scene_fraction must be between 0 and 1, got 2"),
        ({"precision": "half"}, "precision must be one of float32, bfloat16, float16, got 'half'"),
        ({"height": 100}, "height must be a multiple of 8, got 100"),
        ({"reset": ["unet"]}, "reset must be some of dynamics_adapter,"),
        ({"model": "xdyna", "start": "x"}, "start is for model xdyna-mini"),
        ({"stages": []}, "no stages"),
        ({"stages": 3}, "stages must be a list of tables"),
        ({"stages": [STAGE, STAGE]}, "different names, got only, only"),
        ({"stages": [STAGE | {"name": ""}]}, "has no name"),
        ({"stages": [STAGE | {"trains": ["head"]}]}, "trains 'head'; the parts are reference,"),
        ({"stages": [STAGE | {"trains": []}]}, "trains nothing"),
        ({"stages": [STAGE | {"epochs": 1}]}, "steps 1 and epochs 1: give one of them"),
        ({"stages": [STAGE | {"trains": ["controlnet_face"]}]}, "add face = true"),
        ({"stages": [STAGE | {"trains": ["motion_modules"], "motion": False}]}, "remove motion = false"),
    ],
)
def test_a_mistake_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        recipe_from({"stages": [STAGE]} | values, "recipe x")
    assert str(caught.value).startswith("recipe x: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("missing", [], "There is no recipe 'missing'. Give one of full, "),
        ("broken.toml", [], "broken.toml cannot be read: "),
        ("loop.toml", [], "loop.toml is its own base"),
        ("full", ["seed"], "A change is key=value, got 'seed'"),
        ("full", ["stages.9.steps=1"], "no 'stages.9.steps' to change"),
        ("full", ["sed=1"], "unknown key 'sed'; did you mean seed?"),
    ],
)
def test_a_recipe_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: list[str], message: str
) -> None:
    (tmp_path / "broken.toml").write_text("seed = [")
    (tmp_path / "loop.toml").write_text('base = "loop.toml"')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        load_recipe(name, changes)
    assert message in str(caught.value)
