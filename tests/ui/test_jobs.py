"""What is left of a run that is stopped, or whose GPU is lost."""

from collections.abc import Iterator
from threading import Event

import gradio as gr
import numpy as np
import pytest
from ui.test_gpu import SETTINGS, conditions

import xdyna.ui.jobs
from xdyna.estimates import PACE
from xdyna.schema import Animation, Progress
from xdyna.ui.jobs import animated, throttled

GIVEN = conditions(num_frames=3)
PREVIEW = np.full((3, 8, 8, 3), 90, np.uint8)


def step(number: int, preview: bool = True) -> Progress:
    return Progress(phase="Denoising", step=number, total=3, preview=PREVIEW if preview else None)


def runs(monkeypatch: pytest.MonkeyPatch, *events: object) -> list[object]:
    """Makes the GPU give these events, then raise the last one if it is an error. Returns what it was asked with."""
    asked: list[object] = []

    def run_on_gpu(*arguments: object) -> Iterator[object]:
        asked.extend(arguments)
        for event in events:
            if isinstance(event, Exception):
                raise event
            yield event

    monkeypatch.setattr(xdyna.ui.jobs, "run_on_gpu", run_on_gpu)
    return asked


def assert_is_the_draft(event: object) -> None:
    assert isinstance(event, Animation) and event.stopped
    assert event.video.frames.shape == (3, 64, 64, 3) and (event.video.frames == 90).all()


def test_a_borrowed_gpu_is_left_at_once_and_its_last_preview_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    asked, stop = runs(monkeypatch, step(1), step(2), step(3)), Event()
    events = animated(GIVEN, SETTINGS, "xdyna-mini", stop)
    assert next(events) == step(1)
    assert asked[-1] is None  # what cannot be pickled stays here
    stop.set()
    assert_is_the_draft(next(events))
    assert next(events, None) is None


def test_a_gpu_of_ones_own_is_asked_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, stop = runs(monkeypatch, step(1)), Event()
    list(animated(GIVEN, SETTINGS, "xdyna-mini", stop))
    assert not asked[-1]()
    stop.set()
    assert asked[-1]()


def test_a_lost_gpu_leaves_its_last_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, step(1), step(2), gr.Error("GPU task aborted"))
    events = animated(GIVEN, SETTINGS, "xdyna-mini", Event())
    next(events), next(events)
    assert_is_the_draft(next(events))
    with pytest.raises(gr.Error, match="aborted"):
        next(events)


def test_before_the_first_preview_there_is_nothing_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, step(1, preview=False), gr.Error("GPU task aborted"))
    events = animated(GIVEN, SETTINGS, "xdyna-mini", Event())
    next(events)
    with pytest.raises(gr.Error, match="aborted"):
        next(events)


@pytest.mark.parametrize("stopped", [True, False])
def test_predictions_learn_from_whole_runs_only(monkeypatch: pytest.MonkeyPatch, stopped: bool) -> None:
    learnt: list[float] = []
    monkeypatch.setattr(PACE, "learn", lambda model, settings, num_frames, seconds: learnt.append(seconds))
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    runs(monkeypatch, step(1), gr.Error("GPU task aborted"))
    draft = next(event for event in animated(GIVEN, SETTINGS, "xdyna-mini", Event()) if isinstance(event, Animation))
    finished = Animation(
        video=draft.video, controls=draft.controls, model="xdyna-mini", revision="abc", seconds=5.0, stopped=stopped
    )
    runs(monkeypatch, finished)
    assert list(animated(GIVEN, SETTINGS, "xdyna-mini", Event())) == [finished]
    assert learnt == ([] if stopped else [5.0])


def test_progress_comes_no_faster_than_a_page_can_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((0.0, 0.1, 0.2, 0.7, 0.8, 0.9, 0.95))
    monkeypatch.setattr("xdyna.ui.jobs.time.monotonic", lambda: next(now))
    looking = [Progress(phase="Looking", step=k, total=9) for k in (1, 2, 3, 4)]
    denoising = [step(1), step(2), step(3)]
    passed = throttled(event for event in (*looking, *denoising, "the end"))
    assert list(passed) == [looking[0], looking[3], step(1), step(3), "the end"]
