"""Files that appear whole or not at all, also where the disk is full or the program is killed."""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

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
    _write_all({path: content})


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files of a result that took long to make: all of them, or none.

    Args:
        folder: where; it must exist.
        files: the content of each file, by its name.

    Raises:
        UnsavedResultError: there is no room for them; the error holds them.
    """
    try:
        _write_all({folder / name: content for name, content in files.items()})
    except OSError as error:
        raise UnsavedResultError(folder, files, error.strerror or str(error)) from error


def _write_all(files: Mapping[Path, bytes]) -> None:
    """Write files under hidden names, then give all of them their own."""
    try:
        for path, content in files.items():
            with partial_path(path).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # some disks say only now that they are full
        for path in files:
            partial_path(path).replace(path)
    except BaseException:
        for path in files:
            remove_file(partial_path(path))
        raise


def remove_file(path: Path) -> None:
    """Remove a file, as far as the disk allows: what cannot be written may not let go of its files either."""
    with suppress(OSError):
        path.unlink(missing_ok=True)


def size_text(num_bytes: int) -> str:
    """Return a size for people: "3.2 MB"."""
    return f"{num_bytes / 1e6:.1f} MB" if num_bytes >= 100_000 else f"{num_bytes / 1e3:.1f} kB"
