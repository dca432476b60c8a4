"""From folders to tables, with whatever networks are there."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation.closed_form import hashed_weights

from xdyna.cli import main
from xdyna.evaluation.clips import MismatchError, Reading, list_folders
from xdyna.evaluation.frechet import FeatureSet, frechet_distance
from xdyna.evaluation.metrics import frame_psnr
from xdyna.evaluation.networks.i3d import I3D
from xdyna.evaluation.report import latex, markdown, write_evaluation
from xdyna.evaluation.scores import Evaluation, Plan, evaluate
from xdyna.schema import InputError, Progress, Video
from xdyna.video import read_video, write_video
from xdyna.world import render_clip

NUM_FRAMES = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three true clips; "ours" dances them before another background, "copy" repeats the first frame."""
    folder = tmp_path_factory.mktemp("data")
    for k in range(3):
        true = render_clip(k, num_frames=NUM_FRAMES, height=112, width=64).frames
        ours = render_clip(k, num_frames=NUM_FRAMES, height=112, width=64, scene_seed=50 + k).frames
        for name, frames in {"truth": true, "ours": ours, "copy": np.repeat(true[:1], NUM_FRAMES, axis=0)}.items():
            write_clip(folder / name / f"clip{k}.mp4", frames)
    return folder


def write_clip(path: Path, frames: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, Video(frames=frames, fps=8.0))


@pytest.fixture(autouse=True)
def no_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDYNA_BACKBONES", str(tmp_path / "networks"))


@pytest.fixture(scope="module")
def texture_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("network") / "I3D_16.pth.tar"
    torch.save({"state_dict": hashed_weights(I3D(18, pooled=True)).state_dict()}, file)
    return file


def plan_of(data: Path, folder: Path, *methods: str, protocol: str = "tiktok", against: str = "truth") -> Plan:
    cases, skipped = list_folders({name: data / name for name in methods}, {against: data / "truth"})
    assert not skipped
    return Plan(protocol=protocol, cases=cases, reading=Reading(min_frames=8), statistics=folder)


def finish(events: Iterator[Progress | Evaluation]) -> Evaluation:
    *progress, last = events
    assert isinstance(last, Evaluation)
    assert all(isinstance(event, Progress) for event in progress) and progress
    return last


@pytest.fixture(scope="module")
def two_methods(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """Table 2 of "ours" and "copy", on a machine without networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDYNA_BACKBONES", str(data / "networks"))
        return finish(evaluate(plan_of(data, tmp_path_factory.mktemp("statistics"), "ours", "copy")))


def test_a_copy_of_the_truth_is_perfect(data: Path, tmp_path: Path) -> None:
    found = finish(evaluate(plan_of(data, tmp_path, "truth"))).scores["truth"]
    assert (found["l1"].value, found["psnr"].value, found["ssim"].value) == (0, 100, pytest.approx(1))
    assert found["foreground_psnr"].num_clips == found["psnr"].num_clips == 3


def test_numbers_are_means_over_clips(data: Path, two_methods: Evaluation) -> None:
    evaluation = two_methods
    pairs = [[data / name / f"clip{k}.mp4" for name in ("ours", "truth")] for k in range(3)]
    clips = [[read_video(path, fps=8, num_frames=99).frames for path in pair] for pair in pairs]
    expected = [frame_psnr(*pair) for pair in clips]
    score = evaluation.scores["ours"]["psnr"]
    assert score.value == pytest.approx(np.mean(expected))
    assert min(expected) <= score.interval[0] <= score.value <= score.interval[1] <= max(expected)
    gap = next(d for d in evaluation.differences if d.metric == "psnr")
    assert gap.value == pytest.approx(evaluation.scores["copy"]["psnr"].value - score.value)
    assert evaluation.scores["ours"]["foreground_psnr"].value > evaluation.scores["copy"]["foreground_psnr"].value


def test_a_copied_photo_has_a_dead_background(data: Path, tmp_path: Path) -> None:
    scores = finish(evaluate(plan_of(data, tmp_path, "truth", "copy", protocol="dynamics"))).scores
    assert scores["copy"]["static"].value > 0.99
    assert scores["copy"]["motion_ratio"].value < 0.05
    assert scores["truth"]["motion_ratio"].value == pytest.approx(1)


def test_missing_networks_leave_their_columns_out(two_methods: Evaluation) -> None:
    evaluation = two_methods
    assert {"lpips", "face_cos", "foreground_inception", "background_videomae"} <= evaluation.missing.keys()
    assert all("is missing" in why and "\n" not in why for why in evaluation.missing.values())
    assert np.isfinite(evaluation.scores["ours"]["ssim"].value)
    text = markdown(evaluation)
    assert "LPIPS" not in text.partition("## Left out")[0]
    assert text.count("Inception v3 (FID) is missing") == 1  # one line for all its columns
    assert "Real halves" not in text  # which only scores of sets have


def test_set_scores_and_the_reuse_of_their_features(data: Path, tmp_path: Path, texture_network: Path) -> None:
    plan = replace(
        plan_of(data, tmp_path, "copy", protocol="cross", against="driving"),
        backbones={"dti3d": texture_network},
        num_resamples=5,
    )
    first = finish(evaluate(plan))
    score = first.scores["copy"]["whole_dti3d"]
    stored = {path.stem: FeatureSet.load(path) for path in tmp_path.glob("*.npz")}
    made, real = stored["dti3d-whole-copy"], stored["dti3d-whole-_real_"]
    assert score.value == pytest.approx(frechet_distance(made.features, real.features))
    assert (score.num_clips, score.num_features, len(made.clips)) == (3, 3, 3)
    assert score.interval[0] < score.value < score.interval[1]
    assert "sha256" in str(first.settings["backbones"])
    assert "| copy | DTFVD |" in markdown(first) and "Real halves" in markdown(first)
    for name, features in stored.items():  # a distance scales with the square: the stored features are what counts
        FeatureSet(keys=features.keys, features=3 * features.features).save(tmp_path / f"{name}.npz")
    again = finish(evaluate(plan)).scores["copy"]["whole_dti3d"]
    assert again.value == pytest.approx(9 * score.value)


def test_bad_clips_are_listed_and_the_rest_is_scored(data: Path, tmp_path: Path) -> None:
    made, true = tmp_path / "made", tmp_path / "truth"
    good = read_video(data / "truth" / "clip0.mp4", fps=8, num_frames=99).frames
    for name in ("good", "corrupt", "empty", "short", "unmade"):
        write_clip(true / f"{name}.mp4", good)
    write_clip(made / "good.mp4", good)
    write_clip(made / "short.mp4", good[:5])
    (made / "corrupt.mp4").write_bytes((made / "good.mp4").read_bytes()[:2000])
    (made / "empty.mp4").touch()
    out = tmp_path / "out"
    command = ["evaluate", "--protocol", "tiktok", "--generated", str(made), "--truth", str(true), "--out", str(out)]
    assert main(command) == 0
    report = json.loads((out / "report.json").read_text())
    assert list(report["clips"]["made"]) == ["good"]
    reasons = {clip["name"]: clip["reason"] for clip in report["skipped"]}
    assert reasons.keys() == {"corrupt", "empty", "short", "unmade"}
    for name, words in {"corrupt": "damaged", "empty": "0 bytes", "short": "5 frames; 16", "unmade": "no gen"}.items():
        assert words in reasons[name]
        assert f"| {name} |" in (out / "table.md").read_text()


def test_a_mismatch_stops_the_run(data: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "long" / "clip0.mp4", np.zeros((NUM_FRAMES + 2, 112, 64, 3), np.uint8))
    cases, _ = list_folders({"long": tmp_path / "long"}, {"truth": data / "truth"})
    with pytest.raises(MismatchError, match="--length shortest"):
        list(evaluate(Plan(protocol="tiktok", cases=cases, reading=Reading(), statistics=tmp_path)))


def test_no_usable_clip_is_an_error(data: Path, tmp_path: Path) -> None:
    plan = replace(plan_of(data, tmp_path, "ours"), reading=Reading(min_frames=999))
    with pytest.raises(InputError, match=r"None of the clips could be used\. clip0: too short"):
        list(evaluate(plan))


def test_the_files_of_a_report(two_methods: Evaluation, tmp_path: Path) -> None:
    evaluation = two_methods
    files = write_evaluation(evaluation, tmp_path / "out")
    assert [f.name for f in files] == ["table.md", "table.tex", "report.json", "clips.csv", "clips.png"]
    assert all(file.stat().st_size > 100 for file in files)
    rows = list(csv.DictReader(files[3].open()))
    assert [row["method"] + row["clip"] for row in rows] == [f"{m}clip{k}" for m in ("ours", "copy") for k in range(3)]
    assert np.mean([float(row["psnr"]) for row in rows[:3]]) == pytest.approx(evaluation.scores["ours"]["psnr"].value)
    table = latex(evaluation)
    assert table.count(r"\\") == 3 and r"\textbf{" in table and r" \%" in table
    report = json.loads(files[2].read_text())
    assert report["scores"]["ours"]["lpips"]["value"] is None  # JSON has no NaN
    assert "16 x 64 x 112 @ 8" in str(report["settings"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--truth", "truth"], "needs --generated DIR and --truth DIR"),
        (["--generated", "ours"], "needs --generated DIR and --truth DIR"),
        (["--generated", "ours", "--truth", "nowhere"], "There is no folder nowhere"),
        (["--generated", "ours", "--truth", "truth", "--frames", "2"], "between 3 and 600"),
        (["--generated", "ours", "--truth", "truth", "--fps", "slow"], "--fps must be"),
        (["--generated", "ours", "--truth", "truth", "--size", "0x0"], "--size must be"),
        (["--generated", "ours", "--truth", "truth", "--backbone", "vgg=x"], "--backbone must be"),
        (["--generated", "ours", "--generated", "ours", "--truth", "truth"], "Two methods are called ours"),
        (["--generated", "ours", "--pairs", "p.csv"], "not both"),
        (["--generated", "ours", "--truth", "truth", "--device", "toaster"], "--device toaster cannot be used"),
    ],
)
def test_requests_that_cannot_be_met(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    monkeypatch.chdir(data)
    assert main(["evaluate", "--protocol", "tiktok", "--out", "out", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (data / "out").exists()


def test_a_study_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"u{u},c1,{method},{(u + shift) % 6}" for u in range(6) for shift, method in enumerate("xyz")]
    (tmp_path / "r.csv").write_text("\n".join(["user,case,method,ID", *rows]))
    command = ["evaluate", "--protocol", "study", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert "--ratings" in capsys.readouterr().err
    assert main([*command, "--ratings", str(tmp_path / "r.csv")]) == 0
    assert "| ID |" in capsys.readouterr().out


def test_short_clips_count_where_asked_for(data: Path, tmp_path: Path, texture_network: Path) -> None:
    for name in ("ours", "truth"):
        frames = read_video(data / name / "clip0.mp4", fps=8, num_frames=6).frames
        write_clip(tmp_path / name / "clip0.mp4", frames)
    folders = [
        "--generated",
        str(tmp_path / "ours"),
        "--truth",
        str(tmp_path / "truth"),
        "--out",
        str(tmp_path / "out"),
    ]
    command = ["evaluate", "--protocol", "dynamics", *folders, "--backbone", f"dti3d={texture_network}"]
    assert main(command) == 2
    assert main([*command, "--frames", "6"]) == 0
    scores = json.loads((tmp_path / "out" / "report.json").read_text())["scores"]["ours"]
    assert scores["subject"]["num_clips"] == 1
    assert (scores["whole_dti3d"]["value"], scores["whole_dti3d"]["num_clips"]) == (None, 0)
