"""What a visitor reads when a job fails: causes they can remove in full, everything else as our fault."""

import errno
import logging
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ParamSpec

import gradio as gr

from xdyna.files import UnsavedResultError, size_text
from xdyna.schema import InputError

Parameters = ParamSpec("Parameters")
Job = Callable[Parameters, Iterator[Any]]

OUR_FAULT = "Something went wrong on our side. Your files and settings are kept: please try again."
DISK_FULL = "This server has no room left for videos. Your files and settings are kept: try again in a few minutes."
UNSAVED = "This server has no room left for your video"

logger = logging.getLogger(__name__)


def showing_problems(show: Callable[[str], Any]) -> Callable[[Job[Parameters]], Job[Parameters]]:
    """A job that ends with `show(message)` instead of failing, so that the page keeps what it shows."""

    def decorate(job: Job[Parameters]) -> Job[Parameters]:
        @wraps(job)
        def careful(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Iterator[Any]:
            try:
                yield from job(*args, **kwargs)
            except Exception as error:  # the page's outermost layer: anything else would only show "Error"
                yield show(explained(error))

        return careful

    return decorate


def explained(error: Exception) -> str:
    """What a visitor reads about an error; what is our fault goes into the log."""
    if isinstance(error, UnsavedResultError):  # its own words name a folder of the server
        logger.error("%s", error)
        return (
            f"{UNSAVED}, which needs {size_text(error.num_bytes)}. It is finished and kept: ask for it again in a few "
            "minutes with the same files and settings, and it will only have to be saved."
        )
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, gr.Error):
        return str(error.message)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        logger.error("the disk is full: %s", error)
        return DISK_FULL
    logger.exception("job failed", exc_info=error)
    return OUR_FAULT
