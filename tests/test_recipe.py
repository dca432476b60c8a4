"""What is written with every result."""

import io
import json
import os
import random
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from xdyna.config import AnimationSettings
from xdyna.recipe import AI_NOTE, LABEL, Recipe, labelled, read_recipe, save_animation, write_result
from xdyna.schema import Animation, InputError, Video
from xdyna.ui.history import describe
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


@pytest.mark.parametrize("text", ["", "hello", "[]", "{}", "null", "3", '"text"', "[" * 100_000, '{"a":' * 100_000])
def test_anything_else_is_not_a_recipe(text: str) -> None:
    with pytest.raises(InputError, match="not an xdyna recipe"):
        Recipe.from_json(text)


NESTED: list[Any] = []
for _ in range(200):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"note": None}, "note must be a text"),
        ({"model": ["xdyna"]}, "model must be a text of at most 200 letters, got list"),
        ({"model": "x" * 201}, "model must be a text of at most 200 letters"),
        ({"model": "\ud800"}, "model must be a text"),
        ({"revision": 7}, "revision must be a text"),
        ({"created": 1700000000}, "created must be a text"),
        ({"created": NESTED}, "created must be a text of at most 200 letters, got list"),
        ({"num_frames": 0}, "num_frames must be a whole number between 1 and 100000, got 0"),
        ({"num_frames": 2.5}, "num_frames must be a whole number"),
        ({"num_frames": True}, "num_frames must be a whole number"),
        ({"num_frames": 10**400}, "num_frames must be a whole number"),
        ({"seconds": "1"}, "seconds must be a number"),
        ({"seconds": -1}, "seconds must be a number between 0"),
        ({"seconds": float("nan")}, "seconds must be a number between 0"),
        ({"seconds": float("inf")}, "seconds must be a number between 0"),
        ({"stopped": "no"}, "stopped must be true or false, got 'no'"),
        ({"versions": ["torch"]}, "versions must be at most 50 named texts, got list"),
        ({"versions": {"torch": 2}}, "a version must be a text"),
        ({"versions": {str(k): "1" for k in range(51)}}, "versions must be at most 50"),
        ({"settings": []}, "settings .* must be named values, got list"),
        ({"settings": {}}, "the seed is missing"),
        ({"settings": {"seed": "7"}}, "seed must be a whole number, got '7'"),
        ({"settings": {"seed": 7, "prompt": "x" * 501}}, "prompt must be at most 500 letters long, got 501"),
        ({"settings": {"seed": 10**400}}, "seed must be between"),
        ({"settings": {"seed": 7, "guidance_scale": 10**400}}, "guidance_scale must be between"),
        ({"settings": {"seed": 7, "height": NESTED}}, "height must be a whole number, got list"),
        ({"settings": {"seed": 7, "x" * 10_000: 1}}, "there is no setting 'x{39} here"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_part_of_a_recipe_is_named(change: dict[str, Any], message: str) -> None:
    written = json.loads(Recipe.of(animation(), SETTINGS).to_json()) | change
    with pytest.raises(InputError, match=message) as caught:
        Recipe.from_json(json.dumps(written))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["note", "model", "revision", "settings", "num_frames", "seconds", "created"])
def test_what_a_recipe_lacks_is_named(name: str) -> None:
    written = json.loads(Recipe.of(animation(), SETTINGS).to_json())
    del written[name]
    with pytest.raises(InputError, match=f"not an xdyna recipe: {name} is missing"):
        Recipe.from_json(json.dumps(written))


def test_what_a_later_version_wrote_beside_the_rest_is_passed_over() -> None:
    recipe = Recipe.of(animation(), SETTINGS)
    assert Recipe.from_json(json.dumps(json.loads(recipe.to_json()) | {"camera": "still"})) == recipe


def test_a_huge_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("w") as file:
        file.truncate(2**40)  # a terabyte, of which the disk stores nothing
    with pytest.raises(InputError, match="a recipe has at most"):
        read_recipe(path)


def test_what_is_no_file_is_no_recipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")  # whoever opens it waits for a writer
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe.json", "folder.json", "absent.json"):
        with pytest.raises(InputError, match=f"{name} is not a file"):
            read_recipe(tmp_path / name)


def changed_somewhere(value: Any, rng: random.Random) -> Any:
    """A copy of plain values with one of them replaced, removed or doubled."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        kind = rng.choice(["change", "change", "change", "remove", "rename"])
        others = {key: item for key, item in value.items() if key != name}
        if kind == "remove":
            return others
        if kind == "rename":
            return others | {name + rng.choice(["", " ", "\0", "é"]): value[name]}
        return others | {name: changed_somewhere(value[name], rng)}
    odd = [None, True, "", "x" * 1000, "\ud800", "\0", [], {}, NESTED, -1, 10**400, 1e308, float("nan"), float("inf")]
    return rng.choice([*odd, [value], {"seed": value}, str(value), 0.5])


def test_a_recipe_changed_anywhere_is_read_or_refused_and_can_then_be_shown() -> None:
    written = json.loads(Recipe.of(animation(), SETTINGS).to_json())
    rng, refused = random.Random(20260117), 0
    for _ in range(3000):
        try:
            recipe = Recipe.from_json(json.dumps(changed_somewhere(written, rng)))
        except InputError as error:
            assert len(str(error)) < 300
            refused += 1
            continue
        recipe.animation_settings()
        assert describe(recipe)
        assert Recipe.from_json(recipe.to_json()) == recipe
    assert 300 < refused < 3000


def test_a_text_changed_anywhere_is_read_or_refused() -> None:
    text, rng = Recipe.of(animation(), SETTINGS).to_json(), random.Random(7)
    for _ in range(2000):
        letters = list(text)
        for _ in range(rng.randint(1, 3)):
            letters[rng.randrange(len(letters))] = rng.choice('{}[]",:0-e\\ \0é')
        with suppress(InputError):
            Recipe.from_json("".join(letters[: rng.choice([len(letters), rng.randrange(len(letters))])]))


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
        {"flows": "0,0,1,1;" * 9},
        {"flows": [[0, 0, 1, 1]]},
        [],
    ):
        with pytest.raises(InputError, match="do not fit this version"):
            replace(recipe, settings=settings).animation_settings()


def test_it_says_that_a_corrected_mask_was_used() -> None:
    made = Recipe.of(replace(animation(), matte="0123456789abcdef"), SETTINGS)
    assert Recipe.from_json(made.to_json()).matte == "0123456789abcdef"
    assert Recipe.of(animation(), SETTINGS).matte == ""
