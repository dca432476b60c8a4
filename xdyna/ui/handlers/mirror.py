"""Events of the mirror, on the screen "What the model will see"."""

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import gradio as gr

from xdyna.backends import BACKENDS
from xdyna.recipe import Recipe
from xdyna.schema import Animation, Conditions, InputError
from xdyna.ui import downloads, fragments
from xdyna.ui.client import visitor
from xdyna.ui.fair_queue import Waiting
from xdyna.ui.gpu import in_turn
from xdyna.ui.history import Run
from xdyna.ui.job_events import Updates, idle, updates
from xdyna.ui.jobs import require
from xdyna.ui.mirror import MIRROR_QUEUE, MIRRORS, Mirror
from xdyna.ui.problems import explained, showing_problems
from xdyna.ui.server_settings import server_settings
from xdyna.ui.session import Analysis
from xdyna.ui.unsaved import UNSAVED, UnsavedResult

if TYPE_CHECKING:
    from xdyna.backends.live_puppet import LivePuppet

JOB = ("status", "start", "stop", "view", "mirror")
KEPT = ("kept_status", "video", "caption", "download", "result")
MODEL, REVISION = "puppet", "mirror"
LOOK_EVERY_S = 1.0
ENDED = "The mirror is off. Start it again when you like."


@showing_problems(lambda text: updates(JOB, **idle(fragments.error(text)), view=""))
def run(photo: str | None, consent: bool, analysis: Analysis | None) -> Iterator[Updates]:
    """The Start button: makes a puppet of the photo, then has the mirror on until its time is over."""
    require(photo, photo, consent)
    if analysis is None or analysis.inputs[0] != photo:
        raise InputError("The photo has to be analysed first. Press Analyse again, and start the mirror then.")
    seconds = float(server_settings().mirror_s)
    with closing(in_turn(_mirroring(analysis, seconds), seconds, visitor(), MIRROR_QUEUE)) as events:  # type: ignore[type-var]
        for event in events:
            yield updates(JOB, status=_waiting(event)) if isinstance(event, Waiting) else event


def keep(mirroring: tuple[Mirror, Analysis] | None) -> Updates:
    """The button that keeps the last seconds: a video like any other result."""
    try:
        if mirroring is None:
            raise InputError("There is nothing to keep yet. Start the mirror, move, and keep the last seconds then.")
        return _kept(*mirroring)
    except Exception as error:  # the page's outermost layer: anything else would only show "Error"
        return updates(KEPT, kept_status=fragments.error(explained(error)))


def _mirroring(analysis: Analysis, seconds: float) -> Iterator[Updates]:
    puppet = yield from _built(analysis.conditions)
    with MIRRORS.open(puppet, seconds) as mirror:
        on = f"The mirror is on, for {fragments.duration(seconds)} at most."
        yield updates(JOB, view=mirror.ticket, mirror=(mirror, analysis), status=fragments.message(on))
        while mirror.seconds_left():
            mirror.wait(LOOK_EVERY_S)
            yield updates(JOB)
    yield updates(JOB, **idle(fragments.message(ENDED)), view="")


def _built(conditions: Conditions) -> "Generator[Updates, None, LivePuppet]":
    from xdyna.backends.live_puppet import build_live_puppet  # heavy, and the page comes first

    stages = build_live_puppet(conditions)
    yield updates(JOB, status=fragments.message("Cutting out the person…"))
    while True:
        try:
            next(stages)
        except StopIteration as end:
            puppet: LivePuppet = end.value
            return puppet
        yield updates(JOB)


def _kept(mirror: Mirror, analysis: Analysis) -> Updates:
    unsaved = UNSAVED.find(mirror.ticket) or _last_seconds(mirror, analysis)
    folder = UNSAVED.write(mirror.ticket, unsaved)
    made, (recipe, poster) = str(folder / downloads.VIDEO), unsaved.about
    return updates(
        KEPT,
        kept_status="",
        video=made,
        caption=fragments.caption(f"The last {recipe.seconds:.1f} s of the mirror."),
        download=gr.update(value=made, interactive=True),
        result=Run.of(folder.name, recipe, poster),
    )


def _last_seconds(mirror: Mirror, analysis: Analysis) -> UnsavedResult:
    video = mirror.clip()
    height, width = video.frames.shape[1:3]
    settings = replace(
        BACKENDS[MODEL].own(analysis.settings), height=height, width=width, num_frames=len(video), fps=video.fps
    )
    seconds = len(video) / video.fps
    matte = analysis.conditions.matte_hash
    animation = Animation(video=video, controls={}, model=MODEL, revision=REVISION, seconds=seconds, matte=matte)
    recipe = Recipe.of(animation, settings)
    poster = downloads.poster(video, recipe)
    return UnsavedResult(files=downloads.main_files(animation, recipe, None), about=(recipe, poster))


def _waiting(place: Waiting) -> str:
    return fragments.message(
        f"Somebody else uses the mirror. You are number {place.position} in the queue: "
        f"your turn comes in {fragments.duration(place.seconds)} at the latest."
    )
