"""The work behind the page and the public endpoints: from a visitor's files to files for the visitor."""

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import cv2
import gradio as gr
import numpy as np

from xdyna.animate import prepare
from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.estimates import ANALYSIS_SPEED, PACE
from xdyna.preview import write_previews
from xdyna.recipe import Recipe, animation_files, write_result
from xdyna.schema import Animation, Conditions, Frames, InputError, Progress, Video
from xdyna.ui.fair_queue import FairQueue
from xdyna.ui.gpu import borrows_gpu, run_on_gpu
from xdyna.ui.preparation import PREPARATIONS, Preparation
from xdyna.ui.server_settings import server_settings

ANALYSIS_QUEUE = FairQueue(
    turns=2, settings=replace(server_settings(), max_waiting=max(1, server_settings().max_waiting // 2))
)
"""Everybody who wants a photo and a clip to be looked at, without a run."""
RESULT_NAME = "xdyna.mp4"
MOVED_NAME, MOTION_PREVIEW_S = "moved.mp4", 4.0
DRAFT_REVISION = "draft"
PAGE_PACE_S = 0.5

ANALYSIS_INPUTS = (
    *("height", "width", "num_frames", "fps", "start_s", "photo_person", "clip_person"),
    *("retarget", "nudge_zoom", "nudge_x", "nudge_y", "keep_sound", "live_photo", "sway", "mode"),
)
"""Settings that change what the model will see."""

Happening = TypeVar("Happening")
Result = TypeVar("Result")


def require(photo: str | None, clip: str | None, consent: bool, settings: AnimationSettings | None = None) -> None:
    """Says what a visitor has forgotten, before any time is spent.

    Raises:
        InputError: a file or the consent is missing.
    """
    if photo is None:
        raise InputError("There is no photo yet. Add one of a person, or choose an example.")
    if clip is None and not (settings and settings.live_photo):
        raise InputError("There is no driving clip yet. Add a video of one person moving, or choose an example.")
    if consent is not True:
        raise InputError("Tick “I have the right to use this person's picture” to go on.")


def analysis_inputs(photo: str | None, clip: str | None, settings: AnimationSettings) -> tuple[object, ...]:
    """Return all that an analysis depends on. `clip` is the motion file where there is one."""
    return (photo, clip, *(getattr(settings, name) for name in ANALYSIS_INPUTS))


def shared_preparation(
    photo: str | None, clip: str | None, settings: AnimationSettings
) -> AbstractContextManager[Preparation]:
    """Give a job the preparation of its files, which it shares with all others that have the same files and settings.

    The work begins when the first of them follows it.
    """

    def begin() -> Iterator[Progress | Conditions]:
        return prepare(Path(str(photo)), Path(clip) if clip else None, settings)

    return PREPARATIONS.share(analysis_inputs(photo, clip, settings), begin)


def conditions_of(preparation: Preparation, num_frames: int) -> Generator[Progress, None, Conditions]:
    """Follow a preparation.

    Args:
        preparation: From `shared_preparation`.
        num_frames: How many it looks at, at most: predictions learn from it.

    Raises:
        InputError: a file cannot be used.
    """
    with closing(preparation.follow()) as events:  # type: ignore[type-var]
        for event in events:
            if not isinstance(event, Progress):
                ANALYSIS_SPEED.learn(num_frames, sum(event.seconds.values()))
                return event
            yield event
    raise AssertionError("a preparation always ends with its conditions")


def with_result(events: Generator[Happening, None, Result]) -> Iterator[Happening | Result]:
    """Yield what a generator yields, then what it returns."""
    yield (yield from events)


def throttled(events: Iterator[Happening]) -> Generator[Happening, None, Any]:
    """Leave out progress that follows too soon for a page to show it: telling a browser costs it a tenth of a second.

    The first of every phase, its last step and all that is not progress are always passed on, and so is what a
    generator returns.
    """
    phase, shown_at = "", 0.0
    with closing(events):  # type: ignore[type-var]
        while True:
            try:
                event = next(events)
            except StopIteration as stop:
                return stop.value
            if isinstance(event, Progress):
                now = time.monotonic()
                if event.phase == phase and event.step != event.total and now - shown_at < PAGE_PACE_S:
                    continue
                phase, shown_at = event.phase, now
            yield event


def animated(
    conditions: Conditions, settings: AnimationSettings, model: str, stop: Event
) -> Iterator[Progress | Animation]:
    """Animates on the GPU. When `stop` is set, or the GPU is lost, what is done so far becomes the result.

    Yields:
        As `xdyna.animate.animate`. A borrowed GPU cannot be asked for its state: there the last preview is the result.

    Raises:
        gr.Error: the run failed; if there was a preview by then, an `Animation` of it comes first.
    """
    preview, started = None, time.monotonic()
    asked = None if borrows_gpu() else stop.is_set
    try:
        with closing(run_on_gpu(conditions, settings, model, asked)) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Animation) and not event.stopped:
                    PACE.learn(model, settings, len(event.video), event.seconds)
                yield event
                preview = event.preview if isinstance(event, Progress) and event.preview is not None else preview
                if borrows_gpu() and stop.is_set() and preview is not None:
                    break
            else:
                return
    except gr.Error:
        if preview is not None:
            yield _draft(preview, conditions, settings, model, time.monotonic() - started)
        raise
    assert preview is not None
    yield _draft(preview, conditions, settings, model, time.monotonic() - started)


def _draft(
    preview: Frames, conditions: Conditions, settings: AnimationSettings, model: str, seconds: float
) -> Animation:
    """The last preview at the size of the result."""
    height, width = conditions.size
    frames = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in preview])
    return Animation(
        video=Video(frames=frames, fps=conditions.fps),
        controls=BACKENDS[model].prepare(conditions, settings),
        model=model,
        revision=DRAFT_REVISION,
        seconds=seconds,
        stopped=True,
    )


def preview_files(folder: Path, conditions: Conditions, settings: AnimationSettings, model: str) -> dict[str, str]:
    """Writes what the model will see. Returns the files of `write_previews` by name.

    Raises:
        InputError: the model cannot use what was found.
    """
    backend = BACKENDS[model]
    seen, driven_by = backend.prepare(conditions, settings), backend.driven_by(conditions, settings)
    return {path.name: str(path) for path in write_previews(conditions, folder, seen, driven_by)}


def write_moved(folder: Path, animation: Animation, settings: AnimationSettings) -> Path:
    """Write what `xdyna.motion_preview.see_it_move` gave, labelled as AI-generated as results are; return the file."""
    path, shown = folder / MOVED_NAME, replace(settings, save_recipe=False)  # nobody can make it again from a recipe
    write_result(path, animation.video, Recipe.of(animation, shown))
    return path


def result_files(animation: Animation, settings: AnimationSettings, sound: bytes | None) -> dict[str, bytes]:
    """Return the video and, where it is wanted, its recipe, each by the name of its file."""
    return animation_files(Path(RESULT_NAME), animation.video, Recipe.of(animation, settings), sound)
