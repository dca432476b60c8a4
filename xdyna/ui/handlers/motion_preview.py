"""The part "See it move" of the screen Check: the photo moved by the first seconds of the clip."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from xdyna.motion_preview import see_it_move as move_photo
from xdyna.schema import Animation, InputError
from xdyna.ui import fragments
from xdyna.ui.client import visitor
from xdyna.ui.fair_queue import QueueFullError
from xdyna.ui.gpu import in_turn
from xdyna.ui.job_events import Updates, updates
from xdyna.ui.jobs import ANALYSIS_QUEUE, MOTION_PREVIEW_S, write_moved
from xdyna.ui.problems import explained
from xdyna.ui.session import Analysis
from xdyna.ui.store import STORE

MOVED = ("moved", "moved_note")
MOVING = "Moving your photo…"
ABOUT = (
    "Your photo's own pixels, warped by the first 3 s of the clip: look at timing, crop, person and alignment. "
    "Only Puppet's results look like this."
)
NOT_HERE = "Your photo cannot be shown moving:"


@dataclass(eq=False)
class Moving:
    """Which of a visitor's analyses moves the photo: a newer one ends the work for those before it.

    Attributes:
        inputs: of that analysis and the hash of its corrected mask, or None where nothing was moved yet.
    """

    inputs: tuple[object, ...] | None = None


def see_it_move(analysis: Analysis | None, screen: str, moving: Moving) -> Iterator[Updates]:
    """Move the photo of a new analysis once the visitor looks. What does not succeed is told quietly."""
    yield updates(MOVED)  # without a yield Gradio would empty the outputs
    if analysis is None or screen != "check":
        return
    wanted = (*analysis.inputs, analysis.conditions.matte_hash)
    if moving.inputs == wanted:
        return
    moving.inputs = wanted
    done = False
    try:
        yield updates(MOVED, moved_note=fragments.message(MOVING))
        work = move_photo(analysis.conditions, analysis.settings)
        with closing(in_turn(work, MOTION_PREVIEW_S, visitor(), ANALYSIS_QUEUE)) as events:  # type: ignore[type-var]
            for event in events:
                if moving.inputs is not wanted:
                    return
                yield _moved(event, analysis) if isinstance(event, Animation) else updates(MOVED)
        done = True
    except Exception as error:  # the page's outermost layer: the rest of the screen does not depend on it
        done = isinstance(error, InputError) and not isinstance(error, QueueFullError)
        yield updates(MOVED, **not_moved(explained(error)))
    finally:
        if not done and moving.inputs is wanted:  # it may be asked for again
            moving.inputs = None


def not_moved(reason: str) -> dict[str, Any]:
    """Return the part of the screen without a video."""
    note = f'<p class="hint"><span>{NOT_HERE}</span> <span>{escape(reason)}</span></p>'
    return {"moved": gr.update(value=None, visible=fragments.HIDDEN), "moved_note": note}


def _moved(animation: Animation, analysis: Analysis) -> Updates:
    path = write_moved(STORE.new(), animation, analysis.settings)
    return updates(MOVED, moved=gr.update(value=str(path), visible=True), moved_note=fragments.caption(ABOUT))
