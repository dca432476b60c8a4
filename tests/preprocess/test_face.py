import json

import numpy as np
import pytest

from xdyna.preprocess.face import enlarged_box, face_box, face_patches


def face_at(x, y, size):
    """68 points that fill a square; the eyes and the mouth are where they belong."""
    points = np.empty((68, 2), np.float32)
    turn = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points[:36] = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points[36:42], points[42:48], points[48:] = [-0.4, -0.3], [0.4, -0.3], [0, 0.5]
    return points * size / 2 + [x, y]


def noise(num_frames, height, width):
    return np.random.default_rng(0).integers(1, 256, (num_frames, height, width, 3), np.uint8)


@pytest.mark.parametrize("clip", ["square", "landscape"])
def test_patches_equal_the_official_program(golden, clip):
    expected = np.load(golden / f"k_sface_{clip}.npz")
    local, head = face_patches(expected["cropped_frames"], expected["landmarks"], parity=True)
    assert np.array_equal(local, expected["local"])
    assert np.array_equal(head, expected["global"])


def test_boxes_equal_the_official_program(golden):
    cases = json.loads((golden / "k_boxes.json").read_text())["compute_increased_bbox"]["cases"]
    assert [enlarged_box(*case["bbox"]) for case in cases] == [tuple(case["increased"]) for case in cases]


def test_head_and_parts_are_copied_and_the_rest_is_black():
    frames, landmarks = noise(1, 200, 200), face_at(100, 100, 60)[None]
    local, head = face_patches(frames, landmarks)
    left, top, right, bottom = face_box(landmarks[0], (200, 200))
    assert np.array_equal(head[0, top:bottom, left:right], frames[0, top:bottom, left:right])
    assert np.count_nonzero(head.any(axis=-1)) == (bottom - top) * (right - left)
    for part in ((88, 91), (112, 91), (100, 115)):
        assert np.array_equal(local[0, part[1], part[0]], frames[0, part[1], part[0]])
    copied = local.any(axis=-1)
    assert np.array_equal(local[copied], frames[copied])
    assert 0 < np.count_nonzero(copied) < 0.2 * np.count_nonzero(head.any(axis=-1))


@pytest.mark.parametrize("missing", [np.full((68, 2), np.nan), face_at(-500, 100, 60)], ids=["no face", "outside"])
def test_without_a_face_both_are_black(missing):
    local, head = face_patches(noise(2, 64, 48), np.stack([missing, missing]).astype(np.float32))
    assert not local.any()
    assert not head.any()


@pytest.mark.parametrize(("x", "y"), [(0, 50), (50, 0), (0, 0), (100, 50), (50, 100)])
def test_a_part_at_an_edge_is_kept_where_it_is_inside(x, y):
    """Every pixel of the part that lies inside is copied, none elsewhere."""
    frames, landmarks = noise(1, 100, 100), face_at(x, y, 40)[None]
    local, _ = face_patches(frames, landmarks)
    left, top, right, bottom = face_box(landmarks[0], (100, 100))
    half_width, half_height = (right - left) // 8, (bottom - top) // 8
    expected = np.zeros((100, 100), bool)
    for dx, dy in ((-8, -6), (8, -6), (0, 10)):
        rows = slice(max(0, y + dy - half_height), max(0, y + dy + half_height))
        expected[rows, max(0, x + dx - half_width) : max(0, x + dx + half_width)] = True
    assert np.array_equal(local[0].any(axis=-1), expected)
