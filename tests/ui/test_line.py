"""The line for the GPU."""

import threading
from collections.abc import Iterator

import pytest

from xdyna.ui.gpu import in_turn
from xdyna.ui.line import Line, LineFullError, Waiting


class Desk:
    """Counts who is served at the same time."""

    def __init__(self) -> None:
        self.serving, self.most, self.served, self.closed = 0, 0, list[str](), list[str]()

    def job(self, name: str, pieces: int = 3) -> Iterator[str]:
        self.serving += 1
        self.most = max(self.most, self.serving)
        try:
            for _ in range(pieces):
                yield name
            self.served.append(name)
        finally:
            self.serving -= 1
            self.closed.append(name)


def test_who_is_alone_does_not_wait() -> None:
    assert list(in_turn(Desk().job("a"), 1.0, Line(2))) == ["a", "a", "a"]


def test_everybody_is_served_in_the_order_of_arrival_and_one_at_a_time() -> None:
    line, desk, arrived = Line(8), Desk(), list[threading.Thread]()
    first = in_turn(desk.job("0"), 10.0, line)
    assert next(first) == "0"
    for name in "12345":
        jobs = in_turn(desk.job(name), 10.0, line)
        assert isinstance(next(jobs), Waiting)  # stands in line before the next arrives
        arrived.append(threading.Thread(target=list, args=(jobs,)))
    for thread in arrived:
        thread.start()
    assert list(first) == ["0", "0"]
    for thread in arrived:
        thread.join(timeout=30)
    assert desk.served == list("012345")
    assert desk.most == 1


def test_position_and_waiting_time_are_told_and_move_up() -> None:
    line, desk = Line(8), Desk()
    first, second, third = (in_turn(desk.job(name), 60.0, line) for name in "abc")
    assert next(first) == "a"
    assert next(second).position == 1
    told = next(third)
    assert told.position == 2
    assert 110 < told.seconds <= 120
    second.close()  # gives up
    assert next(third).position == 1
    list(first)
    assert next(third) == "c"
    assert desk.closed == ["a"]  # who never had a turn has nothing to close


def test_a_job_that_is_closed_or_crashes_makes_room() -> None:
    line, desk = Line(8), Desk()

    def crash() -> Iterator[str]:
        yield "x"
        raise RuntimeError

    closed = in_turn(desk.job("a"), 1.0, line)
    next(closed)
    closed.close()
    with pytest.raises(RuntimeError):
        list(in_turn(crash(), 1.0, line))
    assert line.places == []
    assert list(in_turn(desk.job("b", 1), 1.0, line)) == ["b"]


def test_a_full_line_says_when_to_come_back() -> None:
    line, desk = Line(2), Desk()
    first, second = (in_turn(desk.job(name), 240.0, line) for name in "ab")
    next(first), next(second)
    with pytest.raises(LineFullError, match=r"full \(2\).*in about 4 min"):
        next(in_turn(desk.job("c"), 240.0, line))
    first.close()
    assert next(second) == "b"


def test_as_many_are_served_at_once_as_there_are_gpus() -> None:
    line, desk = Line(8, turns=2), Desk()
    first, second, third, fourth = (
        in_turn(desk.job(name), seconds, line) for name, seconds in zip("abcd", (60.0, 20.0, 30.0, 9.0), strict=True)
    )
    assert (next(first), next(second)) == ("a", "b")
    assert desk.most == 2
    told = next(third)
    assert (told.position, round(told.seconds)) == (1, 20)  # when the sooner of the two is done
    told = next(fourth)
    assert (told.position, round(told.seconds)) == (2, 50)  # c follows b, and is done before a
    list(second)
    assert next(third) == "c"
    assert next(fourth).position == 1
    list(first)
    assert next(fourth) == "d"
    assert desk.most == 2


def test_a_full_line_of_two_turns_names_the_sooner() -> None:
    line, desk = Line(2, turns=2), Desk()
    first, second = (in_turn(desk.job(name), seconds, line) for name, seconds in (("a", 600.0), ("b", 240.0)))
    next(first), next(second)
    with pytest.raises(LineFullError, match="in about 4 min"):
        next(in_turn(desk.job("c"), 1.0, line))
