"""The command line: what it writes, what it says, how it exits."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xdyna.cli import main
from xdyna.recipe import read_recipe
from xdyna.video import probe

EXAMPLES = Path(__file__).parent.parent / "examples"
PHOTO, CLIP = str(EXAMPLES / "sea_photo.png"), str(EXAMPLES / "sea_clip.mp4")
FAST = ["--frames", "3", "--steps", "1"]


def test_animate_writes_a_playable_video_and_its_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.mp4"
    assert main(["animate", PHOTO, CLIP, "-o", str(output), *FAST, "--seed", "9", "--guidance", "2"]) == 0
    info = probe(output)
    assert (info.width, info.height) == (128, 224)
    recipe = read_recipe(output)
    assert recipe.num_frames == 3
    assert (recipe.settings["seed"], recipe.settings["guidance_scale"]) == (9, 2.0)
    said = capsys.readouterr()
    assert "xdyna-mini" in said.err and "drawn characters" in said.err  # which model runs and what it can do
    assert "Denoising" in said.err
    assert str(output) in said.out


def test_prepare_writes_what_the_model_will_see(tmp_path: Path) -> None:
    assert main(["prepare", PHOTO, CLIP, "-o", str(tmp_path / "seen"), "--frames", "3"]) == 0
    written = {path.name for path in (tmp_path / "seen").iterdir()}
    assert written == {"overlay.png", "pose.mp4", "face.png", "report.json"}


def test_prepare_does_not_write_among_other_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "report.json").write_text("precious")
    for output in (tmp_path, tmp_path / "report.json"):
        assert main(["prepare", PHOTO, CLIP, "-o", str(output), "--frames", "3"]) == 2
        assert "--force" in capsys.readouterr().err
    assert (tmp_path / "report.json").read_text() == "precious"


def test_an_existing_result_is_kept_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out.mp4"
    output.write_text("precious")
    assert main(["animate", PHOTO, CLIP, "-o", str(output), *FAST]) == 2
    assert "--force" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert main(["animate", PHOTO, CLIP, "-o", str(output), *FAST, "--force"]) == 0
    assert output.stat().st_size > 1000


@pytest.mark.parametrize(
    ("photo", "clip", "extra", "message"),
    [
        pytest.param("empty.png", CLIP, [], "empty", id="photo of 0 bytes"),
        pytest.param(PHOTO, "empty.mp4", [], "empty", id="clip of 0 bytes"),
        pytest.param("cut.png", CLIP, [], "damaged or incomplete", id="truncated photo"),
        pytest.param(PHOTO, "cut.mp4", [], "damaged", id="truncated clip"),
        pytest.param("gray.png", CLIP, [], "No person found in the photo", id="photo without a person"),
        pytest.param(PHOTO, "gray.mp4", [], "No person found in the clip", id="clip without a person"),
        pytest.param("absent.png", CLIP, [], "There is no file absent.png", id="no such photo"),
        pytest.param(PHOTO, "absent.mp4", [], "There is no file absent.mp4", id="no such clip"),
        pytest.param(PHOTO, CLIP, ["--steps", "0"], "must be between 1 and 100, got 0", id="value out of range"),
        pytest.param(PHOTO, CLIP, ["--model", "xdyna"], "xdyna weights pull", id="weights missing"),
        pytest.param(PHOTO, CLIP, ["-o", "out.avi"], "must be an .mp4", id="output of another kind"),
        pytest.param(PHOTO, CLIP, ["-o", "nowhere/out.mp4"], "does not exist", id="no such folder"),
    ],
)
def test_what_cannot_be_done_is_one_clear_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    photo: str,
    clip: str,
    extra: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path / "weights"))
    _write_bad_files(tmp_path)
    before = set(tmp_path.iterdir())
    assert main(["animate", photo, clip, "-o", "out.mp4", *FAST, *extra]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert set(tmp_path.iterdir()) == before  # nothing left behind


def _write_bad_files(folder: Path) -> None:
    import numpy as np
    from PIL import Image

    from xdyna.schema import Video
    from xdyna.video import write_video

    gray = np.full((6, 160, 120, 3), 128, np.uint8)
    Image.fromarray(gray[0]).save(folder / "gray.png")
    write_video(folder / "gray.mp4", Video(frames=gray, fps=8))
    for name in ("empty.png", "empty.mp4"):
        (folder / name).touch()
    (folder / "cut.png").write_bytes(Path(PHOTO).read_bytes()[:20_000])
    (folder / "cut.mp4").write_bytes(Path(CLIP).read_bytes()[:20_000])


@pytest.mark.parametrize("arguments", [[], ["fly"], ["animate"], ["animate", PHOTO, CLIP], ["weights", "steal"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_weights_status(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_WEIGHTS", str(tmp_path))
    assert main(["weights", "status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("xdyna ") and "xdyna weights pull" in line for line in lines)
    assert any(line.startswith("xdyna-mini") and "ready" in line for line in lines)


def test_ctrl_c_stops_without_a_traceback_and_leaves_nothing(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "xdyna",
        "animate",
        PHOTO,
        CLIP,
        "-o",
        str(tmp_path / "out.mp4"),
        "--steps",
        "100",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    assert process.stderr is not None
    said = ""
    while "Denoising" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    said += process.stderr.read()
    assert process.wait() == 130
    assert time.monotonic() - started < 30
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []
