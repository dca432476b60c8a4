"""A plot of how much changes over time, as SVG that follows the theme."""

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from xdyna.compare.take import Take
from xdyna.schema import Floats

WIDTH, HEIGHT = 320, 170
LEFT, RIGHT, TOP, BOTTOM = 30, 8, 24, 24
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
MIN_TOP_LEVEL = 1.0  # what changes less than this is still
NOTE = (
    "Change of brightness from frame to frame, root mean square, in levels of 255; the person is told apart "
    "roughly, by a mask. Indicative: use it to compare these videos, not across papers."
)


def motion_plot(takes: Sequence[Take]) -> str:
    """Two panels, background and subject, with one line per take; the players' bar moves a line along the time."""
    panels = {
        "Background": [take.measures.background_energy for take in takes],
        "Subject": [take.measures.subject_energy for take in takes],
    }
    seconds = [len(take.video) / take.video.fps for take in takes]
    legend = "".join(
        f'<li><svg viewBox="0 0 26 8" aria-hidden="true"><path class="series s{k}" d="M1 4H25"/></svg>'
        f"{escape(take.label)}</li>"
        for k, take in enumerate(takes)
    )
    drawn = "".join(_panel(title, lines, takes, min(seconds)) for title, lines in panels.items())
    return f'<figure class="motion-plot"><ul>{legend}</ul>{drawn}<figcaption>{NOTE}</figcaption></figure>'


def _panel(title: str, lines: Sequence[Floats], takes: Sequence[Take], seconds: float) -> str:
    known = np.concatenate([line[np.isfinite(line)] for line in lines])
    if not known.size:
        empty = f'<text x="{LEFT}" y="{HEIGHT / 2}">Nothing to measure here.</text>'
        return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{_title(title)}{empty}</svg>'
    ticks = _ticks(max(MIN_TOP_LEVEL, float(known.max())))
    means = ", ".join(
        f"{take.label} {np.nanmean(line):.1f}"
        for take, line in zip(takes, lines, strict=True)
        if np.isfinite(line).any()
    )
    levels = "".join(
        f'<path class="grid" d="M{LEFT} {_y(tick, ticks[-1]):.1f}H{WIDTH - RIGHT}"/>'
        f'<text x="{LEFT - 5}" y="{_y(tick, ticks[-1]) + 3.5:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks
    )
    times = "".join(
        f'<text x="{x}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text}</text>'
        for x, anchor, text in (
            (LEFT, "start", "0 s"),
            (LEFT + PLOT_WIDTH / 2, "middle", f"{seconds / 2:.2g} s"),
            (WIDTH - RIGHT, "end", f"{seconds:.2g} s"),
        )
    )
    curves = "".join(
        f'<path class="series s{k}" d="{_curve(line, take.video.fps, seconds, ticks[-1])}"/>'
        for k, (take, line) in enumerate(zip(takes, lines, strict=True))
    )
    # Moved by the players' bar, which sets --at to 0..1.
    playhead = (
        f'<path class="playhead" d="M{LEFT} {TOP}V{TOP + PLOT_HEIGHT}" '
        f'style="transform: translateX(calc(var(--at, 0) * {PLOT_WIDTH}px))"/>'
    )
    label = escape(f"{title}, mean change from frame to frame: {means}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{_title(title)}{levels}{times}{curves}'
        f"{playhead}</svg>"
    )


def _title(title: str) -> str:
    return f'<text class="title" x="0" y="13">{title}</text>'


def _y(level: float, top: float) -> float:
    return TOP + PLOT_HEIGHT * (1 - level / top)


def _curve(line: Floats, fps: float, seconds: float, top: float) -> str:
    """Points between two frames stand halfway between their times; it is broken where nothing is known."""
    steps, pen = [], "M"
    for k, level in enumerate(line):
        if not math.isfinite(level) or (k + 1) / fps > seconds:
            pen = "M"
            continue
        x = LEFT + PLOT_WIDTH * (k + 1) / fps / seconds
        steps.append(f"{pen}{x:.1f} {_y(float(level), top):.1f}")
        pen = "L"
    return "".join(steps)


def _ticks(top: float) -> list[float]:
    """From 0 in two to five round steps to a level above `top`."""
    rough = top / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(step * k, 10) for k in range(math.ceil(top / step - 1e-9) + 1)]
