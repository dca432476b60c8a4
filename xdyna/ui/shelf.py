"""Finished results on the server's disk: private, bounded, and gone after a while."""

import getpass
import logging
import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from pathlib import Path

logger = logging.getLogger(__name__)

ID = re.compile(r"[A-Za-z0-9_-]{32}")
MAX_AGE_S, SWEEP_EVERY_S = 7200, 600
MAX_BYTES = 2 * 10**9


class Shelf:
    """Folders under unguessable names. Nothing lists them: only who was given a name finds one again.

    Args:
        folder: where they are kept, readable by this user only.
        max_age_s: after which a result is deleted.
        max_bytes: of all results; the oldest go first.
    """

    def __init__(self, folder: Path, max_age_s: float = MAX_AGE_S, max_bytes: int = MAX_BYTES) -> None:
        self.folder, self.max_age_s, self.max_bytes = folder, max_age_s, max_bytes

    def new(self) -> Path:
        """An empty folder. Its name is the id to find it by."""
        self.sweep()
        place = self.folder / secrets.token_urlsafe(24)
        place.mkdir(parents=True, mode=0o700)
        self.folder.chmod(0o700)
        return place

    def find(self, id: object) -> Path | None:
        """The folder of an id that `new` gave out, or None where it has expired. Takes whatever a browser sends."""
        if not isinstance(id, str) or not ID.fullmatch(id):
            return None
        place = self.folder / id
        return place if place.is_dir() and self._age_s(place) < self.max_age_s else None

    def sweep(self) -> None:
        """Deletes what has expired, then the oldest until the rest fits."""
        kept = 0
        places = [place for place in self.folder.glob("*") if place.is_dir()]
        for place in sorted(places, key=self._age_s):
            kept += sum(file.stat().st_size for file in place.glob("*"))
            if kept > self.max_bytes or self._age_s(place) >= self.max_age_s:
                shutil.rmtree(place, ignore_errors=True)

    def sweep_on_schedule(self, every_s: float = SWEEP_EVERY_S) -> None:
        """Sweeps now, and in a thread of its own for as long as the server runs, visitors or not."""

        def sweep() -> None:
            while True:
                try:
                    self.sweep()
                except OSError as error:  # a file that went meanwhile: the next round sees to the rest
                    logger.warning("could not sweep the results: %s", error)
                time.sleep(every_s)

        threading.Thread(target=sweep, name="sweep-results", daemon=True).start()

    @staticmethod
    def _age_s(place: Path) -> float:
        try:
            return time.time() - place.stat().st_mtime
        except FileNotFoundError:  # swept by another thread
            return float("inf")


def default_folder() -> Path:
    """`XDYNA_RESULTS`, or a folder of this user among the temporary files: results survive a restart of the server."""
    chosen = os.environ.get("XDYNA_RESULTS")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"xdyna-results-{getpass.getuser()}"


SHELF = Shelf(default_folder())
