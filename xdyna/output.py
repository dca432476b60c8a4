"""Whether an output can be written, found out before any work is done for it, and who writes it."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

from filelock import FileLock, Timeout

from xdyna.files import partial_path, remove_file
from xdyna.schema import InputError

TRIAL = bytes(4096)  # one block: a disk that is full already refuses it


@contextmanager
def claimed_file(path: Path, *, beside: Sequence[Path] = (), overwrite: bool) -> Iterator[None]:
    """Hold a file for this process alone, after trying that it can be written.

    What a killed run left half-written under a hidden name is removed.

    Args:
        path: the file to write.
        beside: files that will be written with it, in the same folder.
        overwrite: whether they may exist.

    Raises:
        InputError: another process is writing it, it exists, or it cannot be written.
    """
    with _locked(path):
        folder = path.parent
        if not folder.exists():
            raise InputError(f"The folder {folder} does not exist. Create it first.")
        for file in (path, *beside):
            if not overwrite and os.path.lexists(file):
                raise InputError(f"{file} exists. Choose another name, or add --force to overwrite.")
            if file.is_dir():
                raise InputError(f"{file} is a folder. Give the name of a file.")
            if os.path.lexists(file) and not _may_replace(file):
                raise InputError(f"{file} belongs to somebody else and cannot be replaced. Choose another name.")
            _try_to_write(file)
        yield


@contextmanager
def claimed_folder(path: Path, *, overwrite: bool) -> Iterator[None]:
    """Hold a folder for this process alone, after trying that files can be written there. It is not made yet.

    Args:
        path: the folder to write; those above it need not exist.
        overwrite: whether other files may be in it.

    Raises:
        InputError: as for `claimed_file`.
    """
    with _locked(path):
        if not overwrite and os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
            raise InputError(f"{path} exists. Choose another folder, or add --force to write into it.")
        existing = path
        while not os.path.lexists(existing):
            existing = existing.parent
        _try_to_write(existing / "xdyna")
        for name in path.relative_to(existing).parts:
            _check_length(existing / name)
        yield


def _try_to_write(path: Path) -> None:
    """Write and remove a small hidden file beside: neither mode bits nor mount options tell it all beforehand."""
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder. Give another one.")
    trial = partial_path(path)
    try:
        trial.write_bytes(TRIAL)
    except OSError as error:
        raise InputError(
            f"{path.parent} cannot be written ({error.strerror}). Choose another folder, or make room and check its "
            "rights."
        ) from error
    finally:
        remove_file(trial)


def _check_length(path: Path) -> None:
    """Refuse a name that the disk cannot hold; the file need not exist."""
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}). Choose another folder.") from error


def _may_replace(path: Path) -> bool:
    """Return whether an existing file may be replaced: in folders such as /tmp, only by its owner."""
    folder = path.parent.stat()
    return not folder.st_mode & stat.S_ISVTX or os.geteuid() in (0, folder.st_uid, path.lstat().st_uid)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes of this user from the same output. The system frees it, however this process ends."""
    own = Path(gettempdir()) / f"xdyna-{os.getuid()}"
    own.mkdir(mode=0o700, exist_ok=True)
    if own.is_symlink() or own.stat().st_uid != os.getuid():
        raise InputError(f"{own} belongs to somebody else. Set TMPDIR to a folder of your own.")
    file = own / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]}.lock"
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        holder = file.read_text(errors="replace").strip()
        by = f"process {holder}" if holder.isdecimal() else "another process"
        raise InputError(
            f"{path} is being written by {by} of xdyna. Wait until it has ended, or give another output."
        ) from error
    try:
        with suppress(OSError):  # a full disk: then nobody can say who it is
            file.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()
