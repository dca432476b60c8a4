"""What the page says about a running job, as HTML."""

from html import escape

from xdyna.schema import Progress


def progress(event: Progress) -> str:
    """A bar, the phase, its count and the time left."""
    share = event.step / event.total
    left = "" if event.seconds_left is None else f" · about {event.seconds_left:.0f} s left"
    text = f"{event.phase} {event.step}/{event.total}{left}"
    return (
        f'<div class="status" role="status"><p>{escape(text)}</p>'
        f'<div class="bar"><div style="width:{100 * share:.0f}%"></div></div></div>'
    )


def done(text: str) -> str:
    """A finished job."""
    return f'<div class="status done" role="status"><p>{escape(text)}</p></div>'


def failed(text: str) -> str:
    """A job that could not be done: why, and what to do."""
    return f'<div class="status failed" role="alert"><p>{escape(text)}</p></div>'


def notices(lines: tuple[str, ...]) -> str:
    """What is unusual about the inputs; a friendly line if nothing is."""
    if not lines:
        return '<p class="notices">Everything was found in every frame.</p>'
    return '<ul class="notices">' + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
