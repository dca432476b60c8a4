"""Training samples from the procedural world."""

from itertools import islice

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from xdyna.training.data import WorldClips, pasted_faces, perturbed
from xdyna.world import render_clip


def samples(count: int = 3, **changes: object) -> list[dict[str, torch.Tensor]]:
    settings = {"seed": 0, "num_frames": 4, "scene_fraction": 0.0, "ordered": False, "face": False} | changes
    return list(islice(WorldClips(**settings), count))


def test_shapes() -> None:
    sample = samples(1, face=True)[0]
    assert {name: tuple(value.shape) for name, value in sample.items()} == {
        "reference": (3, 224, 128),
        "frames": (4, 3, 224, 128),
        "pose": (4, 3, 224, 128),
        "person": (4, 224, 128),
        "face_local": (4, 3, 224, 128),
        "face_global": (4, 3, 224, 128),
    }
    assert all(value.dtype == torch.uint8 for value in sample.values())


def test_a_seed_is_a_sequence() -> None:
    first, again, other = samples(), samples(), samples(seed=1)
    assert all(torch.equal(a["frames"], b["frames"]) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a["frames"], b["frames"]) for a, b in zip(first, other, strict=True))


def test_scene_clips_have_blank_controls() -> None:
    for sample in samples(scene_fraction=1.0):
        assert sample["pose"].max() == 0
        assert sample["person"].max() == 0
        assert sample["frames"].float().std() > 5


def test_drawn_pose_lies_on_the_person() -> None:
    sample = samples(1)[0]
    drawn = sample["pose"].amax(dim=1) > 0
    on_person = (drawn & (sample["person"] > 0)).sum() / drawn.sum()
    assert on_person > 0.6  # hands are drawn larger than they are, joints jitter


def test_a_strangers_face_lands_on_the_persons() -> None:
    clip, stranger = render_clip(3, num_frames=2), render_clip(3, num_frames=2, character_seed=9)
    moved, landmarks = pasted_faces(stranger.frames, stranger.face_landmarks, clip.face_landmarks)
    assert moved.shape == clip.frames.shape
    assert np.abs(landmarks.mean(axis=1) - clip.face_landmarks.mean(axis=1)).max() < 0.5
    assert np.ptp(landmarks, axis=1) == pytest.approx(np.ptp(clip.face_landmarks, axis=1), rel=0.25)


def test_perturbed_pose_stays_close() -> None:
    pose = render_clip(3, num_frames=2).pose
    moved = perturbed(default_rng(0), pose)
    assert 0 < np.abs(moved.body - pose.body).max() < 4
