"""The clock of a run."""

from collections.abc import Iterator

import pytest

from xdyna.backends.run import Run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds on the clock, to be set."""
    now = [0.0]
    monkeypatch.setattr("xdyna.backends.run.time.monotonic", lambda: now[0])
    yield now


def test_the_first_step_already_tells_how_long_the_phase_takes(clock: list[float]) -> None:
    run, left = Run("xdyna-mini", "0"), []
    for seconds, phase, step, total in [(5, "Encoding", 1, 1), (7, "Denoising", 1, 3), (9, "Denoising", 2, 3)]:
        clock[0] = seconds
        left.append(run.progress(phase, step, total).seconds_left)
    assert left == [0, 4, 2]  # two seconds a step, from the end of the encoding on


def test_a_phase_of_unequal_steps_tells_nothing(clock: list[float]) -> None:
    event = Run("xdyna-mini", "0").progress("Encoding", 0, 3, timed=False)
    assert (event.step, event.total, event.seconds_left) == (0, 3, None)
