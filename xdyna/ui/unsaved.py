"""Finished results that the disk had no room for: kept in memory, so that the same request again only has to save."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xdyna.files import UnsavedResultError, write_files
from xdyna.ui.server_settings import server_settings
from xdyna.ui.store import STORE

MAX_BYTES = 200 * 10**6


@dataclass(frozen=True, kw_only=True, eq=False)
class UnsavedResult:
    """The files of a result by their names, and what else belongs to it."""

    files: Mapping[str, bytes]
    about: Any = None


class UnsavedResults:
    """Holds results by the request that made them. Any thread may ask.

    Args:
        new_folder: Makes an empty folder for a result.
        keep_s: The age in seconds at which a result is dropped.
        max_bytes: The size of all results together; the oldest go first.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self,
        new_folder: Callable[[], Path],
        keep_s: float,
        max_bytes: int = MAX_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.new_folder = new_folder
        self.keep_s, self.max_bytes, self.clock = keep_s, max_bytes, clock
        self._lock, self._results = threading.Lock(), OrderedDict[Hashable, tuple[float, UnsavedResult]]()

    def write(self, request: Hashable, result: UnsavedResult) -> Path:
        """Write the files of a result into a new folder and return it, or keep them where there is no room.

        Raises:
            UnsavedResultError: they are kept.
        """
        try:
            try:
                folder = self.new_folder()
            except OSError as error:
                raise UnsavedResultError(Path(), result.files, error.strerror or str(error)) from error
            write_files(folder, result.files)
        except UnsavedResultError:
            with self._lock:
                self._results[request] = self.clock(), result
                self._results.move_to_end(request)
                self._drop()
            raise
        with self._lock:
            self._results.pop(request, None)
        return folder

    def find(self, request: Hashable) -> UnsavedResult | None:
        """Return what the same request made before and could not save."""
        with self._lock:
            self._drop()
            kept = self._results.get(request)
            return kept[1] if kept else None

    def drop_expired(self) -> None:
        """Drop what is too old, also while nobody asks."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        size = 0
        for place, (request, (since, result)) in enumerate(reversed(list(self._results.items()))):
            size += sum(map(len, result.files.values()))
            too_much = place > 0 and size > self.max_bytes  # the newest was promised just now
            if too_much or self.clock() - since >= self.keep_s:
                del self._results[request]


UNSAVED = UnsavedResults(lambda: STORE.new(), server_settings().keep_s)
