"""Arrows on the photo: where water, sky, smoke, fire or grass moves, and how fast. Text that recipes can hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import hypot
from typing import Literal, get_args

Kind = Literal["flow", "sway"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SUGGESTED = "suggested"
MAX_FLOWS = 8
MIN_SPEED, MAX_SPEED, DEFAULT_SPEED = 0.005, 0.5, 0.06
MIN_LENGTH = 0.02
FORM = "x0,y0,x1,y1[,speed[,flow|sway]]"


@dataclass(frozen=True, kw_only=True)
class Flow:
    """An arrow on the photo: the area under it moves along it.

    Attributes:
        start: Where it begins, x and y, 0..1 of the photo's width and height.
        end: Where its tip is, likewise.
        speed: In heights of the photo a second, 0.005..0.5. What sways moves as fast as this at most.
        kind: "flow" for what runs on, such as water, clouds, smoke and fire; "sway" for what moves to and fro, such
            as grass and leaves.

    Raises:
        ValueError: A value is out of range; the message begins with "must".
    """

    start: tuple[float, float]
    end: tuple[float, float]
    speed: float = DEFAULT_SPEED
    kind: Kind = "flow"

    def __post_init__(self) -> None:
        if not all(0 <= value <= 1 for value in (*self.start, *self.end)):
            raise ValueError(f"must begin and end within 0 to 1 of the photo, got {_numbers(*self.start, *self.end)}")
        if hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]) < MIN_LENGTH:
            raise ValueError(f"must be longer than {MIN_LENGTH} of the photo, got {_numbers(*self.start, *self.end)}")
        if not MIN_SPEED <= self.speed <= MAX_SPEED:
            raise ValueError(f"must have a speed between {MIN_SPEED} and {MAX_SPEED}, got {self.speed:g}")
        if self.kind not in KINDS:
            raise ValueError(f"must be one of {', '.join(KINDS)}, got {str(self.kind)[:20]!r}")

    def __str__(self) -> str:
        """Return the text that `parse_flows` reads."""
        return f"{_numbers(*self.start, *self.end, self.speed)},{self.kind}"


def flows_text(flows: Iterable[Flow]) -> str:
    """Return the value of the setting `flows`."""
    return "; ".join(map(str, flows))


def parse_flows(text: str) -> tuple[Flow, ...] | None:
    """Read the setting `flows`.

    Args:
        text: Arrows, each `x0,y0,x1,y1[,speed[,flow|sway]]`, with semicolons between them; or "suggested"; or nothing.

    Returns:
        The arrows, none for a still background; None where they are to be suggested.

    Raises:
        ValueError: The text is none of these; the message begins with "must".
    """
    if text.strip() == SUGGESTED:
        return None
    arrows = [part for part in text.split(";") if part.strip()]
    if len(arrows) > MAX_FLOWS:
        raise ValueError(f"must be at most {MAX_FLOWS} arrows, got {len(arrows)}")
    return tuple(map(_parse_flow, arrows))


def _parse_flow(text: str) -> Flow:
    words = [word.strip() for word in text.split(",")]
    try:
        x0, y0, x1, y1, *rest = words
        points = (float(x0), float(y0)), (float(x1), float(y1))
        speed = float(rest[0]) if rest else DEFAULT_SPEED
        kind = next((kind for kind in KINDS if kind == rest[1]), None) if len(rest) > 1 else "flow"
    except ValueError:
        kind = None
    if kind is None or len(words) > 6:
        raise ValueError(f"must be {SUGGESTED}, or arrows such as {FORM}; got {text.strip()[:40]!r}")
    return Flow(start=points[0], end=points[1], speed=speed, kind=kind)


def _numbers(*values: float) -> str:
    return ",".join(f"{value:.4g}" for value in values)
