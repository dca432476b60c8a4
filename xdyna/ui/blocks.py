"""Gradio's page, made safe for strangers: what comes in is checked, what fails is said, every message is whole."""

import os
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import nullcontext
from contextvars import ContextVar
from copy import copy
from typing import Any

import gradio as gr
from anyio import to_thread
from gradio.blocks import BlocksConfig
from gradio.utils import safe_aclose_iterator

from xdyna.schema import InputError
from xdyna.ui.client import visitor_of
from xdyna.ui.fair_queue import FairQueue, Visitor
from xdyna.ui.payloads import PLAIN, check_payload
from xdyna.ui.problems import explained
from xdyna.ui.server_settings import server_settings

MAX_PROBLEMS = 1000
MIN_EVENT_THREADS = 32
"""For handling events. The server has about 20 more, most of them the detectors'."""
_CURRENT_ITERATOR = ContextVar[Any]("current iterator", default=None)
_CURRENT_VISITOR = ContextVar[Visitor]("current visitor")
"""Of the event that is being handled."""


class _SessionConfig(BlocksConfig):
    """A session's blocks, without the description of each that Gradio keeps for deep links: this page has none.

    Making it takes the event loop 20 ms for every new session, so for every call of the API, and keeps 0.4 MB.
    """

    @staticmethod
    def config_for_block(*_: Any) -> dict[str, Any]:
        return {}


class _PageConfig(BlocksConfig):
    """The page's blocks, of which each session gets a copy."""

    def __copy__(self) -> _SessionConfig:
        session = _SessionConfig(self.root_block)
        session.blocks, session.fns, session.renderables = copy(self.blocks), copy(self.fns), copy(self.renderables)
        session.fn_id = self.fn_id
        return session


class PageBlocks(gr.Blocks):
    """`gr.Blocks` with what all of its events have in common.

    Args:
        queues: Which queue each job will join, by its event's `api_name`.
        options: As for the base class.
    """

    def __init__(self, queues: Mapping[str, FairQueue] | None = None, **options: Any) -> None:
        # Gradio sums up all past events with pandas after every one of them, for a page that nobody opens here.
        os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))
        super().__init__(**options)
        self.default_config = _PageConfig(self)
        self._queues = queues or {}
        self._problems = OrderedDict[tuple[str, int], str]()

    def run_startup_events(self) -> None:
        """Start as the base class does, with a bound on the threads that handle events: a job that waits holds one."""
        threads = max(MIN_EVENT_THREADS, 2 * server_settings().max_waiting - 8)
        to_thread.current_default_thread_limiter().total_tokens = threads
        super().run_startup_events()

    async def process_api(self, block_fn: Any, inputs: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Run an event as the base class does.

        Whatever goes wrong before, in or after its function ends the event with words for the visitor: any other
        exception than `gr.Error` would reach them as "Error", or an API client as null.
        """
        _CURRENT_ITERATOR.set(None)
        _CURRENT_VISITOR.set(visitor_of(kwargs.get("request")))
        try:
            return await super().process_api(block_fn, inputs, *args, **kwargs)
        except Exception as error:
            if (iterator := _CURRENT_ITERATOR.get()) is not None:
                await safe_aclose_iterator(iterator)  # Gradio forgets it: its job would keep its place in the queue
            words = explained(error)
            self._remember(kwargs.get("session_hash"), block_fn._id, words)
            raise gr.Error(words, print_exception=False) from error

    async def call_function(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Call an event's function as the base class does."""
        result = await super().call_function(*args, **kwargs)
        _CURRENT_ITERATOR.set(result["iterator"])
        return result

    async def preprocess_data(self, block_fn: Any, inputs: Any, state: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Check what the client sent, then convert it as the base class does.

        A job that its queue would refuse is refused here: converting its inputs takes Gradio longer than all the rest.
        """
        queue = self._queues.get(block_fn.api_name)
        with queue.entering(_CURRENT_VISITOR.get()) if queue else nullcontext():
            wanted, given = len(block_fn.inputs), len(inputs)
            if given != wanted:
                raise InputError(f"{block_fn.api_name} takes {wanted} values, got {given}. Its API page lists them.")
            for component, value in zip(block_fn.inputs, inputs, strict=True):
                if not component.stateful:  # states stay on the server
                    check_payload(_of_session(component, state), value)
            return await self._convert(block_fn, inputs, state, *args, **kwargs)

    async def _convert(self, block_fn: Any, inputs: list[Any], state: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """Convert inputs as the base class does, but plain values at once: it hands each of 40 to a thread of its own.

        While jobs run, every hand-over waits for the interpreter: 20 requests at a time cost seconds.
        """
        components = [_of_session(component, state) for component in block_fn.inputs]
        slow = [k for k, component in enumerate(components) if not isinstance(component, PLAIN)]
        others = copy(block_fn)
        others.inputs = [block_fn.inputs[k] for k in slow]
        converted = iter(await super().preprocess_data(others, [inputs[k] for k in slow], state, *args, **kwargs))
        return [
            component.preprocess(value) if isinstance(component, PLAIN) else next(converted)
            for component, value in zip(components, inputs, strict=True)
        ]

    def last_problem(self, session_hash: str, event: int) -> str | None:
        """Return the words with which an event of a session ended the last time, if it failed, once.

        Args:
            session_hash: Gradio's name of the session.
            event: The event's id.
        """
        return self._problems.pop((session_hash, event), None)

    def handle_streaming_diffs(
        self,
        block_fn: Any,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """Send whole values instead of differences while a generator runs; the last message repeats the one before.

        Gradio's page applies a difference to the very object that arrived before, which a browser that reads several
        messages together has not looked at yet: a `gr.update`, or a file, that is followed by `gr.skip()` never takes
        effect there.
        """
        sent = self.pending_diff_streams[session_hash] if session_hash else {}
        if run in sent and not final:
            sent[run] = [None] * len(data)
        return super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)

    def _remember(self, session_hash: str | None, event: int, words: str) -> None:
        if session_hash:
            self._problems[session_hash, event] = words
            while len(self._problems) > MAX_PROBLEMS:
                self._problems.popitem(last=False)


def _of_session(component: Any, state: Any) -> Any:
    """Return a component as the session has it: its range or choices may have changed there."""
    known = not component.stateful and state is not None and component._id in state
    return state[component._id] if known else component
