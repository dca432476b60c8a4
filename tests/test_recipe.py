"""What is written with every result."""

import io
import json
from dataclasses import fields, replace
from pathlib import Path

import av
import numpy as np
import pytest

from xdyna.config import AnimationSettings
from xdyna.recipe import AI_NOTE, LABEL, Recipe, labelled, read_recipe, save_animation, write_result
from xdyna.schema import Animation, InputError, Video
from xdyna.video import probe, read_metadata, read_video

SETTINGS = AnimationSettings(height=224, width=128, seed=7, prompt="a “quoted” line;\n# and = more", ai_label=False)


def animation(height: int = 224, width: int = 128, stopped: bool = False) -> Animation:
    rows = np.linspace(0, 255, height).astype(np.uint8)
    frames = np.broadcast_to(rows[None, :, None, None], (4, height, width, 3)).copy()
    controls = {"pose": frames}
    return Animation(
        video=Video(frames=frames, fps=8.0),
        controls=controls,
        model="xdyna-mini",
        revision="abc",
        seconds=1.23456,
        stopped=stopped,
    )


def a_tone(seconds: float) -> bytes:
    """An M4A file, as a clip's sound is handed on."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        track = container.add_stream("aac", rate=44100, layout="mono")
        samples = np.sin(np.arange(round(44100 * seconds)) * 2 * np.pi * 440 / 44100).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples[None] / 2, format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return file.getvalue()


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


def test_without_a_recipe_it_still_says_so(tmp_path: Path) -> None:
    settings = replace(SETTINGS, save_recipe=False)
    assert save_animation(tmp_path / "out.mp4", animation(), settings) is None
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    tags = read_metadata(tmp_path / "out.mp4")
    assert (tags["title"], tags["description"], tags["comment"]) == (LABEL, AI_NOTE, AI_NOTE)
    with pytest.raises(InputError, match="not an xdyna recipe"):
        read_recipe(tmp_path / "out.mp4")


def test_a_video_made_of_the_result_carries_its_recipe_too(tmp_path: Path) -> None:
    recipe = Recipe.of(animation(), SETTINGS)
    write_result(tmp_path / "beside.mp4", animation(224, 256).video, recipe)
    assert read_recipe(tmp_path / "beside.mp4") == recipe


@pytest.mark.parametrize("keep", [True, False])
def test_the_sound_of_the_clip_is_kept_unless_unwanted(tmp_path: Path, keep: bool) -> None:
    save_animation(tmp_path / "out.mp4", animation(), replace(SETTINGS, keep_sound=keep), a_tone(0.4))
    assert probe(tmp_path / "out.mp4").has_audio is keep
    save_animation(tmp_path / "silent.mp4", animation(), replace(SETTINGS, keep_sound=keep), None)
    assert not probe(tmp_path / "silent.mp4").has_audio


@pytest.mark.parametrize("stopped", [True, False])
def test_a_stopped_run_is_told_from_a_finished_one(tmp_path: Path, stopped: bool) -> None:
    save_animation(tmp_path / "out.mp4", animation(stopped=stopped), SETTINGS)
    assert read_recipe(tmp_path / "out.mp4").stopped is stopped


def test_every_setting_comes_back_from_a_real_file(tmp_path: Path) -> None:
    changed = {
        item.name: not item.default if isinstance(item.default, bool) else item.default
        for item in fields(AnimationSettings)
    }
    changed |= {"prompt": "雪 ❄ é", "background_adapter_strength": 0.5, "nudge_x": -0.25, "clip_person": "2"}
    settings = AnimationSettings(**(changed | {"save_recipe": True}))
    save_animation(tmp_path / "out.mp4", animation(), settings)
    assert read_recipe(tmp_path / "out.mp4").animation_settings() == settings


def test_a_recipe_of_an_older_version_gets_todays_defaults() -> None:
    written = json.loads(Recipe.of(animation(), SETTINGS).to_json())
    del written["stopped"], written["settings"]["save_recipe"], written["settings"]["keep_sound"]
    recipe = Recipe.from_json(json.dumps(written))
    assert recipe.animation_settings() == SETTINGS and not recipe.stopped


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
    for settings in (
        {"unknown": 1},
        {"num_inference_steps": 0},
        {"num_inference_steps": 2.5},
        {"num_inference_steps": True},
        {"seed": "7"},
        {"prompt": ["<script>"]},
        {"guidance_scale": None},
        {"photo_person": 3},
        [],
    ):
        with pytest.raises(InputError, match="do not fit this version"):
            replace(recipe, settings=settings).animation_settings()
