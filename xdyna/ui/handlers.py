"""What happens on the page when a visitor does something. Knows the page's parts by their names only."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.photo import crop_box, read_photo
from xdyna.preview import pose_over_photo
from xdyna.schema import Animation, Conditions, InputError, Progress
from xdyna.ui import fragments
from xdyna.ui.examples import Example
from xdyna.ui.gpu import run_on_gpu
from xdyna.ui.jobs import conditions_of, job_folder, preview_files, result_files
from xdyna.ui.problems import showing_problems
from xdyna.ui.settings_form import read_settings
from xdyna.video import probe

Updates = tuple[Any, ...]

PARTS = (
    *("check_status", "checks", "overlay", "frame", "pose_clip", "faces", "analysis"),
    *("run_status", "result", "caption", "download_video", "download_recipe"),
    *("analyse_button", "analyse_stop_button", "generate_button", "stop_button"),
)
"""Names of what `analyse`, `generate` and their companions may change, in the order of their outputs."""

STOPPED = "Stopped. What was here before is kept."
SETTLE_S = 0.6

STATUS = {"analyse": "check_status", "generate": "run_status"}
WAITING = fragments.message("Waiting for a free place…")
ANALYSIS_INPUTS = ("height", "width", "num_frames", "fps", "start_s")


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What was found in one pair of files; kept in the visitor's session.

    Attributes:
        inputs: the files and settings it belongs to.
        conditions: what was found.
    """

    inputs: tuple[object, ...]
    conditions: Conditions


def update(**changes: Any) -> Updates:
    """Outputs for all `PARTS`; what is not named stays as it is."""
    return tuple(changes.get(name, gr.skip()) for name in PARTS)


def buttons(running: str | None) -> dict[str, Any]:
    """While a job runs, its button is a Stop and the other one rests.

    Args:
        running: "analyse", "generate" or None.
    """
    return {
        "analyse_button": gr.update(visible=running != "analyse", interactive=running is None),
        "analyse_stop_button": gr.update(visible=running == "analyse"),
        "generate_button": gr.update(visible=running != "generate", interactive=running is None),
        "stop_button": gr.update(visible=running == "generate"),
    }


def waiting(job: str) -> Updates:
    """The click itself, before the queue has a free place."""
    return update(**{STATUS[job]: WAITING}, **buttons(running=job))


def stopped(job: str) -> Updates:
    """A Stop button, while its job is being cancelled."""
    return update(**{STATUS[job]: fragments.message(STOPPED)}, **buttons(running=None))


def settled() -> str:
    """The status once more, a moment after a Stop: a step that was already on its way may have overwritten it."""
    time.sleep(SETTLE_S)
    return fragments.message(STOPPED)


def refused(job: str, status: str) -> Updates:
    """A job that Gradio did not start, which is one that still waits: stopped jobs come here too."""
    if status != WAITING:
        return update()
    note = "A setting is outside its range, or the queue is full. Your files and settings are kept: try again."
    return update(**{STATUS[job]: fragments.error(note)}, **buttons(running=None))


@showing_problems(lambda text: update(check_status=fragments.error(text), **buttons(running=None)))
def analyse(
    photo: str | None, clip: str | None, consent: bool, analysis: Analysis | None, **settings: Any
) -> Iterator[Updates]:
    """The Analyse button: shows what the model will see."""
    yield from _analysed(photo, clip, consent, analysis, read_settings(settings), "check_status")
    yield update(check_status="", **buttons(running=None))


def generate_with(model: str) -> Callable[..., Iterator[Updates]]:
    """The Generate button: analyses if that is still to be done, then animates with the model."""

    @showing_problems(lambda text: update(run_status=fragments.error(text), **buttons(running=None)))
    def generate(
        photo: str | None, clip: str | None, consent: bool, analysis: Analysis | None, **settings: Any
    ) -> Iterator[Updates]:
        read = read_settings(settings)
        conditions = yield from _analysed(photo, clip, consent, analysis, read, "run_status")
        yield update(run_status=fragments.message("Loading the model…"))
        with closing(run_on_gpu(conditions, read, model)) as events:
            for event in events:
                if isinstance(event, Animation):
                    yield from _finished(event, read)
                else:
                    yield update(run_status=fragments.progress(event))

    return generate


def _analysed(
    photo: str | None,
    clip: str | None,
    consent: bool,
    analysis: Analysis | None,
    settings: AnimationSettings,
    status: str,
) -> Generator[Updates, None, Conditions]:
    """Shows progress and previews. Returns what was found, at once if an earlier click has found it."""
    inputs = (photo, clip, *(getattr(settings, name) for name in ANALYSIS_INPUTS))
    if analysis is not None and analysis.inputs == inputs and consent:
        return analysis.conditions
    with closing(conditions_of(photo, clip, consent, settings)) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Progress):
                yield update(**{status: fragments.progress(event)})
            else:
                conditions = event
    with job_folder() as folder:
        overlay, pose_clip, faces = preview_files(folder, conditions)
        yield update(
            checks=fragments.checklist(conditions),
            overlay=overlay,
            frame=gr.update(maximum=conditions.num_frames, value=1),
            pose_clip=pose_clip,
            faces=faces,
            analysis=Analysis(inputs=inputs, conditions=conditions),
            **({} if status == "check_status" else {"check_status": ""}),
        )
    return conditions


def _finished(animation: Animation, settings: AnimationSettings) -> Iterator[Updates]:
    with job_folder() as folder:
        video, recipe = result_files(folder, animation, settings)
        title, num_frames = BACKENDS[animation.model].title, len(animation.video)
        yield update(
            run_status=fragments.message(f"Done: {num_frames} frames in {animation.seconds:.0f} s."),
            result=video,
            caption=fragments.caption(f"{title}, seed {settings.seed}, {settings.num_inference_steps} steps."),
            download_video=gr.update(value=video, visible=True),
            download_recipe=gr.update(value=recipe, visible=True),
            **buttons(running=None),
        )


def show_frame(analysis: Analysis | None, frame: int) -> Any:
    """The slider under the photo; it counts frames from 1."""
    if analysis is None:
        return gr.skip()
    return pose_over_photo(analysis.conditions, min(int(frame), analysis.conditions.num_frames) - 1)


def describe_photo(photo: str | None, width: float, height: float) -> str:
    """Says at once whether a photo can be used, and how much of it."""
    if photo is None:
        return ""
    try:
        size = read_photo(Path(photo)).shape
    except InputError as error:
        return fragments.error(str(error))
    left, top, right, bottom = crop_box((size[0], size[1]), (int(height), int(width)))
    used = (right - left) * (bottom - top) / (size[0] * size[1])
    text = f"{size[1]} x {size[0]} px"
    return fragments.message(text if used > 0.99 else f"{text}; the middle {used:.0%} of it is used")


def describe_clip(clip: str | None) -> str:
    """Says at once whether a clip can be used, and how long it is."""
    if clip is None:
        return ""
    try:
        info = probe(Path(clip))
    except InputError as error:
        return fragments.error(str(error))
    length = "" if info.duration_s is None else f"{info.duration_s:.1f} s · "
    return fragments.message(f"{length}{info.width} x {info.height} px · {info.fps:.0f} fps")


def use_example(example: Example) -> Updates:
    """Photo, clip, and all `PARTS`: fills the inputs and shows the finished result. Nothing is computed."""
    note = f"“{example.title}”, made earlier. Press Generate to make your own. {example.credit}"
    return (
        str(example.photo),
        str(example.clip),
        *update(
            run_status="",
            result=str(example.result),
            caption=fragments.caption(note),
            download_video=gr.update(value=str(example.result), visible=True),
            download_recipe=gr.update(value=str(example.recipe), visible=True),
        ),
    )
