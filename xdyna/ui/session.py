"""What the screens share: the visitor's files and settings, and what was found and made of them."""

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import numpy as np
from gradio.components import Component

from xdyna.config import AnimationSettings
from xdyna.schema import Conditions, Progress
from xdyna.ui import fragments
from xdyna.ui.job_events import Updates, updates
from xdyna.ui.jobs import analysis_inputs, conditions_of, require, shared_preparation, throttled

Looking = Generator[Progress, None, "Analysis"]

SESSION_S = 3600
"""How long the server keeps what belongs to a visitor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Analysis:
    """What was found in one pair of files; kept in the visitor's session.

    Attributes:
        inputs: the files and settings it belongs to, as `analysis_inputs` gives them.
        settings: all settings it was made with.
        conditions: what was found.
    """

    inputs: tuple[object, ...]
    settings: AnimationSettings
    conditions: Conditions


@dataclass(frozen=True, kw_only=True)
class Session:
    """Components that more than one screen uses; each has a value per visitor.

    Attributes:
        header: the top of the page, which names the model.
        stepper: its value is the name of the screen that is shown; an event that sets it goes there.
        photo: path of the photo, or None.
        clip: path of the driving clip, or None.
        motion: path of a motion file that stands for the clip, or None.
        consent: whether the visitor has the right to use the picture.
        model: key of the backend that makes the visitor's videos.
        is_model_chosen: whether the visitor has chosen it; until then the photo may bring another.
        settings: an input for every field of `AnimationSettings`, in the order of the fields, wherever on the page
            it is. Pass as `inputs_kwargs`; `settings_form.read_settings` reads them.
        analysis: the last `Analysis`, or None. Setting it to a new one makes the check screen show it.
        result: the last `history.Run`, or None.
        runs: what was made in this browser, newest first, as `history.read_runs` reads it; it outlives a reload.
    """

    header: gr.HTML
    stepper: gr.HTML
    photo: gr.Image
    clip: gr.Video
    motion: gr.File
    consent: gr.Checkbox
    model: gr.Dropdown
    is_model_chosen: gr.State
    settings: dict[str, Component]
    analysis: gr.State
    result: gr.State
    runs: gr.BrowserState

    @property
    def sources(self) -> list[Any]:
        """The first inputs of every job: photo, clip, motion, consent and analysis."""
        return [self.photo, self.clip, self.motion, self.consent, self.analysis]


def analysed(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    analysis: Analysis | None,
    settings: AnimationSettings,
) -> Looking:
    """Looks at photo and clip; at once if the session's analysis is of the same files and settings.

    Returns:
        An analysis whose conditions can be animated.

    Raises:
        InputError: a file or the consent is missing, or a file cannot be used.
    """
    inputs = analysis_inputs(photo, motion or clip, settings)
    if analysis is not None and analysis.inputs == inputs and consent:
        return analysis
    require(photo, motion or clip, consent, settings)
    with shared_preparation(photo, motion or clip, settings) as preparation:
        conditions = yield from throttled(conditions_of(preparation, settings.num_frames))
    if analysis is not None:
        conditions = with_matte_of(analysis.conditions, conditions)
    return Analysis(inputs=inputs, settings=settings, conditions=conditions)


def with_matte_of(before: Conditions, conditions: Conditions) -> Conditions:
    """Return conditions with the corrected mask of earlier ones, if it fits the same part of the same photo."""
    alike = before.size == conditions.size and before.photo_box == conditions.photo_box
    if before.matte is None or not alike or not np.array_equal(before.reference_image, conditions.reference_image):
        return conditions
    return replace(conditions, matte=before.matte)


def showing(looking: Looking, names: Sequence[str]) -> Generator[Updates, None, Analysis]:
    """As `analysed`, with every progress shown as the status of the job that may change `names`."""
    with closing(looking):
        while True:
            try:
                event = next(looking)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            yield updates(names, status=fragments.progress(event))
