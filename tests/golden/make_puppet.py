"""Writes `puppet.png`: what Puppet made of one drawn photo in several poses when somebody last looked and was content.

    PYTHONPATH=. python tests/golden/make_puppet.py

Run it when Puppet is meant to look different, look at the picture, and commit it.
"""

from functools import partial
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np

from xdyna.puppet.figure import Figure, build_figure
from xdyna.puppet.motion import rest_skeleton
from xdyna.puppet.plate import PlateFiller
from xdyna.puppet.skeleton import Array
from xdyna.schema import Floats, Image, Pose
from xdyna.world import render_clip

SEED, HEIGHT, WIDTH = 903, 224, 128
PICTURE = Path(__file__).parent / "puppet.png"
ARMS, LEGS = ((2, 3, 4, 18), (5, 6, 7, 19)), ((8, 9, 10, 20), (11, 12, 13, 21))  # joints from the body outwards


def sheet() -> Image:
    """The photo, the puppet at rest and in four other poses, side by side, `(height, 6 * width, 3)` uint8 RGB."""
    clip = render_clip(SEED, num_frames=1, height=HEIGHT, width=WIDTH)
    rest = rest_skeleton(clip.pose, clip.pose, (HEIGHT, WIDTH))
    points = clip.face_landmarks[0]
    patient = partial(PlateFiller, patience_s=600)  # a busy machine must not change the background
    with patch("xdyna.puppet.figure.PlateFiller", patient):
        figure = _built(clip.frames[0], clip.pose, rest, points)
    smile = np.zeros((68, 2))
    smile[[48, 54], 0] = -0.12, 0.12
    smile[55:60, 1] = 0.2
    poses = [
        (rest, None),
        (_turned(_turned(rest, ARMS[0], -115), ARMS[1], 115), smile),
        (_turned(_turned(rest, ARMS[0][1:], -75), ARMS[1][1:], 120), None),
        (_turned(_turned(rest, LEGS[0], 35), LEGS[0][1:], -50), None),
        (_turned(_turned(rest, LEGS[0], -12), LEGS[1], 12) + np.array([6.0, -4.0]), None),
    ]
    return np.concatenate([clip.frames[0], *(figure.draw(pose, expression) for pose, expression in poses)], axis=1)


def _turned(skeleton: Array, limb: tuple[int, ...], degrees: float) -> Array:
    """The skeleton with a limb turned clockwise around its first joint."""
    turn, moved = np.exp(1j * np.radians(degrees)), skeleton.copy()
    ends = (skeleton[list(limb[1:])] - skeleton[limb[0]]) @ [1, 1j] * turn
    moved[list(limb[1:])] = skeleton[limb[0]] + np.stack([ends.real, ends.imag], axis=-1)
    return moved


def _built(photo: Image, pose: Pose, rest: Array, points: Floats) -> Figure:
    stages = build_figure(photo, pose, rest, lambda: points)
    while True:
        try:
            next(stages)
        except StopIteration as end:
            return end.value


if __name__ == "__main__":
    cv2.imwrite(str(PICTURE), cv2.cvtColor(sheet(), cv2.COLOR_RGB2BGR))
