"""Faces of rendered characters, whose landmarks are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xdyna.evaluation.faces import TEMPLATE, Faces, align_face, expression, expression_error, find_faces, similarity
from xdyna.evaluation.masks import mask_from_frames, segment_person
from xdyna.schema import InputError
from xdyna.world import WorldClip, render_clip


@pytest.fixture(scope="module")
def clip() -> WorldClip:
    return render_clip(5001, num_frames=4, height=448, width=256)


@pytest.fixture(scope="module")
def faces(clip: WorldClip) -> Faces:
    return find_faces(clip.frames)


def test_the_five_points_lie_on_the_face(clip: WorldClip, faces: Faces) -> None:
    marks = clip.face_landmarks
    eye_centres = [marks[:, 36:42].mean(axis=1), marks[:, 42:48].mean(axis=1)]
    true = np.stack([*eye_centres, marks[:, 30], marks[:, 48], marks[:, 54]], axis=1)
    eyes = np.linalg.norm(true[:, 1] - true[:, 0], axis=-1)
    assert faces.found.all()
    assert (np.linalg.norm(faces.five_points - true, axis=-1).mean(axis=1) < 0.35 * eyes).all()


def test_nobody_has_no_face() -> None:
    faces = find_faces(np.full((2, 96, 96, 3), 127, np.uint8))
    assert not faces.found.any()
    assert np.isnan(expression(faces)).all()
    assert np.isnan(expression_error(faces, faces))


def test_alignment_is_the_least_squares_similarity() -> None:
    points = np.array([[120, 140], [170, 150], [140, 175], [118, 195], [160, 203]], float)
    expected = [[0.7123280312, 0.1076385994, -63.4179114406], [-0.1076385994, 0.7123280312, -35.8054112588]]
    assert similarity(points, TEMPLATE) == pytest.approx(np.array(expected), abs=1e-3)


def test_an_aligned_face_has_its_points_on_the_template(clip: WorldClip, faces: Faces) -> None:
    aligned = align_face(clip.frames[0], faces.five_points[0])
    assert aligned.shape == (112, 112, 3)
    matrix = similarity(faces.five_points[0], TEMPLATE)
    moved = faces.five_points[0] @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(moved - TEMPLATE, axis=-1).mean() < 8


def test_expressions_differ_by_what_differs(faces: Faces) -> None:
    assert expression_error(faces, faces) == 0
    turned = np.array([[0.6, -0.4], [0.4, 0.6]], np.float32)
    assert expression_error(Faces(mesh=faces.mesh @ turned + 20), faces) == pytest.approx(0, abs=1e-5)  # ratios only
    open_mouth = replace(faces, mesh=faces.mesh.copy())
    open_mouth.mesh[:, 14, 1] += 10  # the lower lip
    gap = np.abs(expression(open_mouth) - expression(faces)).max(axis=0)
    assert gap[2] > 0.02 and np.delete(gap, 2).max() == 0


def test_frames_without_a_face_do_not_count(faces: Faces) -> None:
    partly = replace(faces, mesh=faces.mesh.copy())
    partly.mesh[0] = np.nan
    assert expression_error(partly, faces) == 0


def test_the_person_is_found(clip: WorldClip) -> None:
    found = segment_person(clip.frames)
    assert (found & clip.person_mask).sum() / (found | clip.person_mask).sum() > 0.7


def test_a_mask_video_is_resized_and_must_be_long_enough() -> None:
    frames = np.zeros((3, 4, 4, 3), np.uint8)
    frames[:, :2] = 255
    mask = mask_from_frames(frames, (8, 8), 2, Path("m.mp4"))
    assert mask.shape == (2, 8, 8)
    assert mask[:, :3].all() and not mask[:, 5:].any()
    with pytest.raises(InputError, match=r"m\.mp4 has 3 frames, its clip 5"):
        mask_from_frames(frames, (8, 8), 5, Path("m.mp4"))
