"""The script for a GPU that is not at hand runs from end to end, on a small model."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "speed_gpu.py"


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, timeout=1200)


def test_every_memory_mode_gets_a_row_with_its_seconds_and_rate() -> None:
    ended = run("--tiny")
    assert ended.returncode == 0, ended.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in ended.stdout.splitlines() if line[:1] == "|"]
    title, _, *rows = rows
    assert [row[:3] for row in rows] == [
        ["float32", mode, "4"] for mode in ("full", "model_offload", "sequential_offload")
    ]
    for row in rows:
        measured = dict(zip(title, row, strict=True))
        assert float(measured["s"]) > float(measured["s a step"]) > 0
        assert 0 < float(measured["share of matmul rate"]) < 1
        assert float(measured["TFLOP a step"]) > 1e-3


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and the full-size model would start")
def test_without_a_gpu_the_full_size_is_refused() -> None:
    ended = run()
    assert ended.returncode == 2
    assert "there is no GPU here" in ended.stderr
