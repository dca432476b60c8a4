"""Another place for a finished result that has no room where it was to go."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from xdyna.files import UnsavedResultError, size_text, write_files
from xdyna.schema import InputError

QUESTION = "No other place has room either. Give a folder that has, or make room and press Enter: "


def rescue(unsaved: UnsavedResultError, lost: str, ask: Callable[[str], str] | None) -> Path:
    """Write a result elsewhere, or ask until there is room.

    Args:
        unsaved: the result.
        lost: what to do where it is lost after all, as sentences.
        ask: asks the user, as `input` does; None where there is nobody to ask.

    Returns:
        The folder that holds the files now: a new one, or after all the one where they were to go.

    Raises:
        InputError: there is no room anywhere.
    """
    folder = write_elsewhere(unsaved.files, other_places())
    while folder is None and ask is not None:
        try:
            answer = ask(QUESTION).strip()
        except (EOFError, KeyboardInterrupt):
            break
        if answer:
            folder = write_elsewhere(unsaved.files, [Path(answer)])
            continue
        with suppress(UnsavedResultError):
            write_files(unsaved.folder, unsaved.files)
            folder = unsaved.folder
    if folder is None:
        raise InputError(
            f"No place had room for the result ({size_text(unsaved.num_bytes)}): {', '.join(unsaved.files)} could not "
            f"be written. {lost}"
        )
    return folder


def other_places() -> Iterator[Path]:
    """Yield folders in which nearly every user may write."""
    for find in (lambda: Path(gettempdir()), Path.home, Path.cwd):
        with suppress(OSError, RuntimeError):  # there may be no such folder
            yield find()


def write_elsewhere(files: Mapping[str, bytes], places: Iterable[Path]) -> Path | None:
    """Write files into a new folder, so that nothing is overwritten.

    Args:
        files: the content of each file, by its name.
        places: folders in which to make it, tried in turn.

    Returns:
        The new folder, or None where no place had room.
    """
    for place in places:
        with suppress(OSError, RuntimeError):  # RuntimeError: "~name" of a user who does not exist
            folder = Path(mkdtemp(prefix="xdyna-result-", dir=place.expanduser()))
            try:
                write_files(folder, files)
                return folder
            except UnsavedResultError:
                folder.rmdir()
    return None
