"""The part "See it move" of the screen Check: when it works, for whom, and what it says where it cannot."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ui.test_sight import analysis

from xdyna.schema import Animation, InputError, Progress, Video
from xdyna.ui.fair_queue import QueueFullError
from xdyna.ui.handlers import motion_preview
from xdyna.ui.handlers.motion_preview import MOVED, Moving, see_it_move
from xdyna.ui.job_events import updates
from xdyna.ui.jobs import ANALYSIS_QUEUE
from xdyna.video import read_metadata

STEP = Progress(phase="Drawing", step=1, total=2)
MADE = Animation(
    video=Video(frames=np.zeros((2, 64, 64, 3), np.uint8), fps=8.0),
    controls={},
    model="puppet",
    revision="",
    seconds=1,
)
NOTHING = updates(MOVED)


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the work yield these events, or raise."""

    def work(*events: Any) -> None:
        def begin(*_: Any) -> Iterator[Any]:
            for event in events:
                if isinstance(event, Exception):
                    raise event
                yield event

        monkeypatch.setattr(motion_preview, "move_photo", begin)

    return work


def test_it_is_made_once_and_says_what_it_is(moves: Callable[..., None]) -> None:
    moves(STEP, MADE)
    given, moving = analysis("xdyna-mini"), Moving()
    *_, (video, note) = see_it_move(given, "check", moving)
    assert read_metadata(Path(video["value"]))["title"] == "AI-generated" and "warped" in note
    assert list(see_it_move(given, "check", moving)) == [NOTHING]
    assert len(list(see_it_move(analysis("xdyna-mini", nudge_x=0.1), "check", moving))) > 1


@pytest.mark.parametrize("screen", ["inputs", "generate"])
def test_nothing_is_made_before_the_visitor_looks(moves: Callable[..., None], screen: str) -> None:
    moves(MADE)
    assert list(see_it_move(analysis("xdyna-mini"), screen, Moving())) == [NOTHING]
    assert list(see_it_move(None, "check", Moving())) == [NOTHING]


def test_a_newer_analysis_ends_the_work_for_the_older_whose_result_is_not_shown(moves: Callable[..., None]) -> None:
    moves(STEP, STEP, MADE)
    moving = Moving()
    old = see_it_move(analysis("xdyna-mini"), "check", moving)
    assert [next(old) for _ in range(3)][-1] == NOTHING  # it works
    *_, (video, _) = see_it_move(analysis("xdyna-mini", nudge_x=0.1), "check", moving)
    assert video["value"]
    assert list(old) == []
    assert not ANALYSIS_QUEUE.called


@pytest.mark.parametrize(
    ("error", "words", "again"),
    [
        (InputError("The photo shows nobody."), "shows nobody", False),
        (QueueFullError("The queue is full."), "queue is full", True),
        (RuntimeError("a fault of ours"), "on our side", True),
    ],
)
def test_where_it_cannot_be_made_the_reason_is_told_quietly(
    moves: Callable[..., None], error: Exception, words: str, again: bool
) -> None:
    moves(STEP, error)
    given, moving = analysis("xdyna-mini"), Moving()
    *_, (video, note) = see_it_move(given, "check", moving)
    assert video["value"] is None and words in note and 'role="alert"' not in note
    assert (len(list(see_it_move(given, "check", moving))) > 1) is again


def test_what_was_given_up_is_made_when_the_visitor_looks_again(moves: Callable[..., None]) -> None:
    moves(STEP, MADE)
    given, moving = analysis("xdyna-mini"), Moving()
    job = see_it_move(given, "check", moving)
    next(job), next(job)
    job.close()
    *_, (video, _) = see_it_move(given, "check", moving)
    assert video["value"]
