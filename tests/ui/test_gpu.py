"""What the GPU process of a Space may be given and may give back."""

import inspect
import pickle
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Pose, Progress, Video
from xdyna.ui.gpu import MAX_SECONDS, run_on_gpu, seconds_needed

SETTINGS = AnimationSettings(height=64, width=64)


def conditions(num_frames: int = 3, size: tuple[int, int] = (64, 64)) -> Conditions:
    frames = np.zeros((num_frames, *size, 3), np.uint8)
    pose = Pose(
        body=np.full((num_frames, 18, 2), np.nan, np.float32),
        body_scores=np.zeros((num_frames, 18), np.float32),
        hands=np.full((num_frames, 2, 21, 2), np.nan, np.float32),
        hand_scores=np.zeros((num_frames, 2, 21), np.float32),
    )
    return Conditions(
        reference_image=frames[0],
        reference_pose=pose[:1],
        driving_frames=frames,
        pose=pose,
        face_landmarks=np.full((num_frames, 68, 2), np.nan, np.float32),
        alignment=np.eye(2, 3),
        fps=8.0,
    )


def test_it_is_a_plain_generator_as_zero_gpu_demands() -> None:
    assert inspect.isgeneratorfunction(run_on_gpu)


def test_what_goes_in_and_out_can_be_pickled() -> None:
    given = conditions()
    frames = given.driving_frames
    controls = {"pose": frames}
    video = Video(frames=frames, fps=8.0)
    for value in (
        given,
        SETTINGS,
        "xdyna-mini",
        Progress(phase="Denoising", step=1, total=2),
        Animation(video=video, controls=controls, model="xdyna-mini", revision="abc", seconds=1.0),
    ):
        assert type(pickle.loads(pickle.dumps(value))) is type(value)


def test_missing_weights_are_told_in_the_only_error_that_keeps_its_words(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path))
    with pytest.raises(gr.Error, match="xdyna weights pull"):
        next(run_on_gpu(conditions(), SETTINGS, "xdyna"))


def test_the_time_asked_for_grows_with_the_work() -> None:
    official = BACKENDS["xdyna"].defaults
    small, usual = conditions(), conditions(16, (896, 512))
    seconds = [
        seconds_needed(small, SETTINGS, "xdyna"),
        seconds_needed(usual, replace(official, guidance_scale=1.0), "xdyna"),
        seconds_needed(usual, official, "xdyna", progress=None),  # as Gradio may call it
        seconds_needed(conditions(60, (896, 512)), official, "xdyna"),
    ]
    assert seconds == sorted(set(seconds))
    assert seconds[2] <= 80  # the most that a visitor without an account can ask for
    assert (
        seconds_needed(conditions(60, (896, 512)), replace(official, num_inference_steps=100), "xdyna") <= MAX_SECONDS
    )
