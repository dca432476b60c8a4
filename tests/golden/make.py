"""Writes `pipeline_seeded.safetensors`: what the whole tiny pipeline makes of seeded weights and inputs.

    PYTHONPATH=tests python tests/golden/make.py

Run it only when `tests/parity.py` has just passed on the full set of official fixtures, whose networks are too large
to ship; the file then carries that proof into every test run.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from tiny import seeded_run

if __name__ == "__main__":
    torch.set_num_threads(1)
    save_file(seeded_run(), Path(__file__).parent / "pipeline_seeded.safetensors")
