"""Functions that several events ask for, of whose answers only the newest counts."""

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from xdyna.ui.job_events import IMMEDIATE


def latest(triggers: Sequence[Any], fn: Callable[..., Any], **event: Any) -> Any:
    """Calls a function at each of some events; asked again while it runs, it runs once more afterwards.

    That is Gradio's `always_last`. But Gradio repeats the event, for every function that hangs on it, where it should
    repeat the function: two such functions on one event make each other run for ever. Here neither hangs on the event.

    Args:
        triggers: events, such as `parts.frame.input`.
        fn: the function.
        event: what `gr.on` takes besides, such as `inputs` and `outputs`.

    Returns:
        The function's event, to be followed by others.
    """
    return gr.on(list(triggers), None, js="() => {}", **IMMEDIATE).then(fn, trigger_mode="always_last", **event)
