"""The life of a job on the page: a click, a place in the queue, progress, Stop, and an end that is always shown."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

import gradio as gr
from gradio.context import LocalContext

from xdyna.ui import fragments
from xdyna.ui.client import visitor

QUEUED_BY_US: dict[str, Any] = {"concurrency_id": "jobs", "concurrency_limit": None}
"""For a job that stands in a `FairQueue`: unlike Gradio's, it is fair, and says at once where the job stands."""
FEW_AT_ONCE: dict[str, Any] = {"concurrency_id": "files", "concurrency_limit": 2}
"""For what reads or writes videos but is not worth a place in a queue of ours."""
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


def failed(words: str) -> dict[str, Any]:
    """No job runs, because of a problem."""
    return idle(fragments.error(words))


def wire_job(
    job: Callable[..., Iterator[Updates]],
    names: Sequence[str],
    holders: Sequence[Any],
    *,
    triggers: Sequence[Any],
    inputs: Sequence[Any],
    settings: dict[str, Any],
    api_name: str,
    trigger_mode: Literal["once", "multiple"] = "once",
    failed: Callable[[str], dict[str, Any]] = failed,
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
        api_name: for logs only; the job is private.
        trigger_mode: "multiple" lets it start anew while it runs.
        failed: the changes that show words about a job that ended with an exception, wherever that was raised.

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
        **QUEUED_BY_US,
    )
    stopping = stop.click(partial(_stopped, names), outputs=outputs, cancels=[event], **IMMEDIATE)
    stopping.then(_settled, outputs=status, **IMMEDIATE)
    on_failure = partial(_failed, names, failed, event["id"])
    event.failure(on_failure, inputs=status, outputs=outputs, **IMMEDIATE)
    return event


def _heard(names: Sequence[str]) -> Updates:
    return updates(names, **running(WAITING))


def _stopped(names: Sequence[str]) -> Updates:
    return updates(names, **idle(fragments.message(STOPPED)))


def _settled() -> str:
    """The status once more, a moment after a Stop: a step that was already on its way may have overwritten it."""
    time.sleep(SETTLE_S)
    return fragments.message(STOPPED)


def _failed(names: Sequence[str], failed: Callable[[str], dict[str, Any]], event: int, status: str) -> Updates:
    """The page after a job that Gradio did not start, or that ended with an exception; stopped jobs come here too."""
    blocks: Any = LocalContext.blocks.get(None)
    words = blocks.last_problem(visitor().session, event)
    if words is None and status == WAITING:  # Gradio did not even start it
        words = "A setting is outside its range, or the server is full. Your files and settings are kept: try again."
    return updates(names, **failed(words)) if words else updates(names)
