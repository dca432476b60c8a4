"""What is written with every result."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xdyna.config import AnimationSettings
from xdyna.recipe import AI_NOTE, LABEL, Recipe, labelled, read_recipe, save_animation
from xdyna.schema import Animation, Controls, InputError, Video
from xdyna.video import read_metadata, read_video

SETTINGS = AnimationSettings(height=224, width=128, seed=7, prompt="a “quoted” line;\n# and = more", ai_label=False)


def animation(height: int = 224, width: int = 128) -> Animation:
    rows = np.linspace(0, 255, height).astype(np.uint8)
    frames = np.broadcast_to(rows[None, :, None, None], (4, height, width, 3)).copy()
    controls = Controls(pose=frames, face_local=frames, face_global=frames)
    return Animation(
        video=Video(frames=frames, fps=8.0), controls=controls, model="xdyna-mini", revision="abc", seconds=1.23456
    )


def test_the_recipe_of_the_file_is_the_recipe_beside_it(tmp_path: Path) -> None:
    beside = save_animation(tmp_path / "out.mp4", animation(), SETTINGS)
    assert beside == tmp_path / "out.json"
    recipe = read_recipe(tmp_path / "out.mp4")
    assert recipe == read_recipe(beside)
    assert recipe.animation_settings() == SETTINGS
    assert (recipe.model, recipe.revision, recipe.num_frames, recipe.seconds) == ("xdyna-mini", "abc", 4, 1.23)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.mp4"]


def test_the_file_says_that_it_is_ai_generated(tmp_path: Path) -> None:
    save_animation(tmp_path / "out.mp4", animation(), SETTINGS)
    tags = read_metadata(tmp_path / "out.mp4")
    assert tags["title"] == LABEL
    assert json.loads(tags["comment"])["note"] == AI_NOTE


def test_the_recipe_names_no_file(tmp_path: Path) -> None:
    beside = save_animation(tmp_path / "very private.mp4", animation(), SETTINGS)
    assert "private" not in beside.read_text()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (224, 128), (896, 512)])
def test_the_label_is_small_legible_and_optional(tmp_path: Path, height: int, width: int) -> None:
    plain = animation(height, width).video.frames
    with_label = labelled(plain)
    changed = (with_label != plain).any(axis=(0, 3))
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 0.75 * height  # at the bottom
    assert changed.mean() < 0.25
    assert (with_label[0][changed] > 230).any() and (with_label[0][changed] < 120).any()  # light on dark
    assert columns.max() < width


def test_ai_label_is_drawn_into_the_video(tmp_path: Path) -> None:
    save_animation(tmp_path / "plain.mp4", animation(), SETTINGS)
    save_animation(tmp_path / "marked.mp4", animation(), replace(SETTINGS, ai_label=True))
    plain, marked = (
        read_video(tmp_path / f"{name}.mp4", fps=8, num_frames=1 + 1).frames for name in ("plain", "marked")
    )
    difference = np.abs(plain.astype(int) - marked).mean(axis=(0, 2, 3))
    assert difference[-12:].mean() > 10 > 3 > difference[:180].mean()


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", '{"note": 1}'])
def test_anything_else_is_not_a_recipe(text: str) -> None:
    with pytest.raises(InputError, match="not an xdyna recipe"):
        Recipe.from_json(text)


def test_settings_of_another_version_are_refused() -> None:
    recipe = Recipe.of(animation(), SETTINGS)
    for settings in ({"unknown": 1}, {"num_inference_steps": 0}):
        with pytest.raises(InputError, match="do not fit this version"):
            replace(recipe, settings=settings).animation_settings()
