"""The public endpoints, `/analyze` and `/generate`."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from xdyna.config import AnimationSettings
from xdyna.preview import report
from xdyna.schema import Animation, Conditions, Progress
from xdyna.ui.gpu import run_on_gpu
from xdyna.ui.jobs import conditions_of, job_folder, preview_files, result_files
from xdyna.ui.problems import raising_problems
from xdyna.ui.settings_form import read_settings

NOTHING_YET = (gr.skip(), gr.skip(), gr.skip(), gr.skip())


@raising_problems
def analyze(photo: str | None, clip: str | None, consent: bool, **settings: Any) -> Iterator[tuple[Any, ...]]:
    """Finds pose, face and alignment of a photo and a clip, without animating.

    Yields:
        At the end the pose over the photo, the clip beside its pose, the face patches, and a report.
    """
    conditions = yield from _prepared(photo, clip, consent, read_settings(settings), 4)
    with job_folder() as folder:
        yield *preview_files(folder, conditions), report(conditions)


def generate_with(model: str) -> Any:
    """The endpoint that animates with one model."""

    @raising_problems
    def generate(photo: str | None, clip: str | None, consent: bool, **settings: Any) -> Iterator[tuple[Any, ...]]:
        """Animates a photo with a clip. Cancel the job to stop the work.

        Yields:
            At the end the video and its recipe.
        """
        read = read_settings(settings)
        conditions = yield from _prepared(photo, clip, consent, read, 2)
        with closing(run_on_gpu(conditions, read, model)) as events:
            for event in events:
                if isinstance(event, Animation):
                    with job_folder() as folder:
                        yield result_files(folder, event, read)
                else:
                    yield NOTHING_YET[:2]

    return generate


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
