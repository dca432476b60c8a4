"""Training samples from the user's own clips, prepared by `xdyna train-data`."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from xdyna.preprocess.masks import person_masks
from xdyna.preprocess.pose import empty_pose
from xdyna.schema import Floats, Frames, Image, InputError
from xdyna.training.reenact import Reenactment, altered_faces, head_crop, load_reenactment, reenacted_faces
from xdyna.training.samples import (
    ENDLESS,
    Rng,
    Sample,
    SampleOptions,
    Take,
    keep_opencv_single,
    make_sample,
    pick_frames,
)
from xdyna.training.shards import TakeEntry, read_index, read_take

_HUMAN, _SCENE, _SAMPLE = range(3)  # streams of random numbers


class FolderClips(Dataset[Sample]):
    """Samples from a folder of prepared clips, as `make_sample` gives them; sample i is a function of arguments and i.

    Human and scene takes alternate in the exact share asked for. Each kind is shown once in random order before any of
    its takes is shown again.

    Args:
        cache: folder written by `prepare_clips`.
        options: what a sample holds.
        seed: of order and choice.
        reenact: `package.module:function`, a `Reenactment`; it is imported in the process that makes the samples.
            Without it the face patches show the person's own face, altered.

    Attributes:
        height, width: of the pictures in pixels.
        num_human, num_scene: takes of each kind: samples in one pass over them.

    Raises:
        InputError: the folder holds no usable takes of a kind that is asked for.
    """

    def __init__(self, cache: Path, options: SampleOptions, seed: int, reenact: str | None = None) -> None:
        keep_opencv_single()
        self.cache, self.options, self.seed, self.reenact = cache, options, seed, reenact or None
        settings, clips = read_index(cache)
        self.height, self.width = settings.height, settings.width
        takes: dict[bool, list[TakeEntry]] = {True: [], False: []}
        self._clip_of: list[str] = []
        for clip in clips.values():
            long_enough = [take for take in clip.takes if take.num_frames >= options.num_frames]
            takes[clip.human] += long_enough
            self._clip_of += [clip.path] * len(long_enough) if clip.human else []
        self._human, self._scene = takes[True], takes[False]
        self.num_human, self.num_scene = len(self._human), len(self._scene)
        self._with_face = [k for k, take in enumerate(self._human) if take.num_faces]
        for kind, count, needed in (
            ("human", self.num_human, options.scene_fraction < 1),
            ("scene", self.num_scene, options.scene_fraction > 0),
        ):
            if needed and not count:
                raise InputError(
                    f"{cache} holds no {kind} clips of {options.num_frames} frames or more at {settings.fps:g} frames "
                    f"per second. Prepare more with `xdyna train-data`"
                    + (", or set scene_fraction to 0." if kind == "scene" else ".")
                )
        if self.reenact:
            load_reenactment(self.reenact)  # complain before the run, not in it

    def __len__(self) -> int:
        return ENDLESS

    def __getitem__(self, index: int) -> Sample:
        if not 0 <= index < ENDLESS:
            raise IndexError(index)
        rng = np.random.default_rng((self.seed, _SAMPLE, index))
        share = self.options.scene_fraction
        num_scenes_before = int(index * share)
        if int((index + 1) * share) > num_scenes_before:
            return self._sample(rng, self._scene[self._shown(_SCENE, num_scenes_before)], None)
        number = self._shown(_HUMAN, index - num_scenes_before)
        return self._sample(rng, self._human[number], number)

    def _shown(self, kind: int, position: int) -> int:
        """Which take of its kind the `position`-th sample of that kind shows."""
        count = self.num_human if kind == _HUMAN else self.num_scene
        return int(_order(self.seed, kind, position // count, count)[position % count])

    def _sample(self, rng: Rng, entry: TakeEntry, number: int | None) -> Sample:
        picked = pick_frames(rng, entry.num_frames, self.options)
        stored = read_take(self.cache, entry, [*picked, int(rng.integers(entry.num_frames))])
        frames, reference = stored.frames[:-1], stored.frames[-1]
        size = frames.shape[1], frames.shape[2]
        if stored.pose is None or stored.face_landmarks is None:
            landmarks = np.full((len(frames), 68, 2), np.nan, np.float32)
            take = Take(
                frames=frames,
                pose=empty_pose(len(frames)),
                face_landmarks=landmarks,
                person=np.zeros(frames.shape[:3], bool),
                strange_frames=np.zeros_like(frames),
                strange_landmarks=landmarks,
            )
        else:
            pose, landmarks = stored.pose[:-1], stored.face_landmarks[:-1]
            strange_frames, strange_landmarks = self._strange_faces(rng, frames, landmarks, number)
            take = Take(
                frames=frames,
                pose=pose,
                face_landmarks=landmarks,
                person=person_masks(pose, size) > 0.5,
                strange_frames=strange_frames,
                strange_landmarks=strange_landmarks,
            )
        return make_sample(rng, take, reference, self.options)

    def _strange_faces(
        self, rng: Rng, frames: Frames, landmarks: Floats, number: int | None
    ) -> tuple[Frames | None, Floats | None]:
        if self.options.face != "s-face":
            return None, None
        if self.reenact is None:
            return altered_faces(rng, frames, landmarks)
        if not np.isfinite(landmarks).all(axis=(1, 2)).any():
            return np.zeros_like(frames), landmarks
        return reenacted_faces(_network(self.reenact), self._stranger(rng, number), frames, landmarks), landmarks

    def _stranger(self, rng: Rng, number: int | None) -> Image:
        """The head of somebody from another clip; from the same one where the folder has no other."""
        own = None if number is None else self._clip_of[number]
        others = [k for k in self._with_face if self._clip_of[k] != own] or self._with_face
        entry = self._human[int(rng.choice(others))]
        for frame in rng.permutation(entry.num_frames):
            stored = read_take(self.cache, entry, [frame])
            if stored.face_landmarks is not None and np.isfinite(stored.face_landmarks).all():
                return head_crop(stored.frames[0], stored.face_landmarks[0])
        raise InputError(f"{self.cache / entry.shard} does not match its index. Prepare the clips again.")


@lru_cache(maxsize=4)
def _order(seed: int, kind: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, kind, epoch)).permutation(count)


@lru_cache(maxsize=1)
def _network(name: str) -> Reenactment:
    return load_reenactment(name)
