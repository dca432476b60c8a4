import json

import numpy as np
import pytest
from preprocess.skeletons import standing
from safetensors.numpy import load, save

from xdyna.preprocess.motion_file import MAX_BYTES, SUFFIX, excerpt, is_motion_file, load_motion, save_motion
from xdyna.preprocess.pose import concatenate
from xdyna.schema import InputError, Motion, Person

NAN = float("nan")


@pytest.fixture
def motion():
    """A second at 8 frames per second: seen, except in frame 3; the face only in frames 0 and 1."""
    pose = concatenate([standing(896, 512).transformed(np.array([[1, 0, 3 * k], [0, 1, 0]])) for k in range(8)])
    pose.body[3], pose.body_scores[3], pose.hands[3], pose.hand_scores[3] = np.nan, 0, np.nan, 0
    faces = np.full((8, 68, 2), np.nan, np.float32)
    faces[:2] = 100
    boxes = np.tile(np.float32([10, 20, 300, 800]), (8, 1))
    boxes[3] = np.nan
    return Motion(
        pose=pose,
        face_landmarks=faces,
        boxes=boxes,
        frame_size=(896, 512),
        picture=(0, 40, 512, 856),
        fps=8.0,
        start_s=1.5,
        people=(Person(id=1, box=(10, 20, 300, 800), score=0.9, frame=4), Person(id=2, box=(0, 0, 9, 9), score=0.5)),
        person=1,
        cuts=(4,),
        camera_speed=0.01,
    )


@pytest.fixture
def path(tmp_path, motion):
    path = tmp_path / f"dance{SUFFIX}"
    save_motion(path, motion)
    return path


def assert_equal(one, other):
    for name in ("body", "body_scores", "hands", "hand_scores"):
        assert np.array_equal(getattr(one.pose, name), getattr(other.pose, name), equal_nan=True), name
    for name in ("face_landmarks", "boxes"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    for name in ("frame_size", "picture", "fps", "start_s", "people", "person", "cuts", "camera_speed"):
        assert getattr(one, name) == getattr(other, name), name


def test_what_is_written_is_read(path, motion):
    assert is_motion_file(path)
    assert_equal(load_motion(path), motion)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]  # nothing partial is left


def test_it_is_small_and_holds_no_picture(path, motion):
    assert path.stat().st_size < 8 * 2500
    assert set(load(path.read_bytes())) == {"body", "body_scores", "hands", "hand_scores", "face_landmarks", "boxes"}


def test_an_excerpt_is_what_reading_the_clip_there_would_give(motion):
    part = excerpt(motion, fps=4.0, start_s=0.25, num_frames=16)
    assert (len(part), part.fps, part.start_s) == (3, 4.0, 1.75)
    assert np.array_equal(part.pose.body, motion.pose.body[[2, 4, 6]], equal_nan=True)
    assert part.cuts == (1,)  # frame 4 of the motion
    assert part.people[0].frame == 1
    assert len(excerpt(motion, fps=8.0, start_s=0.0, num_frames=5)) == 5
    assert_equal(excerpt(motion, fps=8.0, start_s=0.0, num_frames=16), motion)


def test_an_excerpt_at_a_higher_rate_repeats_frames(motion):
    part = excerpt(motion, fps=16.0, start_s=0.0, num_frames=6)
    assert np.array_equal(part.pose.body, motion.pose.body[[0, 0, 1, 1, 2, 2]], equal_nan=True)


@pytest.mark.parametrize("start_s", [0.9, 1.0, 3600.0])
def test_an_excerpt_beyond_the_end_is_refused(motion, start_s):
    with pytest.raises(InputError, match=r"The motion file has 1\.0 s, which leaves [01] frames"):
        excerpt(motion, fps=8.0, start_s=start_s, num_frames=16)


def rewritten(path, *, tensors=None, facts=None):
    """The file again with other tensors or other facts."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    old = json.loads(header["__metadata__"]["xdyna_motion"])
    path.write_bytes(save(load(content) | (tensors or {}), metadata={"xdyna_motion": json.dumps(old | (facts or {}))}))
    return path


DAMAGED = "not a motion file that can be read"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        pytest.param({"version": 2}, "has version 2; this xdyna reads version 1", id="newer"),
        pytest.param({"version": None}, "has version None", id="no version"),
        pytest.param({"frame_size": [0, 512]}, DAMAGED, id="empty frame"),
        pytest.param({"frame_size": [10**9, 10**9]}, DAMAGED, id="huge frame"),
        pytest.param({"frame_size": [896.0, 512]}, DAMAGED, id="fraction of a pixel"),
        pytest.param({"frame_size": 896}, DAMAGED, id="one side"),
        pytest.param({"picture": [0, 0, 513, 896]}, DAMAGED, id="picture beyond the frame"),
        pytest.param({"picture": [5, 0, 5, 896]}, DAMAGED, id="empty picture"),
        pytest.param({"fps": 0}, DAMAGED, id="no rate"),
        pytest.param({"fps": NAN}, DAMAGED, id="rate is not a number"),
        pytest.param({"fps": "8"}, DAMAGED, id="rate is a text"),
        pytest.param({"start_s": -1}, DAMAGED, id="before the start"),
        pytest.param({"cuts": [99]}, DAMAGED, id="cut after the end"),
        pytest.param({"cuts": {"a": 1}}, DAMAGED, id="cuts of another kind"),
        pytest.param({"person": 7}, DAMAGED, id="nobody drives"),
        pytest.param({"people": [{"id": 1}]}, DAMAGED, id="person without a box"),
        pytest.param({"people": "many"}, DAMAGED, id="people of another kind"),
        pytest.param({"camera_speed": float("inf")}, DAMAGED, id="endless speed"),
    ],
)
def test_impossible_facts_are_refused(path, facts, message):
    with pytest.raises(InputError, match=message):
        load_motion(rewritten(path, facts=facts))


@pytest.mark.parametrize(
    "tensors",
    [
        pytest.param({"body": np.zeros((8, 17, 2), np.float32)}, id="a joint too few"),
        pytest.param({"body": np.zeros((8, 18, 2), np.float64)}, id="other precision"),
        pytest.param({"body": np.full((8, 18, 2), np.inf, np.float32)}, id="infinite"),
        pytest.param({"body": np.full((8, 18, 2), 1e9, np.float32)}, id="far away"),
        pytest.param({"body": np.tile(np.float32([np.nan, 1]), (8, 18, 1))}, id="half a point"),
        pytest.param({"hands": np.zeros((7, 2, 21, 2), np.float32)}, id="a frame too few"),
        pytest.param({"body_scores": np.full((8, 18), 2, np.float32)}, id="score above 1"),
        pytest.param({"body_scores": np.full((8, 18), np.nan, np.float32)}, id="score is not a number"),
        pytest.param({"face_landmarks": np.zeros((8, 5, 2), np.float32)}, id="another face"),
        pytest.param({"boxes": np.zeros((8, 4, 1), np.float32)}, id="another box"),
        pytest.param(
            {
                name: np.zeros((0, *shape), np.float32)
                for name, shape in {"body": (18, 2), "hands": (2, 21, 2), "face_landmarks": (68, 2)}.items()
            },
            id="no frames",
        ),
    ],
)
def test_impossible_numbers_are_refused(path, tensors):
    with pytest.raises(InputError, match=DAMAGED):
        load_motion(rewritten(path, tensors=tensors))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(b"\xff" * 100, id="header longer than any file"),
        pytest.param(b"\x80\x04\x95cos\nsystem\n", id="a pickle"),
        pytest.param(save({"body": np.zeros((2, 18, 2), np.float32)}), id="safetensors of another kind"),
        pytest.param(save({"x": np.zeros(1)}, metadata={"xdyna_motion": "[" * 100_000}), id="deeply nested"),
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / f"other{SUFFIX}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=DAMAGED):
        load_motion(path)


def test_a_cut_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=DAMAGED):
        load_motion(path)


def test_a_file_over_the_limit_is_not_read(tmp_path):
    path = tmp_path / f"huge{SUFFIX}"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # takes no space
    with pytest.raises(InputError, match="the limit is 32 MB"):
        load_motion(path)


def test_joints_that_are_missing_count_nothing(path):
    loaded = load_motion(rewritten(path, tensors={"body_scores": np.ones((8, 18), np.float32)}))
    assert (loaded.pose.body_scores[3] == 0).all() and (loaded.pose.body_scores[2] == 1).all()
