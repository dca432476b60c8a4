"""Preparations that several jobs share: each pair of files is looked at once, however many ask at the same time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from typing import Any

import numpy as np

from xdyna.schema import Conditions, Progress

LOOK_EVERY_S = 0.5
MAX_KEPT_BYTES = 500 * 10**6
"""Of finished preparations that a job in the queue still waits to use."""

Prepare = Callable[[], Iterator[Progress | Conditions]]


class Preparation:
    """The work on one pair of files. Get it from `Preparations.share`."""

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._changed = threading.Condition()
        self._progress: Progress | None = None
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None
        self._listeners = 0
        self.conditions: Conditions | None = None

    def follow(self) -> Iterator[Progress | Conditions]:
        """Yield the progress of the work, then its result. The work ends early once nobody follows it any more.

        Raises:
            Exception: what ended the work, for everybody who follows.
        """
        shown = None
        with self._listening():
            while True:
                with self._changed:
                    if self.conditions is None and self._error is None and self._progress is shown:
                        self._changed.wait(LOOK_EVERY_S)
                    conditions, error, progress = self.conditions, self._error, self._progress
                if error is not None:
                    raise error
                if conditions is not None:
                    yield conditions
                    return
                if progress is not None:
                    yield progress  # also without news: a job can be cancelled between yields only
                shown = progress

    def drop(self) -> None:
        """Forget the result, unless somebody follows who has not read it yet: they would wait for it for ever."""
        with self._changed:
            if not self._listeners:
                self.conditions = None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        with self._changed:
            self._listeners += 1
            if self._thread is None and self.conditions is None:
                self._progress = self._error = None
                self._thread = threading.Thread(target=self._work, name="prepare", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._listeners -= 1

    def _work(self) -> None:
        conditions, error = None, None
        try:
            with closing(self._prepare()) as events:  # type: ignore[type-var]  # our iterators are generators
                for event in events:
                    with self._changed:
                        if not self._listeners:
                            break
                        if isinstance(event, Progress):
                            self._progress = event
                        else:
                            conditions = event
                        self._changed.notify_all()
        except Exception as caught:  # raised where it is followed
            error = caught
        with self._changed:
            self.conditions, self._error, self._thread = conditions, error, None
            if conditions is None and error is None and self._listeners:  # somebody came while it was being dropped
                self._thread = threading.Thread(target=self._work, name="prepare", daemon=True)
                self._thread.start()
            self._changed.notify_all()


class Preparations:
    """All preparations of jobs that are in a queue or run. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared = dict[object, tuple[Preparation, int]]()

    @contextmanager
    def share(self, key: object, prepare: Prepare) -> Iterator[Preparation]:
        """Give the preparation of a key to a job; it is kept as long as one of the jobs that have it is in its block.

        Args:
            key: All that the result depends on.
            prepare: Begins the work: a generator of progress that ends with the conditions.
        """
        with self._lock:
            shared, jobs = self._shared.get(key) or (Preparation(prepare), 0)
            self._shared[key] = shared, jobs + 1
        try:
            yield shared
        finally:
            with self._lock:
                shared, jobs = self._shared[key]
                if jobs > 1:
                    self._shared[key] = shared, jobs - 1
                else:
                    del self._shared[key]
                self._drop_large()

    def _drop_large(self) -> None:
        """Forget the oldest results beyond the bound: who still wants one looks again."""
        kept = 0
        for preparation, _ in reversed(self._shared.values()):
            conditions = preparation.conditions
            kept += num_bytes(conditions) if conditions is not None else 0
            if kept > MAX_KEPT_BYTES:
                preparation.drop()


def num_bytes(value: Any) -> int:
    """Return the bytes of all arrays inside a value of `xdyna.schema`."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(map(num_bytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(num_bytes, value))
    if hasattr(value, "__dataclass_fields__"):
        return sum(num_bytes(getattr(value, item.name)) for item in fields(value))
    return len(value) if isinstance(value, bytes) else 0


PREPARATIONS = Preparations()
