"""The public endpoints: `/analyze`, `/see_it_move`, `/generate`, `/compare`. Each job is admitted or refused first."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.compare.grid import comparison_files
from xdyna.compare.take import Refusal, Take
from xdyna.compare.variants import AXES, MIN_VARIANTS, read_variants
from xdyna.config import AnimationSettings
from xdyna.estimates import ANALYSIS_SPEED, predict
from xdyna.files import UnsavedResultError, write_files
from xdyna.motion_preview import see_it_move as move_photo
from xdyna.preview import report
from xdyna.schema import Animation, Conditions, Progress
from xdyna.ui.client import visitor
from xdyna.ui.gpu import compare_seconds, in_turn, prepared_in_turn, run_on_gpu, run_variants
from xdyna.ui.job_events import QUEUED_BY_US
from xdyna.ui.jobs import (
    ANALYSIS_QUEUE,
    MOTION_PREVIEW_S,
    conditions_of,
    preview_files,
    require,
    result_files,
    shared_preparation,
    with_result,
    write_moved,
)
from xdyna.ui.session import Session
from xdyna.ui.settings_form import read_settings
from xdyna.ui.store import STORE
from xdyna.ui.unsaved import UNSAVED, UnsavedResult
from xdyna.weights import locate

NOTHING_YET = (gr.skip(), gr.skip(), gr.skip(), gr.skip())


def add_endpoints(session: Session) -> None:
    """The four endpoints. The page itself does not use them: its jobs also move buttons.

    Args:
        session: gives the endpoints their parameters.
    """
    job: dict[str, Any] = {
        "inputs": [session.photo, session.clip, session.consent, session.model],
        "inputs_kwargs": session.settings,
        "show_progress": "hidden",
        **QUEUED_BY_US,
    }
    call = gr.Button(visible=False)
    previews = [
        gr.Image(visible=False, label="Pose over the photo", format="png"),
        gr.Video(visible=False, label="Clip, and what the model sees of it"),
        gr.Image(visible=False, label="Faces it sees", format="png"),
    ]
    found = gr.JSON(visible=False, label="Report")
    call.click(analyze, outputs=[*previews, found], api_name="analyze", **job)
    moved = gr.Video(visible=False, label="The photo, moved by warping")
    call.click(see_it_move, outputs=moved, api_name="see_it_move", **job)
    made = [gr.Video(visible=False, label="Result"), gr.File(visible=False, label="Recipe")]
    call.click(generate, outputs=made, api_name="generate", **job)
    wanted = [
        gr.Dropdown(list(AXES), value=next(iter(AXES)), visible=False, label="What to compare"),
        gr.Textbox("", visible=False, label="Variants of your own, one a line: NAME: setting=value, setting=value"),
    ]
    compared = [
        gr.Video(visible=False, label="All variants side by side"),
        gr.File(visible=False, label="Their recipes"),
        gr.JSON(visible=False, label="How each moves"),
    ]
    job["inputs"] = [*job["inputs"], *wanted]
    call.click(compare, outputs=compared, api_name="compare", **job)


def analyze(
    photo: str | None, clip: str | None, consent: bool, model: str, **settings: Any
) -> Iterator[tuple[Any, ...]]:
    """Finds pose, face and alignment of a photo and a clip, without animating.

    `model` is a key of `BACKENDS`: each sees something else of them.

    Yields:
        At the end the pose over the photo, the clip beside the pose that the model sees, the faces that it sees or
        None, and a report.
    """
    read = BACKENDS[model].own(read_settings(settings))
    require(photo, clip, consent, read)
    with shared_preparation(photo, clip, read) as preparation:
        job, seconds = conditions_of(preparation, read.num_frames), ANALYSIS_SPEED.seconds(read.num_frames)
        with closing(in_turn(with_result(job), seconds, visitor(), ANALYSIS_QUEUE)) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Conditions):
                    files = preview_files(STORE.new(), event, read, model)
                    yield files["overlay.png"], files["pose.mp4"], files.get("face.png"), report(event)
                else:
                    yield NOTHING_YET


def see_it_move(photo: str | None, clip: str | None, consent: bool, model: str, **settings: Any) -> Iterator[Any]:
    """Warps the photo by the first three seconds of the clip, small and quick, to judge timing, crop and alignment.

    `model` is a key of `BACKENDS`: its size of the video decides the crop.

    Yields:
        At the end the video.
    """
    read = BACKENDS[model].own(read_settings(settings))
    require(photo, clip, consent, read)
    with shared_preparation(photo, clip, read) as preparation:
        seconds = ANALYSIS_SPEED.seconds(read.num_frames) + MOTION_PREVIEW_S
        prepare, run = conditions_of(preparation, read.num_frames), partial(move_photo, settings=read)
        job = prepared_in_turn(prepare, run, seconds, visitor(), ANALYSIS_QUEUE)
        with closing(job) as events:  # type: ignore[type-var]
            for event in events:
                yield str(write_moved(STORE.new(), event, read)) if isinstance(event, Animation) else gr.skip()


def generate(
    photo: str | None, clip: str | None, consent: bool, model: str, **settings: Any
) -> Iterator[tuple[Any, ...]]:
    """Animates a photo with a clip, or with `live_photo` without one. Cancel the job to stop the work.

    `model` is a key of `BACKENDS`; settings that it does not have are left aside.

    Yields:
        At the end the video and its recipe.
    """
    read = BACKENDS[model].own(read_settings(settings))
    require(photo, clip, consent, read)
    BACKENDS[model].check(read)
    locate(model)
    request = ("generate", photo, clip, read, model)
    if (unsaved := UNSAVED.find(request)) is not None:
        yield _saved(request, unsaved.files)
        return
    with shared_preparation(photo, clip, read) as preparation:
        prepare = conditions_of(preparation, read.num_frames)
        run = partial(_animate, settings=read, model=model, request=request)
        seconds = predict(model, read).seconds
        with closing(prepared_in_turn(prepare, run, seconds, visitor())) as events:  # type: ignore[type-var]
            for event in events:
                yield event if isinstance(event, tuple) else NOTHING_YET[:2]


def _animate(
    conditions: Conditions, settings: AnimationSettings, model: str, request: Hashable
) -> Iterator[Progress | tuple[Any, ...]]:
    with closing(run_on_gpu(conditions, settings, model)) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Animation):
                yield _saved(request, result_files(event, settings, conditions.sound))
            else:
                yield event


def _saved(request: Hashable, files: Mapping[str, bytes]) -> tuple[str | None, ...]:
    """Write the video of a result and its recipe, if it has one, and return their paths."""
    folder = UNSAVED.write(request, UnsavedResult(files=files))
    paths = [str(folder / name) for name in files]
    return (paths[0], paths[1] if len(paths) > 1 else None)


def compare(
    photo: str | None, clip: str | None, consent: bool, model: str, axis: str, variants: str, **settings: Any
) -> Iterator[tuple[Any, ...]]:
    """Runs two to four variants on the same photo, clip, seed and noise, as many at once as there are GPUs.

    `axis` names a question with its variants; `variants`, one a line such as "Soft: adapter_strength=0.5", takes
    its place, and may name another model with "backend=NAME". Cancel the job to stop the work; what was yielded is
    kept.

    Yields:
        From the second variant on, all that are finished in one video, their recipes, and how each moves; of one that
        its model refuses, `{"refused": reason}` instead.
    """
    wanted = read_variants(variants.splitlines()) if variants.strip() else AXES[axis].variants
    read = BACKENDS[model].own(read_settings(settings))
    require(photo, clip, consent, read)
    for name in {variant.backend or model for variant in wanted}:
        locate(name)
    request = ("compare", photo, clip, read, model, repr(wanted))
    if (unsaved := UNSAVED.find(request)) is not None:
        yield _compared(UNSAVED.write(request, unsaved), unsaved)
        return
    with shared_preparation(photo, clip, read) as preparation:
        prepare = conditions_of(preparation, read.num_frames)
        run = partial(run_variants, settings=read, variants=wanted, model=model)
        seconds = compare_seconds(read.num_frames, read, wanted, model)
        takes: list[Take] = []
        moves: dict[str, dict[str, Any]] = {}
        with closing(prepared_in_turn(prepare, run, seconds, visitor())) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Take):
                    takes.append(event)
                    moves[event.label] = event.measures.to_dict()
                elif isinstance(event, Refusal):
                    moves[event.label] = {"refused": event.reason}
                else:
                    yield NOTHING_YET[:3]
                    continue
                complete = len(moves) == len(wanted)
                if len(takes) < MIN_VARIANTS and not complete:
                    continue
                result = UnsavedResult(files=comparison_files(Path("comparison.mp4"), takes), about=dict(moves))
                if complete:
                    yield _compared(UNSAVED.write(request, result), result)
                elif (folder := _written(result)) is not None:
                    yield _compared(folder, result)


def _written(result: UnsavedResult) -> Path | None:
    """Write a part of a result, if there is room: the rest comes in any case, and holds it too."""
    try:
        folder = STORE.new()
        write_files(folder, result.files)
        return folder
    except (OSError, UnsavedResultError):
        return None


def _compared(folder: Path, result: UnsavedResult) -> tuple[Any, ...]:
    grid, recipes = (str(folder / name) for name in result.files)
    return grid, recipes, result.about
