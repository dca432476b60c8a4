"""Events of the screen "Generate"."""

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from html import escape
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.estimates import Estimate, predict
from xdyna.presets import PRESETS, preset_of, with_preset
from xdyna.recipe import Recipe
from xdyna.schema import Animation, Conditions, Fix, InputError, Progress
from xdyna.ui import downloads, fragments, live
from xdyna.ui.client import visitor
from xdyna.ui.fair_queue import Waiting
from xdyna.ui.gpu import prepared_in_turn
from xdyna.ui.history import Run, describe
from xdyna.ui.job_events import Updates, idle, updates
from xdyna.ui.jobs import animated, require, throttled
from xdyna.ui.remedies import AGAIN, Problem, problem_of
from xdyna.ui.session import Analysis, analysed, showing
from xdyna.ui.settings_form import read_settings
from xdyna.ui.unsaved import UNSAVED, UnsavedResult

FILES = {
    "download_video": downloads.VIDEO,
    "download_skeleton": downloads.SKELETON,
    "download_beside": downloads.BESIDE,
    "download_recipe": downloads.RECIPE,
    "download_poster": downloads.POSTER,
}
RESULT = ("video", "caption", *FILES)
BUTTONS = ("start", "stop", "finish")
JOB = ("status", *BUTTONS, "live", "ticket", "fix", "fix_button", "analysis", "seed", "result", *RESULT)
COST = ("preset", "start", "cost")
CUSTOM = "custom"
MAX_SEED = 2**31
FINISH, FINISHING = "Stop, keep what is done", "Stopping after this step…"
KEPT_DRAFT = "Stopped. Here is the draft of what was done."


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """What a turn on the GPU gave."""

    animation: Animation
    conditions: Conditions


Request = tuple[object, ...]
"""All that a result depends on: the same request makes it again, or only saves it where the disk was full."""


def generate(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    analysis: Analysis | None,
    keep_seed: bool,
    model: str,
    **settings: Any,
) -> Iterator[Updates]:
    """The Generate button: analyses if that is still to be done, then animates with the model."""
    read, made, problem = None, None, None
    try:
        read = BACKENDS[model].own(read_settings(settings))
        require(photo, motion or clip, consent, read)
        request = _request(photo, motion or clip, read, model, analysis.conditions if analysis else None)
        if (unsaved := UNSAVED.find(request)) is not None:
            yield _saved(unsaved, request)[1]
            yield updates(JOB, **_resting(None) | {"status": _done(unsaved.about[0])})
            return
        if not keep_seed:
            read = replace(read, seed=secrets.randbelow(MAX_SEED))
            yield updates(JOB, seed=read.seed)
        BACKENDS[model].check(read)
        expected = predict(model, read, _num_frames(analysis, read))
        prepare = showing(analysed(photo, clip, motion, consent, analysis, read), JOB)
        run = partial(_run, before=analysis, settings=read, model=model)
        with closing(prepared_in_turn(prepare, run, expected.seconds, visitor())) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Made):
                    made = event
                else:
                    yield updates(JOB, status=fragments.waiting(event)) if isinstance(event, Waiting) else event
    except Exception as error:  # the page's outermost layer: anything else would only show "Error"
        problem = problem_of(error, model, read)
    try:
        if made and read:
            yield from _kept(made, read, problem, _request(photo, motion or clip, read, model, made.conditions))
    except Exception as error:  # writing the files: the disk may be full
        problem, made = problem_of(error, model, read), None
    if problem and not made:
        yield updates(JOB, **_resting(problem))


def finish(ticket: Event | None) -> Any:
    """Asks the visitor's run to end with its current step and keep what is done.

    Returns:
        The button and nothing else: this answer may come after the run's own last one.
    """
    if ticket is None:
        return gr.skip()
    ticket.set()
    return gr.update(interactive=False, value=FINISHING)


def buttons_again() -> Updates:
    """Those of no job: after a Stop, whose last step may have shown others."""
    return tuple(_resting(None)[name] for name in BUTTONS)


def use_fix(fix: Fix | None, **settings: Any) -> tuple[Any, ...]:
    """Settings with a problem's remedy, in the form's order."""
    changes = fix.settings if fix else {}
    return tuple(changes.get(name, gr.skip()) for name in settings)


def new_seed() -> int:
    """Any seed."""
    return secrets.randbelow(MAX_SEED)


def use_preset(name: str, model: str, **settings: Any) -> tuple[Any, ...]:
    """Settings with a preset, in the form's order."""
    changes = PRESETS[model][name].changes if name in PRESETS[model] else {}
    return tuple(changes.get(field, gr.skip()) for field in settings)


def show_cost(analysis: Analysis | None, model: str, **settings: Any) -> Updates:
    """What the settings, and each preset in their place, will cost."""
    try:
        read = BACKENDS[model].own(read_settings(settings))
        choices = preset_choices(model, read, _num_frames(analysis, read))
        expected = predict(model, read, _num_frames(analysis, read))
        warnings = BACKENDS[model].plan(read, _num_frames(analysis, read)).warnings
    except InputError as error:
        return updates(COST, cost=fragments.error(str(error)))
    return updates(
        COST,
        preset=gr.update(choices=choices, value=preset_of(model, read) or CUSTOM),
        start=gr.update(value=start_label(expected)),
        cost=cost_note(read, expected, _num_frames(analysis, read))
        + "".join(f'<p class="hint">{escape(text)}</p>' for text in warnings),
    )


def preset_choices(model: str, settings: AnimationSettings, num_frames: int) -> list[tuple[str, str]]:
    """Title and cost of each preset for these frames, and of the settings as they are where they are none of them."""
    choices = []
    for name, preset in PRESETS[model].items():
        choices.append((_choice(preset.title, predict(model, with_preset(model, name, settings), num_frames)), name))
    if preset_of(model, settings) is None:
        choices.append((_choice("Custom", predict(model, settings, num_frames)), CUSTOM))
    return choices


def start_label(expected: Estimate) -> str:
    """The Generate button says what it costs."""
    return f"Generate · about {fragments.duration(expected.seconds)}"


def cost_note(settings: AnimationSettings, expected: Estimate, num_frames: int) -> str:
    """What will be made, and how sure the prediction is."""
    basis = f"measured on {expected.device}" if expected.measured else f"a rough allowance for {expected.device}"
    notes = [
        f"{num_frames} frames at {settings.fps:g} per second, {settings.width} x {settings.height} px. "
        f"Prediction: {basis}; it adapts to this machine with every run."
    ]
    if settings.negative_prompt and settings.guidance_scale <= 1:
        notes.append("The negative prompt has no effect while Guidance is 1.")
    return "".join(f'<p class="hint">{note}</p>' for note in notes)


def shown(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """`RESULT` of a result on the shelf; what has not been written yet cannot be downloaded yet."""
    files = {name: folder / file for name, file in FILES.items()}
    downloadable = {
        name: gr.update(value=str(path), interactive=True)
        if path.exists()
        else gr.update(value=None, interactive=False)
        for name, path in files.items()
    }
    return {"video": str(files["download_video"]), "caption": fragments.caption(describe(recipe)), **downloadable}


def _run(
    found: Analysis, before: Analysis | None, settings: AnimationSettings, model: str
) -> Iterator[Updates | Made]:
    """What is done while nobody else computes."""
    ticket = Event()
    animating: dict[str, Any] = {
        "stop": gr.update(visible=fragments.HIDDEN),
        "finish": gr.update(visible=True, interactive=True, value=FINISH),
    }
    if found is not before:  # else the visitor may have corrected the mask while this waited
        animating["analysis"] = found
    yield updates(JOB, status=fragments.message("Loading the model…"), ticket=ticket, **animating)
    with closing(throttled(animated(found.conditions, settings, model, ticket))) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Animation):
                yield Made(animation=event, conditions=found.conditions)
            else:
                yield _progress(event, settings, found.conditions.fps, ticket)


def _progress(event: Progress, settings: AnimationSettings, fps: float, ticket: Event) -> Updates:
    steps = settings.num_inference_steps
    windows = event.total // steps if event.phase == "Denoising" and event.total % steps == 0 else 1
    status = fragments.message(FINISHING) if ticket.is_set() else fragments.progress(event, windows)
    if event.preview is None:
        return updates(JOB, status=status)
    done = f"step {-(-event.step // windows)} of {event.total // windows}"
    return updates(JOB, status=status, live=live.draft(event.preview, fps, done))


def failed(words: str) -> dict[str, Any]:
    """No job runs, because of a problem that was found outside of `generate`."""
    return _resting(Problem(text=words, fix=AGAIN))


def _kept(made: Made, settings: AnimationSettings, problem: Problem | None, request: Request) -> Iterator[Updates]:
    animation, recipe = made.animation, Recipe.of(made.animation, settings)
    files = downloads.main_files(animation, recipe, made.conditions.sound)
    poster = downloads.poster(animation.video, recipe)
    folder, saved = _saved(UnsavedResult(files=files, about=(recipe, poster)), request)
    yield saved
    downloads.write_more(folder, animation, made.conditions, recipe)
    resting = _resting(problem) | ({} if problem else {"status": _done(recipe)})
    yield updates(JOB, **resting, **shown(folder, recipe))


def _saved(result: UnsavedResult, request: Request) -> tuple[Path, Updates]:
    """Write what is there at once. Returns its folder, and the page that shows it."""
    folder, (recipe, poster) = UNSAVED.write(request, result), result.about
    run = Run.of(folder.name, recipe, poster)
    return folder, updates(JOB, status=_done(recipe), live="", result=run, **shown(folder, recipe))


def _request(
    photo: str | None, clip: str | None, settings: AnimationSettings, model: str, found: Conditions | None
) -> Request:
    return (photo, clip, settings, model, found.matte_hash if found else "")


def _done(recipe: Recipe) -> str:
    done = f"Done: {recipe.num_frames} frames in {fragments.duration(recipe.seconds)}."
    return fragments.message(KEPT_DRAFT if recipe.stopped else done)


def _resting(problem: Problem | None) -> dict[str, Any]:
    """No job runs: because of a problem, or because it ended."""
    fix = problem.fix if problem else None
    return {
        **idle(fragments.error(problem.text, "fixable" if fix else "") if problem else ""),
        "finish": gr.update(visible=fragments.HIDDEN),
        "live": "",
        "ticket": None,
        "fix": fix,
        "fix_button": gr.update(value=fix.label if fix else ""),
    }


def _num_frames(analysis: Analysis | None, settings: AnimationSettings) -> int:
    """Those of the clip where it is known to be shorter."""
    if analysis is None or analysis.conditions.fps != settings.fps:
        return settings.num_frames
    return min(settings.num_frames, analysis.conditions.num_frames)


def _choice(title: str, expected: Estimate) -> str:
    return f"{title}\n{fragments.duration(expected.seconds)} · {expected.memory_gb:.1f} GB"
