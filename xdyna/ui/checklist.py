"""What was found, in plain words: what is fine, what is worth knowing, and what one click can change."""

from html import escape

from xdyna.backends import Backend
from xdyna.config import AnimationSettings
from xdyna.photo import looks_drawn
from xdyna.preprocess.checks import photograph
from xdyna.schema import Check, Conditions, Fix

SIGNS = {"good": ("✓", "Fine"), "info": ("i", "Worth knowing"), "warning": ("⚠", "Warning")}

GOOD: tuple[tuple[tuple[str, ...], str], ...] = (
    (("people-photo", "people-clip"), "One person in the photo, one in the clip."),
    (("head-photo",), "The head is visible in the photo."),
    (("alignment", "coverage"), "Photo and clip show the same part of the body."),
    (("rotation", "proportions"), "Posture and proportions agree."),
    (("resolution", "scale"), "Both people are large enough."),
    (("pose-lost", "leaves"), "The driver is in the picture all the time."),
    (("cuts", "camera"), "One shot, and the camera stands still."),
)
"""What may be said when none of the checks has struck."""


def checklist(conditions: Conditions, settings: AnimationSettings, backend: Backend) -> str:
    """The list, with a button at every check that a change of settings helps.

    Args:
        conditions: what was found.
        settings: as the form has them: a fix that is already made is not offered again.
        backend: of the chosen model: a fix that means nothing to it is not offered either.
    """
    struck = {check.id for check in conditions.checks}
    total, missing = conditions.num_frames, len(conditions.frames_without_face)
    height, width = conditions.size
    good = [text for ids, text in GOOD if struck.isdisjoint(ids)]
    if not missing:
        good.append(f"Face found in all {total} frames.")
    good.append(f"{total} frames at {conditions.fps:g} per second, {width} x {height} px.")
    checks = list(conditions.checks)
    if backend.drawn_only and not looks_drawn(conditions.reference_image):
        checks.insert(0, photograph(backend.title))
    rows = [_checked(check, settings, backend) for check in checks] + [_row("good", text) for text in good]
    return f'<ul class="checks">{"".join(rows)}</ul>'


def _checked(check: Check, settings: AnimationSettings, backend: Backend) -> str:
    fix = check.fix if check.fix and all(map(backend.takes, check.fix.settings)) else None
    return _row(check.severity, check.message, _button(check.id, fix, settings) if fix else "")


def _button(check_id: str, fix: Fix, settings: AnimationSettings) -> str:
    done = all(getattr(settings, name) == value for name, value in fix.settings.items())
    state = " disabled" if done else ""
    label = f"{fix.label} ✓" if done else fix.label
    return f'<button type="button" class="check-fix" data-fix="{escape(check_id)}"{state}>{escape(label)}</button>'


def _row(kind: str, text: str, button: str = "") -> str:
    sign, name = SIGNS[kind]
    return f'<li class="{kind}"><b role="img" aria-label="{name}">{sign}</b><span>{escape(text)} {button}</span></li>'
