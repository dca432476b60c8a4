"""Jobs at the same time, told as one."""

import threading
from collections.abc import Iterator

import pytest

from xdyna.compare.side_by_side import side_by_side

PATIENCE_S = 120.0


def counting(name: str, closed: list[str], pieces: int = 3) -> Iterator[str]:
    try:
        for number in range(pieces):
            yield f"{name}{number}"
    finally:
        closed.append(name)


def test_one_at_a_time_is_one_after_another_in_the_callers_thread() -> None:
    threads = set[int]()

    def job() -> Iterator[int]:
        threads.add(threading.get_ident())
        yield 1

    assert list(side_by_side([job(), job()], 1)) == [(0, 1), (1, 1)]
    assert threads == {threading.get_ident()}


def test_all_events_come_and_each_jobs_in_their_order() -> None:
    closed: list[str] = []
    events = list(side_by_side([counting(name, closed) for name in "abcd"], 2))
    assert sorted(closed) == list("abcd")
    for number, name in enumerate("abcd"):
        assert [event for k, event in events if k == number] == [f"{name}{i}" for i in range(3)]


def test_they_really_run_at_the_same_time_and_no_more_than_asked_for() -> None:
    meeting, running, most = threading.Barrier(2), list[int](), list[int]()

    def job(number: int) -> Iterator[str]:
        running.append(number)
        most.append(len(running))
        meeting.wait(PATIENCE_S)  # one alone would break it
        yield "met"
        running.remove(number)

    assert len(list(side_by_side([job(number) for number in range(4)], 2))) == 4
    assert max(most) == 2


def test_closing_ends_those_that_run_and_the_others_never_begin() -> None:
    begun, closed = list[str](), list[str]()

    def job(name: str) -> Iterator[str]:
        begun.append(name)
        try:
            while True:
                yield name
        finally:
            closed.append(name)

    events = side_by_side([job(name) for name in "abcd"], 2)
    seen = {next(events)[1] for _ in range(1000)}
    events.close()
    assert sorted(begun) == sorted(closed) == ["a", "b"]
    assert seen <= {"a", "b"}


def test_an_error_ends_all_and_is_raised() -> None:
    closed: list[str] = []

    def fails() -> Iterator[str]:
        yield "first"
        raise ValueError("a bad variant")

    def endless() -> Iterator[str]:
        try:
            while True:
                yield "more"
        finally:
            closed.append("endless")

    with pytest.raises(ValueError, match="a bad variant"):
        list(side_by_side([endless(), fails()], 2))
    assert closed == ["endless"]
