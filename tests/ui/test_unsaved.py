"""Finished results that the disk had no room for."""

import errno
import gc
import os
import weakref
from pathlib import Path

import pytest

import xdyna.files
from xdyna.files import UnsavedResultError
from xdyna.ui.unsaved import UnsavedResult, UnsavedResults

FILES = {"xdyna.mp4": b"x" * 100, "xdyna.json": b"{}"}


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def results(folder: Path, **options: int) -> UnsavedResults:
    def new_folder() -> Path:
        made = folder / str(len(list(folder.iterdir())))
        made.mkdir()
        return made

    return UnsavedResults(new_folder, **{"keep_s": 3600, "clock": Clock()} | options)


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A full disk, until `undo`."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(xdyna.files, "_write_all", fail)
    return monkeypatch


def test_what_is_saved_is_not_kept(tmp_path: Path) -> None:
    unsaved = results(tmp_path)
    folder = unsaved.write("request", UnsavedResult(files=FILES))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert unsaved.find("request") is None


def test_what_is_not_saved_is_found_by_the_same_request_only(tmp_path: Path, full: pytest.MonkeyPatch) -> None:
    unsaved = results(tmp_path)
    with pytest.raises(UnsavedResultError):
        unsaved.write("request", UnsavedResult(files=FILES, about="the rest"))
    assert unsaved.find("another") is None
    kept = unsaved.find("request")
    full.undo()
    folder = unsaved.write("request", kept)
    assert (folder / "xdyna.mp4").read_bytes() == FILES["xdyna.mp4"] and kept.about == "the rest"
    assert unsaved.find("request") is None


def test_a_disk_too_full_for_a_folder_keeps_it_as_well(tmp_path: Path) -> None:
    def fail() -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    unsaved = UnsavedResults(fail, keep_s=3600)
    with pytest.raises(UnsavedResultError, match=r"0\.1 kB"):
        unsaved.write("request", UnsavedResult(files=FILES))
    assert unsaved.find("request").files == FILES


def test_it_is_dropped_once_it_is_old_or_there_is_too_much(tmp_path: Path, full: pytest.MonkeyPatch) -> None:
    unsaved = results(tmp_path, max_bytes=250)
    for request in "abc":
        with pytest.raises(UnsavedResultError):
            unsaved.write(request, UnsavedResult(files=FILES))
    assert [bool(unsaved.find(request)) for request in "abc"] == [False, True, True]
    unsaved.clock.seconds = 3600
    assert unsaved.find("c") is None


def test_a_result_that_is_saved_drops_none_that_is_kept(tmp_path: Path, full: pytest.MonkeyPatch) -> None:
    unsaved = results(tmp_path, max_bytes=150)
    with pytest.raises(UnsavedResultError):
        unsaved.write("request", UnsavedResult(files=FILES))
    full.undo()
    unsaved.write("another", UnsavedResult(files=FILES))
    assert unsaved.find("request") is not None


def test_what_has_expired_leaves_the_memory_though_nobody_asks(tmp_path: Path, full: pytest.MonkeyPatch) -> None:
    unsaved = results(tmp_path)
    kept = UnsavedResult(files=FILES)
    gone = weakref.ref(kept)
    with pytest.raises(UnsavedResultError):
        unsaved.write("request", kept)
    del kept
    unsaved.clock.seconds = 3600
    unsaved.drop_expired()
    gc.collect()
    assert gone() is None
