"""Training clips from the procedural world: endless, a function of seed and index, rendered in worker processes."""

import cv2
import numpy as np
from torch.utils.data import Dataset

from xdyna.schema import Floats, Frames
from xdyna.training.samples import (
    ENDLESS,
    Rng,
    Sample,
    SampleOptions,
    Take,
    keep_opencv_single,
    make_sample,
    pick_frames,
    picked_pose,
)
from xdyna.world import WorldClip, render_clip

RENDERED_FRAMES = 16
SAMPLES_PER_CLIP = 3
BLOCK_CLIPS = 48  # samples are drawn from this many clips, so that neighbours in a batch are strangers
MAX_BLOCK_BYTES = 2**28  # a worker's memory of rendered clips: large pictures make smaller blocks
HELD_OUT_SEEDS = 1_000_000_000  # training draws its seeds below, evaluation at and above this number
_BLOCK, _CLIP, _SAMPLE = range(3)  # streams of random numbers


class WorldClips(Dataset[Sample]):
    """Random training samples, as `make_sample` gives them; sample i depends on nothing but the arguments and i.

    The face patches show another character who does and says the same (paper section 3.3).

    Clips are rendered once for three samples. Those lie in one block of 144 indices, so a process that walks through
    the indices in order renders each clip once, and any index can be asked for at any time.

    Args:
        options: what a sample holds.
        seed: which endless sequence to draw.
        height: of the pictures in pixels.
        width: likewise.
    """

    def __init__(self, options: SampleOptions, seed: int, height: int = 224, width: int = 128) -> None:
        keep_opencv_single()
        self.options, self.seed, self.height, self.width = options, seed, height, width
        self._num_rendered = max(RENDERED_FRAMES, options.num_frames)
        clip_bytes = 7 * self._num_rendered * height * width  # two pictures and a mask
        self._block_clips = min(max(1, MAX_BLOCK_BYTES // clip_bytes), BLOCK_CLIPS)
        self._rendered: dict[int, tuple[WorldClip, WorldClip | None]] = {}

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < ENDLESS:
            raise IndexError(index)
        block, place = divmod(index, self._block_clips * SAMPLES_PER_CLIP)
        order = self._rng(_BLOCK, block).permutation(self._block_clips * SAMPLES_PER_CLIP)
        clip, stranger = self._clip(block * self._block_clips + int(order[place]) // SAMPLES_PER_CLIP)
        rng = self._rng(_SAMPLE, index)
        picked = pick_frames(rng, self._num_rendered, self.options)
        strange_frames, strange_landmarks = None, None
        if self.options.face == "s-face":
            other = stranger or clip
            strange_frames, strange_landmarks = pasted_faces(
                other.frames[picked], other.face_landmarks[picked], clip.face_landmarks[picked]
            )
        take = Take(
            frames=clip.frames[picked],
            pose=picked_pose(clip.pose, picked),
            face_landmarks=clip.face_landmarks[picked],
            person=clip.person_mask[picked],
            strange_frames=strange_frames,
            strange_landmarks=strange_landmarks,
        )
        return make_sample(rng, take, clip.frames[int(rng.integers(self._num_rendered))], self.options)

    def _rng(self, stream: int, number: int) -> Rng:
        return np.random.default_rng((self.seed, stream, number))

    def _clip(self, number: int) -> tuple[WorldClip, WorldClip | None]:
        """A clip and, with S-Face, the same with another character; the latest clips are remembered."""
        pair = self._rendered.pop(number, None) or self._render(number)
        self._rendered[number] = pair
        if len(self._rendered) > self._block_clips:
            del self._rendered[next(iter(self._rendered))]
        return pair

    def _render(self, number: int) -> tuple[WorldClip, WorldClip | None]:
        rng = self._rng(_CLIP, number)
        seed, stranger_seed = (int(value) for value in rng.integers(HELD_OUT_SEEDS, size=2))
        fps, person = float(rng.choice([4.0, 8.0])), bool(rng.random() >= self.options.scene_fraction)

        def rendered(character_seed: int) -> WorldClip:
            return render_clip(
                seed,
                character_seed=character_seed,
                num_frames=self._num_rendered,
                height=self.height,
                width=self.width,
                fps=fps,
                person=person,
            )

        needs_stranger = person and self.options.face == "s-face"
        return rendered(seed), rendered(stranger_seed) if needs_stranger else None


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
