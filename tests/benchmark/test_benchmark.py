"""The command on the shipped model, small and short."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xdyna.benchmark.outcome import PEOPLE, SCENERY, load_outcomes
from xdyna.cli import main

SMALL = ["--clips", "3", "--scenes", "3", "--size", "64x112", "--steps", "1"]


def test_one_command_one_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["benchmark", "--out", str(out), *SMALL, "--videos"]) == 0
    text = (out / "table.md").read_text()
    assert capsys.readouterr().out.strip() == text.strip()
    for words in ("3 clips with a person", "3 scene clips", "copy the photo", "mean picture", "BG-DTFD ↓", "## Bars"):
        assert words in text
    report = json.loads((out / "report.json").read_text())
    assert report["settings"]["run"]["height"] == 112 and "sha256" in report["settings"]["DTFD"]
    assert all(cell["num_clips"] <= 3 for row in report["rows"] for cell in row["cells"].values())
    assert len(report["bars"]) == 10
    rows = list(csv.DictReader((out / "table.csv").open()))
    per_method = {method: [r["clips"] for r in rows if r["method"] == method] for method in ("puppet", "xdyna-mini")}
    assert set(per_method["puppet"]) == {PEOPLE} and set(per_method["xdyna-mini"]) == {PEOPLE, SCENERY}
    assert rows[0].keys() >= {"value", "low", "high", "n"}
    clips = list(csv.DictReader((out / "clips.csv").open()))
    assert len(clips) == 5 * 3 + 4 * 3
    copied = [float(row["PSNR"]) for row in clips if row["method"] == "copy the photo" and row["clips"] == PEOPLE]
    shown = next(r for r in rows if (r["clips"], r["score"], r["method"]) == (PEOPLE, "PSNR", "copy the photo"))
    assert float(shown["value"]) == pytest.approx(np.mean(copied))
    outcomes = load_outcomes(out / "clips.npz")
    assert outcomes[SCENERY].features["truth"]["whole"].shape == (3, 64)
    assert Image.open(out / "sheet.png").size == (9 * 64, 6 * 2 * 112)
    # People this small are refused by Puppet, which then is no better than the photo as it is.
    assert "of 3 photos it refused 3" in report["settings"]["puppet"]
    moved = [float(row["PSNR"]) for row in clips if row["method"] == "puppet"]
    assert moved == copied
    methods = [f"--generated={out / 'videos' / method}" for method in ("puppet", "xdyna-mini")]
    options = ["--protocol", "tiktok", "--truth", str(out / "videos" / "truth"), "--frames", "8", "--resamples", "0"]
    assert main(["evaluate", "--out", str(tmp_path / "scores"), *methods, *options]) == 0
    scores = capsys.readouterr().out
    assert "puppet" in scores and "xdyna-mini" in scores


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nowhere"], "is not a model: give xdyna-mini"),
        (["--clips", "2"], "--clips must be at least 3"),
        (["--size", "large"], "--size must be WIDTHxHEIGHT"),
        (["--size", "60x112"], "multiples of 8 between"),
        (["--ablations", "--clips", "5"], "--clips does not go with --ablations"),
        (["--steps", "0"], "--steps must be between 1 and 1000"),
    ],
)
def test_requests_that_cannot_be_met(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["benchmark", "--out", str(tmp_path / "out"), *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
