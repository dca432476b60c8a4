"""Who waits for a GPU, and in which order."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from xdyna.schema import InputError
from xdyna.ui.client import visitor_of
from xdyna.ui.fair_queue import FairQueue, QueueFullError, QueueTicket, Visitor, Waiting
from xdyna.ui.gpu import in_turn
from xdyna.ui.server_settings import ServerSettings


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


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


def visitor(name: str, address: str | None = None) -> Visitor:
    return Visitor(address=address or f"address of {name}", session=name)


def queue_of(turns: int = 1, ahead: int = 0, **bounds: int) -> FairQueue:
    return FairQueue(turns, ahead, ServerSettings(**bounds), Clock())


def place(ticket: QueueTicket) -> Waiting | None:
    return next(ticket.until_served(), None)


def joined(queue: FairQueue, stack: ExitStack, *names: str, seconds: float = 60.0) -> list[QueueTicket]:
    """Tickets in the order of arrival; "A1" and "A2" are two jobs of visitor A."""
    return [stack.enter_context(queue.join(visitor(name[0]), seconds)) for name in names]


def served_order(queue: FairQueue, tickets: dict[str, tuple[ExitStack, QueueTicket]]) -> list[str]:
    """The names in the order in which they are served, when each leaves as soon as it was."""
    order = []
    while tickets:
        name = next(name for name, (_, ticket) in tickets.items() if place(ticket) is None)
        order.append(name)
        tickets.pop(name)[0].close()
    assert queue.called == queue.waiting == []
    return order


def arrive(queue: FairQueue, *names: str) -> dict[str, tuple[ExitStack, QueueTicket]]:
    tickets = {}
    for name in names:
        stack = ExitStack()
        tickets[name] = stack, stack.enter_context(queue.join(visitor(name[0]), 60.0))
    return tickets


def test_who_is_alone_does_not_wait() -> None:
    assert list(in_turn(Desk().job("a"), 1.0, visitor("a"), queue_of())) == ["a", "a", "a"]


@pytest.mark.parametrize(
    ("arrivals", "served"),
    [
        (["A1", "B1", "C1"], ["A1", "B1", "C1"]),  # one each: the order of arrival
        (["A1", "A2", "A3", "A4", "B1"], ["A1", "B1", "A2", "A3", "A4"]),  # many of one never hold up another's one
        (["A1", "A2", "A3", "B1", "B2", "B3"], ["A1", "B1", "A2", "B2", "A3", "B3"]),
        (["A1", "A2", "B1", "C1", "C2"], ["A1", "B1", "C1", "A2", "C2"]),
    ],
)
def test_visitors_take_turns(arrivals: list[str], served: list[str]) -> None:
    queue = queue_of()
    assert served_order(queue, arrive(queue, *arrivals)) == served


def test_a_visitor_who_comes_again_and_again_does_not_starve_the_others() -> None:
    queue, order = queue_of(), []
    tickets = arrive(queue, "A1", "A2", "A3", "A4")
    for k in range(3):
        tickets |= arrive(queue, f"B{k}")  # anew as soon as the one before is done
        for _ in range(2):
            name = next(name for name, (_, ticket) in tickets.items() if place(ticket) is None)
            order.append(name[0])
            tickets.pop(name)[0].close()
    assert order == ["A", "B", "A", "B", "A", "B"]


def test_sessions_of_one_address_share_its_turns() -> None:
    """Somebody with many browser tabs has no more turns than somebody with one."""
    queue, served, stacks = queue_of(), [], dict[str, tuple[ExitStack, QueueTicket]]()
    crowd = {f"tab {k}": visitor(f"tab {k}", "one address") for k in range(4)}
    for name, who in (crowd | {"alone": visitor("alone")}).items():
        stack = ExitStack()
        stacks[name] = stack, stack.enter_context(queue.join(who, 60.0))
    served = served_order(queue, stacks)
    assert served == ["tab 0", "alone", "tab 1", "tab 2", "tab 3"]


def test_one_at_a_time_in_threads() -> None:
    queue, desk = FairQueue(settings=ServerSettings()), Desk()
    first = in_turn(desk.job("0"), 10.0, visitor("0"), queue)
    assert next(first) == "0"
    arrived = list[threading.Thread]()
    for name in "12345":
        jobs = in_turn(desk.job(name), 10.0, visitor(name), queue)
        assert isinstance(next(jobs), Waiting)  # stands in the queue before the next arrives
        arrived.append(threading.Thread(target=list, args=(jobs,)))
    for thread in arrived:
        thread.start()
    assert list(first) == ["0", "0"]
    for thread in arrived:
        thread.join(timeout=120)
    assert desk.served == list("012345")
    assert desk.most == 1


def test_position_and_waiting_time_are_told_and_move_up() -> None:
    queue = queue_of()
    clock = queue.clock
    with ExitStack() as stack:
        first, second, third = joined(queue, stack, "a", "b", "c")
        assert place(first) is None
        assert place(second) == Waiting(position=1, seconds=60.0, length=2)
        assert place(third) == Waiting(position=2, seconds=120.0, length=2)
        clock.seconds = 45.0
        assert place(third) == Waiting(position=2, seconds=75.0, length=2)
    assert queue.called == queue.waiting == []


def test_a_job_that_is_closed_or_crashes_makes_room() -> None:
    queue, desk = queue_of(), Desk()

    def crash() -> Iterator[str]:
        yield "x"
        raise RuntimeError

    closed = in_turn(desk.job("a"), 1.0, visitor("a"), queue)
    next(closed)
    closed.close()
    with pytest.raises(RuntimeError):
        list(in_turn(crash(), 1.0, visitor("a"), queue))
    assert queue.called == queue.waiting == []
    assert list(in_turn(desk.job("b", 1), 1.0, visitor("b"), queue)) == ["b"]


def test_a_full_queue_says_position_wait_and_when_to_come_back() -> None:
    queue = queue_of(max_waiting=2)
    with ExitStack() as stack:
        place(joined(queue, stack, "a", "b", "c", seconds=240.0)[0])  # it runs from now on
        words = r"full \(2\)\. You would be number 3 with about 12 min to wait\. .* kept: come back in about 4 min\."
        with pytest.raises(QueueFullError, match=words):
            joined(queue, stack, "d")
        queue.clock.seconds = 120.0
        with pytest.raises(QueueFullError, match="come back in about 2 min"):
            joined(queue, stack, "d")


def test_twenty_of_one_visitor_never_shut_another_out() -> None:
    queue, refused = queue_of(), 0
    with ExitStack() as stack:
        for _ in range(20):
            try:
                joined(queue, stack, "A", seconds=240.0)
            except QueueFullError as error:
                refused += 1
                assert "You have 5 jobs waiting, the most for one visitor" in str(error)
        assert refused == 14  # one runs, five wait
        (other,) = joined(queue, stack, "B")
        assert place(other) == Waiting(position=1, seconds=240.0, length=6)  # and it is next


def test_whoever_opens_many_sessions_leaves_places_for_other_addresses() -> None:
    queue = queue_of(max_waiting=8)
    with ExitStack() as stack:
        for k in range(7):
            stack.enter_context(queue.join(visitor(f"tab {k}", "one address"), 60.0))
        with pytest.raises(QueueFullError, match="6 jobs wait from your network address"):
            stack.enter_context(queue.join(visitor("one tab more", "one address"), 60.0))
        joined(queue, stack, "B", "C")


def test_the_next_one_may_prepare_while_another_runs() -> None:
    queue = queue_of(ahead=1)
    with ExitStack() as stack:
        first, second, third = joined(queue, stack, "a", "b", "c")
        assert next(second.until_called(), None) is None
        assert place(second) == Waiting(position=1, seconds=60.0, length=1)
        assert next(third.until_called()).position == 2
        (newcomer,) = joined(queue, stack, "d")
        assert place(second).position == 1  # who prepares keeps the place
        assert place(newcomer).position == 3
        assert place(first) is None


def test_as_many_are_served_at_once_as_there_are_gpus() -> None:
    queue = queue_of(turns=2)
    with ExitStack() as stack:
        tickets = [
            stack.enter_context(queue.join(visitor(name), seconds))
            for name, seconds in zip("abcd", (60.0, 20.0, 30.0, 9.0), strict=True)
        ]
        assert place(tickets[0]) is place(tickets[1]) is None
        assert place(tickets[2]) == Waiting(position=1, seconds=20.0, length=2)  # when the sooner of the two is done
        assert place(tickets[3]) == Waiting(position=2, seconds=50.0, length=2)  # c follows b, and is done before a


def test_turns_that_nobody_wants_are_lent() -> None:
    queue = queue_of(turns=3)
    with ExitStack() as stack:
        joined(queue, stack, "a")
        with queue.spare(5) as lent:
            assert lent == 2
            (late,) = joined(queue, stack, "b")
            assert place(late) is not None  # until a turn is given back
        assert place(late) is None
        joined(queue, stack, "c", "d")
        with queue.spare(5) as lent:
            assert lent == 0


@pytest.mark.parametrize("text", ["0", "-3", "many", "1.5", "²"])
def test_bounds_come_from_the_environment_and_are_checked(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_MAX_WAITING", " 7 ")
    assert ServerSettings.from_environment() == ServerSettings(max_waiting=7)
    monkeypatch.setenv("XDYNA_MAX_WAITING", text)
    with pytest.raises(InputError, match=r"XDYNA_MAX_WAITING must be a whole number above 0, got .*unset it"):
        ServerSettings.from_environment()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("203.0.113.7", "203.0.113.7 tab"),  # reserved for documentation, so nobody's
        ("8.8.8.8", "8.8.8.8"),
        ("2001:4860:4860::8888", "2001:4860:4860::8888"),
        ("127.0.0.1", "127.0.0.1 tab"),
        ("10.1.2.3", "10.1.2.3 tab"),  # a proxy's, perhaps
        ("fe80::1", "fe80::1 tab"),
        ("testclient", "testclient tab"),
    ],
)
def test_only_a_public_address_says_who_somebody_is(host: str, address: str) -> None:
    request = SimpleNamespace(client=SimpleNamespace(host=host), session_hash="tab")
    assert visitor_of(request) == Visitor(address=address, session="tab")
    assert visitor_of(None) == Visitor(address=" ", session="")
