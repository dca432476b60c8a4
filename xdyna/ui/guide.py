"""What makes a good photo and a good clip, in six small drawings."""

from html import escape

SKIN, SHIRT, LINE = "#e8b48f", "#7c3aed", "#64748b"


def _person(x: float, y: float, size: float, shirt: str = SHIRT) -> str:
    """Head and shoulders; `size` is the width of the shoulders."""
    return (
        f'<circle cx="{x}" cy="{y}" r="{size * 0.28:.1f}" fill="{SKIN}"/>'
        f'<path d="M{x - size / 2:.1f} {y + size * 1.3:.1f} v{-size * 0.55:.1f} q0 {-size * 0.35:.1f} {size / 2:.1f} '
        f'{-size * 0.35:.1f} t{size / 2:.1f} {size * 0.35:.1f} v{size * 0.55:.1f} z" fill="{shirt}"/>'
    )


def _arrows() -> str:
    return (
        f'<path d="M8 52h14m-5-5 5 5-5 5M72 52H58m5-5-5 5 5 5" fill="none" stroke="{LINE}" stroke-width="3" '
        'stroke-linecap="round"/>'
    )


def _cut() -> str:
    return f'<path d="M40 0v60" stroke="{LINE}" stroke-width="3" stroke-dasharray="5 4"/>'


GOOD = (
    ("One person, head and shoulders in view", _person(40, 20, 30)),
    ("The same part of the body in photo and clip", _person(22, 22, 24) + _cut() + _person(58, 22, 24)),
    (
        "Clip: one shot, the camera stands still",
        _person(40, 20, 30) + f'<path d="M4 4h10M4 4v10M76 56H66m10 0V46" '
        f'stroke="{LINE}" stroke-width="3" fill="none"/>',
    ),
)
BAD = (
    ("Head cut off, turned away or very small", _person(40, -2, 40)),
    ("Several people, one before the other", _person(28, 20, 26, "#0d9488") + _person(48, 24, 26)),
    ("Clip: cuts, or a camera that moves", _person(40, 18, 22) + _arrows()),
)


def guide() -> str:
    """Good and bad examples, side by side."""
    rows = [("good", "✓", GOOD), ("bad", "✗", BAD)]
    items = "".join(
        f'<li class="{kind}"><svg viewBox="0 0 80 60" aria-hidden="true">{drawing}</svg>'
        f'<span><b aria-label="{"Good" if kind == "good" else "Bad"}:">{sign}</b> {escape(text)}</span></li>'
        for kind, sign, drawings in rows
        for text, drawing in drawings
    )
    return f'<ul class="inputs-guide">{items}</ul>'
