"""Events of the screen "My runs", and the settings that a browser remembers."""

from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.recipe import Recipe, read_recipe
from xdyna.schema import InputError
from xdyna.ui import fragments, history
from xdyna.ui.handlers.generate import RESULT, shown
from xdyna.ui.handlers.model_choice import TUNED, form_of
from xdyna.ui.history import Run
from xdyna.ui.job_events import Updates, updates
from xdyna.ui.payloads import event_text
from xdyna.ui.settings_form import read_settings
from xdyna.ui.store import STORE
from xdyna.weights import is_ready

CHOSEN = ("runs", "cards", "status", "stepper", *RESULT)
REMEMBERED = (
    *("num_inference_steps", "guidance_scale", "scheduler", "height", "width", "fps", "num_frames"),
    *("adapter_strength", "background_adapter_strength", "controlnet_pose_scale", "controlnet_face_scale"),
    *("ip_adapter_scale", "seed", "prompt", "negative_prompt", "keep_sound", "ai_label", "save_recipe"),
)
"""Settings that outlive a reload. The others belong to one photo and clip, or are experiments."""
NUM_MORE = 5  # what `restore` gives besides the settings


def keep(run: Run | None, kept: Any) -> tuple[Any, Any]:
    """Adds a run that has just ended. Returns what the browser keeps, and the cards."""
    if run is None:
        return gr.skip(), gr.skip()
    more = history.with_run(kept, run)
    return more, history.cards(more)


def choose(kept: Any, event: gr.EventData) -> Updates:
    """A button of a card: `open`, `forget`; `use` is told to `use_settings`."""
    action, id = event_text(event, "action"), event_text(event, "id")
    if action == "forget":
        less = history.without_run(kept, id)
        return updates(CHOSEN, runs=less, cards=history.cards(less))
    run = next((run for run in history.read_runs(kept) if run.id == id), None)
    folder = STORE.find(id)
    if action != "open" or run is None:
        return updates(CHOSEN)
    if folder is None:
        gone = "This video has expired. Its settings are still here: use them to make it again."
        return updates(CHOSEN, status=fragments.error(gone), cards=history.cards(kept))
    return updates(CHOSEN, status="", stepper="generate", **shown(folder, run.recipe))


def use_settings(model: str, kept: Any, names: tuple[str, ...], event: gr.EventData) -> tuple[Any, ...]:
    """The button `use` of a card: as `restore` for that run, or nothing."""
    run = next((run for run in history.read_runs(kept) if run.id == event_text(event, "id")), None)
    if event_text(event, "action") != "use" or run is None:
        return tuple(gr.skip() for _ in range(len(names) + NUM_MORE))
    return _restored(model, run.recipe, names)


def restore(model: str, file: str | None, names: tuple[str, ...]) -> tuple[Any, ...]:
    """The settings of a file that was dropped, in the order of `names`.

    Then the model, that it is the visitor's choice, the status, the stepper, and the empty slot.
    """
    if file is None:
        return tuple(gr.skip() for _ in range(len(names) + NUM_MORE))
    try:
        return _restored(model, read_recipe(Path(file)), names)
    except InputError as error:
        return *(gr.skip() for _ in names), gr.skip(), gr.skip(), fragments.error(str(error)), "runs", None


def remembered(model: str, kept: Any) -> tuple[Any, ...]:
    """The settings that the browser kept, in the order of `REMEMBERED`, if they still are what a form can hold.

    What another model than the present one tunes is left out.
    """
    values = kept if isinstance(kept, dict) else {}
    others = TUNED if values.get("model", model) != model else ()
    given = {name: values[name] for name in REMEMBERED if name in values and name not in others}
    try:
        read = read_settings(given)
    except (InputError, TypeError, ValueError):
        given = {}
    return tuple(getattr(read, name) if name in given else gr.skip() for name in REMEMBERED)


def _restored(model: str, recipe: Recipe, names: tuple[str, ...]) -> tuple[Any, ...]:
    settings = recipe.animation_settings()
    other = ""
    if recipe.model in BACKENDS and is_ready(recipe.model):
        model = recipe.model
    elif recipe.model != model:
        made_by = BACKENDS[recipe.model].title if recipe.model in BACKENDS else recipe.model
        other = f" It was made with {made_by}; here {BACKENDS[model].title} runs."
    note = f"Settings restored: {history.describe(recipe)}{other} Add its photo and clip to make it again."
    return *form_of(model, settings, names), model, True, fragments.message(note), "runs", None
