"""Events of the screen "Photo and clip"."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.backends.suggest import suggest_model
from xdyna.config import AnimationSettings
from xdyna.photo import crop_box, read_photo
from xdyna.recipe import read_recipe
from xdyna.schema import InputError
from xdyna.ui import fragments
from xdyna.ui.driver import Driver, open_driver, part_html
from xdyna.ui.examples import Example
from xdyna.ui.handlers.model_choice import REASONS
from xdyna.ui.job_events import Updates, updates
from xdyna.ui.settings_form import read_settings

CLIP = ("driver", "clip_note", "start", "length")
EXAMPLE = ("photo", "clip", "motion", "example")
MIN_LENGTH_S = 0.1
MAX_START_S, MAX_NUM_FRAMES = (
    next(float(item.metadata["high"]) for item in fields(AnimationSettings) if item.name == name)
    for name in ("start_s", "num_frames")
)


def describe_photo(photo: str | None, width: float, height: float) -> tuple[str, str | None, str | None]:
    """Says at once whether a photo can be used, and how much of it.

    Returns:
        The note, the problem if any, and the model that suits the photo if there is something to choose.
    """
    if photo is None:
        return "", None, None
    try:
        picture = read_photo(Path(photo))
    except InputError as error:
        return fragments.error(str(error)), str(error), None
    size, suggested = picture.shape, suggest_model(picture)
    left, top, right, bottom = crop_box((size[0], size[1]), (int(height), int(width)))
    used = (right - left) * (bottom - top) / (size[0] * size[1])
    text = f"{size[1]} x {size[0]} px"
    note = text if used > 0.99 else f"{text} · {used:.0%} of it, around the person, is used"
    return fragments.message(note), None, suggested if suggested in REASONS else None


def describe_clip(clip: str | None, motion: str | None, start_s: float, num_frames: float, fps: float) -> Updates:
    """Says at once whether a clip can be used, how long it is, and what the sliders may choose."""
    driver = open_driver(motion or clip)
    note = fragments.error(driver.problem) if driver.problem else fragments.message(driver.facts)
    last = MAX_START_S if driver.seconds is None else max(0.1, round(driver.seconds - MIN_LENGTH_S, 1))
    return updates(
        CLIP,
        driver=driver,
        clip_note=note if driver.problem or driver.facts else "",
        start=gr.update(maximum=last, value=start_s if start_s <= last else 0.0),
        length=length_slider(driver, num_frames, fps),
    )


def length_slider(driver: Driver | None, num_frames: float, fps: float) -> Any:
    """The slider that says in seconds what the setting `num_frames` says in frames."""
    longest = MAX_NUM_FRAMES / fps
    if driver is not None and driver.seconds is not None:
        longest = min(longest, max(2 * MIN_LENGTH_S, driver.seconds))  # Gradio refuses a slider that cannot move
    return gr.update(maximum=round(longest, 1), value=round(min(longest, num_frames / fps), 1))


def num_frames_of(length_s: float, fps: float) -> int:
    """The setting `num_frames` for a length in seconds."""
    return int(min(MAX_NUM_FRAMES, max(2, round(length_s * fps))))


def show_part(driver: Driver | None, **settings: Any) -> str:
    """The filmstrip, and what of the clip will be used."""
    if driver is None:
        return ""
    try:
        return part_html(driver, read_settings(settings))
    except InputError as error:
        return fragments.error(str(error))


def ready(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    photo_problem: str | None,
    driver: Driver | None,
    live_photo: bool = False,
) -> tuple[Any, str, tuple[str, str] | None]:
    """Whether the files can be analysed.

    Returns:
        The Analyse button, the reason why it rests, and the pair of files if it does not.
    """
    lacking = [
        (photo is None, "Add a photo first."),
        (photo_problem, "Use another photo: the one above cannot be read."),
        (clip is None and motion is None and not live_photo, "Add a driving clip."),
        (driver is not None and driver.problem, "Use another clip: the one above cannot be read."),
        (not consent, "Tick that you have the right to use the picture."),
    ]
    reason = next((text for missing, text in lacking if missing), "")
    valid = None if reason else (str(photo), str(motion or clip))
    return gr.update(interactive=not reason), fragments.message(reason) if reason else "", valid


def use_example(example: Example) -> Updates:
    """Photo and clip of an example, and its finished result. Nothing is computed."""
    recipe = read_recipe(example.recipe)
    steps, seed = recipe.settings["num_inference_steps"], recipe.settings["seed"]
    note = f"Made earlier with {recipe.model}. {example.credit}"
    if BACKENDS[recipe.model].takes("num_inference_steps"):
        note = f"Made earlier with {recipe.model}: {steps} steps, seed {seed}. {example.credit}"
    return updates(
        EXAMPLE,
        photo=str(example.photo),
        clip=str(example.clip),
        motion=None,
        example=fragments.example_result(example, note),
    )
