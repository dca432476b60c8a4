"""Runs variants, one after another or on several devices at once."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from xdyna.animate import animate
from xdyna.compare.side_by_side import side_by_side
from xdyna.compare.take import Refusal, Take, take_of
from xdyna.compare.variants import Variant, check_number
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, InputError, Progress

Animate = Callable[[Conditions, AnimationSettings, str], Iterator]


def compare(
    conditions: Conditions,
    settings: AnimationSettings,
    variants: Sequence[Variant],
    backend: str,
    *,
    animate: Animate = animate,
    at_once: int = 1,
) -> Iterator[Progress | Take | Refusal]:
    """Runs the variants on the same conditions, seed and noise.

    Args:
        conditions: from `prepare`.
        settings: common to all.
        variants: two to four.
        backend: a key of `BACKENDS`, of the variants that name none.
        animate: runs one of them, as `xdyna.animate.animate` does; what else it yields is passed on.
        at_once: how many run at the same time, each in a thread of its own; no more than there are devices.

    Yields:
        `Progress` of the whole comparison, and the `Take` of each variant, in their order, or the `Refusal` of one
        whose model cannot make it of these inputs. Close the iterator to stop; what was yielded before is finished.

    Raises:
        InputError: the number of variants is out of range, a variant's settings are, or none can be made.
    """
    check_number(len(variants))
    started: dict[int, float] = {}

    def run(number: int, variant: Variant) -> Iterator:
        started[number] = time.monotonic()
        try:
            with closing(animate(conditions, own[number], variant.backend or backend)) as events:  # type: ignore[type-var]
                yield from events
        except InputError as error:
            yield Refusal(label=variant.label, reason=str(error))

    own = [variant.settings(settings, backend) for variant in variants]
    finished: dict[int, Animation | Refusal] = {}
    refusals: list[Refusal] = []
    next_take = 0
    jobs = [run(number, variant) for number, variant in enumerate(variants)]
    for number, event in side_by_side(jobs, at_once):
        if isinstance(event, Progress):
            spent, later = time.monotonic() - started[number], (len(variants) - number - 1) // at_once
            yield _of_all(event, spent, later, f"{variants[number].label} ({number + 1} of {len(variants)})")
        elif isinstance(event, Animation | Refusal):
            finished[number] = event
            while next_take in finished:
                ended = finished.pop(next_take)
                if isinstance(ended, Refusal):
                    refusals.append(ended)
                    if len(refusals) == len(variants):
                        raise InputError(refusals[0].reason)
                    yield ended
                else:
                    yield take_of(variants[next_take].label, ended, own[next_take], conditions)
                next_take += 1
        else:
            yield event


def _of_all(event: Progress, spent_s: float, later: int, label: str) -> Progress:
    """Progress of one variant as that of all: those that come later are expected to take as long as this one."""
    left = event.seconds_left
    if left is not None:
        left += later * (spent_s + left)
    return replace(event, phase=f"{label}: {event.phase}", seconds_left=left)
