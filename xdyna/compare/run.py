"""Runs variants one after another."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace

from xdyna.animate import animate
from xdyna.compare.take import Take, take_of
from xdyna.compare.variants import Variant, check_number
from xdyna.config import AnimationSettings
from xdyna.schema import Conditions, Progress

Animate = Callable[[Conditions, AnimationSettings, str], Iterator]


def compare(
    conditions: Conditions,
    settings: AnimationSettings,
    variants: Sequence[Variant],
    backend: str,
    *,
    animate: Animate = animate,
) -> Iterator[Progress | Take]:
    """Runs the variants on the same conditions, seed and noise.

    Args:
        conditions: from `prepare`.
        settings: common to all.
        variants: two to four.
        backend: a key of `BACKENDS`, of the variants that name none.
        animate: runs one of them, as `xdyna.animate.animate` does.

    Yields:
        `Progress` of the whole comparison, and after each variant its `Take`. Close the iterator to stop; what was
        yielded before is finished.

    Raises:
        InputError: the number of variants is out of range, a variant's settings are, or as for `animate`.
    """
    check_number(len(variants))
    for number, variant in enumerate(variants, start=1):
        own, started = variant.settings(settings, backend), time.monotonic()
        with closing(animate(conditions, own, variant.backend or backend)) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Progress):
                    spent = time.monotonic() - started
                    yield _of_all(event, spent, variant.label, number, len(variants))
                else:
                    yield take_of(variant.label, event, own, conditions)


def _of_all(event: Progress, spent_s: float, label: str, number: int, count: int) -> Progress:
    """Progress of one variant as that of all: those that follow are expected to take as long as this one."""
    left = event.seconds_left
    if left is not None:
        left += (count - number) * (spent_s + left)
    return replace(event, phase=f"{label} ({number} of {count}): {event.phase}", seconds_left=left)
