"""The main job end to end with the shipped model."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xdyna.animate import animate, prepare
from xdyna.backends import BACKENDS, load
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, InputError, Progress

EXAMPLES = Path(__file__).parent.parent / "examples"
SETTINGS = replace(BACKENDS["xdyna-mini"].defaults, num_frames=4, num_inference_steps=2)


@pytest.fixture(scope="module")
def conditions() -> Conditions:
    *_, last = prepare(EXAMPLES / "sea_photo.png", EXAMPLES / "sea_clip.mp4", SETTINGS)
    assert isinstance(last, Conditions)
    return last


def run(conditions: Conditions, settings: AnimationSettings = SETTINGS) -> Animation:
    *_, last = animate(conditions, settings, "xdyna-mini")
    assert isinstance(last, Animation)
    return last


def test_a_shipped_example_becomes_a_video(conditions: Conditions) -> None:
    animation = run(conditions)
    assert animation.video.frames.shape == (4, 224, 128, 3)
    assert animation.video.fps == SETTINGS.fps
    assert animation.model == "xdyna-mini"
    assert len(animation.revision) == 12
    # The picture is still the photo's place: its colours agree far better than those of another picture would.
    photo = conditions.reference_image.mean(axis=(0, 1))
    assert np.abs(animation.video.frames.mean(axis=(0, 1, 2)) - photo).max() < 30


def test_same_seed_same_video(conditions: Conditions) -> None:
    first, again = run(conditions), run(conditions)
    assert np.array_equal(first.video.frames, again.video.frames)
    other = run(conditions, replace(SETTINGS, seed=1))
    assert not np.array_equal(first.video.frames, other.video.frames)


def test_progress_names_every_step(conditions: Conditions) -> None:
    events = [event for event in animate(conditions, SETTINGS, "xdyna-mini") if isinstance(event, Progress)]
    assert [event.phase for event in events] == ["Encoding the photo", *["Denoising"] * 2, *["Decoding"] * 4]
    assert all(event.seconds_left is not None for event in events[1:])


def test_stopping_frees_the_model_for_the_next_run(conditions: Conditions) -> None:
    events: Iterator[object] = animate(conditions, replace(SETTINGS, num_inference_steps=50), "xdyna-mini")
    next(events), next(events)
    assert load("xdyna-mini").lock.locked()
    events.close()  # type: ignore[attr-defined]
    assert not load("xdyna-mini").lock.locked()
    assert len(run(conditions).video) == 4


def test_samplers_can_be_swapped_and_swapped_back(conditions: Conditions) -> None:
    first = run(conditions)
    assert not np.array_equal(first.video.frames, run(conditions, replace(SETTINGS, scheduler="unipc")).video.frames)
    assert np.array_equal(first.video.frames, run(conditions).video.frames)


def test_missing_official_weights_are_a_clear_message(
    conditions: Conditions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path))
    with pytest.raises(InputError, match="xdyna weights pull"):
        list(animate(conditions, SETTINGS, "xdyna"))


@pytest.mark.parametrize(
    ("photo", "clip", "frames"), [("example_1.png", "driving_1_113f", 5), ("example_2.jpg", "driving_2_97f", 5)]
)
def test_official_examples(test_data: Path, photo: str, clip: str, frames: int) -> None:
    folder = test_data / "real" / "xdyna"
    settings = replace(SETTINGS, num_frames=frames)
    clip_path = next(folder.glob(f"*{clip}.mp4"))
    *_, found = prepare(folder / photo, clip_path, settings)
    assert np.isfinite(found.face_landmarks).all()
    assert len(run(found, settings).video) == frames


def test_two_threads_get_the_same_model() -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(load, ["xdyna-mini"] * 2)
    assert first is second
