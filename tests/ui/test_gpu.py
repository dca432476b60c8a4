"""What the GPU process of a Space may be given and may give back."""

import inspect
import pickle
import threading
from collections.abc import Iterator
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest

from xdyna.backends import BACKENDS
from xdyna.compare.take import Take
from xdyna.compare.variants import Variant
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Pose, Progress, Video
from xdyna.ui.fair_queue import FairQueue, Visitor
from xdyna.ui.gpu import MAX_SECONDS, compare_seconds, in_turn, run_on_gpu, run_variants, seconds_needed

ME = Visitor(address="here", session="")
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


VARIANTS = [Variant(label=f"Seed {seed}", changes={"seed": seed}) for seed in (1, 2)]


def compared(queue: FairQueue, monkeypatch: pytest.MonkeyPatch, *, at_once: int = 1) -> tuple[list[str], set[int]]:
    """The comparison's videos, and how many jobs of the queue were served while a variant ran."""
    meeting, served = threading.Barrier(at_once), set[int]()

    def run(given: Conditions, settings: AnimationSettings, model: str) -> Iterator[Progress | Animation]:
        meeting.wait(120)  # two that do not run at the same time would break it
        served.add(len(queue.called))
        yield Progress(phase="Denoising", step=1, total=1)
        meeting.wait(120)
        yield Animation(
            video=Video(frames=given.driving_frames, fps=8.0), controls={}, model=model, revision="abc", seconds=1.0
        )

    monkeypatch.setattr("xdyna.ui.gpu.run_on_gpu", run)
    events = in_turn(run_variants(conditions(), SETTINGS, VARIANTS, "xdyna-mini", queue), 60.0, ME, queue)
    return [event.label for event in events if isinstance(event, Take)], served


def test_on_one_gpu_variants_run_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compared(FairQueue(1), monkeypatch) == (["Seed 1", "Seed 2"], {1})


def test_on_two_gpus_variants_run_at_once_where_nobody_else_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compared(FairQueue(2), monkeypatch, at_once=2) == (["Seed 1", "Seed 2"], {1})


def test_a_comparison_leaves_the_other_gpu_to_who_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = FairQueue(2)
    with queue.join(Visitor(address="another", session=""), 60.0):
        assert compared(queue, monkeypatch) == (["Seed 1", "Seed 2"], {2})
    assert queue.called == queue.waiting == []


def test_two_gpus_halve_the_wait_for_two_variants() -> None:
    one = compare_seconds(3, SETTINGS, VARIANTS, "xdyna-mini", FairQueue(1))
    assert compare_seconds(3, SETTINGS, VARIANTS, "xdyna-mini", FairQueue(2)) == pytest.approx(one / 2)
    assert compare_seconds(3, SETTINGS, VARIANTS, "xdyna-mini", FairQueue(5)) == pytest.approx(one / 2)
