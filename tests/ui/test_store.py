"""Files of visitors on the server: private, bounded, and gone in time."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from xdyna.schema import InputError
from xdyna.ui.store import FileStore, default_base

HASH = "0123456789abcdef" * 4


class Clock:
    """The time of the file system, and what a test adds to it."""

    def __init__(self) -> None:
        self.later = 0.0

    def __call__(self) -> float:
        return time.time() + self.later


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileStore]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # both are set by `open`
    monkeypatch.setattr(tempfile, "tempdir", None)
    store = FileStore(tmp_path / "base", keep_s=7200, clock=Clock())
    store.open()
    yield store
    store.close()


def put_result(store: FileStore, size: int = 10) -> str:
    place = store.new()
    (place / "xdyna.mp4").write_bytes(b"x" * size)
    (place / "xdyna.json").write_bytes(b"{}")
    return place.name


def put_upload(store: FileStore, name: str = "photo.png", digest: str = HASH) -> Path:
    path = store.folder / digest / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 10)
    return path


def files(store: FileStore) -> list[str]:
    return sorted(path.name for path in store.base.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_result_is_found_by_its_id_only(store: FileStore) -> None:
    first, second = put_result(store), put_result(store)
    assert first != second and len(first) == 32
    assert (store.find(first) / "xdyna.mp4").read_bytes() == b"x" * 10
    assert store.base.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("id", ["", "..", "../base", "/etc", ".", "*", "a" * 31, "a" * 32, None, 7, ["a" * 32]])
def test_anything_else_finds_nothing(store: FileStore, id: object) -> None:
    put_result(store)
    assert store.find(id) is None


def test_uploads_and_all_temporary_files_of_the_process_are_in_it(store: FileStore) -> None:
    assert os.environ["GRADIO_TEMP_DIR"] == str(store.folder)
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).is_relative_to(store.folder)


def test_every_file_goes_once_it_is_old_and_not_before(store: FileStore) -> None:
    put_result(store)
    put_upload(store)
    (store.folder / "tmp" / "half-an-upload").write_bytes(b"x")
    os.utime(put_upload(store, "old-camera.jpg"), (0, 0))  # a copy keeps the time of its original, not its age
    before = files(store)
    store.clock.later = 7100
    store.sweep()
    assert files(store) == before
    store.clock.later = 7200
    store.sweep()
    assert files(store) == []
    store.clock.later = 7300
    store.sweep()
    assert [path.name for path in store.folder.iterdir()] == ["tmp"]


def test_what_has_expired_is_not_found_either(store: FileStore) -> None:
    id = put_result(store)
    store.clock.later = 7200
    assert store.find(id) is None


def test_the_oldest_go_when_there_is_too_much_and_results_go_whole(store: FileStore) -> None:
    ids = []
    for _ in range(3):
        ids.append(put_result(store, size=100))
        time.sleep(0.02)  # the file system's clock is coarse; it only has to tell them apart
    store.max_bytes = 250
    store.sweep()
    assert [bool(store.find(id)) for id in ids] == [False, True, True]
    assert files(store) == ["xdyna.json", "xdyna.json", "xdyna.mp4", "xdyna.mp4"]


def test_only_uploads_to_this_server_count_as_uploads(store: FileStore, tmp_path: Path) -> None:
    upload, elsewhere = put_upload(store), tmp_path / HASH / "photo.png"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"x")
    other = FileStore(store.base, keep_s=7200)
    other.open()
    link = store.folder / HASH[::-1] / "link.png"
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    result = store.folder / put_result(store) / "xdyna.mp4"
    assert store.is_upload(str(upload))
    for path in (
        *(elsewhere, link, result, put_upload(other), upload.parent, store.folder / "tmp"),
        *(Path(__file__), store.folder / HASH / ".." / HASH / "photo.png", store.folder / HASH / "missing.png"),
    ):
        assert not store.is_upload(str(path)), path
    for value in (None, 7, "", "photo.png", "photo\0.png", "https://example.org/photo.png", upload, [str(upload)]):
        assert not store.is_upload(value), value
    other.close()


def test_each_running_server_has_a_folder_of_its_own_and_the_next_one_inherits_it(store: FileStore) -> None:
    other = FileStore(store.base, keep_s=7200)
    other.open()
    assert (store.folder.name, other.folder.name) == ("server-0", "server-1")
    left = put_upload(other)
    other.close()
    successor = FileStore(store.base, keep_s=7200)
    successor.open()
    assert successor.is_upload(str(left))
    successor.close()


def test_what_a_killed_server_left_is_swept_by_the_next_one(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from xdyna.ui.store import FileStore\n"
        "store = FileStore(Path(sys.argv[1]), keep_s=7200); store.open()\n"
        "(store.new() / 'xdyna.mp4').write_bytes(b'x'); (store.folder / 'tmp' / 'part').write_bytes(b'x')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "base")], check=False)
    assert killed.returncode == -9
    successor = FileStore(tmp_path / "base", keep_s=7200, clock=Clock())
    assert files(successor) == ["part", "xdyna.mp4"]
    successor.clock.later = 7200
    successor.sweep()
    assert files(successor) == []


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "base").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="XDYNA_RESULTS"):
        FileStore(tmp_path / "base", keep_s=7200).open()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used"):
        FileStore(tmp_path / "file" / "base", keep_s=7200).open()


def test_it_is_swept_without_visitors(store: FileStore) -> None:
    put_upload(store)
    store.clock.later = 7200
    store.sweep_on_schedule(every_s=3600)
    give_up_at = time.monotonic() + 120
    while files(store):
        assert time.monotonic() < give_up_at
        os.sched_yield()


def test_a_file_that_cannot_be_deleted_does_not_keep_the_others(
    store: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, other = put_upload(store, "stuck.png"), put_upload(store, "other.png")
    unlink = Path.unlink

    def unless_stuck(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unless_stuck)
    store.clock.later = 7200
    store.sweep()
    assert stuck.exists() and not other.exists()


def test_a_user_without_a_name_has_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_name() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setenv("XDYNA_RESULTS", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", no_name)
    assert default_base() == tmp_path / f"xdyna-files-{os.getuid()}"
