"""The user's own clips into a cache: real files, the real detectors."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from xdyna.cli import main
from xdyna.schema import InputError, Video
from xdyna.training.folder_data import FolderClips
from xdyna.training.prepare_clips import TAKE_FRAMES, body_box, human_takes, prepare_clips, scene_takes
from xdyna.training.samples import SampleOptions
from xdyna.training.shards import INDEX, CacheSettings, ClipEntry, read_index
from xdyna.video import read_frames, write_video
from xdyna.world import render_clip

SETTINGS = CacheSettings(height=224, width=128, fps=8, min_frames=8)
DANCER = render_clip(7, num_frames=10, height=448, width=256)


def write(path: Path, frames: np.ndarray, fps: float = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, Video(frames=frames, fps=fps))
    return path


def scene(seed: int, num_frames: int = 10) -> np.ndarray:
    return render_clip(seed, num_frames=num_frames, height=120, width=160, person=False).frames


def prepared(*arguments: object) -> dict[str, ClipEntry]:
    return {entry.path: entry for entry in prepare_clips(*arguments, SETTINGS)}  # type: ignore[arg-type]


@contextmanager
def disk_with(num_bytes: int) -> Iterator[None]:
    """No file may grow beyond this, which the system reports as it reports a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_person_is_found_and_the_crop_shows_it_whole(tmp_path: Path) -> None:
    wide = np.zeros((10, 448, 800, 3), np.uint8)
    wide[:, :, 400:656] = DANCER.frames
    reader = read_frames(write(tmp_path / "wide.mp4", wide), fps=8, num_frames=100)
    (take,) = human_takes(reader, SETTINGS)
    assert take.frames.shape == (10, 224, 128, 3)
    assert take.pose is not None and take.face_landmarks is not None
    torso = take.pose.body[:, [1, 2, 5]]
    assert np.isfinite(torso).all()
    assert ((torso > 0) & (torso < [128, 224])).all()
    assert np.isfinite(take.face_landmarks).all()
    assert (np.abs(take.face_landmarks.mean(axis=1) - take.pose.body[:, 0]) < 12).all()
    noses = np.round(take.pose.body[:, 0]).astype(int)
    skin = take.frames[np.arange(10), noses[:, 1], noses[:, 0]]
    assert (skin.max(axis=-1) > 60).all(), "the nose is on the face, not in the black border"


@pytest.mark.parametrize(
    ("extent", "frame_size", "size", "box"),
    [
        (((100, 100), (300, 500)), (600, 400), (224, 128), (51, 20, 348, 540)),
        (((480, 100), (520, 200)), (720, 1280), (224, 128), (436, 31, 564, 255)),
        (((0, 0), (10, 10)), (720, 1280), (224, 128), (0, 0, 128, 224)),
        (((20, 10), (70, 90)), (100, 90), (224, 128), (16, 0, 73, 100)),
    ],
    ids=["a margin all around", "far away is not magnified", "in a corner", "small frame"],
)
def test_the_crop_shows_the_whole_body(extent: tuple, frame_size: tuple, size: tuple, box: tuple) -> None:
    body = np.full((5, 18, 2), np.nan, np.float32)
    body[:, 0], body[:, 1] = extent
    found = body_box(body, frame_size, size)
    left, top, right, bottom = found
    assert found == pytest.approx(box, abs=2)
    assert 0 <= left < right <= frame_size[1]
    assert 0 <= top < bottom <= frame_size[0]
    assert (right - left) / (bottom - top) == pytest.approx(size[1] / size[0], rel=0.03)


@pytest.mark.parametrize(
    ("first", "second", "lengths"),
    [(30, 20, [30, 20]), (30, TAKE_FRAMES + 36, [30, 50, 50]), (4, 30, [30])],
    ids=["a cut", "a long part is divided", "a short part is left out"],
)
def test_a_scene_is_taken_shot_by_shot(tmp_path: Path, first: int, second: int, lengths: list[int]) -> None:
    shots = np.concatenate([scene(1, num_frames=first), scene(4, num_frames=second)])
    reader = read_frames(write(tmp_path / "a.mp4", shots), fps=8, num_frames=1000)
    takes = list(scene_takes(reader, SETTINGS))
    assert [take.frames.shape for take in takes] == [(length, 224, 128, 3) for length in lengths]
    middle = shots[-1, :, 46:114]
    assert np.abs(takes[-1].frames[-1].mean(axis=(0, 1)) - middle.mean(axis=(0, 1))).max() < 4


def test_two_folders_become_samples_and_bad_clips_are_told(tmp_path: Path) -> None:
    human, scenes, cache = tmp_path / "human", tmp_path / "scenes", tmp_path / "cache"
    write(human / "deep" / "dancer.mp4", DANCER.frames)
    write(human / "nobody.mp4", scene(3))
    (human / "empty.mp4").write_bytes(b"")
    (human / "text.mp4").write_text("not a video at all, only its name says so")
    (human / "notes.txt").write_text("ignored")
    write(scenes / "fire.MP4", scene(4))
    write(scenes / "short.mp4", scene(5, num_frames=4))
    entries = prepared(human, scenes, cache)
    problems = {path: entry.problem for path, entry in entries.items()}
    names = ("human/deep/dancer.mp4", "human/nobody.mp4", "human/empty.mp4", "human/text.mp4")
    assert set(problems) == {*names, "scene/fire.MP4", "scene/short.mp4"}
    assert not problems["human/deep/dancer.mp4"] and not problems["scene/fire.MP4"]
    assert "No person found" in problems["human/nobody.mp4"]
    assert "0 bytes" in problems["human/empty.mp4"]
    assert "not a video file" in problems["human/text.mp4"]
    assert "has 8 frames at 8 frames per second or more" in problems["scene/short.mp4"]
    assert entries["human/deep/dancer.mp4"].takes[0].num_faces == 10

    data = FolderClips(cache, SampleOptions(num_frames=8, scene_fraction=0.5), seed=0)
    assert (data.num_human, data.num_scene, data.height, data.width) == (1, 1, 224, 128)
    shown = [data[i] for i in range(2)]
    assert sorted(bool(sample["face_local"].any()) for sample in shown) == [False, True]


def test_the_command_tells_every_clip_and_the_sum(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "human" / "dancer.mp4", DANCER.frames)
    write(tmp_path / "scenes" / "fire.mp4", scene(4))
    (tmp_path / "scenes" / "empty.mp4").write_bytes(b"")
    folders = [str(tmp_path / name) for name in ("human", "scenes")]
    size = ["--height", "224", "--width", "128", "--min-frames", "8"]
    assert main(["train-data", *folders, "-o", str(tmp_path / "cache"), *size]) == 0
    dancer, empty, fire, total = capsys.readouterr().out.splitlines()
    assert dancer == "human/dancer.mp4: 10 frames"
    assert empty.startswith("scene/empty.mp4: left out. ") and "0 bytes" in empty
    assert fire == "scene/fire.mp4: 10 frames"
    assert total == f"{tmp_path / 'cache'}: 2 takes, 20 frames; 1 clips left out"
    assert FolderClips(tmp_path / "cache", SampleOptions(num_frames=8, scene_fraction=0.5), seed=0).num_human == 1

    assert main(["train-data", str(tmp_path / "nowhere"), "-o", str(tmp_path / "cache"), *size]) == 2
    assert "There is no folder" in capsys.readouterr().err


def test_running_again_looks_only_at_what_is_new_or_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes, cache = tmp_path / "scenes", tmp_path / "cache"
    for k in range(3):
        write(scenes / f"{k}.mp4", scene(k))
    first = prepared(None, scenes, cache)
    write(scenes / "1.mp4", scene(8))
    (scenes / "2.mp4").unlink()
    write(scenes / "3.mp4", scene(9))
    read: list[str] = []
    monkeypatch.setattr(
        "xdyna.training.prepare_clips.scene_takes", lambda r, s: read.append(r.path.name) or scene_takes(r, s)
    )
    second = prepared(None, scenes, cache)
    assert read == ["1.mp4", "3.mp4"]
    assert second["scene/0.mp4"] == first["scene/0.mp4"]
    assert list(second) == ["scene/0.mp4", "scene/1.mp4", "scene/3.mp4"]
    assert read_index(cache)[1]["scene/2.mp4"].takes == ()
    assert FolderClips(cache, SampleOptions(num_frames=8, scene_fraction=1), 0).num_scene == 3


KILLED = """
import os, signal, sys
from pathlib import Path
from xdyna.training import shards
from xdyna.training.prepare_clips import prepare_clips
shards.SAVE_EVERY_S = 0
folder = Path(sys.argv[1])
settings = shards.CacheSettings(height=224, width=128, fps=8, min_frames=8)
for entry in prepare_clips(None, folder / "scenes", folder / "cache", settings):
    if entry.path == "scene/1.mp4":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_run_leaves_a_cache_that_can_be_used_and_continued(tmp_path: Path) -> None:
    for k in range(4):
        write(tmp_path / "scenes" / f"{k}.mp4", scene(k))
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr.decode()
    cache = tmp_path / "cache"
    assert set(read_index(cache)[1]) == {"scene/0.mp4", "scene/1.mp4"}
    with open(cache / INDEX, "ab") as index:
        index.write(b'{"path": "scene/2.mp4", "takes": [{"sha')  # as if killed while writing
    options = SampleOptions(num_frames=8, scene_fraction=1)
    assert FolderClips(cache, options, 0).num_scene == 2
    assert all(not entry.problem for entry in prepared(None, tmp_path / "scenes", cache).values())
    data = FolderClips(cache, options, 0)
    assert data.num_scene == 4
    assert all(data[i]["frames"].any() for i in range(4))


def test_stopping_keeps_finished_clips(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / "scenes" / f"{k}.mp4", scene(k))
    work = prepare_clips(None, tmp_path / "scenes", tmp_path / "cache", SETTINGS)
    next(work)
    work.close()  # type: ignore[attr-defined]
    assert set(read_index(tmp_path / "cache")[1]) == {"scene/0.mp4"}


def test_a_full_disk_is_told_and_what_was_finished_stays(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    write(tmp_path / "scenes" / "0.mp4", scene(0))
    prepared(None, tmp_path / "scenes", cache)
    write(tmp_path / "scenes" / "1.mp4", scene(1))
    with disk_with(20_000), pytest.raises(InputError, match=r"The disk is full: .* MB do not fit into .*cache"):
        prepared(None, tmp_path / "scenes", cache)
    assert set(read_index(cache)[1]) == {"scene/0.mp4"}
    assert not list(cache.glob("*.partial")) + list(cache.glob(".*"))
    assert len(prepared(None, tmp_path / "scenes", cache)) == 2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "No clips found in .*scenes. Accepted: .mp4, "),
        ({"a.txt": b"text"}, "No clips found"),
        ({"a.mp4": b"", "b.mp4": b"text"}, "None of the 2 clips can be used. The first one, scene/a.mp4: .*0 bytes"),
    ],
)
def test_folders_without_a_usable_clip(tmp_path: Path, files: dict[str, bytes], message: str) -> None:
    scenes = tmp_path / "scenes"
    scenes.mkdir()
    for name, content in files.items():
        (scenes / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        prepared(None, scenes, tmp_path / "cache")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no folder .*nowhere"):
        prepared(tmp_path / "nowhere", None, tmp_path / "cache")


def test_a_cache_keeps_its_settings(tmp_path: Path) -> None:
    write(tmp_path / "scenes" / "0.mp4", scene(0))
    prepared(None, tmp_path / "scenes", tmp_path / "cache")
    other = CacheSettings(height=64, width=64, fps=8, min_frames=8)
    with pytest.raises(InputError, match=r"prepared with height 224, .* not height 64, .*Use the same settings"):
        list(prepare_clips(None, tmp_path / "scenes", tmp_path / "cache", other))


@pytest.mark.parametrize("content", [b"", b"{}\n", b"not json\n"])
def test_a_damaged_index(tmp_path: Path, content: bytes) -> None:
    (tmp_path / INDEX).write_bytes(content)
    with pytest.raises(InputError, match=r"index.jsonl is damaged"):
        read_index(tmp_path)


def test_a_real_clip(test_data: Path, tmp_path: Path) -> None:
    clip = test_data / "real" / "free" / "bigbuckbunny.mp4"
    if not clip.exists():
        pytest.skip("no such clip")
    (tmp_path / "scenes").mkdir()
    os.symlink(clip, tmp_path / "scenes" / clip.name)
    (entry,) = prepared(None, tmp_path / "scenes", tmp_path / "cache").values()
    assert entry.takes
