"""The work behind the page and the public endpoints: from a visitor's files to files for the visitor."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from xdyna.animate import prepare
from xdyna.config import AnimationSettings
from xdyna.preview import write_previews
from xdyna.recipe import save_animation
from xdyna.schema import Animation, Conditions, InputError, Progress

RESULT_NAME = "xdyna.mp4"


def conditions_of(
    photo: str | None, clip: str | None, consent: bool, settings: AnimationSettings
) -> Iterator[Progress | Conditions]:
    """As `xdyna.animate.prepare`, for a visitor who may have forgotten something.

    Raises:
        InputError: a file or the consent is missing, or a file cannot be used.
    """
    if photo is None:
        raise InputError("There is no photo yet. Add one of a person, or choose an example.")
    if clip is None:
        raise InputError("There is no driving clip yet. Add a video of one person moving, or choose an example.")
    if not consent:
        raise InputError("Tick “I have the right to use this person's picture” to go on.")
    with closing(prepare(Path(photo), Path(clip), settings)) as events:  # type: ignore[type-var]
        yield from events


@contextmanager
def job_folder() -> Iterator[Path]:
    """A folder with a random name for one visitor's files. It ends with the block: Gradio keeps its own copies."""
    folder = Path(tempfile.mkdtemp(prefix="xdyna-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def preview_files(folder: Path, conditions: Conditions) -> tuple[str, str, str]:
    """Writes what the model will see. Returns the pose over the photo, the clip beside its pose, the face patches."""
    paths = {path.name: str(path) for path in write_previews(conditions, folder)}
    return paths["overlay.png"], paths["pose.mp4"], paths["face.png"]


def result_files(folder: Path, animation: Animation, settings: AnimationSettings) -> tuple[str, str]:
    """Writes the result. Returns the video and its recipe."""
    video = folder / RESULT_NAME
    recipe = save_animation(video, animation, settings)
    return str(video), str(recipe)
