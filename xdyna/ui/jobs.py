"""The work behind the page and the public endpoints: from a visitor's files to files for the visitor."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import TypeVar

import cv2
import gradio as gr
import numpy as np

from xdyna.animate import prepare
from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.estimates import PACE
from xdyna.preview import write_previews
from xdyna.recipe import save_animation
from xdyna.schema import Animation, Conditions, Frames, InputError, Progress, Video
from xdyna.ui.gpu import borrows_gpu, run_on_gpu

RESULT_NAME = "xdyna.mp4"
DRAFT_REVISION = "draft"
PAGE_PACE_S = 0.5

Happening = TypeVar("Happening")


def require(photo: str | None, clip: str | None, consent: bool, settings: AnimationSettings | None = None) -> None:
    """Says what a visitor has forgotten, before any time is spent.

    Raises:
        InputError: a file or the consent is missing.
    """
    if photo is None:
        raise InputError("There is no photo yet. Add one of a person, or choose an example.")
    if clip is None and not (settings and settings.live_photo):
        raise InputError("There is no driving clip yet. Add a video of one person moving, or choose an example.")
    if not consent:
        raise InputError("Tick “I have the right to use this person's picture” to go on.")


def conditions_of(
    photo: str | None, clip: str | None, consent: bool, settings: AnimationSettings
) -> Iterator[Progress | Conditions]:
    """As `xdyna.animate.prepare`, for a visitor who may have forgotten something.

    Raises:
        InputError: a file or the consent is missing, or a file cannot be used.
    """
    require(photo, clip, consent, settings)
    with closing(prepare(Path(str(photo)), Path(clip) if clip else None, settings)) as events:  # type: ignore[type-var]
        yield from events


def throttled(events: Iterator[Happening]) -> Iterator[Happening]:
    """Leaves out progress that follows too soon for a page to show it: telling a browser costs it a tenth of a second.

    The first of every phase, its last step and all that is not progress are always passed on.
    """
    phase, shown_at = "", 0.0
    with closing(events):  # type: ignore[type-var]
        for event in events:
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


@contextmanager
def job_folder() -> Iterator[Path]:
    """A folder with a random name for one visitor's files. It ends with the block: Gradio keeps its own copies."""
    folder = Path(tempfile.mkdtemp(prefix="xdyna-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def preview_files(folder: Path, conditions: Conditions, settings: AnimationSettings, model: str) -> dict[str, str]:
    """Writes what the model will see. Returns the files of `write_previews` by name.

    Raises:
        InputError: the model cannot use what was found.
    """
    backend = BACKENDS[model]
    seen, driven_by = backend.prepare(conditions, settings), backend.driven_by(conditions, settings)
    return {path.name: str(path) for path in write_previews(conditions, folder, seen, driven_by)}


def result_files(
    folder: Path, animation: Animation, settings: AnimationSettings, sound: bytes | None
) -> tuple[str, str | None]:
    """Writes the result. Returns the video and its recipe, or None where no recipe is wanted."""
    video = folder / RESULT_NAME
    recipe = save_animation(video, animation, settings, sound)
    return str(video), str(recipe) if recipe else None
