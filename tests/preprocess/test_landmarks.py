import cv2
import numpy as np
import pytest
import skimage.data
from preprocess.skeletons import official_frames, standing

from xdyna.preprocess.landmarks import FaceLandmarker, head_square, missing_faces
from xdyna.preprocess.pose import LEFT_EAR, RIGHT_EYE, MediaPipePose, concatenate, empty_pose

# Eye corners, nose tip, mouth corners and chin of skimage's astronaut, by eye.
SEEN = {36: (195, 101), 45: (257, 103), 30: (223, 124), 48: (203, 140), 54: (246, 140), 8: (223, 178)}


def small(scale):
    """The astronaut as a small figure in a large picture."""
    matrix = np.array([[scale, 0, 300], [0, scale, 200]], np.float64)
    return cv2.warpAffine(skimage.data.astronaut(), matrix, (800, 600)), matrix


@pytest.fixture(scope="module")
def find_face():
    with FaceLandmarker() as landmarker:
        yield landmarker


@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_landmarks_lie_on_the_face_at_any_size(find_face, scale):
    picture, matrix = small(scale)
    whole = next(MediaPipePose(tracking=False)(skimage.data.astronaut()[None]))
    landmarks = find_face(picture, whole.transformed(matrix))
    for point, (x, y) in SEEN.items():
        assert landmarks[point] == pytest.approx(matrix @ [x, y, 1], abs=5 * scale + 1)


def test_without_a_head_there_is_no_face(find_face):
    landmarks = find_face(skimage.data.astronaut(), empty_pose(1))
    assert landmarks.shape == (68, 2)
    assert np.isnan(landmarks).all()


def test_where_no_face_is_none_is_found(find_face):
    pose = next(MediaPipePose(tracking=False)(skimage.data.astronaut()[None]))
    assert np.isnan(find_face(np.full((512, 512, 3), 90, np.uint8), pose)).all()


def test_the_head_square_covers_the_head_whatever_is_visible():
    body = next(MediaPipePose(tracking=False)(skimage.data.astronaut()[None])).body[0]
    for hidden in (slice(0, 0), slice(RIGHT_EYE, LEFT_EAR + 1), slice(16, 18)):
        part = body.copy()
        part[hidden] = np.nan
        centre, half = head_square(part)
        points = np.array(list(SEEN.values()))
        assert (np.abs(points - centre) < half).all()
        assert half < 160  # of a head about 120 px wide
    assert head_square(np.full((18, 2), np.nan)) is None


def test_where_the_pose_shows_no_head_the_box_helps(find_face):
    picture, matrix = small(0.5)
    box = np.array([300, 200, 500, 456])  # of the astronaut
    landmarks = find_face(picture, empty_pose(1), box)
    assert landmarks[30] == pytest.approx(matrix @ [*SEEN[30], 1], abs=5)
    assert np.isnan(find_face(picture, empty_pose(1), np.full(4, np.nan))).all()


def test_missing_faces_are_told_with_their_reason():
    pose = concatenate([standing(896, 512)] * 5)
    body = pose.body
    body[1] = 256 + 0.05 * (body[1] - 256)  # far away
    body[2, [14, 15, 16, 17]] = np.nan  # no eyes
    body[3] = body[3] * [-1, 1] + [512, 0]  # the back
    landmarks = np.full((5, 68, 2), np.nan, np.float32)
    landmarks[0] = 100
    missing = missing_faces(landmarks, pose)
    assert (missing.too_small, missing.turned_away, missing.not_found) == ((1,), (2, 3), (4,))
    assert len(missing) == 4
    assert len(missing_faces(landmarks, empty_pose(5))) == 0  # nobody there


@pytest.mark.parametrize(("number", "found"), [(1, 11), (2, 12)])
def test_faces_of_full_body_clips_are_found(find_face, test_data, number, found):
    """Faces there are about 50 px wide; in some frames of clip 1 nothing but motion blur is left of it."""
    frames = official_frames(test_data, number, "driving", range(0, 60, 5))
    pose = concatenate(MediaPipePose(tracking=True)(frames))
    landmarks = np.stack([find_face(frame, pose[k : k + 1]) for k, frame in enumerate(frames)])
    assert np.isfinite(landmarks[:, 0, 0]).sum() >= found
