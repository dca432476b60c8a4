"""Files are whole or absent, and a result outlives a disk that has no room for it."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from xdyna.files import UnsavedResultError, partial_path, write_files, write_whole
from xdyna.rescue import rescue, write_elsewhere
from xdyna.schema import InputError

FILES = {"out.mp4": bytes(150_000), "out.json": b"{}"}


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a disk that is full; the rest of `tmp_path` is not."""
    folder, fsync = tmp_path / "full", os.fsync
    folder.mkdir()

    def refuse(descriptor: int) -> None:
        if str(folder) in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr("xdyna.files.os.fsync", refuse)
    return folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_what_was_there_before_stays_until_the_new_file_is_complete(full: Path) -> None:
    (full / "out.mp4").write_bytes(b"before")
    with pytest.raises(OSError, match="No space left"):
        write_whole(full / "out.mp4", b"after")
    assert (full / "out.mp4").read_bytes() == b"before"
    assert [path.name for path in full.iterdir()] == ["out.mp4"]


def test_what_a_killed_run_left_is_overwritten(tmp_path: Path) -> None:
    partial_path(tmp_path / "out.mp4").write_bytes(b"half")
    write_whole(tmp_path / "out.mp4", b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"whole"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS], ids=errno.errorcode.get)
def test_a_result_without_room_is_kept_in_the_error(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("xdyna.files.os.fsync", refuse)
    with pytest.raises(UnsavedResultError) as caught:
        write_files(tmp_path, FILES)
    assert caught.value.files == FILES
    assert caught.value.num_bytes == 150_002
    assert str(caught.value) == (
        f"The result could not be written: 0.2 MB are needed in {tmp_path} ({os.strerror(error)})."
    )
    assert list(tmp_path.iterdir()) == []


def test_on_a_really_full_disk_nothing_half_written_is_left_and_the_rest_fits(small_disk: Path) -> None:
    with pytest.raises(UnsavedResultError, match=r"0\.2 MB are needed in .*No space left on device"):
        write_files(small_disk, FILES)
    assert list(small_disk.iterdir()) == []
    write_files(small_disk, {"small.mp4": bytes(32_000)})
    assert (small_disk / "small.mp4").stat().st_size == 32_000


def test_of_several_files_all_are_written_or_none(small_disk: Path) -> None:
    with pytest.raises(UnsavedResultError):
        write_files(small_disk, {"out.json": b"{}", "out.mp4": bytes(150_000)})
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_is_gone_keeps_the_result_too(tmp_path: Path) -> None:
    with pytest.raises(UnsavedResultError, match="No such file or directory"):
        write_files(tmp_path / "removed", FILES)


def test_the_first_place_with_room_takes_it_into_a_new_folder(full: Path, tmp_path: Path) -> None:
    roomy = tmp_path / "roomy"
    roomy.mkdir()
    folder = write_elsewhere(FILES, [tmp_path / "absent", full, roomy])
    assert folder is not None and folder.parent == roomy
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert list(full.iterdir()) == []


def unsaved(folder: Path) -> UnsavedResultError:
    return UnsavedResultError(folder, FILES, "No space left on device")


@pytest.fixture
def nowhere(full: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The full disk, where no other place has room either."""
    monkeypatch.setattr("xdyna.rescue.other_places", lambda: [full])
    return full


def test_with_nobody_to_ask_it_says_what_is_lost(nowhere: Path) -> None:
    with pytest.raises(InputError, match=r"No place had room for the result \(0\.2 MB\): out\.mp4, out\.json.*Sorry"):
        rescue(unsaved(nowhere), "Sorry.", None)


def test_the_user_is_asked_until_a_place_has_room(nowhere: Path, tmp_path: Path) -> None:
    answers = iter([str(tmp_path / "absent"), str(nowhere), "~nobody-of-that-name", "", str(tmp_path)])
    folder = rescue(unsaved(nowhere), "", lambda question: next(answers))
    assert folder.parent == tmp_path
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == FILES
    assert list(answers) == []


def test_enter_tries_the_first_place_again(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make_room(question: str) -> str:
        monkeypatch.undo()
        return ""

    assert rescue(unsaved(nowhere), "", make_room) == nowhere
    assert {path.name: path.read_bytes() for path in nowhere.iterdir()} == FILES


@pytest.mark.parametrize("end", [EOFError, KeyboardInterrupt])
def test_whoever_gives_up_reads_what_is_lost(nowhere: Path, end: type[BaseException]) -> None:
    def leave(question: str) -> str:
        raise end

    with pytest.raises(InputError, match="Sorry"):
        rescue(unsaved(nowhere), "Sorry.", leave)
