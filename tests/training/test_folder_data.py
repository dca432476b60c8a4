"""Training samples from a cache of prepared clips, here clips whose truth is known."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from xdyna.schema import InputError
from xdyna.training.data import WorldClips
from xdyna.training.folder_data import FolderClips
from xdyna.training.samples import SampleOptions
from xdyna.training.shards import CacheSettings, ClipEntry, ShardWriter, StoredTake
from xdyna.world import render_clip

SETTINGS = CacheSettings(height=112, width=64, fps=8, min_frames=4)
HUMANS, SCENES = 4, 3
drawn_from: list[np.ndarray] = []


def strangers_face(identity: np.ndarray, driving: np.ndarray) -> np.ndarray:
    """A "network" that shows the stranger as it is."""
    drawn_from.append(identity)
    return np.repeat(identity[None], len(driving), axis=0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    with ShardWriter(folder, SETTINGS) as writer:
        for k in range(HUMANS + SCENES):
            person = k < HUMANS
            clip = render_clip(k, num_frames=6, height=112, width=64, person=person)
            truth = {"pose": clip.pose, "face_landmarks": clip.face_landmarks} if person else {}
            entry = writer.add_take(StoredTake(frames=clip.frames, **truth))
            writer.finish_clip(
                ClipEntry(path=f"{'human' if person else 'scene'}/{k}.mp4", stamp=(1, k), takes=(entry,))
            )
    return folder


def folder_clips(cache: Path, reenact: str | None = None, **changes: object) -> FolderClips:
    return FolderClips(cache, SampleOptions(**{"num_frames": 4, **changes}), 0, reenact)


@pytest.mark.parametrize("face", ["s-face", "landmarks", "none"])
def test_samples_are_like_those_of_the_world(cache: Path, face: str) -> None:
    options = SampleOptions(num_frames=4, face=face)
    own, worlds = FolderClips(cache, options, 0)[0], WorldClips(options, 0, 112, 64)[0]
    assert {name: (value.shape, value.dtype) for name, value in own.items()} == {
        name: (value.shape, value.dtype) for name, value in worlds.items()
    }


def test_pictures_and_truth_survive_storage(cache: Path) -> None:
    sample = folder_clips(cache, num_frames=6, face="none")[0]
    clips = [render_clip(k, num_frames=6, height=112, width=64) for k in range(HUMANS)]
    frames = sample["frames"].permute(0, 2, 3, 1).numpy().astype(int)
    errors = [np.abs(frames - clip.frames).mean() for clip in clips]
    own = clips[int(np.argmin(errors))]
    assert min(errors) < 3
    assert sample["face"].sum() > 0
    overlap = (sample["person"].numpy() & own.person_mask).sum() / own.person_mask.sum()
    assert overlap > 0.6, "drawn from the joints, so only roughly the person"


def test_a_sample_is_a_function_of_seed_and_index_in_any_process(cache: Path) -> None:
    indices = [5, 0, 2**30]
    wanted = [folder_clips(cache, scene_fraction=0.5)[i] for i in indices]
    loader = DataLoader(folder_clips(cache, scene_fraction=0.5), batch_size=None, sampler=indices, num_workers=2)
    for one, other in zip(wanted, loader, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.3, 1.0])
def test_harmonic_fusion_keeps_the_share_exactly(cache: Path, share: float) -> None:
    data = folder_clips(cache, scene_fraction=share, num_frames=1)
    blank = [not data[i]["pose"].any() for i in range(20)]
    assert sum(blank) == round(20 * share)


def test_a_pass_shows_every_clip_once(cache: Path) -> None:
    data = folder_clips(cache, num_frames=6, face="none")
    assert data.num_human == HUMANS
    assert data.num_scene == SCENES
    for start in (0, HUMANS):
        shown = Counter(data[i]["frames"].numpy().tobytes() for i in range(start, start + HUMANS))
        assert len(shown) == HUMANS


def test_without_a_network_the_patches_show_the_own_face_altered(cache: Path) -> None:
    sample = folder_clips(cache)[0]
    shown = sample["face_global"].amax(dim=1) > 0
    assert shown.any()
    assert (sample["face_global"].amax(1)[shown].float() - sample["frames"].amax(1)[shown].float()).abs().mean() > 5


def test_a_network_gets_the_head_of_another_clip(cache: Path) -> None:
    drawn_from.clear()
    sample = folder_clips(cache, reenact=f"{__name__}:strangers_face")[0]
    assert drawn_from[0].shape == (256, 256, 3)
    assert sample["face_global"].any()
    assert sample["face_local"].any()


def test_takes_that_are_too_short_are_not_used(cache: Path) -> None:
    with pytest.raises(InputError, match="no human clips of 7 frames or more at 8 frames per second"):
        folder_clips(cache, num_frames=7)


def test_a_share_of_scenes_needs_scenes(tmp_path: Path) -> None:
    clip = render_clip(0, num_frames=4, height=112, width=64)
    with ShardWriter(tmp_path, SETTINGS) as writer:
        take = writer.add_take(StoredTake(frames=clip.frames, pose=clip.pose, face_landmarks=clip.face_landmarks))
        writer.finish_clip(ClipEntry(path="human/a.mp4", stamp=(1, 1), takes=(take,)))
    with pytest.raises(InputError, match=r"no scene clips .*set scene_fraction to 0"):
        folder_clips(tmp_path, scene_fraction=0.1)
    assert folder_clips(tmp_path)[3]["frames"].shape == (4, 3, 112, 64)


def test_a_folder_that_is_no_cache(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no prepared clips .*xdyna train-data"):
        folder_clips(tmp_path)


def test_a_shard_that_is_missing(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "index.jsonl").write_bytes((cache / "index.jsonl").read_bytes())
    with pytest.raises(InputError, match=r"shard-00000\.safetensors is missing or damaged"):
        folder_clips(tmp_path)[0]
