"""The two jobs of xdyna: look at the inputs, and animate them. Page, command line and API all call these."""

from collections.abc import Iterator
from pathlib import Path

from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Progress


def prepare(photo: Path, clip: Path, settings: AnimationSettings) -> Iterator[Progress | Conditions]:
    """Reads a photo and a clip and finds body, hands, face and alignment.

    Args:
        photo: an image file.
        clip: a video file.
        settings: uses `height`, `width`, `num_frames`, `fps` and `start_s`.

    Yields:
        `Progress` while working, then one `Conditions`.

    Raises:
        InputError: a file cannot be used; the message says why and what to do.
    """
    from xdyna.preprocess.prepare import prepare_conditions

    yield from prepare_conditions(photo, clip, settings)


def animate(conditions: Conditions, settings: AnimationSettings, backend: str) -> Iterator[Progress | Animation]:
    """Runs a backend. The model is loaded on first use and kept; one run at a time uses it.

    Args:
        conditions: from `prepare` with the same size and number of frames.
        settings: how to run.
        backend: a key of `BACKENDS`.

    Yields:
        `Progress` at least once per denoising step, then one `Animation`. Close the iterator to stop.

    Raises:
        InputError: the weights are missing; the message gives the command that fetches them.
    """
    from xdyna.backends.xdyna import load

    model = load(backend)
    with model.lock:
        yield from model.run(conditions, settings)
