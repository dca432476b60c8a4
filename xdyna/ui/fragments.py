"""Small pieces of HTML that the page shows: progress, errors, what was found."""

import re
from html import escape
from typing import Final
from urllib.parse import quote

from xdyna.schema import Progress
from xdyna.ui.examples import Example
from xdyna.ui.fair_queue import Waiting

HIDDEN: Final = "hidden"
"""What `visible` is where a part is not to be seen: with False it leaves the page, and Gradio can lose the update that
brings it back."""


def progress(event: Progress, windows: int = 1) -> str:
    """Phase, step, percent and time left, as one line over a bar. Screen readers announce it.

    Args:
        event: to show.
        windows: pieces of work of each step.
    """
    percent = round(100 * event.step / event.total)
    parts = [f"step {-(-event.step // windows)} of {event.total // windows}", f"{percent} %"]
    if windows > 1 and event.step:
        parts.insert(0, f"window {(event.step - 1) % windows + 1} of {windows}")
    if event.seconds_left is not None:
        parts.append(f"about {duration(event.seconds_left)} left")
    return (
        '<div class="status" role="status" aria-live="polite">'
        f"<strong>{escape(event.phase)}</strong><span>{' · '.join(parts)}</span>"
        f'<div class="bar"><div style="width:{percent}%"></div></div></div>'
    )


def waiting(place: Waiting) -> str:
    """Somebody's place in the line."""
    before = "1 run is" if place.position == 1 else f"{place.position} runs are"
    left = f", about {duration(place.seconds)}" if place.seconds else ""
    return message(
        f"You are number {place.position + 1} in the queue: {before} before yours{left}. This run keeps its settings; "
        "you can go on editing."
    )


def message(text: str) -> str:
    """One quiet sentence."""
    return f'<div class="status" role="status" aria-live="polite"><span>{escape(text)}</span></div>'


def error(text: str, about: str = "") -> str:
    """What went wrong and what to do about it; `about` is what the style marks, such as "photo"."""
    mark = f" about-{about}" if about else ""
    return (
        f'<div class="status problem{mark}" role="alert"><strong><i aria-hidden="true">✗</i> That did not work'
        f"</strong><span>{escape(text)}</span></div>"
    )


def empty(text: str) -> str:
    """What will appear here."""
    return f'<div class="placeholder">{escape(text)}</div>'


def caption(text: str) -> str:
    """What a result is. It always says that it is AI-generated."""
    return f'<div class="caption"><b>AI-generated</b><span>{escape(text)}</span></div>'


def header(title: str, notice: str, ready: bool) -> str:
    """Name, one sentence, and which model runs here."""
    state = "" if ready else " Its weights are not installed here: analysis works, Generate does not."
    marked = re.sub("`(.+?)`", r"<code>\1</code>", escape(notice + state))
    return (
        "<header><h1>X-Dyna</h1>"
        "<p>Animate one photo of a person with the motion of a driving clip. The background comes alive too.</p>"
        f'<p class="model"><b>{escape(title)}</b>{marked}</p></header>'
    )


def section(sign: str, title: str) -> str:
    """The heading of one step; `sign` is its number."""
    return f'<h2 class="section"><span aria-hidden="true">{escape(sign)}</span>{escape(title)}</h2>'


def example_pair(example: Example) -> str:
    """The photo and, playing silently, what was made of it. The server serves the folder of the examples."""
    photo, result = (f"gradio_api/file={quote(str(path))}" for path in (example.photo, example.result))
    return (
        f'<figure title="{escape(example.credit)}"><img src="{photo}" alt="Photo of {escape(example.title)}">'
        f'<video src="{result}" autoplay muted loop playsinline aria-label="Its result"></video></figure>'
    )


def example_result(example: Example, note: str) -> str:
    """The finished result of an example, playing."""
    address = f"gradio_api/file={quote(str(example.result))}"
    return (
        f'<video class="inputs-result" src="{address}" autoplay muted loop playsinline controls '
        f'aria-label="Finished result of {escape(example.title)}"></video>{caption(note)}'
    )


def duration(seconds: float) -> str:
    """Whole minutes and seconds, in words."""
    minutes, rest = divmod(max(1, round(seconds)), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
