"""Runs variants, one after another or on several devices at once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from xdyna.animate import animate
from xdyna.compare.side_by_side import side_by_side
from xdyna.compare.take import Take, take_of
from xdyna.compare.variants import Variant, check_number
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Progress

Animate = Callable[[Conditions, AnimationSettings, str], Iterator]


def compare(
    conditions: Conditions,
    settings: AnimationSettings,
    variants: Sequence[Variant],
    backend: str,
    *,
    animate: Animate = animate,
    at_once: int = 1,
) -> Iterator[Progress | Take]:
    """Runs the variants on the same conditions, seed and noise.

    Args:
        conditions: from `prepare`.
        settings: common to all.
        variants: two to four.
        backend: a key of `BACKENDS`, of the variants that name none.
        animate: runs one of them, as `xdyna.animate.animate` does; what else it yields is passed on.
        at_once: how many run at the same time, each in a thread of its own; no more than there are devices.

    Yields:
        `Progress` of the whole comparison, and the `Take` of each variant, in their order. Close the iterator to stop;
        what was yielded before is finished.

    Raises:
        InputError: the number of variants is out of range, a variant's settings are, or as for `animate`.
    """
    check_number(len(variants))
    started: dict[int, float] = {}

    def run(number: int, variant: Variant) -> Iterator:
        own = variant.settings(settings, backend)
        started[number] = time.monotonic()
        with closing(animate(conditions, own, variant.backend or backend)) as events:  # type: ignore[type-var]
            yield from events

    finished: dict[int, Animation] = {}
    next_take = 0
    jobs = [run(number, variant) for number, variant in enumerate(variants)]
    for number, event in side_by_side(jobs, at_once):
        if isinstance(event, Progress):
            spent, later = time.monotonic() - started[number], (len(variants) - number - 1) // at_once
            yield _of_all(event, spent, later, f"{variants[number].label} ({number + 1} of {len(variants)})")
        elif isinstance(event, Animation):
            finished[number] = event
            while next_take in finished:
                variant = variants[next_take]
                own = variant.settings(settings, backend)
                yield take_of(variant.label, finished.pop(next_take), own, conditions)
                next_take += 1
        else:
            yield event


def _of_all(event: Progress, spent_s: float, later: int, label: str) -> Progress:
    """Progress of one variant as that of all: those that come later are expected to take as long as this one."""
    left = event.seconds_left
    if left is not None:
        left += later * (spent_s + left)
    return replace(event, phase=f"{label}: {event.phase}", seconds_left=left)
