"""The texture network and the views it learns from."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from xdyna.benchmark.texture_data import FPS, TEST_SEEDS, can_play, draw_view, pick_times, rendered
from xdyna.benchmark.texture_net import (
    BUNDLED_TEXTURES,
    FEATURE_DIM,
    HEIGHT,
    NUM_FRAMES,
    TEMPOS,
    WIDTH,
    TextureNet,
    Textures,
    prepare,
)
from xdyna.schema import InputError
from xdyna.training.data import HELD_OUT_SEEDS
from xdyna.world import SCENES, render_clip


@pytest.fixture(scope="module")
def textures() -> Textures:
    return Textures()


def test_what_ships_is_small_and_is_what_was_measured(textures: Textures) -> None:
    report = json.loads(BUNDLED_TEXTURES.with_name("report.json").read_text())
    assert BUNDLED_TEXTURES.stat().st_size < 5e6
    assert sum(p.numel() for p in textures.network.parameters()) < 1e6
    assert textures.sha256 == report["sha256"]
    card = BUNDLED_TEXTURES.with_name("README.md").read_text()
    for name in ("scene_accuracy", "masked_accuracy", "tempo_accuracy"):
        assert f"{report[name]:.2f}" in card
    for change, distance in report["distances"].items():
        assert f"| {change} | {distance:.2f} |" in card


def test_its_distance_rewards_motion() -> None:
    """Less motion is further away, and a standstill is far worse than a little noise."""
    distances = json.loads(BUNDLED_TEXTURES.with_name("report.json").read_text())["distances"]
    still = [distances[name] for name in ("nothing (other clips)", "50 % static", "90 % static", "frozen")]
    assert still == sorted(still) and still[1] > 5 * still[0]
    assert distances["frozen"] > 3 * distances["noise of 5 %"]


def test_it_names_scenes_it_has_not_seen(textures: Textures) -> None:
    clips = [
        render_clip(TEST_SEEDS + 10_000 + k, num_frames=NUM_FRAMES, fps=FPS, scene_name=name, person=False).frames
        for k, name in enumerate(SCENES)
    ]
    found, _ = textures.predict(clips)
    assert np.mean([a == b for a, b in zip(found, SCENES, strict=True)]) >= 0.5  # chance is 1 in 12


def test_features_do_not_depend_on_the_company(textures: Textures) -> None:
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (NUM_FRAMES, 56, 32, 3), dtype=np.uint8) for _ in range(3)]
    together = textures(clips)
    assert together.shape == (3, FEATURE_DIM)
    assert together[1] == pytest.approx(textures(clips[1:2])[0], abs=1e-5)


def test_pictures_are_averaged_down_to_the_network() -> None:
    clip = np.random.default_rng(0).integers(0, 256, (NUM_FRAMES, 2 * HEIGHT, 2 * WIDTH, 3), dtype=np.uint8)
    seen = prepare(torch.from_numpy(clip)[None])
    assert seen.shape == (1, 3, NUM_FRAMES, HEIGHT, WIDTH)
    corner = clip[5, :2, :2, 1].mean() / 127.5 - 1
    assert seen[0, 1, 5, 0, 0].item() == pytest.approx(corner, abs=1e-5)


def test_a_clip_of_another_length_is_refused(textures: Textures) -> None:
    with pytest.raises(ValueError, match="sees 8 frames, got 5"):
        textures([np.zeros((5, 16, 16, 3), np.uint8)])


def test_files_that_are_not_the_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train_textures\.py"):
        Textures(tmp_path / "none.safetensors")
    for content in (b"", b"not tensors"):
        (tmp_path / "x.safetensors").write_bytes(content)
        with pytest.raises(InputError, match="is not the texture network"):
            Textures(tmp_path / "x.safetensors")
    state = TextureNet().state_dict()
    state.pop("scene.bias")
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"scene\.bias"):
        Textures(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("fast", "tempo", "step"),
    [
        (True, "as rendered", 2),
        (False, "as rendered", 1),
        (True, "half speed", 1),
        (False, "double speed", 2),
        (True, "frozen", 0),
    ],
)
def test_tempos(fast: bool, tempo: str, step: int) -> None:
    """Time between neighbours, in frames of what was rendered, at 8 (fast) or 4 frames per second."""
    times = pick_times(np.random.default_rng(0), fast, tempo)
    assert (np.diff(times) == step).all() and len(times) == NUM_FRAMES


def test_shuffling_keeps_the_frames_and_no_clip_has_both_speeds() -> None:
    times = pick_times(np.random.default_rng(0), True, "shuffled")
    assert sorted(times) == list(range(0, 16, 2)) and list(times) != sorted(times)
    assert not can_play(True, "double speed") and not can_play(False, "half speed")
    with pytest.raises(ValueError, match="cannot be had"):
        pick_times(np.random.default_rng(0), False, "half speed")


def test_views_say_what_they_show() -> None:
    clip, scene = rendered(TEST_SEEDS, 0), rendered(TEST_SEEDS, len(SCENES))
    assert clip.person.any() and not scene.person.any() and clip.scene == scene.scene == 0
    rng = np.random.default_rng(0)
    views = [draw_view(rng, clip, clip.person) for _ in range(40)]
    assert {view.scene for view in views} == {0, -1}  # -1 where only the person shows
    assert {TEMPOS[view.tempo] for view in views} == {*TEMPOS} - {"double speed"}
    assert all(view.frames.shape == (NUM_FRAMES, HEIGHT, WIDTH, 3) for view in views)
    only_person = next(view for view in views if view.scene == -1)
    assert (only_person.frames < 25).all(axis=-1).mean() > 0.4


def test_its_test_clips_are_neither_trained_on_nor_benchmarked() -> None:
    assert TEST_SEEDS > HELD_OUT_SEEDS + 10_000_000
