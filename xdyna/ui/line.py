"""Who waits for a GPU, in the order of arrival."""

import heapq
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xdyna.schema import InputError

LOOK_EVERY_S = 0.5


class LineFullError(InputError):
    """Nobody else may wait at the moment."""


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Somebody's place in the line.

    Attributes:
        position: how many must be done before it is their turn; >= 1.
        seconds: until their turn, as far as can be told.
    """

    position: int
    seconds: float


class Place:
    """One visitor's place. It holds until `Line.join` is left."""

    def __init__(self, line: "Line", seconds: float) -> None:
        self._line, self._seconds = line, seconds
        self._served_at: float | None = None

    def waiting(self) -> Waiting | None:
        """Where they stand; None once it is their turn."""
        with self._line.moved:
            before, turns = self._line.places[: self._line.places.index(self)], self._line.turns
            if len(before) < turns:
                return None
            ends = [place.seconds_left() for place in before[:turns]]
            heapq.heapify(ends)
            for place in before[turns:]:  # each begins when the first of those who are served ends
                heapq.heapreplace(ends, ends[0] + place.seconds_left())
            return Waiting(position=len(before) - turns + 1, seconds=ends[0])

    def wait(self) -> None:
        """Returns when the line has moved, and at the latest after half a second, so that a job can be closed."""
        with self._line.moved:
            if self not in self._line.places[: self._line.turns]:
                self._line.moved.wait(LOOK_EVERY_S)

    def serve(self) -> None:
        """Their turn has begun: from now on the time they need runs down."""
        self._served_at = time.monotonic()

    def seconds_left(self) -> float:
        """Of their turn."""
        spent = 0.0 if self._served_at is None else time.monotonic() - self._served_at
        return max(0.0, self._seconds - spent)


class Line:
    """A fair line. Any thread may join.

    Args:
        longest: how many may be in it, those who are served included.
        turns: how many are served at the same time.
    """

    def __init__(self, longest: int, turns: int = 1) -> None:
        self.longest, self.turns = longest, turns
        self.moved, self.places = threading.Condition(), list[Place]()

    @contextmanager
    def join(self, seconds: float) -> Iterator[Place]:
        """Takes a place at the end, and leaves it with the block, served or not.

        Args:
            seconds: that the turn is expected to take, for those behind.

        Raises:
            LineFullError: the line is as long as it may be.
        """
        place = Place(self, seconds)
        with self.moved:
            if len(self.places) >= self.longest:
                soonest = min(place.seconds_left() for place in self.places[: self.turns])
                minutes = max(1, round(soonest / 60))
                raise LineFullError(
                    f"The queue is full ({self.longest}). Your files and settings are kept: try again in about "
                    f"{minutes} min."
                )
            self.places.append(place)
        try:
            yield place
        finally:
            with self.moved:
                self.places.remove(place)
                self.moved.notify_all()
