"""Files that appear whole or not at all, also where the disk is full or the program is killed."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from xdyna.schema import InputError


class UnsavedResultError(InputError):
    """A finished result has no room where it was to go, and is in here instead.

    Args:
        folder: where it was to go.
        files: the content of each file, by its name.
        reason: why not, in the words of the system.

    Attributes:
        folder: see above.
        files: see above.
    """

    def __init__(self, folder: Path, files: Mapping[str, bytes], reason: str) -> None:
        self.folder, self.files = folder, dict(files)
        super().__init__(
            f"The result could not be written: {size_text(self.num_bytes)} are needed in {folder} ({reason})."
        )

    @property
    def num_bytes(self) -> int:
        """Return the room that the files need."""
        return sum(map(len, self.files.values()))


def partial_path(path: Path) -> Path:
    """Return the hidden name that a file has until it is complete. A killed run leaves it to the next one."""
    return path.with_name(f".{path.name}.partial")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that its name never holds half of it.

    Args:
        path: the file, replaced if it exists.
        content: all of it.

    Raises:
        OSError: it could not be written; what was there before is untouched.
    """
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # some disks say only now that they are full
        partial.replace(path)
    except BaseException:
        remove_file(partial)
        raise


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a result that took long to make.

    Args:
        folder: where; it must exist.
        files: the content of each file, by its name.

    Raises:
        UnsavedResultError: they could not all be written; the error holds them.
    """
    try:
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise UnsavedResultError(folder, files, error.strerror or str(error)) from error


def write_elsewhere(files: Mapping[str, bytes], places: Iterable[Path]) -> Path | None:
    """Write the files of a result into a new folder, so that nothing is overwritten.

    Args:
        files: the content of each file, by its name.
        places: folders in which to make it, tried in turn.

    Returns:
        The new folder, or None where no place had room.
    """
    for place in places:
        folder = None
        try:
            folder = Path(mkdtemp(prefix="xdyna-result-", dir=place))
            write_files(folder, files)
        except (OSError, UnsavedResultError):
            if folder is not None:
                for name in files:
                    remove_file(folder / name)
                folder.rmdir()
            continue
        return folder
    return None


def remove_file(path: Path) -> None:
    """Remove a file, as far as the disk allows: what cannot be written may not let go of its files either."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def size_text(num_bytes: int) -> str:
    """Return a size for people: "3.2 MB"."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 100_000 else f"{num_bytes / 1e3:.1f} kB"
