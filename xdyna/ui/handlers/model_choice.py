"""Which model makes the visitor's videos: their own choice, or what suits the photo until they make one."""

from dataclasses import replace
from html import escape
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.schema import InputError
from xdyna.ui import fragments
from xdyna.ui.settings_form import for_backend, read_settings
from xdyna.weights import is_ready

TUNED = ("height", "width", "num_frames", "fps")
"""What each model has defaults of its own for, although all have it."""
REASONS = {
    "puppet": "This is a photograph: Puppet will move it. It warps the photo's own pixels, so the background stands "
    "still, clothes stretch, and what the photo hides is only guessed.",
    "xdyna-mini": "This is a drawing: xdyna-mini will animate it. It is a small model that knows drawn characters.",
}
"""Why a model was chosen for the visitor."""
ANOTHER = "You can choose another model on the Generate screen."


def model_choices() -> list[tuple[str, str]]:
    """Return title and key of every backend, and which of them cannot run here yet."""
    return [
        (f"{backend.title} · not installed here" if backend.lacking() else backend.title, name)
        for name, backend in BACKENDS.items()
    ]


def show_model(model: str) -> tuple[str, Any, str]:
    """Return what a model can do or why it cannot run here, whether Generate can be pressed, and the page's header."""
    backend = BACKENDS[model]
    note = "".join(f'<p class="hint">{escape(text)}</p>' for text in (backend.notice, backend.lacking()) if text)
    return note, gr.update(interactive=is_ready(model)), header_of(model)


def header_of(model: str) -> str:
    """Return the page's header, which names the model."""
    backend = BACKENDS[model]
    return fragments.header(backend.title, backend.notice, is_ready(model))


def choose_model(model: str, **settings: Any) -> tuple[Any, ...]:
    """A model that the visitor has chosen. Returns that they have, and the form with its own settings, in its order.

    What belongs to photo and clip stays; what each model tunes becomes its own default.
    """
    backend = BACKENDS[model]
    try:
        adopted = backend.adopt(read_settings(settings))
    except InputError:
        adopted = backend.defaults
    adopted = replace(adopted, **{name: getattr(backend.defaults, name) for name in TUNED})
    return True, *form_of(model, adopted, tuple(settings))


def use_suggestion(suggested: str | None, is_chosen: bool, model: str, **settings: Any) -> tuple[Any, ...]:
    """Take the model that suits a photo, unless the visitor has chosen one.

    What the visitor has changed in the form stays, as far as the other model accepts it.

    Args:
        suggested: Key of that model, or None where there is no photo, or nothing to choose.
        is_chosen: Whether the visitor has chosen a model.
        model: Key of the present one.
        settings: The form.

    Returns:
        The reason, the model, and the form in its order.
    """
    unchanged = gr.skip(), *(gr.skip() for _ in settings)
    if suggested is None or is_chosen:
        return "", *unchanged
    reason = f'<p class="hint"><span>{escape(REASONS[suggested])}</span> <span>{ANOTHER}</span></p>'
    if suggested == model:
        return reason, *unchanged
    before, after = BACKENDS[model].defaults, BACKENDS[suggested]
    try:
        read = read_settings(settings)
    except InputError:
        read = before
    adopted = after.adopt(read)
    own = [name for name in TUNED if getattr(read, name) == getattr(before, name)]
    adopted = replace(adopted, **{name: getattr(after.defaults, name) for name in own})
    return reason, suggested, *form_of(suggested, adopted, tuple(settings))


def form_of(model: str, settings: AnimationSettings, names: tuple[str, ...]) -> tuple[Any, ...]:
    """Return the inputs of these fields as a model has them."""
    return tuple(for_backend(name, getattr(settings, name), BACKENDS[model]) for name in names)
