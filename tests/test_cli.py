"""The command line: what it writes, what it says, how it exits."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from xdyna.cli import main
from xdyna.compare.grid import read_comparison
from xdyna.models import XDynaUNet
from xdyna.recipe import read_recipe
from xdyna.video import probe, read_video

EXAMPLES = Path(__file__).parent.parent / "examples"
PHOTO, CLIP = str(EXAMPLES / "sea_photo.png"), str(EXAMPLES / "sea_clip.mp4")
PATIENCE_S = 600.0  # for a condition on a machine that is busy with something else
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
    assert re.search(r"estimate: 1 steps, \d+ s and \d+\.\d GB in memory mode full, measured for one core", said.err)
    assert "Denoising" in said.err
    assert str(output) in said.out


def test_prepare_writes_what_the_model_will_see(tmp_path: Path) -> None:
    assert main(["prepare", PHOTO, CLIP, "-o", str(tmp_path / "seen"), "--frames", "3"]) == 0
    written = {path.name for path in (tmp_path / "seen").iterdir()}
    seen = {f"sees-{name}.mp4" for name in ("pose", "face-local", "face-global")}
    assert (
        written
        == {"overlay.png", "pose.mp4", "face.png", "report.json", "motion.xdyna-motion", "moved.mp4", "mask.png"}
        | seen
    )
    report = json.loads((tmp_path / "seen" / "report.json").read_text())
    assert report["num_frames"] == 3
    assert report["people"]["photo_person"] == report["people"]["clip_person"] == 1
    assert report["found"]["body"] == 1.0
    assert {"alignment", "best_start_s", "frames_without_face", "checks", "seconds"} <= set(report)


def test_a_motion_file_stands_for_the_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", PHOTO, CLIP, "-o", str(tmp_path / "seen"), "--frames", "3"]) == 0
    motion = str(tmp_path / "seen" / "motion.xdyna-motion")
    assert main(["animate", PHOTO, motion, "-o", str(tmp_path / "out.mp4"), *FAST]) == 0
    assert read_recipe(tmp_path / "out.mp4").num_frames == 3
    assert "no pictures of the driver" in capsys.readouterr().err


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
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs inherit that it is ignored
    )
    assert process.stderr is not None
    said = ""
    while "Denoising" not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    process.send_signal(signal.SIGINT)
    said += process.stderr.read()
    assert process.wait() == 130
    assert "Decoding" not in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_goes_on_with_the_same_command_and_ends_with_the_same_video(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = ["--frames", "6", "--context-frames", "4", "--context-overlap", "1", "--steps", "8"]
    command = ["animate", PHOTO, CLIP, "-o", str(tmp_path / "out.mp4"), *windows]
    process = subprocess.Popen([sys.executable, "-m", "xdyna", *command], stderr=subprocess.DEVNULL)
    unfinished, patience = tmp_path / "out.mp4.unfinished", time.monotonic() + PATIENCE_S
    while not list(unfinished.glob("window-3-*.pt")):
        assert process.poll() is None and time.monotonic() < patience
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert [path.name for path in tmp_path.iterdir()] == [unfinished.name]

    calls: list[int] = []
    forward = XDynaUNet.forward
    monkeypatch.setattr(XDynaUNet, "forward", lambda *args, **kwargs: (calls.append(1), forward(*args, **kwargs))[1])
    assert main(command) == 0
    assert "goes on if this is the run that was cut off" in capsys.readouterr().err
    assert 0 < len(calls) <= 5 * 2  # three of eight steps were finished, in two windows each
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.json", "out.mp4"]

    assert main([*command[:4], str(tmp_path / "whole.mp4"), *windows]) == 0
    got, whole = (read_video(tmp_path / name, fps=8, num_frames=6).frames for name in ("out.mp4", "whole.mp4"))
    assert np.array_equal(got, whole)


def test_compare_writes_every_variant_and_the_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    variants = ["--variant", "Soft: adapter_strength=0.5", "--variant", "Strong: adapter_strength=1.2"]
    assert main(["compare", PHOTO, CLIP, *variants, "-o", str(folder), *FAST]) == 0
    shown = capsys.readouterr()
    assert re.search(r"Soft: background motion \d+ of 100\nStrong: background motion \d+ of 100", shown.out)
    assert "Strong (2 of 2): Denoising" in shown.err
    made = read_comparison(folder / "comparison.mp4")
    assert [recipe.settings["adapter_strength"] for recipe in made.values()] == [0.5, 1.2]
    assert [read_recipe(folder / f"{k}.mp4") for k in (1, 2)] == list(made.values())

    pair = [str(folder / "1.mp4"), str(folder / "2.mp4")]
    assert main(["compare", *pair, "--axis", "videos", "-o", str(tmp_path / "again")]) == 0
    assert list(read_comparison(tmp_path / "again" / "comparison.mp4").values()) == list(made.values())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--variant", "A: seed=1"], "needs 2 to 4 variants, got 1"),
        (["--variant", "A", "--variant", "B"], "A variant is a label"),
        (["--axis", "videos"], "carries no recipe of xdyna"),
    ],
)
def test_compare_refuses_before_the_work(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", CLIP, CLIP, *flags, "-o", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_photo_alone_becomes_a_live_photo(tmp_path: Path) -> None:
    output = tmp_path / "alive.mp4"
    assert main(["animate", PHOTO, "-o", str(output), *FAST, "--sway", "1"]) == 0
    recipe = read_recipe(output)
    assert (recipe.settings["live_photo"], recipe.settings["sway"], recipe.num_frames) == (True, 1.0, 3)


def test_arrows_set_the_background_in_motion(tmp_path: Path) -> None:
    arrows, suggested = tmp_path / "arrows.mp4", tmp_path / "suggested.mp4"
    flags = [
        "--model",
        "puppet",
        "--frames",
        "3",
        "--flow",
        "0.1,0.5,0.4,0.5,0.1",
        "--flow",
        "0,0.1,0.4,0.1,0.02,sway",
    ]
    assert main(["animate", PHOTO, CLIP, "-o", str(arrows), *flags]) == 0
    assert read_recipe(arrows).settings["flows"] == "0.1,0.5,0.4,0.5,0.1; 0,0.1,0.4,0.1,0.02,sway"
    again = ["animate", PHOTO, CLIP, "--like", str(arrows)]
    assert main([*again, "--flow", "suggested", "-o", str(suggested)]) == 0
    frames = [read_video(path, fps=8, num_frames=3).frames for path in (arrows, suggested)]
    assert not np.array_equal(*frames)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--backend", "puppet", "--flow", "0,0,1,2"], "flows must begin and end within 0 to 1 of the photo"),
        (["--backend", "xdyna-mini", "--flow", "suggested"], "xdyna-mini has no setting flows"),
        (["--backend", "dynamictrl", "--adapter-strength", "0.5"], "DynamiCtrl has no setting adapter_strength"),
        (["--backend", "dynamictrl", "--frames", "38"], "8 k + 5: 5, 13, 21, 29 and so on up to 85, got 38. Use 37"),
        (["--backend", "wan-animate", "--width", "472"], "multiple of 16 between 64 and 1536, got 472. Use 464"),
        (["--backend", "xdyna-mini", "--mode", "replace"], "xdyna-mini has no setting mode"),
        (["--backend", "wan-animate"], "xdyna weights pull wan-animate"),
    ],
)
def test_a_backend_refuses_what_it_cannot_do(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["animate", PHOTO, CLIP, "-o", str(tmp_path / "out.mp4"), *flags]) == 2
    assert said in capsys.readouterr().err
