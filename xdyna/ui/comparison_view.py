"""What is written about a comparison: before it is made, and under its videos."""

import json
import math
from collections.abc import Sequence
from html import escape
from typing import Any

from xdyna.backends import BACKENDS
from xdyna.compare.take import Take
from xdyna.compare.variants import differences
from xdyna.recipe import Recipe

UNKNOWN = "—"
MEASURES_NOTE = (
    "Background motion 0 to 100, from how brightness varies over time without noise and camera. Subject motion in "
    "percent of the picture's shorter side per second. Flicker: brightness that the whole background gains and loses, "
    "0 to 255."
)
LIKENESS_NOTE = "Likeness: cosine of the face to the photo's, 1 is the same."


def bar_value(takes: Sequence[Take]) -> str:
    """What `players.js` has to know of the videos: frames per second, how many frames all have, and the first one."""
    fps = max((take.video.fps for take in takes), default=1.0)
    frames = min((round(len(take.video) / take.video.fps * fps) for take in takes), default=0)
    return json.dumps({"fps": fps, "frames": frames, "at": 0})


def about(kind: str, explanation: str, *, caution: str = "", cost: str = "") -> str:
    """What a comparison shows and takes.

    Args:
        kind: name of the question; the style shows the inputs that belong to it.
        explanation: what to look at.
        caution: what else has to be known with the model that runs here.
        cost: how long it will take.
    """
    parts = [f"<p>{escape(explanation)}</p>"]
    if caution:
        parts.append(f'<p class="caution" role="note">{escape(caution)}</p>')
    if cost:
        parts.append(f'<p class="cost">{escape(cost)}</p>')
    return f'<div class="compare-about about-{kind}">{"".join(parts)}</div>'


def measures_table(takes: Sequence[Take]) -> str:
    """One row of numbers per take."""
    with_likeness = any(take.measures.likeness is not None for take in takes)
    heads = ["Variant", "Background motion", "Subject motion", "Flicker", *["Likeness"] * with_likeness]
    rows = [[take.label, *_numbers(take, with_likeness)] for take in takes]
    notes = [MEASURES_NOTE + (f" {LIKENESS_NOTE}" if with_likeness else "")]
    notes += [
        f"{take.label}: {take.measures.dynamics.warning}"
        for take in takes
        if take.measures.dynamics and take.measures.dynamics.warning
    ]
    return _table("Motion", heads, rows, notes)


def differences_table(takes: Sequence[Take]) -> str:
    """The settings that are not the same in all takes; everything else is."""
    recipes = [
        {"model": take.recipe.model, "revision": take.recipe.revision} | _supported(take.recipe) for take in takes
    ]
    # A setting that only some models have differs where those that have it disagree.
    found = {
        name: values
        for name, values in differences(recipes).items()
        if len({repr(recipe[name]) for recipe in recipes if name in recipe}) > 1
    }
    if not found:
        return ""
    rows = [[name.replace("_", " ").capitalize(), *map(_value, values)] for name, values in found.items()]
    return _table("What differs", ["Setting", *(take.label for take in takes)], rows, [])


def _supported(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that its model has; all of them where the model is not known here."""
    backend = BACKENDS.get(recipe.model)
    return {name: value for name, value in recipe.settings.items() if backend is None or backend.takes(name)}


def _numbers(take: Take, with_likeness: bool) -> list[str]:
    dynamics, likeness = take.measures.dynamics, take.measures.likeness
    found = [math.nan] * 3
    if dynamics:
        found = [dynamics.background_gauge, dynamics.subject_speed, dynamics.flicker]
    numbers = [_number(value, digits) for value, digits in zip(found, (1, 1, 2), strict=True)]
    if with_likeness:
        numbers.append(_number(math.nan if likeness is None else likeness, 2))
    return numbers


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else UNKNOWN


def _value(value: Any) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(text)}</td>" for text in rest)}</tr>'
        for first, *rest in rows
    )
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        f'<div class="compare-table" tabindex="0" role="region" aria-label="{escape(caption)}"><table><caption>'
        f"{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}</div>"
    )
