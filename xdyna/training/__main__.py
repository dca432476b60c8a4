"""Trains xdyna-mini: `python -m xdyna.training --output runs/mini`. Run it again to go on after a stop."""

import argparse
import logging
from pathlib import Path

import torch

from xdyna.training.autoencoder import train_autoencoder
from xdyna.training.loop import export, train
from xdyna.training.stages import MINI_STAGES


def main() -> None:
    """Autoencoder first, if the folder has none, then every stage."""
    parser = argparse.ArgumentParser(prog="python -m xdyna.training", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for checkpoints and snapshots")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="only write the last snapshot there, to ship")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the training process")
    parser.add_argument("--autoencoder-steps", type=int, default=1500)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if arguments.export:
        export(arguments.output, arguments.export)
        return
    torch.set_num_threads(arguments.threads)
    if not (arguments.output / "vae").exists():
        train_autoencoder(arguments.output / "vae", steps=arguments.autoencoder_steps)
    train(arguments.output, MINI_STAGES)


if __name__ == "__main__":
    main()
