"""The public endpoints, `/analyze`, `/generate` and `/compare`."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.compare.grid import save_comparison
from xdyna.compare.take import Take
from xdyna.compare.variants import AXES, MIN_VARIANTS, read_variants
from xdyna.config import AnimationSettings
from xdyna.estimates import predict
from xdyna.preview import report
from xdyna.schema import Animation, Conditions, Progress
from xdyna.ui.gpu import compare_in_turn, in_turn, run_on_gpu
from xdyna.ui.job_events import ANALYSIS_QUEUE, GPU_QUEUE
from xdyna.ui.jobs import conditions_of, job_folder, preview_files, result_files
from xdyna.ui.problems import raising_problems
from xdyna.ui.session import Session
from xdyna.ui.settings_form import read_settings

NOTHING_YET = (gr.skip(), gr.skip(), gr.skip(), gr.skip())


def add_endpoints(session: Session) -> None:
    """`/analyze`, `/generate` and `/compare`, which the page itself does not use: its jobs also move buttons.

    Args:
        session: gives the endpoints their parameters.
    """
    job: dict[str, Any] = {
        "inputs": [session.photo, session.clip, session.consent, session.model],
        "inputs_kwargs": session.settings,
        "show_progress": "hidden",
    }
    call = gr.Button(visible=False)
    previews = [
        gr.Image(visible=False, label="Pose over the photo", format="png"),
        gr.Video(visible=False, label="Clip, and what the model sees of it"),
        gr.Image(visible=False, label="Faces it sees", format="png"),
    ]
    found = gr.JSON(visible=False, label="Report")
    call.click(analyze, outputs=[*previews, found], api_name="analyze", **job, **ANALYSIS_QUEUE)
    made = [gr.Video(visible=False, label="Result"), gr.File(visible=False, label="Recipe")]
    call.click(generate, outputs=made, api_name="generate", **job, **GPU_QUEUE)
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
    call.click(compare, outputs=compared, api_name="compare", **job, **GPU_QUEUE)


@raising_problems
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
    conditions = yield from _prepared(photo, clip, consent, read, 4)
    with job_folder() as folder:
        files = preview_files(folder, conditions, read, model)
        yield files["overlay.png"], files["pose.mp4"], files.get("face.png"), report(conditions)


@raising_problems
def generate(
    photo: str | None, clip: str | None, consent: bool, model: str, **settings: Any
) -> Iterator[tuple[Any, ...]]:
    """Animates a photo with a clip, or with `live_photo` without one. Cancel the job to stop the work.

    `model` is a key of `BACKENDS`; settings that it does not have are left aside.

    Yields:
        At the end the video and its recipe.
    """
    read = BACKENDS[model].own(read_settings(settings))
    BACKENDS[model].check(read)  # before the work of looking at the files
    conditions = yield from _prepared(photo, clip, consent, read, 2)
    seconds = predict(model, read, conditions.num_frames).seconds
    with closing(in_turn(run_on_gpu(conditions, read, model), seconds)) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Animation):
                with job_folder() as folder:
                    yield result_files(folder, event, read, conditions.sound)
            else:
                yield NOTHING_YET[:2]


@raising_problems
def compare(
    photo: str | None, clip: str | None, consent: bool, model: str, axis: str, variants: str, **settings: Any
) -> Iterator[tuple[Any, ...]]:
    """Runs two to four variants on the same photo, clip, seed and noise, as many at once as there are GPUs.

    `axis` names a question with its variants; `variants`, one a line such as "Soft: adapter_strength=0.5", takes
    its place, and may name another model with "backend=NAME". Cancel the job to stop the work; what was yielded is
    kept.

    Yields:
        From the second variant on, all that are finished in one video, their recipes, and how each moves.
    """
    wanted = read_variants(variants.splitlines()) if variants.strip() else AXES[axis].variants
    read = BACKENDS[model].own(read_settings(settings))
    conditions = yield from _prepared(photo, clip, consent, read, 3)
    takes: list[Take] = []
    with closing(compare_in_turn(conditions, read, wanted, model)) as events:  # type: ignore[type-var]
        for event in events:
            if not isinstance(event, Take):
                yield NOTHING_YET[:3]
                continue
            takes.append(event)
            if len(takes) >= MIN_VARIANTS:
                with job_folder() as folder:
                    grid = folder / "comparison.mp4"
                    recipes = save_comparison(grid, takes)
                    yield str(grid), str(recipes), {take.label: take.measures.to_dict() for take in takes}


def _prepared(
    photo: str | None, clip: str | None, consent: bool, settings: AnimationSettings, num_outputs: int
) -> Generator[tuple[Any, ...], None, Conditions]:
    """Gives Gradio a chance to cancel at every step, which it can do between yields only."""
    with closing(conditions_of(photo, clip, consent, settings)) as events:  # type: ignore[type-var]
        for event in events:
            if not isinstance(event, Progress):
                return event
            yield NOTHING_YET[:num_outputs]
    raise AssertionError("a job always ends with its result")
