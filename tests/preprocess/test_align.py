import json

import numpy as np
import pytest
from preprocess.skeletons import joints_by_colour, official_frames, standing

from xdyna.photo import crop_to_aspect, read_photo
from xdyna.preprocess.align import (
    align,
    compose,
    crop_matrix,
    driving_crop_box,
    nudge_matrix,
    photo_matrix,
    warp_frame,
)
from xdyna.preprocess.pose import MediaPipePose, concatenate, empty_pose


def similarity(scale, x, y):
    return np.array([[scale, 0, x], [0, scale, y]], np.float64)


def dancing(num_frames=12):
    """A clip that sways, with a little noise on every joint."""
    rng = np.random.default_rng(0)
    poses = [standing(896, 512).transformed(similarity(1, 30 * np.sin(k), 0)) for k in range(num_frames)]
    clip = concatenate(poses)
    clip.body[1:] += rng.normal(0, 2, clip.body[1:].shape)
    return clip


@pytest.mark.parametrize(("scale", "x", "y"), [(1, 0, 0), (0.4, 120, -30), (2.5, -300, 77), (1, 200, 0)])
def test_a_known_similarity_is_recovered(scale, x, y):
    clip = dancing()
    photo = clip[:1].transformed(similarity(scale, x, y))
    found = align(photo, clip, (896, 512), (896, 512))
    assert found.frame == 0
    assert found.scale == pytest.approx(scale, rel=0.02)
    moved = clip[:1].transformed(found.matrix).body[0]
    assert np.linalg.norm(moved - photo.body[0], axis=-1).max() < 12 * scale  # px of a person 700 px high


@pytest.mark.parametrize(
    ("hidden", "tolerance"),
    [
        pytest.param(range(8, 14), 0.03, id="half-body photo"),
        pytest.param([*range(2, 14)], 0.05, id="head and neck only"),
    ],
)
def test_photos_that_show_less_are_aligned_by_what_they_show(hidden, tolerance):
    clip = dancing()
    photo = clip[:1].transformed(similarity(1.5, -40, 20))
    photo.body[0, list(hidden)] = np.nan
    found = align(photo, clip, (896, 512), (896, 512))
    assert found.scale == pytest.approx(1.5, rel=tolerance)


def test_frames_without_the_person_are_ignored():
    clip = dancing()
    clip.body[:2] = np.nan
    found = align(standing(896, 512), clip, (896, 512), (896, 512))
    assert found.frame in (2, 3, 4, 5)
    assert np.isfinite(found.matrix).all()


def test_the_most_similar_of_the_first_frames_is_laid_on_the_photo():
    clip = dancing()
    clip.body[0, [4, 7], 1] -= 400  # arms up
    found = align(standing(896, 512), clip, (896, 512), (896, 512))
    assert found.frame in (1, 2, 3)
    moved = clip.transformed(found.matrix).body[found.frame, 1]
    assert moved == pytest.approx(standing(896, 512).body[0, 1], abs=0.01)


def test_the_best_start_is_the_frame_whose_posture_is_most_like_the_photos():
    clip = dancing()
    for frame in [*range(6), *range(7, 12)]:
        clip.body[frame, [4, 7], 1] -= 400  # arms up, except in frame 6
    found = align(standing(896, 512), clip, (896, 512), (896, 512))
    assert found.frame in (0, 1, 2, 3)
    assert found.best_frame == 6
    assert found.likeness > 0.5


def test_a_frame_that_shows_only_the_neck_is_not_alike():
    clip = dancing()
    clip.body[5, [0, *range(2, 18)]] = np.nan
    assert align(standing(896, 512), clip, (896, 512), (896, 512)).best_frame != 5


@pytest.mark.parametrize("degrees", [-30, 0, 12])
def test_a_leaning_photo_is_measured_and_not_corrected(degrees):
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    photo = standing(896, 512).transformed(
        np.array([[cosine, -sine, 100], [sine, cosine, 50]])
    )  # clockwise: y is down
    found = align(photo, dancing(), (896, 512), (896, 512))
    assert found.lean_deg == pytest.approx(degrees, abs=2)
    assert found.matrix[0, 1] == found.matrix[1, 0] == 0


def test_a_leg_cut_by_the_edge_of_the_photo_does_not_shrink_the_driver():
    photo = standing(896, 512).transformed(similarity(1.5, -130, 0))
    photo.body[0, [9, 12], 1], photo.body[0, [10, 13]] = 895, np.nan  # knees below the picture, put at its edge
    found = align(photo, dancing(), (896, 512), (896, 512))
    assert found.scale == pytest.approx(1.5, rel=0.03)


def test_legs_cut_by_a_black_bar_of_the_clip_do_not_enlarge_the_driver():
    clip = dancing()
    clip.body[:, [9, 12], 1], clip.body[:, [10, 13]] = 559, np.nan  # knees, put where the bar begins
    found = align(standing(896, 512), clip, (896, 512), (896, 512), picture=(0, 0, 512, 560))
    assert found.scale == pytest.approx(1, rel=0.03)


@pytest.mark.parametrize(
    ("nudge", "point", "expected"),
    [
        pytest.param((1, 0, 0), (20, 30), (20, 30), id="nothing"),
        pytest.param((2, 0, 0), (63.5, 111.5), (63.5, 111.5), id="zoom keeps the middle"),
        pytest.param((2, 0, 0), (53.5, 111.5), (43.5, 111.5), id="zoom moves the rest away from it"),
        pytest.param((1, 0.25, -0.5), (20, 130), (52, 18), id="shift in sides of the picture"),
    ],
)
def test_a_nudge_moves_what_was_aligned(nudge, point, expected):
    matrix = compose(nudge_matrix(*nudge, (224, 128)), similarity(1, 0, 0))
    assert matrix @ [*point, 1] == pytest.approx(expected)


def test_with_nothing_in_common_the_clip_is_cropped_as_the_official_program_does():
    found = align(empty_pose(1), dancing(), (720, 1280), (896, 512))
    assert found.frame is None
    corners = found.matrix @ np.array([[433.5, 844.5], [-0.5, 719.5], [1, 1]])  # outer edges of the box
    assert corners == pytest.approx(np.array([[-0.5, 511.5], [-0.5, 895.5]]), abs=1e-6)


def test_crop_boxes_equal_the_official_program(golden):
    for case in json.loads((golden / "k_boxes.json").read_text())["crop2ratio"]:
        left, top = case["start_w"], case["start_h"]
        box = driving_crop_box(case["frame_hw"], case["resolution_hw"])
        assert box == (left, top, left + case["target_w"], top + case["target_h"])


def test_the_photo_matrix_is_the_map_of_the_photo_crop():
    """A white square lands where the matrix says."""
    photo = np.zeros((300, 500, 3), np.uint8)
    photo[100:140, 200:240] = 255
    canvas = crop_to_aspect(photo, (224, 128))[..., 0] / 255
    y, x = np.mgrid[:224, :128]
    centre = np.array([(canvas * x).sum(), (canvas * y).sum()]) / canvas.sum()
    matrix = photo_matrix(photo, (224, 128))
    assert matrix[:, :2] @ [219.5, 119.5] + matrix[:, 2] == pytest.approx(centre, abs=0.2)


@pytest.mark.parametrize("scale", [0.12, 0.3, 0.5, 0.9, 2.0])
def test_warped_frames_follow_the_matrix(scale):
    """A soft spot lands where the matrix says, at any scale, and outside is black."""
    y, x = np.mgrid[:400, :600]
    spot = 255 * np.exp(-((x - 320) ** 2 + (y - 150) ** 2) / (2 * 30**2))
    frame = np.repeat(spot[..., None], 3, axis=-1).astype(np.uint8)
    matrix = similarity(scale, 40 - 250 * scale, 30 - 100 * scale)
    warped = warp_frame(frame, matrix, (160, 256))[..., 0].astype(float)
    y, x = np.mgrid[:160, :256]
    if scale < 1:
        centre = np.array([(warped * x).sum(), (warped * y).sum()]) / warped.sum()
        assert centre == pytest.approx(matrix @ [320, 150, 1], abs=0.35)
    top, left = np.unravel_index(warped.argmax(), warped.shape)
    assert (left, top) == pytest.approx(tuple(matrix @ [320, 150, 1]), abs=3 * max(1, scale))


def test_shrinking_averages_instead_of_picking_pixels():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    warped = warp_frame(stripes, similarity(0.25, 0, 0), (64, 64))
    assert np.abs(warped[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_crop_matrix_of_the_whole_picture_is_the_identity():
    assert crop_matrix((0, 0, 64, 96), (96, 64)) == pytest.approx(similarity(1, 0, 0))


@pytest.mark.parametrize("number", [1, 2])
def test_the_official_drivers_already_fit_their_photos(test_data, number):
    """The official examples are scaled to their photo (not shifted sideways): so must ours say."""
    path = next((test_data / "real" / "xdyna").glob(f"example_{number}.*g"))
    photo = next(MediaPipePose(tracking=False)(read_photo(path)[None]))
    clip = empty_pose(12)
    clip.body[:] = joints_by_colour(official_frames(test_data, number, "pose", range(0, 96, 8)))
    found = align(photo, clip, (896, 512), (896, 512))
    assert found.scale == pytest.approx(1, abs=0.06)
    neck_height = clip.body[found.frame, 1, 1]
    assert (found.matrix @ [0, neck_height, 1])[1] == pytest.approx(neck_height, abs=15)
