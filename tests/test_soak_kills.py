"""A few kills of a program that saves; `tools/soak_kills.py` does more of them, and kills whole runs too."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "tools" / "soak_kills.py"


def test_no_kill_leaves_a_half_written_result() -> None:
    command = [sys.executable, SCRIPT, "--denoising", "0", "--finishing", "0", "--saving", "5"]
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "saving          5     5" in done.stdout
