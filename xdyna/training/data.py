"""Training clips from the procedural world: endless, reproducible from a seed, rendered in worker processes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from xdyna.preprocess.draw import draw_pose
from xdyna.preprocess.face import face_patches
from xdyna.schema import Floats, Frames, Pose
from xdyna.training.mini import HEIGHT, WIDTH
from xdyna.world import WorldClip, render_clip

Rng = np.random.Generator

RENDERED_FRAMES = 16
SAMPLES_PER_CLIP = 3
BUFFERED_CLIPS = 48  # samples are drawn from this many clips, so that neighbours in a batch are strangers
HELD_OUT_SEEDS = 1_000_000_000  # training draws its seeds below, evaluation at and above this number


class WorldClips(IterableDataset[dict[str, Tensor]]):
    """Random training samples.

    One sample is a dict of uint8 tensors: `reference` `(3, h, w)`; `frames`, `pose` `(num_frames, 3, h, w)`; `person`
    `(num_frames, h, w)`, 1 where the person is; with `face` also `face_local` and `face_global`, `(num_frames, 3, h,
    w)`, whose expression is the clip's and whose identity is another's.

    Args:
        seed: which endless sequence to draw.
        num_frames: driving frames per sample, at most 16.
        scene_fraction: share of clips without a person; their pose is blank.
        ordered: whether the frames are consecutive; otherwise they come from anywhere in the clip.
        face: whether to make face patches.
    """

    def __init__(self, seed: int, num_frames: int, scene_fraction: float, ordered: bool, face: bool) -> None:
        self.seed, self.num_frames, self.scene_fraction = seed, num_frames, scene_fraction
        self.ordered, self.face = ordered, face

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Never ends."""
        cv2.setNumThreads(1)
        worker = get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        buffer: list[tuple[WorldClip, WorldClip | None]] = []
        while True:
            buffer.append(self._render(rng))
            if len(buffer) > BUFFERED_CLIPS:
                buffer.pop(int(rng.integers(BUFFERED_CLIPS)))
            for _ in range(SAMPLES_PER_CLIP):
                yield self._sample(rng, *buffer[int(rng.integers(len(buffer)))])

    def _render(self, rng: Rng) -> tuple[WorldClip, WorldClip | None]:
        seed = int(rng.integers(HELD_OUT_SEEDS))
        size: dict[str, Any] = {
            "num_frames": RENDERED_FRAMES,
            "height": HEIGHT,
            "width": WIDTH,
            "fps": float(rng.choice([4.0, 8.0])),
        }
        person = bool(rng.random() >= self.scene_fraction)
        clip = render_clip(seed, person=person, **size)
        if not self.face:
            return clip, None
        return clip, render_clip(seed, character_seed=int(rng.integers(HELD_OUT_SEEDS)), person=person, **size)

    def _sample(self, rng: Rng, clip: WorldClip, stranger: WorldClip | None) -> dict[str, Tensor]:
        if self.ordered:
            first = int(rng.integers(RENDERED_FRAMES - self.num_frames + 1))
            picked = np.arange(first, first + self.num_frames)
        else:
            picked = rng.permutation(RENDERED_FRAMES)[: self.num_frames]
        frames = clip.frames[picked]
        sample = {
            "reference": clip.frames[int(rng.integers(RENDERED_FRAMES))],
            "frames": frames,
            "pose": draw_pose(perturbed(rng, picked_pose(clip.pose, picked)), (HEIGHT, WIDTH)),
            "person": clip.person_mask[picked].astype(np.uint8),
        }
        if stranger is not None:
            swapped, landmarks = pasted_faces(
                stranger.frames[picked], stranger.face_landmarks[picked], clip.face_landmarks[picked]
            )
            sample["face_local"], sample["face_global"] = face_patches(swapped, landmarks)
        return {
            name: torch.from_numpy(np.ascontiguousarray(np.moveaxis(value, -1, -3) if value.shape[-1] == 3 else value))
            for name, value in sample.items()
        }


def picked_pose(pose: Pose, frames: NDArray[np.integer]) -> Pose:
    """The pose at any list of frames."""
    return Pose(
        body=pose.body[frames],
        body_scores=pose.body_scores[frames],
        hands=pose.hands[frames],
        hand_scores=pose.hand_scores[frames],
    )


def perturbed(rng: Rng, pose: Pose, jitter_px: float = 0.7, hands_lost: float = 0.3) -> Pose:
    """A pose as an estimator would see it: joints jitter, and small hands are often lost for a whole clip."""
    body = pose.body + rng.normal(0, jitter_px, pose.body.shape).astype(np.float32)
    hands = np.full_like(pose.hands, np.nan) if rng.random() < hands_lost else pose.hands
    return replace(pose, body=body, hands=hands)


def pasted_faces(frames: Frames, landmarks: Floats, target: Floats) -> tuple[Frames, Floats]:
    """Moves a stranger's face to where the person's own is (paper section 3.3).

    Args:
        frames: `(num_frames, h, w, 3)` pictures of the stranger.
        landmarks: `(num_frames, 68, 2)` of the stranger.
        target: `(num_frames, 68, 2)` of the person.

    Returns:
        The moved pictures and landmarks; a frame without a face on either side has NaN landmarks.
    """
    moved, points = np.zeros_like(frames), np.full_like(landmarks, np.nan)
    for k, (source, goal) in enumerate(zip(landmarks, target, strict=True)):
        if not (np.isfinite(source).all() and np.isfinite(goal).all()):
            continue
        scale = float(np.linalg.norm(np.ptp(goal, axis=0)) / np.linalg.norm(np.ptp(source, axis=0)))
        shift = goal.mean(axis=0) - scale * source.mean(axis=0)
        matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
        moved[k] = cv2.warpAffine(frames[k], matrix, (frames.shape[2], frames.shape[1]))
        points[k] = scale * source + shift
    return moved, points
