"""Events of the screen "Compare"."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from json import loads
from pathlib import Path
from typing import Any

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.compare.grid import save_comparison, save_take
from xdyna.compare.take import Refusal, Take, takes_of_files
from xdyna.compare.variants import AXES, MAX_VARIANTS, Variant, check_number, read_variants
from xdyna.schema import Image, InputError, Progress
from xdyna.ui import fragments
from xdyna.ui.client import visitor
from xdyna.ui.comparison_view import about, bar_value, differences_table, measures_table
from xdyna.ui.downloads import VIDEO
from xdyna.ui.fair_queue import Waiting
from xdyna.ui.gpu import RUN_QUEUE, compare_seconds, prepared_in_turn, run_variants
from xdyna.ui.history import describe as describe_run
from xdyna.ui.history import read_runs
from xdyna.ui.job_events import Updates, idle, updates
from xdyna.ui.jobs import require, throttled
from xdyna.ui.motion_plot import motion_plot
from xdyna.ui.problems import showing_problems
from xdyna.ui.session import Analysis, Looking, analysed
from xdyna.ui.settings_form import read_settings
from xdyna.ui.store import STORE

OWN, RUNS = "own", "runs"
QUESTIONS = [
    *((axis.title, name) for name, axis in AXES.items()),
    ("Settings of your own", OWN),
    ("Finished videos", RUNS),
]
OWN_EXPLANATION = (
    "One variant a line: a name, a colon, and the settings in which it differs, with commas between them. "
    "The command xdyna animate --help names all settings; backend=NAME takes another model."
)
RUNS_EXPLANATION = "Two to four videos that were made here earlier. Nothing is made anew."
NEW_VIDEOS = "Everything but these settings is the same for all: photo, clip, seed and noise."

PLAYERS = tuple(f"player_{k}" for k in range(MAX_VARIANTS))
JOB = ("status", "start", "stop", "analysis", "comparison")
OPENED = ("runs_status", "comparison")
SHOWN = (*PLAYERS, "bar", "plot", "table", "left", "right", "wipe", "download_grid", "download_recipes")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What the screen shows; kept in the visitor's session.

    Attributes:
        takes: finished so far.
    """

    takes: tuple[Take, ...]


def describe(
    model: str, analysis: Analysis | None, question: str, own: str, *chosen: Sequence[str], **settings: Any
) -> str:
    """What the comparison shows, and how long it will take."""
    if question == RUNS:
        return about("runs", RUNS_EXPLANATION)
    try:
        variants = variants_of(question, own, chosen)
        read = BACKENDS[model].own(read_settings(settings))
        num_frames = analysis.conditions.num_frames if analysis else read.num_frames
        seconds = compare_seconds(num_frames, read, variants, model)
        how = "one after another" if RUN_QUEUE.turns == 1 else f"{RUN_QUEUE.turns} at a time"
        cost = f"{len(variants)} videos, {how}: about {fragments.duration(seconds)} in all."
    except InputError as error:
        cost = str(error)
    if question == OWN:
        return about("own", f"{OWN_EXPLANATION} {NEW_VIDEOS}", cost=cost)
    axis = AXES[question]
    return about(question, f"{axis.explanation} {NEW_VIDEOS}", caution=axis.cautions.get(model, ""), cost=cost)


def variants_of(question: str, own: str, chosen: Sequence[Sequence[str]]) -> list[Variant]:
    """What a visitor asks for.

    Args:
        question: a key of `AXES`, or `OWN`.
        own: variants as `read_variants` reads them, one a line.
        chosen: labels for every axis, in the order of `AXES`.

    Raises:
        InputError: it is not two to four variants, or one is not well-formed.
    """
    if question == OWN:
        return read_variants(own.splitlines())
    ticked = dict(zip(AXES, chosen, strict=True))[question]
    variants = [variant for variant in AXES[question].variants if variant.label in ticked]
    check_number(len(variants))
    return variants


@showing_problems(lambda text: updates(JOB, **idle(fragments.error(text))))
def run_comparison(
    photo: str | None,
    clip: str | None,
    motion: str | None,
    consent: bool,
    analysis: Analysis | None,
    model: str,
    question: str,
    own: str,
    *chosen: Sequence[str],
    **settings: Any,
) -> Iterator[Updates]:
    """The Compare button: analyses if that is still to be done, then makes one variant after another."""
    variants, read = variants_of(question, own, chosen), BACKENDS[model].own(read_settings(settings))
    require(photo, motion or clip, consent, read)
    seconds = compare_seconds(read.num_frames, read, variants, model)
    prepare = _found(analysed(photo, clip, motion, consent, analysis, read))
    run = partial(_variants, settings=read, variants=variants, model=model)
    takes: tuple[Take, ...] = ()
    refusals: list[Refusal] = []
    with closing(prepared_in_turn(prepare, run, seconds, visitor())) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Waiting):
                yield updates(JOB, status=fragments.waiting(event))
            elif isinstance(event, Progress):
                yield updates(JOB, status=fragments.progress(event))
            elif isinstance(event, Analysis):
                new = {} if event is analysis else {"analysis": event}  # the mask may have been corrected meanwhile
                yield updates(JOB, status=fragments.message("Loading the model…"), **new)
            elif isinstance(event, Refusal):
                refusals.append(event)
            else:
                takes = (*takes, event)
                yield updates(JOB, comparison=Comparison(takes))
    spent = fragments.duration(sum(take.recipe.seconds for take in takes))
    done = fragments.message(f"Done: {len(takes)} videos in {spent}.")
    yield updates(JOB, **idle(done + "".join(fragments.message(str(refusal)) for refusal in refusals)))


def _found(looking: Looking) -> Generator[Progress | Analysis, None, Analysis]:
    found = yield from looking
    yield found
    return found


def _variants(found: Analysis, **run: Any) -> Iterator[Progress | Take | Refusal]:
    return throttled(run_variants(found.conditions, **run))


def list_runs(kept: object) -> Any:
    """The visitor's runs that are still on the server, to choose from."""
    runs = [run for run in read_runs(kept) if STORE.find(run.id)]
    return gr.update(
        choices=[(f"{run.recipe.created[11:16]} UTC: {describe_run(run.recipe)}", run.id) for run in runs]
    )


@showing_problems(lambda text: updates(OPENED, runs_status=fragments.error(text)))
def open_videos(runs: Sequence[str], files: Sequence[str] | None) -> Iterator[Updates]:
    """Finished videos instead of new ones: runs by their ids, and uploaded files."""
    folders = [folder for folder in map(STORE.find, runs) if folder]
    paths = [*(folder / VIDEO for folder in folders), *map(Path, files or ())]
    check_number(len(paths))
    yield updates(OPENED, runs_status=fragments.message("Reading the videos…"))
    yield updates(OPENED, runs_status="", comparison=Comparison(tuple(takes_of_files(paths))))


def show(comparison: Comparison | None) -> Iterator[Updates]:
    """The videos with all that belongs to them."""
    if comparison is None:
        yield updates(SHOWN)
        return
    takes, labels = comparison.takes, [take.label for take in comparison.takes]
    folder = STORE.new()
    changes: dict[str, Any] = dict.fromkeys(PLAYERS)
    for name, take in zip(PLAYERS, takes, strict=False):
        path = folder / f"{name}.mp4"
        save_take(path, take)
        changes[name] = gr.update(value=str(path), label=take.label)
    grid, recipes = folder / "comparison.mp4", save_comparison(folder / "comparison.mp4", takes)
    yield updates(
        SHOWN,
        **changes,
        bar=bar_value(takes),
        plot=motion_plot(takes),
        table=measures_table(takes) + differences_table(takes),
        left=gr.update(choices=labels, value=labels[0]),
        right=gr.update(choices=labels, value=labels[-1]),
        wipe=_pair(takes, labels[0], labels[-1], 0),
        download_grid=gr.update(value=str(grid)),
        download_recipes=gr.update(value=str(recipes)),
    )


def wipe(comparison: Comparison | None, left: str, right: str, bar: str) -> Any:
    """The frame at which the players stand, from two of the videos."""
    if comparison is None:
        return gr.skip()
    return _pair(comparison.takes, left, right, loads(bar)["at"])


def _pair(takes: Sequence[Take], left: str, right: str, at: int) -> tuple[Image, Image] | Any:
    by_label = {take.label: take.video.frames for take in takes}
    if left not in by_label or right not in by_label:
        return gr.skip()
    pair = by_label[left], by_label[right]
    return tuple(frames[min(at, len(frames) - 1)] for frames in pair)
