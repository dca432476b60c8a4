"""Several jobs at the same time, told as one."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from queue import Queue
from typing import TypeVar

Event = TypeVar("Event")


def side_by_side(jobs: Sequence[Iterator[Event]], at_once: int) -> Iterator[tuple[int, Event]]:
    """Runs jobs, each in a thread of its own unless only one runs at a time.

    Args:
        jobs: generators; they begin in this order.
        at_once: how many run at the same time, >= 1.

    Yields:
        Number of a job, counted from 0, and what it yielded, as it comes. Closing the iterator closes those that run,
        each when it next yields; the others never begin. So does the first that fails: its error is raised.
    """
    if min(at_once, len(jobs)) == 1:
        for number, job in enumerate(jobs):
            with closing(job):  # type: ignore[type-var]  # our iterators are generators
                for event in job:
                    yield number, event
        return
    happened: Queue[tuple[int, Event | None]] = Queue()
    stopping = threading.Event()

    def run(number: int, job: Iterator[Event]) -> None:
        try:
            with closing(job):  # type: ignore[type-var]
                while not stopping.is_set() and (event := next(job, None)) is not None:
                    happened.put((number, event))
        finally:
            happened.put((number, None))

    with ThreadPoolExecutor(at_once, thread_name_prefix="job") as pool:
        running = [pool.submit(run, number, job) for number, job in enumerate(jobs)]
        try:
            left = len(jobs)
            while left:
                number, happening = happened.get()
                if happening is not None:
                    yield number, happening
                    continue
                running[number].result()
                left -= 1
        finally:
            stopping.set()
