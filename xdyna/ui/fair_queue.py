"""Who waits for a GPU or an analysis: bounded, and in turn by visitor instead of by job."""

import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field

from xdyna.schema import InputError
from xdyna.ui.server_settings import ServerSettings, server_settings

LOOK_EVERY_S = 1.0
KEPT = "Your files and settings are kept"


class QueueFullError(InputError):
    """Nobody else may wait at the moment, or nothing else of this visitor."""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Whom a job belongs to.

    Attributes:
        address: The network address the request came from.
        session: The browser tab or API client at that address.
    """

    address: str
    session: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Somebody's place in a queue.

    Attributes:
        position: How many jobs must be done before it is their turn; >= 1.
        seconds: The time until their turn, as far as can be told.
        length: How many jobs wait in the queue, this one included.
    """

    position: int
    seconds: float
    length: int


class QueueTicket:
    """One job's place. It holds until `FairQueue.join` is left.

    The job may prepare once it is called, and run once it is served.
    """

    def __init__(self, queue: "FairQueue", visitor: Visitor, seconds: float) -> None:
        self.visitor = visitor
        self._queue, self._seconds = queue, seconds
        self._served_at: float | None = None

    def until_called(self) -> Iterator[Waiting]:
        """Yield the place at least once a second, until the job may prepare."""
        while (waiting := self._queue.place_of(self, self._queue.turns + self._queue.ahead)) is not None:
            yield waiting
            self._queue.wait()

    def until_served(self) -> Iterator[Waiting]:
        """Yield the place at least once a second, until the job may run; from then on its time runs down."""
        while (waiting := self._queue.place_of(self, self._queue.turns)) is not None:
            yield waiting
            self._queue.wait()
        self._served_at = self._queue.clock()

    def seconds_left(self) -> float:
        """Return how long the job is still expected to run once it is served."""
        spent = 0.0 if self._served_at is None else self._queue.clock() - self._served_at
        return max(0.0, self._seconds - spent)


@dataclass
class _RoundRobin:
    """Shares turns among keys: the one that had the fewest comes next; whoever is new begins level with the others."""

    turns: dict[str, int] = field(default_factory=dict)
    level: int = 0

    def arrive(self, key: str) -> None:
        self.turns[key] = max(self.turns.get(key, 0), self.level)

    def take(self, keys: Sequence[str]) -> str:
        """Return the key whose turn it is, and count the turn; among equals the first."""
        chosen = min(keys, key=lambda key: self.turns[key])
        self.level = self.turns[chosen]
        self.turns[chosen] += 1
        return chosen


@dataclass
class _Shares:
    """Shares turns among network addresses, and those of an address among its sessions."""

    addresses: _RoundRobin = field(default_factory=_RoundRobin)
    sessions: defaultdict[str, _RoundRobin] = field(default_factory=lambda: defaultdict(_RoundRobin))

    def arrive(self, visitor: Visitor) -> None:
        self.addresses.arrive(visitor.address)
        self.sessions[visitor.address].arrive(visitor.session)

    def take(self, visitors: Sequence[Visitor]) -> Visitor:
        """Return the visitor whose turn it is, and count the turn."""
        address = self.addresses.take([visitor.address for visitor in visitors])
        there = [visitor.session for visitor in visitors if visitor.address == address]
        return Visitor(address=address, session=self.sessions[address].take(there))


class FairQueue:
    """A queue that takes turns by network address, and by session within an address. Any thread may join.

    Args:
        turns: How many jobs run at the same time.
        ahead: How many more may already prepare while those run.
        settings: Bounds how many may wait, in all and by visitor.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self,
        turns: int = 1,
        ahead: int = 0,
        settings: ServerSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.turns, self.ahead, self.clock = turns, ahead, clock
        self.settings = settings or server_settings()
        self.called, self.waiting = list[QueueTicket](), list[QueueTicket]()
        self._changed = threading.Condition()
        self._entering = list[Visitor]()
        self._shares, self._lent = _Shares(), 0

    @contextmanager
    def join(self, visitor: Visitor, seconds: float) -> Iterator[QueueTicket]:
        """Take a place, and leave it with the block, served or not.

        Args:
            visitor: Whom the job belongs to.
            seconds: The time it is expected to run, for those behind.

        Raises:
            QueueFullError: too many wait already, in all or of this visitor.
        """
        ticket = QueueTicket(self, visitor, seconds)
        with self._changed:
            self._check_room(visitor)
            self.waiting.append(ticket)
            self._shares.arrive(visitor)
            self._call()
        try:
            yield ticket
        finally:
            with self._changed:
                (self.called if ticket in self.called else self.waiting).remove(ticket)
                self._call()
                self._changed.notify_all()

    @contextmanager
    def entering(self, visitor: Visitor) -> Iterator[None]:
        """Hold room for a job that will join after the block, so that what is refused is refused before any work.

        Raises:
            QueueFullError: too many wait or enter already, in all or of this visitor.
        """
        with self._changed:
            self._check_room(visitor)
            self._entering.append(visitor)
        try:
            yield
        finally:
            with self._changed:
                self._entering.remove(visitor)

    @contextmanager
    def spare(self, at_most: int) -> Iterator[int]:
        """Lend a served job up to `at_most` more turns that nobody else wants now; yield how many."""
        with self._changed:
            free = 0 if self.waiting else self.turns - self._lent - len(self.called)
            lent = max(0, min(at_most, free))
            self._lent += lent
        try:
            yield lent
        finally:
            with self._changed:
                self._lent -= lent
                self._changed.notify_all()

    def place_of(self, ticket: QueueTicket, first: int) -> Waiting | None:
        """Return a ticket's place, or None where it is among the `first` of the queue."""
        with self._changed:
            order = [*self.called, *self._order()]
            place = order.index(ticket)
            if place < first - self._lent:
                return None
            return self._waiting(order, place)

    def wait(self) -> None:
        """Return when the queue has moved, and at the latest after a second, so that a job can be cancelled."""
        with self._changed:
            self._changed.wait(LOOK_EVERY_S)

    def _call(self) -> None:
        """Call whoever may prepare."""
        while self.waiting and len(self.called) < self.turns + self.ahead:
            self.called.append(self._take(self.waiting, self._shares))
        if not self.called:  # nobody is owed a turn: forget who was here
            self._shares = _Shares()

    def _order(self) -> list[QueueTicket]:
        """Those who wait, in the order in which they will be called if nobody else comes."""
        waiting, shares = list(self.waiting), deepcopy(self._shares)
        return [self._take(waiting, shares) for _ in self.waiting]

    @staticmethod
    def _take(waiting: list[QueueTicket], shares: "_Shares") -> QueueTicket:
        """Remove and return the ticket whose turn it is."""
        visitor = shares.take([ticket.visitor for ticket in waiting])
        ticket = next(ticket for ticket in waiting if ticket.visitor == visitor)
        waiting.remove(ticket)
        return ticket

    def _waiting(self, order: Sequence[QueueTicket], place: int) -> Waiting:
        turns = max(1, self.turns - self._lent)
        ends = [ticket.seconds_left() for ticket in order[:turns]]
        heapq.heapify(ends)
        for ticket in order[turns:place]:  # each begins when the first of those who are served ends
            heapq.heapreplace(ends, ends[0] + ticket.seconds_left())
        return Waiting(position=max(1, place - turns + 1), seconds=ends[0] if ends else 0.0, length=len(self.waiting))

    def _check_room(self, visitor: Visitor) -> None:
        """Refuse a visitor whose job would be one too many, and say when there is room again."""
        coming = [*(ticket.visitor for ticket in self.waiting), *self._entering]
        if len(self.called) + len(coming) < self.turns + self.ahead:
            return
        of_session = coming.count(visitor)
        of_address = sum(other.address == visitor.address for other in coming)
        if of_session >= self.settings.max_waiting_per_visitor:
            full = f"You have {of_session} jobs waiting, the most for one visitor."
        elif of_address >= self.settings.max_waiting_per_address:
            full = f"{of_address} jobs wait from your network address, the most for one."
        elif len(coming) >= self.settings.max_waiting:
            full = f"The queue is full ({len(coming)})."
        else:
            return
        order = [*self.called, *self._order()]
        last = self._waiting(order, len(order))
        free = self._waiting(order, min(len(order), self.turns))
        number = last.position + len(self._entering)
        raise QueueFullError(
            f"{full} You would be number {number} with {_minutes(last.seconds)} to wait. {KEPT}: come back in "
            f"{_minutes(free.seconds)}."
        )


def _minutes(seconds: float) -> str:
    return f"about {max(1, round(seconds / 60))} min"
