"""What a visitor reads when a job fails: causes they can remove in full, everything else as our fault."""

import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec

import gradio as gr

from xdyna.schema import InputError

Parameters = ParamSpec("Parameters")
Job = Callable[Parameters, Iterator[Any]]

OUR_FAULT = "Something went wrong on our side. Your files and settings are kept: please try again."

logger = logging.getLogger(__name__)


def showing_problems(show: Callable[[str], Any]) -> Callable[[Job[Parameters]], Job[Parameters]]:
    """A job that ends with `show(message)` instead of failing, so that the page keeps what it shows."""

    def decorate(job: Job[Parameters]) -> Job[Parameters]:
        @wraps(job)
        def careful(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Iterator[Any]:
            try:
                yield from job(*args, **kwargs)
            except Exception as error:  # the page's outermost layer: anything else would only show "Error"
                yield show(_explained(error))

        return careful

    return decorate


def raising_problems(job: Job[Parameters]) -> Job[Parameters]:
    """A job that fails with `gr.Error`, the only error whose words reach a client."""

    @wraps(job)
    def careful(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Iterator[Any]:
        try:
            yield from job(*args, **kwargs)
        except Exception as error:
            raise gr.Error(_explained(error)) from error

    return careful


def _explained(error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, gr.Error):
        return str(error.message)
    logger.exception("job failed", exc_info=error)
    return OUR_FAULT
