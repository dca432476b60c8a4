"""Every file of a visitor on the server's disk: uploads, previews, results. Private, bounded, and deleted by age."""

import getpass
import logging
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from xdyna.schema import InputError
from xdyna.ui.server_settings import server_settings

logger = logging.getLogger(__name__)

RESULT_ID = re.compile(r"[A-Za-z0-9_-]{32}")
UPLOAD_FOLDER = re.compile(r"[0-9a-f]{64}")
"""Gradio names the folder of an upload by a digest of its content."""
EMPTY_FOLDER_S = 60.0
"""How long an empty folder stays: somebody may be about to put a file into it."""
SERVER, TEMPORARY = "server-", "tmp"


class FileStore:
    """Holds each server's files in a folder of its own, under a common base where each sweeps what dead ones left.

    A server that starts takes the first folder that no running server has, so that what its predecessor left is its
    own: a page that is still open in a browser finds its files again, and they grow old like all others.

    Args:
        base: A folder that this class may create, empty and delete from.
        keep_s: The age in seconds at which a file is deleted.
        max_bytes: The size of all files together; the oldest go first.
        clock: Returns the time in seconds since the epoch.
    """

    def __init__(
        self, base: Path, keep_s: float, max_bytes: int = 10**10, clock: Callable[[], float] = time.time
    ) -> None:
        self.base, self.keep_s, self.max_bytes, self.clock = base, keep_s, max_bytes, clock
        self.folder = base / f"{SERVER}0"
        self._lock: FileLock | None = None

    def open(self) -> None:
        """Take a folder for this server, and make it the place of uploads and of all temporary files.

        Raises:
            InputError: the base cannot be created, or belongs to somebody else.
        """
        self._own_base()
        for number in count():
            self.folder = self.base.resolve() / f"{SERVER}{number}"
            self._lock = FileLock(self.folder.with_suffix(".lock"), thread_local=False)
            try:
                self._lock.acquire(blocking=False)
                break
            except Timeout:  # another server's
                continue
        temporary = self.folder / TEMPORARY
        temporary.mkdir(parents=True, exist_ok=True)
        os.environ["GRADIO_TEMP_DIR"] = str(self.folder)
        tempfile.tempdir = str(temporary)  # libraries leave files behind when the process is killed: here they expire

    def close(self) -> None:
        """Leave the folder to the next server. The files stay until they have expired."""
        if self._lock is not None:
            self._lock.release()

    def new(self) -> Path:
        """Create an empty folder under a name that cannot be guessed, which is the id to find it by."""
        place = self.folder / secrets.token_urlsafe(24)
        place.mkdir(parents=True, mode=0o700)
        return place

    def find(self, id: object) -> Path | None:
        """Return the folder of an id that `new` gave out, or None where it has expired.

        Args:
            id: Whatever a browser sends.
        """
        if not isinstance(id, str) or not RESULT_ID.fullmatch(id):
            return None
        place = self.folder / id
        return place if place.is_dir() and not self._expired(_changed(place)) else None

    def is_upload(self, path: object) -> bool:
        """Tell whether a client's path is a file that was uploaded to this server, under the name we gave it."""
        if not isinstance(path, str) or "\0" in path:
            return False
        try:
            real = Path(path).resolve(strict=True)
        except (OSError, RuntimeError):  # it does not exist, or its links go in circles
            return False
        inside = real.parent.parent == self.folder and UPLOAD_FOLDER.fullmatch(real.parent.name)
        return bool(inside) and str(real) == path and real.is_file()

    def sweep(self) -> None:
        """Delete what has expired, then the oldest until the rest fits: of this server and of those that are dead."""
        with ExitStack() as locks:
            self._sweep([server for server in self.base.glob(f"{SERVER}*/") if self._may_sweep(server, locks)])

    def _may_sweep(self, server: Path, locks: ExitStack) -> bool:
        """Tell whether a folder is this server's, or of a dead one, and hold it; others have settings of their own."""
        if self._lock is not None and server == self.folder:
            return True
        try:
            locks.enter_context(FileLock(server.with_suffix(".lock"), timeout=0, thread_local=False))
            return True
        except Timeout:
            return False

    def _sweep(self, servers: Sequence[Path]) -> None:
        kept = 0
        for path, changed in sorted(self._units(servers), key=lambda unit: -unit[1]):
            kept += _size(path)
            if kept > self.max_bytes or self._expired(changed):
                try:
                    _remove(path)
                except OSError as error:  # one that cannot go must not keep the others
                    logger.warning("could not delete a file: %s", error)
        for folder in self._folders(servers):
            if self.clock() - _changed(folder) >= min(EMPTY_FOLDER_S, self.keep_s):
                try:
                    folder.rmdir()
                except OSError:  # it is not empty
                    continue

    def sweep_on_schedule(self, every_s: float, also: Callable[[], None] = lambda: None) -> None:
        """Sweep now, and then for as long as the server runs, visitors or not.

        Args:
            every_s: The seconds between two sweeps.
            also: Drops what the memory holds in place of files.
        """

        def sweep() -> None:
            while True:
                try:
                    also()
                    self.sweep()
                except Exception:  # such as a file that went meanwhile: the next round sees to the rest
                    logger.exception("could not sweep the files")
                time.sleep(every_s)

        threading.Thread(target=sweep, name="sweep-files", daemon=True).start()

    def _own_base(self) -> None:
        """Create the base for this user only; in a folder for everybody, another user may have taken its name."""
        try:
            self.base.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = self.base.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                raise PermissionError(None, "it belongs to somebody else")
            self.base.chmod(0o700)
        except OSError as error:
            raise InputError(
                f"The folder for visitors' files, {self.base}, cannot be used: {error.strerror or error}. Set "
                "XDYNA_RESULTS to a folder that this user may write."
            ) from error

    @staticmethod
    def _units(servers: Sequence[Path]) -> Iterator[tuple[Path, float]]:
        """Yield what is deleted as a whole, with its age: a result with all its files, any other file alone."""
        for server in servers:
            for top in server.iterdir():
                is_result = RESULT_ID.fullmatch(top.name) and top.is_dir()
                inside = [top] if is_result or not top.is_dir() else top.rglob("*")
                for path in inside:
                    if is_result or not path.is_dir():
                        yield path, _changed(path)

    @staticmethod
    def _folders(servers: Sequence[Path]) -> list[Path]:
        """Return all folders that may go once they are empty, the innermost first."""
        found = {path for server in servers for path in server.rglob("*/")} - {path / TEMPORARY for path in servers}
        return sorted(found, key=lambda path: -len(path.parts))

    def _expired(self, changed: float) -> bool:
        return self.clock() - changed >= self.keep_s


def default_base() -> Path:
    """Return a folder of our own in `XDYNA_RESULTS`, in `GRADIO_TEMP_DIR`, or among the temporary files."""
    chosen = os.environ.get("XDYNA_RESULTS") or os.environ.get("GRADIO_TEMP_DIR") or tempfile.gettempdir()
    return Path(chosen).absolute() / f"xdyna-files-{_user()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # containers can run as a number that has no name
        return str(os.getuid())


def _changed(path: Path) -> float:
    """When a file, or the first file of a folder, was written: copying keeps other times, and nobody can set this."""
    try:
        inside = [file.lstat().st_ctime for file in path.iterdir()] if path.is_dir() else []
        return min(inside, default=path.lstat().st_ctime)
    except FileNotFoundError:  # swept by another server
        return float("inf")


def _size(path: Path) -> int:
    try:
        return sum(file.lstat().st_size for file in (path.iterdir() if path.is_dir() else [path]))
    except FileNotFoundError:
        return 0


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


STORE = FileStore(default_base(), server_settings().keep_s, server_settings().max_store_mb * 10**6)
