"""An output that cannot be written is refused before any work, and nobody else writes it meanwhile."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xdyna.cli import main
from xdyna.files import partial_path
from xdyna.output import claimed_file, claimed_folder
from xdyna.recipe import read_recipe
from xdyna.schema import InputError

EXAMPLES = Path(__file__).parent.parent / "examples"
PHOTO, CLIP = str(EXAMPLES / "sea_photo.png"), str(EXAMPLES / "sea_clip.mp4")
FAST = ["--frames", "3", "--steps", "1"]
CHECKPOINTS = ("unet", "controlnet-pose", "controlnet-face", "resampler", "image-encoder", "stable-diffusion")

COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "animate": lambda folder: ["animate", PHOTO, CLIP, "-o", str(folder / "out.mp4"), *FAST],
    "compare": lambda folder: ["compare", PHOTO, CLIP, "-o", str(folder / "out"), *FAST],
    "prepare": lambda folder: ["prepare", PHOTO, CLIP, "-o", str(folder / "out"), *FAST],
    "convert": lambda folder: [
        *("convert", "-o", str(folder / "out")),
        *(word for name in CHECKPOINTS for word in (f"--{name}", "absent")),
    ],
    "train": lambda folder: ["train", "--cpu", "-o", str(folder / "out")],
    "train --export": lambda folder: ["train", "-o", "run", "--export", str(folder / "out")],
    "train-data": lambda folder: ["train-data", "absent", "-o", str(folder / "out")],
    "evaluate": lambda folder: ["evaluate", "--protocol", "study", "--out", str(folder / "out")],
    "benchmark": lambda folder: ["benchmark", "--out", str(folder / "out")],
    "benchmark --ablations": lambda folder: ["benchmark", "--ablations", "--out", str(folder / "out")],
}
WORK = (
    *("xdyna.animate.prepare", "xdyna.pipelines.convert.convert", "xdyna.training.loop.train"),
    *("xdyna.training.checkpoint.export", "xdyna.training.prepare_clips.prepare_clips"),
    *("xdyna.evaluation.study.read_ratings", "xdyna.benchmark.run.benchmark"),
    "xdyna.benchmark.ablations.run_ablations",
)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command would do takes hours: it must not begin."""

    def begin(*_: Any, **__: Any) -> None:
        raise AssertionError("the work has begun")

    for name in WORK:
        monkeypatch.setattr(name, begin)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder where nobody can write, root neither; mode bits would not stop root."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    if os.geteuid():
        folder.chmod(0o500)
        yield folder
        folder.chmod(0o700)
        return
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=64k", "none", folder], capture_output=True).returncode:
        pytest.skip("root cannot mount a file system here, and mode bits do not bind root")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("no_work")
def test_a_folder_that_cannot_be_written_is_refused_at_once(
    command: str, read_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(COMMANDS[command](read_only)) == 2
    said = capsys.readouterr().err
    assert f"{read_only} cannot be written (" in said
    assert "Choose another folder" in said


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("no_work")
def test_a_full_disk_is_told_at_once(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(COMMANDS[command](tmp_path)) == 2
    assert f"{tmp_path} cannot be written (No space left on device)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("no_work")
def test_a_file_is_no_folder(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("precious")
    assert main(COMMANDS[command](tmp_path / "file")) == 2
    assert f"{tmp_path / 'file'} is not a folder" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize("name", ["out.mp4", "out.json"])
def test_a_folder_is_no_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).mkdir()
    assert main([*COMMANDS["animate"](tmp_path), "--force"]) == 2
    assert f"{tmp_path / name} is a folder. Give the name of a file." in capsys.readouterr().err


@pytest.mark.usefixtures("no_work")
def test_a_name_too_long_is_refused_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for length in (245, 300):
        assert main(["animate", PHOTO, CLIP, "-o", str(tmp_path / f"{'x' * length}.mp4"), *FAST]) == 2
        assert "File name too long" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["compare", "prepare", "evaluate"])
@pytest.mark.parametrize("above", [".", "absent"])
@pytest.mark.usefixtures("no_work")
def test_a_folder_with_a_name_too_long_is_refused_at_once(
    command: str, above: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = str(tmp_path / above / ("x" * 300))
    assert main([word.replace(str(tmp_path / "out"), long) for word in COMMANDS[command](tmp_path)]) == 2
    assert "cannot be written (File name too long)" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_where_only_owners_replace_files_those_of_others_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.mp4"
    output.write_text("precious")
    tmp_path.chmod(stat.S_IMODE(tmp_path.stat().st_mode) | stat.S_ISVTX)  # as /tmp
    with claimed_file(output, overwrite=True):
        pass
    monkeypatch.setattr("xdyna.output.os.geteuid", lambda: 12345)
    with pytest.raises(InputError, match="belongs to somebody else"), claimed_file(output, overwrite=True):
        pass


def test_a_trial_leaves_nothing_and_clears_what_a_killed_run_left(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    partial_path(output).write_bytes(b"half")
    with claimed_file(output, beside=[tmp_path / "out.json"], overwrite=False):
        assert list(tmp_path.iterdir()) == []
    with claimed_folder(tmp_path / "new" / "folder", overwrite=False):
        assert list(tmp_path.iterdir()) == []


HOLD = """
import sys
from pathlib import Path
from xdyna.output import claimed_file, claimed_folder

path = Path(sys.argv[1])
with claimed_file(path, overwrite=True) if path.suffix else claimed_folder(path, overwrite=True):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Starts a process that writes an output until it is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(path: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("no_work")
def test_a_second_process_with_the_same_output_is_refused_at_once(
    command: str, hold: Callable[[Path], "subprocess.Popen[str]"], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / ("out.mp4" if command == "animate" else "out")
    first = hold(output)
    assert main(COMMANDS[command](tmp_path)) == 2
    assert f"{output} is being written by process {first.pid} of xdyna." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_another_way_to_write_the_same_path_is_the_same_output(
    hold: Callable[[Path], "subprocess.Popen[str]"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(tmp_path / "out.mp4")
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in (Path("out.mp4"), tmp_path / "link" / "out.mp4", tmp_path / "absent" / ".." / "out.mp4"):
        with pytest.raises(InputError, match="is being written"), claimed_file(path, overwrite=True):
            pass
    with claimed_file(tmp_path / "other.mp4", overwrite=True):
        pass


def test_a_killed_process_frees_its_output(hold: Callable[[Path], "subprocess.Popen[str]"], tmp_path: Path) -> None:
    first = hold(tmp_path / "out.mp4")
    first.kill()
    first.wait()
    with claimed_file(tmp_path / "out.mp4", overwrite=False):
        assert list(tmp_path.iterdir()) == []  # no lock lies about beside the output


def test_a_result_without_room_is_safe_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, roomy, fsync = tmp_path / "full" / "out.mp4", tmp_path / "roomy", os.fsync
    output.parent.mkdir()
    roomy.mkdir()

    def refuse(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(output.parent)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr("xdyna.files.os.fsync", refuse)
    monkeypatch.setattr("xdyna.rescue.other_places", lambda: [roomy])
    assert main(["animate", PHOTO, CLIP, "-o", str(output), *FAST]) == 2
    said = capsys.readouterr().err
    assert f"kB are needed in {output.parent} (No space left on device)" in said
    (folder,) = roomy.iterdir()
    assert f"Move the result from {folder} to where you want it." in said
    assert read_recipe(folder / "out.mp4") == read_recipe(folder / "out.json")
    assert list(output.parent.iterdir()) == []


def test_a_result_that_is_lost_is_made_again_from_its_finished_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, fsync = tmp_path / "out.mp4", os.fsync

    def refuse(descriptor: int) -> None:  # what is larger than a state of the sampler has no room
        if "out.mp4.partial" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    command = ["animate", PHOTO, CLIP, "-o", str(output), *FAST]
    with monkeypatch.context() as full:
        full.setattr("xdyna.files.os.fsync", refuse)
        full.setattr("xdyna.rescue.other_places", list)
        assert main(command) == 2
    assert "the same command goes on from its finished steps" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.unfinished"]

    def compute(*_: object, **__: object) -> None:
        raise AssertionError("a finished step is computed again")

    monkeypatch.setattr("xdyna.models.XDynaUNet.forward", compute)
    assert main(command) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.mp4"]


def test_comparisons_go_on_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output, roomy, fsync = tmp_path / "full", tmp_path / "roomy", os.fsync
    roomy.mkdir()

    def refuse(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(output / ".2")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr("xdyna.files.os.fsync", refuse)
    monkeypatch.setattr("xdyna.rescue.other_places", lambda: [roomy])
    assert main(["compare", PHOTO, CLIP, "-o", str(output), *FAST]) == 2
    (folder,) = roomy.iterdir()
    assert f"{output} is not complete. Move the rest from {folder} to" in capsys.readouterr().err
    assert [path.name for path in output.iterdir()] == ["1.mp4"]
    assert sorted(path.name for path in folder.iterdir()) == ["2.mp4", "3.mp4", "comparison.json", "comparison.mp4"]


def test_a_run_without_room_for_checkpoints_ends_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.unfinished").write_text("in the way of the folder")
    command = ["animate", PHOTO, CLIP, "-o", str(tmp_path / "out.mp4"), *FAST]
    done = subprocess.run([sys.executable, "-m", "xdyna", *command], capture_output=True, text=True)
    assert done.returncode == 0
    assert "out.mp4.unfinished cannot be written (File exists). The run goes on, but" in done.stderr
    assert (tmp_path / "out.mp4").is_file()
