"""A clock of the tests' own, so that nothing depends on how fast or how busy a machine is."""


class Clock:
    """Stands in for the module `time` in a module under test, with `monkeypatch.setattr("xdyna....time", Clock())`.

    It goes on by `tick` whenever somebody looks at it, and by whatever a test adds to `now`.
    """

    def __init__(self, tick: float = 0.0) -> None:
        self.now, self.tick, self.looks = 0.0, tick, 0

    def monotonic(self) -> float:
        self.looks += 1
        self.now += self.tick
        return self.now

    thread_time = monotonic
