"""The life of a job on the page: a click, a place in the queue, progress, Stop, and an end that is always shown."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import gradio as gr

from xdyna.ui import fragments

GPU_QUEUE: dict[str, Any] = {"concurrency_id": "gpu", "concurrency_limit": None}
"""`gpu.in_turn` does the queueing: unlike Gradio's queue, a job that waits in it can say where it stands."""
ANALYSIS_QUEUE: dict[str, Any] = {"concurrency_id": "analysis", "concurrency_limit": 2}
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
IMMEDIATE: dict[str, Any] = {**PRIVATE, "queue": False}
SETTING_STATE: dict[str, Any] = {**PRIVATE, "concurrency_limit": None}
"""For an event that sets a `gr.State` whose change starts another: the page hears of it by the queue only."""

STOPPED = "Stopped. What was here before is kept."
WAITING = fragments.message("Waiting for a free place…")
SETTLE_S = 0.6

Updates = tuple[Any, ...]


def updates(names: Sequence[str], **changes: Any) -> Updates:
    """Outputs by name, in the order of `names`; what is not named stays as it is."""
    unknown = set(changes) - set(names)
    if unknown:
        raise KeyError(f"not among the outputs: {', '.join(sorted(unknown))}")
    return tuple(changes.get(name, gr.skip()) for name in names)


def components(names: Sequence[str], *holders: Any) -> list[Any]:
    """The components of these names, each from the first holder that has it."""
    return [next(getattr(holder, name) for holder in holders if hasattr(holder, name)) for name in names]


def running(status: str) -> dict[str, Any]:
    """While a job runs, its button is a Stop."""
    return {"status": status, "start": gr.update(visible=fragments.HIDDEN), "stop": gr.update(visible=True)}


def idle(status: str = "") -> dict[str, Any]:
    """No job runs."""
    return {"status": status, "start": gr.update(visible=True), "stop": gr.update(visible=fragments.HIDDEN)}


def wire_job(
    job: Callable[..., Iterator[Updates]],
    names: Sequence[str],
    holders: Sequence[Any],
    *,
    triggers: Sequence[Any],
    inputs: Sequence[Any],
    settings: dict[str, Any],
    queue: dict[str, Any],
    api_name: str,
    trigger_mode: Literal["once", "multiple"] = "once",
) -> Any:
    """Connects a job with its buttons. A click first shows that it was heard; the job may have to queue.

    Args:
        job: a generator, the only thing that Gradio can cancel: it is closed at its next yield and its `finally`
            blocks run. It yields `updates(names, ...)` and ends with those of `idle`.
        names: what the job may change; "status", "start" and "stop" among them.
        holders: who has components of these names: the screen's parts, the session.
        triggers: events that start it, such as `parts.start.click`.
        inputs: given by position.
        settings: given by name.
        queue: `GPU_QUEUE` or `ANALYSIS_QUEUE`.
        api_name: for logs only; the job is private.
        trigger_mode: "multiple" lets it start anew while it runs.

    Returns:
        The job's event, to be cancelled or followed by others.
    """
    outputs = components(names, *holders)
    status, stop = components(("status", "stop"), *holders)
    heard = gr.on(list(triggers), partial(_heard, names), outputs=outputs, **IMMEDIATE)
    event = heard.then(
        job,
        inputs=list(inputs),
        inputs_kwargs=settings,
        outputs=outputs,
        api_name=api_name,
        trigger_mode=trigger_mode,
        **PRIVATE,
        **queue,
    )
    stopping = stop.click(partial(_stopped, names), outputs=outputs, cancels=[event], **IMMEDIATE)
    stopping.then(_settled, outputs=status, **IMMEDIATE)
    event.failure(partial(_refused, names), inputs=status, outputs=outputs, **IMMEDIATE)
    return event


def _heard(names: Sequence[str]) -> Updates:
    return updates(names, **running(WAITING))


def _stopped(names: Sequence[str]) -> Updates:
    return updates(names, **idle(fragments.message(STOPPED)))


def _settled() -> str:
    """The status once more, a moment after a Stop: a step that was already on its way may have overwritten it."""
    time.sleep(SETTLE_S)
    return fragments.message(STOPPED)


def _refused(names: Sequence[str], status: str) -> Updates:
    """A job that Gradio did not start, which is one that still waits: stopped jobs come here too."""
    if status != WAITING:
        return updates(names)
    note = "A setting is outside its range, or the queue is full. Your files and settings are kept: try again."
    return updates(names, **idle(fragments.error(note)))
