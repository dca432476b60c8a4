"""The backend at tiny size: what it passes on, shows on the way and keeps when stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pipelines.test_tiny_decoder import tiny_vae
from tiny import tiny_pipeline

from xdyna.backends.xdyna import XDYNA, XDynaModel
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, InputError, Pose, Progress
from xdyna.world import render_clip

NUM_FRAMES, HEIGHT, WIDTH = 6, 64, 64
SETTINGS = AnimationSettings(height=HEIGHT, width=WIDTH, num_inference_steps=3, context_frames=4, context_overlap=1)
RNG = np.random.default_rng(0)
LEFT = np.broadcast_to(np.arange(WIDTH) < WIDTH // 2, (NUM_FRAMES, HEIGHT, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def backend() -> XDynaModel:
    return XDynaModel(XDYNA, tiny_pipeline(), "0")


def standing(num_frames: int) -> Pose:
    return Pose(
        body=RNG.uniform(8, 56, (num_frames, 18, 2)).astype(np.float32),
        body_scores=np.ones((num_frames, 18), np.float32),
        hands=np.full((num_frames, 2, 21, 2), np.nan, np.float32),
        hand_scores=np.zeros((num_frames, 2, 21), np.float32),
    )


CONDITIONS = Conditions(
    reference_image=RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8),
    reference_pose=standing(1),
    driving_frames=RNG.integers(0, 256, (NUM_FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8),
    pose=standing(NUM_FRAMES),
    face_landmarks=np.full((NUM_FRAMES, 68, 2), np.nan, np.float32),
    alignment=np.eye(2, 3),
    fps=8.0,
    person_masks=LEFT,
    reference_person_mask=LEFT[0],
)


def events(backend: XDynaModel, **changes: Any) -> list[Progress | Animation]:
    return list(backend.run(CONDITIONS, replace(SETTINGS, **changes)))


def result(backend: XDynaModel, **changes: Any) -> np.ndarray:
    *_, last = events(backend, **changes)
    assert isinstance(last, Animation)
    return last.video.frames


@pytest.mark.parametrize(
    "change",
    [
        {"reference_mode": "reference_attention"},
        {"reference_mode": "image_tokens"},
        {"background_adapter_strength": 0.0},
        {"controls_on_person_only": True},
        {"static_background": True},
    ],
    ids=lambda change: "+".join(map(str, change.values())),
)
def test_every_switch_reaches_the_model(backend: XDynaModel, change: dict[str, Any]) -> None:
    assert not np.array_equal(result(backend, **change), result(backend))


def test_a_run_can_begin_from_puppets_frames(backend: XDynaModel) -> None:
    clip = render_clip(908, num_frames=3, height=256, width=144)
    given = Conditions(
        reference_image=clip.frames[0],
        reference_pose=clip.pose[:1],
        driving_frames=clip.frames,
        pose=clip.pose,
        face_landmarks=clip.face_landmarks,
        alignment=np.eye(2, 3),
        fps=8.0,
    )
    settings = replace(SETTINGS, height=256, width=144, num_inference_steps=4, guidance_scale=1.0, strength=0.5)
    *told, made = backend.run(given, settings)
    steps = [event.total for event in told if isinstance(event, Progress) and event.phase == "Denoising"]
    assert steps == [2, 2] and backend.backend.plan(settings, 3).num_steps == 2
    assert {"Cutting out the person", "Drawing"} <= {event.phase for event in told if isinstance(event, Progress)}
    assert isinstance(made, Animation) and not made.stopped
    *_, other = backend.run(given, replace(settings, num_inference_steps=2, strength=1.0))
    assert isinstance(other, Animation) and not np.array_equal(made.video.frames, other.video.frames)


def test_a_photo_that_puppet_refuses_gives_no_start(backend: XDynaModel) -> None:
    with pytest.raises(InputError, match=r"no frames of Puppet's to begin from.* Or set strength to 1"):
        events(backend, strength=0.5)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> XDynaModel:
    """From files, as a user has them."""
    tiny_pipeline().save_pretrained(tmp_path / "xdyna")
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path))
    return XDYNA.load("cpu")


def test_weights_in_eight_bits_and_back(loaded: XDynaModel) -> None:
    exact = result(loaded)
    rounded = result(loaded, weight_storage="float8")
    assert not np.array_equal(rounded, exact)
    assert loaded.pipeline.unet.conv_out.weight.dtype == torch.float8_e4m3fn
    assert np.array_equal(result(loaded), exact)


def test_the_tiny_decoder_is_a_file_of_the_users(loaded: XDynaModel, tmp_path: Path) -> None:
    exact = result(loaded)
    with pytest.raises(InputError, match="xdyna weights pull taesd"):
        result(loaded, decoder="tiny")
    tiny_vae().save_pretrained(tmp_path / "taesd")
    *progress, last = events(loaded, decoder="tiny")
    assert isinstance(last, Animation) and not np.array_equal(last.video.frames, exact)
    previews = [event.preview for event in progress if isinstance(event, Progress) and event.preview is not None]
    assert previews[-1].shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)
    assert np.array_equal(result(loaded), exact)


def test_windows_that_run_together_make_the_same_video(backend: XDynaModel) -> None:
    shapes: list[int] = []
    hook = backend.pipeline.unet.register_forward_pre_hook(lambda _, inputs: shapes.append(len(inputs[0])))
    alone, together = result(backend), result(backend, windows_at_once=2)
    hook.remove()
    assert shapes == [2] * 6 + [4] * 3  # rows: the halves of guidance, times the windows
    assert np.abs(together.astype(int) - alone).max() <= 1


def test_each_denoising_step_ends_with_a_preview(backend: XDynaModel) -> None:
    *progress, last = events(backend)
    denoising = [event for event in progress if isinstance(event, Progress) and event.phase == "Denoising"]
    assert [event.preview is not None for event in denoising] == [False, True] * 3  # two windows a step
    assert all(event.preview.shape == (NUM_FRAMES, 8, 8, 3) for event in denoising[1::2] if event.preview is not None)
    assert isinstance(last, Animation) and not last.stopped


@pytest.mark.parametrize(("stop_after", "steps_run"), [(1, 1), (2, 1), (3, 2)])
def test_stopping_ends_with_the_current_step_and_keeps_what_is_done(
    backend: XDynaModel, stop_after: int, steps_run: int
) -> None:
    seen: list[Progress] = []
    for event in backend.run(CONDITIONS, SETTINGS, stop=lambda: len(seen) >= stop_after):
        if isinstance(event, Progress) and event.phase == "Denoising":
            seen.append(event)
    assert len(seen) == 2 * steps_run  # two windows a step
    assert isinstance(event, Animation)
    assert event.stopped
    assert event.video.frames.shape == (NUM_FRAMES, HEIGHT, WIDTH, 3)


def test_a_stop_in_the_last_step_is_a_finished_run(backend: XDynaModel) -> None:
    *_, last = backend.run(CONDITIONS, replace(SETTINGS, num_inference_steps=1), stop=lambda: True)
    assert isinstance(last, Animation)
    assert not last.stopped
    assert np.array_equal(last.video.frames, result(backend, num_inference_steps=1))
