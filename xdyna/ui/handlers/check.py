"""Events of the screen "What the model will see"."""

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.animate import place_again
from xdyna.backends import BACKENDS
from xdyna.backends.interface import PLACING
from xdyna.config import AnimationSettings
from xdyna.estimates import ANALYSIS_SPEED
from xdyna.preview import write_found, write_sight
from xdyna.schema import Conditions, InputError
from xdyna.ui import fragments
from xdyna.ui.checklist import checklist
from xdyna.ui.client import visitor
from xdyna.ui.fair_queue import Waiting
from xdyna.ui.gpu import in_turn
from xdyna.ui.job_events import Updates, idle, updates
from xdyna.ui.jobs import ANALYSIS_QUEUE, analysis_inputs, with_result
from xdyna.ui.payloads import event_text
from xdyna.ui.people import people
from xdyna.ui.pictures import pose_on_whole_photo
from xdyna.ui.problems import showing_problems
from xdyna.ui.session import Analysis, analysed
from xdyna.ui.settings_form import FIELDS, read_settings
from xdyna.ui.store import STORE

JOB = ("status", "start", "stop", "analysis")
DRAWN = ("overlay", "checks")
FOUND = (*DRAWN, "people", "frame", "report", "motion_file")
SIGHT = ("sight", "pose_clip", "faces")
SHOWN = (*FOUND, *SIGHT, "shown")
FIRST_PHASE = "Reading the photo"


@dataclass(eq=False)
class Newest:
    """Which of a visitor's analyses still matters: a newer one ends those before it.

    Attributes:
        inputs: what the newest one looks at, or None where none runs.
        asked: what the visitor has asked to look at since, or None.
    """

    inputs: tuple[object, ...] | None = None
    asked: tuple[object, ...] | None = None


@dataclass(frozen=True)
class Shown:
    """What the screen shows.

    Attributes:
        inputs: of the analysis, or None where nothing is shown yet.
        model: key of the backend whose view was drawn last, or "" for none.
    """

    inputs: tuple[object, ...] | None = None
    model: str = ""


def due(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    analysis: Analysis | None,
    newest: Newest,
    valid: tuple[str, str] | None,
    **settings: Any,
) -> Any:
    """Whether there is something new to be analysed: if so, a value that was never there before."""
    if valid != (photo, motion or clip):  # not both files are there, or they are still being looked at
        return gr.skip()
    try:
        inputs = analysis_inputs(photo, motion or clip, read_settings(settings))
    except InputError:  # the analysis itself will say so
        return object()
    known = (newest.asked, newest.inputs, analysis and analysis.inputs)
    return gr.skip() if inputs in known else object()


def asked(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    analysis: Analysis | None,
    newest: Newest,
    **settings: Any,
) -> tuple[object, str]:
    """An Analyse button: analyse, and go to this screen.

    `due` is told, which hears of the new screen and would ask a second time: Stop could then end only one of both.
    """
    with suppress(InputError):  # the analysis itself will say so
        newest.asked = analysis_inputs(photo, motion or clip, read_settings(settings))
    return object(), "check"


@showing_problems(lambda text: updates(JOB, **idle(fragments.error(text))))
def analyse(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    analysis: Analysis | None,
    newest: Newest,
    **settings: Any,
) -> Iterator[Updates]:
    """Finds what the model will see; `show` shows it."""
    read = read_settings(settings)
    inputs = analysis_inputs(photo, motion or clip, read)
    if newest.inputs == inputs:  # it is being done
        yield updates(JOB)  # without a yield Gradio would empty the outputs, the words of the buttons too
        return
    newest.inputs, newest.asked = inputs, None
    phase = ""
    job: Iterator[Any] = with_result(analysed(photo, clip, motion, consent, analysis, read))
    try:
        if analysis is None or analysis.inputs != inputs:
            job = in_turn(job, ANALYSIS_SPEED.seconds(read.num_frames), visitor(), ANALYSIS_QUEUE)
        with closing(job) as events:  # type: ignore[type-var]
            for event in events:
                if newest.inputs is not inputs:
                    return
                if isinstance(event, Analysis):
                    yield updates(JOB, analysis=event, **idle())
                elif isinstance(event, Waiting):
                    yield updates(JOB, status=fragments.waiting(event))
                else:
                    phase = event.phase
                    yield updates(JOB, status=fragments.progress(event))
    except InputError as error:
        about = "photo" if phase == FIRST_PHASE else "clip" if phase else ""
        yield updates(JOB, **idle(fragments.error(str(error), about)))
    finally:
        if newest.inputs is inputs:
            newest.inputs = None


def show(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    analysis: Analysis | None,
    model: str,
    screen: str,
    shown: Shown,
    opacity: float,
    **settings: Any,
) -> Iterator[Updates]:
    """All that was found and, once the visitor looks, what the chosen model sees of it: it can take long to draw."""
    yield updates(SHOWN)  # without a yield Gradio would empty the outputs
    if analysis is None:
        return
    read = _readable(settings, analysis.settings)
    if shown.inputs != analysis.inputs:
        shown = Shown(analysis.inputs)
        yield updates(SHOWN, **_found(STORE.new(), analysis, model, opacity, read), **_unseen(), shown=shown)
    outdated = analysis.inputs != analysis_inputs(photo, motion or clip, read)  # then a new analysis comes
    if screen != "check" or shown.model == model or outdated:
        return
    yield updates(SHOWN, sight=sight_note(model, drawing=True))
    yield updates(SHOWN, **_sight(STORE.new(), analysis, model), shown=replace(shown, model=model))


def redraw(analysis: Analysis | None, model: str, frame: float, opacity: float, **settings: Any) -> Updates:
    """The pose over the photo, and the checks, for other sliders; frames count from 1."""
    if analysis is None:
        return updates(DRAWN)
    read = _readable(settings, analysis.settings)
    conditions = _placed(analysis, read)
    number = min(int(frame), conditions.num_frames) - 1
    checks = checklist(conditions, read, BACKENDS[model])
    return updates(DRAWN, overlay=pose_on_whole_photo(conditions, number, opacity), checks=checks)


def _unseen(note: str = "") -> dict[str, Any]:
    """Nothing is shown of what the model sees. Made anew each time: Gradio takes its updates apart."""
    gone = {name: gr.update(value=None, visible=fragments.HIDDEN) for name in ("pose_clip", "faces")}
    return {"sight": note, **gone}


def sight_note(model: str, drawing: bool = False) -> str:
    """Whose view is shown, or being drawn."""
    backend = BACKENDS[model]
    if drawing:
        return fragments.message(f"Drawing what {backend.title} sees…")
    return f'<p class="hint"><b>What {escape(backend.title)} sees.</b> <span>{escape(backend.sees)}</span></p>'


def choose_person(event: gr.EventData) -> Updates:
    """A click on somebody: the settings `photo_person` and `clip_person`."""
    where, person = event_text(event, "where"), event_text(event, "person")
    return tuple(int(person) if where == one and person.isdecimal() else gr.skip() for one in ("photo", "clip"))


def apply_fix(analysis: Analysis | None, event: gr.EventData) -> Updates:
    """A click on what helps: all settings, of which some change."""
    checks = analysis.conditions.checks if analysis else ()
    changes = [check.fix.settings for check in checks if check.fix and check.id == event_text(event, "check")]
    return updates(tuple(FIELDS), **changes[0]) if changes else updates(tuple(FIELDS))


def _found(
    folder: Path, analysis: Analysis, model: str, opacity: float, settings: AnimationSettings
) -> dict[str, Any]:
    """`FOUND`, in milliseconds."""
    conditions = analysis.conditions
    files = {path.name: str(path) for path in write_found(conditions, folder)}
    return {
        "overlay": pose_on_whole_photo(conditions, 0, opacity),
        "checks": checklist(conditions, settings, BACKENDS[model]),
        "people": people(conditions, Path(str(analysis.inputs[1]))),
        "frame": gr.update(maximum=conditions.num_frames, value=1),
        "report": gr.update(value=files["report.json"]),
        "motion_file": gr.update(value=files.get("motion.xdyna-motion")),
    }


def _sight(folder: Path, analysis: Analysis, model: str) -> dict[str, Any]:
    """`SIGHT`: what the model sees, drawn by itself."""
    conditions, backend = analysis.conditions, BACKENDS[model]
    settings = backend.own(analysis.settings)
    try:
        seen, driven_by = backend.prepare(conditions, settings), backend.driven_by(conditions, settings)
    except InputError as error:
        return _unseen(fragments.error(str(error)))
    files = {path.name: str(path) for path in write_sight(conditions, folder, seen, driven_by)}
    strip = files.get("face.png")
    return {
        "sight": sight_note(model),
        "pose_clip": gr.update(value=files["pose.mp4"], visible=True),
        "faces": gr.update(value=strip, visible=True if strip else fragments.HIDDEN),
    }


def _readable(settings: dict[str, Any], otherwise: AnimationSettings) -> AnimationSettings:
    """The settings of the form; those of the analysis while the form holds something impossible."""
    try:
        return read_settings(settings)
    except InputError:
        return otherwise


def _placed(analysis: Analysis, settings: AnimationSettings) -> Conditions:
    """What was found, laid on the photo as the form says now."""
    placing = {name: getattr(settings, name) for name in PLACING}
    wanted = replace(analysis.settings, **placing)
    return analysis.conditions if wanted == analysis.settings else place_again(analysis.conditions, wanted)
