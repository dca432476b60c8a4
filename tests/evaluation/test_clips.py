"""Pairs of clips from folders and lists: what is read, what is refused, what is skipped."""

from pathlib import Path

import numpy as np
import pytest

from xdyna.evaluation.clips import Case, MismatchError, Reading, list_folders, list_table, read_pair
from xdyna.schema import InputError, Video
from xdyna.video import write_video
from xdyna.world import render_clip


def write(path: Path, num_frames: int = 6, *, fps: float = 8.0, size: tuple[int, int] = (96, 64)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    clip = render_clip(1, num_frames=num_frames, height=size[0], width=size[1])
    write_video(path, Video(frames=clip.frames, fps=fps))
    return path


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write(folder / "plain.mp4")
    write(folder / "long.mp4", 9)
    write(folder / "fast.mp4", 12, fps=16.0)
    write(folder / "large.mp4", size=(144, 96))
    (folder / "cut.mp4").write_bytes((folder / "plain.mp4").read_bytes()[:900])
    (folder / "empty.mp4").touch()
    return folder


def case(folder: Path, generated: str, truth: str) -> Case:
    files = {"generated": folder / f"{generated}.mp4", "truth": folder / f"{truth}.mp4"}
    return Case(method="ours", name=generated, files=files)


def test_an_equal_pair(clips: Path) -> None:
    pair = read_pair(case(clips, "plain", "plain"), "truth", Reading())
    assert pair.generated.shape == pair.other.shape == (6, 96, 64, 3)
    assert (pair.generated == pair.other).all()
    assert pair.fps == 8


@pytest.mark.parametrize(
    ("generated", "words", "policy", "shape"),
    [
        ("long", "9 frames, its counterpart 6", {"length": "shortest"}, (6, 96, 64, 3)),
        ("long", "--frames", {"num_frames": 5}, (5, 96, 64, 3)),
        ("large", "96 x 144, its counterpart 64 x 96", {"size": "truth"}, (6, 96, 64, 3)),
        ("large", "--size", {"size": (48, 80)}, (6, 48, 80, 3)),
        ("fast", "16 frames per second, its counterpart 8", {"fps": "lowest"}, (6, 96, 64, 3)),
        ("fast", "--fps", {"fps": 4.0}, (3, 96, 64, 3)),
    ],
)
def test_a_difference_is_an_error_until_a_policy_is_named(
    clips: Path, generated: str, words: str, policy: dict[str, object], shape: tuple[int, ...]
) -> None:
    with pytest.raises(MismatchError, match=words):
        read_pair(case(clips, generated, "plain"), "truth", Reading())
    pair = read_pair(case(clips, generated, "plain"), "truth", Reading(**policy))
    assert pair.generated.shape == pair.other.shape == shape


@pytest.mark.parametrize(
    ("generated", "reading", "words"),
    [
        ("cut", Reading(), "damaged"),
        ("empty", Reading(), "empty file"),
        ("absent", Reading(), "cannot be opened"),
        ("plain", Reading(min_frames=16), "too short: 6 frames; 16 are needed"),
    ],
)
def test_an_unusable_clip_is_no_mismatch(clips: Path, generated: str, reading: Reading, words: str) -> None:
    with pytest.raises(InputError, match=words) as found:
        read_pair(case(clips, generated, "plain"), "truth", reading)
    assert not isinstance(found.value, MismatchError)


def test_a_fingerprint_changes_with_file_and_reading_only(clips: Path, tmp_path: Path) -> None:
    def marks(generated: str, **policy: object) -> tuple[str, str]:
        return read_pair(case(clips, generated, "plain"), "truth", Reading(**policy)).fingerprints

    assert marks("plain") == marks("plain")
    assert marks("plain")[0] != marks("large", size="truth")[0]
    assert marks("plain")[1] == marks("large", size="truth")[1]
    assert marks("plain") != marks("plain", num_frames=4)


def test_given_masks_are_used(clips: Path) -> None:
    white = np.full((6, 96, 64, 3), 255, np.uint8)
    white[:, :48] = 0
    write_video(clips / "mask.mp4", Video(frames=white, fps=8.0))
    plain = case(clips, "plain", "plain")
    masked = Case(method="ours", name="a", files={**plain.files, "generated_mask": clips / "mask.mp4"})
    mask = read_pair(masked, "truth", Reading()).generated_mask
    assert mask[:, 50:].all() and not mask[:, :46].any()


def test_folders_are_paired_by_name(tmp_path: Path) -> None:
    for name in ("ours/a.mp4", "ours/b.mov", "truth/a.webm", "truth/c.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "ours" / "a.json").touch()
    (tmp_path / "ours" / ".hidden.mp4").touch()
    cases, skipped = list_folders({"ours": tmp_path / "ours"}, {"truth": tmp_path / "truth"})
    assert [(c.method, c.name, c.files["truth"].name) for c in cases] == [("ours", "a", "a.webm")]
    assert {s.name: s.reason for s in skipped} == {
        "b": "no truth file of this name",
        "c": "no generated file of this name",
    }


@pytest.mark.parametrize(("files", "message"), [([], "holds no clip"), (["a.mp4", "a.mov"], "one file per name")])
def test_folders_that_cannot_be_paired(tmp_path: Path, files: list[str], message: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=message):
        list_folders({"ours": tmp_path}, {})
    with pytest.raises(InputError, match="There is no folder"):
        list_folders({"ours": tmp_path / "absent"}, {})


def test_a_list_names_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(
        "\ufeffgenerated,truth,method\nx/a.mp4,y/a.mp4,ours\nb.mp4,,\n", encoding="utf-8"
    )
    first, second = list_table(tmp_path / "list.csv")
    assert first == Case(
        method="ours", name="a", files={"generated": tmp_path / "x/a.mp4", "truth": tmp_path / "y/a.mp4"}
    )
    assert (second.method, second.files) == ("generated", {"generated": tmp_path / "b.mp4"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns none"),
        ("made,truth\na,b\n", "needed is generated"),
        ("generated,truth,colour\na,b,c\n", "allowed are"),
        ("generated,truth\nx/a.mp4,b\ny/a.mp4,b\n", "Line 3 of list.csv is a second a of generated"),
        ("generated,truth\n,b\n", "Line 2 of list.csv names no generated clip"),
    ],
)
def test_lists_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        list_table(tmp_path / "list.csv")
