"""Writes `world.npz`: what the procedural world looked like when the shipped model was trained on it.

    PYTHONPATH=. python tests/golden/make_world.py

Run it only when the world is meant to change, and then train xdyna-mini anew.
"""

from pathlib import Path

import numpy as np

from xdyna.world import SCENES, render_clip

SIZE = {"height": 112, "width": 64}


def pictures() -> dict[str, np.ndarray]:
    """What default seeds look like, and one of every scene."""
    seeds = {f"seed {seed}": render_clip(seed, num_frames=3, **SIZE).frames[2] for seed in range(12)}
    scenes = {
        name: render_clip(
            10**9 + k, num_frames=2, scene_name=name, person=k % 2 == 0, character_seed=5, **SIZE
        ).frames[1]
        for k, name in enumerate(SCENES)
    }
    return seeds | scenes


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).parent / "world.npz", **pictures())
