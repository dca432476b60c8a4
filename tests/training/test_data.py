"""Training samples from the procedural world."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from xdyna.schema import InputError
from xdyna.training.data import SAMPLES_PER_CLIP, WorldClips, pasted_faces
from xdyna.training.samples import SampleOptions
from xdyna.world import render_clip

SIZE = {"height": 64, "width": 48}


def world(seed: int = 0, size: dict[str, int] | None = None, **changes: object) -> WorldClips:
    return WorldClips(SampleOptions(**{"num_frames": 4, "ordered": False, **changes}), seed, **(size or SIZE))


def test_shapes() -> None:
    sample = WorldClips(SampleOptions(num_frames=4), seed=0)[0]
    assert {name: tuple(value.shape) for name, value in sample.items()} == {
        "reference": (3, 224, 128),
        "frames": (4, 3, 224, 128),
        "pose": (4, 3, 224, 128),
        "person": (4, 224, 128),
        "face": (4, 224, 128),
        "face_local": (4, 3, 224, 128),
        "face_global": (4, 3, 224, 128),
    }
    assert all(value.dtype == torch.uint8 for value in sample.values())


@pytest.mark.parametrize("num_frames", [1, 16, 24])
def test_any_number_of_frames(num_frames: int) -> None:
    assert len(world(num_frames=num_frames)[0]["frames"]) == num_frames


def test_a_sample_is_a_function_of_seed_and_index_in_any_process_and_order() -> None:
    forth, back = world(), world()
    indices = list(range(6))
    wanted = {i: forth[i] for i in indices}
    again = {i: back[i] for i in reversed(indices)}
    loaded = dict(zip(indices, DataLoader(world(), batch_size=None, sampler=indices, num_workers=2), strict=True))
    for i in indices:
        for name, value in wanted[i].items():
            assert torch.equal(value, again[i][name])
            assert torch.equal(value, loaded[i][name])
    other = world(seed=1)
    assert not any(torch.equal(wanted[i]["frames"], other[i]["frames"]) for i in indices)


def test_a_run_may_go_on_anywhere() -> None:
    assert torch.equal(world()[10**6]["frames"], world()[10**6]["frames"])


def test_every_clip_is_rendered_once_for_its_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[int] = []
    monkeypatch.setattr("xdyna.training.data.MAX_BLOCK_BYTES", 4 * 7 * 16 * 64 * 48)
    monkeypatch.setattr(
        "xdyna.training.data.render_clip", lambda seed, **size: rendered.append(seed) or render_clip(seed, **size)
    )
    data = world(face="none")
    for i in range(2 * 4 * SAMPLES_PER_CLIP):
        data[i]
    assert len(rendered) == len(set(rendered)) == 2 * 4


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_harmonic_fusion_mixes_in_scenes_with_blank_controls(share: float) -> None:
    data = world(scene_fraction=share)
    scenes = 0
    for i in range(24):
        sample = data[i]
        if sample["person"].max() == 0:
            scenes += 1
            assert sample["frames"].float().std() > 5
            assert not any(sample[name].any() for name in ("pose", "face", "face_local", "face_global"))
    assert abs(scenes / 24 - share) <= (0.35 if 0 < share < 1 else 0)


def test_drawn_pose_lies_on_the_person() -> None:
    sample = WorldClips(SampleOptions(num_frames=4), seed=0)[0]
    drawn = sample["pose"].amax(dim=1) > 0
    on_person = (drawn & (sample["person"] > 0)).sum() / drawn.sum()
    assert on_person > 0.6  # hands are drawn larger than they are, joints jitter


def test_the_face_region_is_on_the_person_and_holds_the_local_patches() -> None:
    sample = WorldClips(SampleOptions(num_frames=4), seed=0)[0]
    face = sample["face"] > 0
    assert (face & (sample["person"] > 0)).sum() > 0.8 * face.sum()
    shown = sample["face_local"].amax(dim=1) > 0
    assert (shown & face).sum() > 0.6 * shown.sum()


@pytest.mark.parametrize("face", ["landmarks", "none"])
def test_the_ablations_have_no_patches_but_know_where_the_face_is(face: str) -> None:
    sample = world(face=face)[0]
    assert sample["face"].any()
    assert not {"face_local", "face_global"} & set(sample)


def test_landmarks_are_drawn_as_white_dots_on_the_face() -> None:
    size = {"height": 224, "width": 128}
    plain, dotted = world(face="none", size=size)[0], world(face="landmarks", size=size)[0]
    white = (dotted["pose"] == 255).all(dim=1) & ~(plain["pose"] == 255).all(dim=1)
    assert white.flatten(1).sum(dim=1).min() > 30
    assert (white & (dotted["face"] > 0)).sum() == white.sum()


def test_a_strangers_face_lands_on_the_persons() -> None:
    clip, stranger = render_clip(3, num_frames=2), render_clip(3, num_frames=2, character_seed=9)
    moved, landmarks = pasted_faces(stranger.frames, stranger.face_landmarks, clip.face_landmarks)
    assert moved.shape == clip.frames.shape
    assert np.abs(landmarks.mean(axis=1) - clip.face_landmarks.mean(axis=1)).max() < 0.5
    assert np.ptp(landmarks, axis=1) == pytest.approx(np.ptp(clip.face_landmarks, axis=1), rel=0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frames": 0}, "num_frames must be between 1 and 24, got 0"),
        ({"num_frames": 4, "scene_fraction": 1.5}, "scene_fraction must be between 0 and 1, got 1.5"),
        ({"num_frames": 4, "face": "mask"}, "face must be one of s-face, landmarks, none, got 'mask'"),
    ],
)
def test_what_it_refuses(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SampleOptions(**options)
