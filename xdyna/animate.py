"""The jobs of xdyna: look at the inputs, plan a run, and animate. Page, command line and API all call these."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from xdyna.backends import BACKENDS, Plan
from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Progress


def prepare(photo: Path, clip: Path | None, settings: AnimationSettings) -> Iterator[Progress | Conditions]:
    """Reads a photo and a clip and finds people, body, hands, face and alignment.

    Args:
        photo: an image file.
        clip: a video file, or a motion file that `xdyna prepare` wrote; None makes a live photo, see
            `AnimationSettings.live_photo`.
        settings: uses the size, the part of the clip, the people chosen, retargeting, nudge and `keep_sound`.

    Yields:
        `Progress` while working, then one `Conditions`.

    Raises:
        InputError: a file cannot be used; the message says why and what to do.
    """
    if clip is None or settings.live_photo:
        from xdyna.preprocess.live_photo import prepare_live_photo

        yield from prepare_live_photo(photo, clip, settings)
        return
    from xdyna.preprocess.prepare import prepare_conditions

    yield from prepare_conditions(photo, clip, settings)


def place_again(conditions: Conditions, settings: AnimationSettings) -> Conditions:
    """Lays the driver onto the photo anew, for another nudge or retargeting, in milliseconds.

    Args:
        conditions: from `prepare`.
        settings: of the same photo, clip and size.

    Returns:
        Conditions to look at: their driving frames are black. `prepare` gives those to animate, without looking for
        people, pose and face again.
    """
    from xdyna.preprocess.place import place_again

    return place_again(conditions, settings)


def plan(settings: AnimationSettings, backend: str, num_driving_frames: int | None = None) -> Plan:
    """What a run will do and cost, without its weights.

    Args:
        settings: of the run.
        backend: a key of `BACKENDS`.
        num_driving_frames: that the clip gives; None where it is not known yet.

    Raises:
        InputError: the backend does not have a setting that was changed, or cannot use a value of one.
    """
    BACKENDS[backend].check(settings)
    return BACKENDS[backend].plan(settings, num_driving_frames)


def animate(
    conditions: Conditions,
    settings: AnimationSettings,
    backend: str,
    stop: Callable[[], bool] | None = None,
    unfinished: Path | None = None,
) -> Iterator[Progress | Animation]:
    """Runs a backend on a device that is free, or waits for one. Its model is loaded on first use and kept.

    Of a backend that `spreads`, the windows of a long clip run on all devices that nobody else wants, too.

    Args:
        conditions: from `prepare` with the same size and number of frames.
        settings: how to run.
        backend: a key of `BACKENDS`.
        stop: asked after every piece of work; once it returns True the run ends with the current denoising step and
            keeps what it has: the model's estimate of the finished clip becomes the `Animation`.
        unfinished: a folder for this run alone, made when needed. If the program is killed, the same call goes on
            where it was and ends with the same video. The folder is gone once the iterator is exhausted; whoever
            closes it at the `Animation` keeps the finished steps until `xdyna.pipelines.unfinished.discard`. Only for
            a backend that `resumes`.

    Yields:
        `Progress` at least once per denoising step, with a preview, then one `Animation`. Close the iterator to drop
        the work at once.

    Raises:
        InputError: the backend does not have a setting that was changed, its weights are missing, or this machine
            cannot hold them; the message says what to do.
    """
    from xdyna.backends import all_devices, load

    BACKENDS[backend].check(settings)
    devices, more = all_devices(), dict[str, Any]()
    with devices.borrow(backend) as device, devices.borrow_idle(backend) as idle:
        if unfinished is not None:
            more["unfinished"] = unfinished
        if BACKENDS[backend].spreads and len(devices) > 1:
            more["helpers"] = lambda at_most: [load(backend, name) for name in idle(at_most)]
        model = load(backend, device)
        with model.lock:
            yield from model.run(conditions, settings, stop, **more)
