"""Small pieces of HTML that the page shows: progress, errors, what was found."""

import re
from html import escape
from urllib.parse import quote

import numpy as np

from xdyna.schema import Conditions, Progress
from xdyna.ui.examples import Example


def progress(event: Progress) -> str:
    """Phase, step, percent and time left, as one line over a bar. Screen readers announce it."""
    percent = round(100 * event.step / event.total)
    parts = [f"step {event.step} of {event.total}", f"{percent} %"]
    if event.seconds_left is not None:
        parts.append(f"about {_duration(event.seconds_left)} left")
    return (
        '<div class="status" role="status" aria-live="polite">'
        f"<strong>{escape(event.phase)}</strong><span>{' · '.join(parts)}</span>"
        f'<div class="bar"><div style="width:{percent}%"></div></div></div>'
    )


def message(text: str) -> str:
    """One quiet sentence."""
    return f'<div class="status" role="status" aria-live="polite"><span>{escape(text)}</span></div>'


def error(text: str) -> str:
    """What went wrong and what to do about it."""
    return (
        f'<div class="status problem" role="alert"><strong>That did not work</strong><span>{escape(text)}</span></div>'
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


def checklist(conditions: Conditions) -> str:
    """What was found in photo and clip; every notice is a warning."""
    found = int(np.isfinite(conditions.face_landmarks[:, 0, 0]).sum())
    scale, shift = conditions.alignment[0, 0], conditions.alignment[:, 2]
    height, width = conditions.size
    good = [
        "One person found in the photo and in the clip.",
        f"{conditions.num_frames} frames at {conditions.fps:g} per second, {width} x {height} px.",
        f"Clip laid on the photo: scaled to {scale:.0%}, moved {shift[0]:+.0f} px across and {shift[1]:+.0f} px down.",
    ]
    if found == conditions.num_frames:
        good.append("Face found in every frame.")
    rows = [("good", "✓", text) for text in good] + [("warning", "!", text) for text in conditions.notices]
    items = "".join(
        f'<li class="{kind}"><b aria-hidden="true">{sign}</b>{escape(text)}</li>' for kind, sign, text in rows
    )
    return f'<ul class="checks">{items}</ul>'


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(1, round(seconds)), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
