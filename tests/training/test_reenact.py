"""Faces of another identity."""

import numpy as np
import pytest
from numpy.random import default_rng

from xdyna.preprocess.face import face_box, face_patches
from xdyna.schema import InputError
from xdyna.training.reenact import altered_faces, head_crop, load_reenactment, reenacted_faces
from xdyna.world import render_clip

CLIP = render_clip(7, num_frames=3, height=448, width=256)


def same_face(identity: np.ndarray, driving: np.ndarray) -> np.ndarray:
    """A network without effect."""
    assert identity.shape == driving.shape[1:] == (256, 256, 3)
    return driving


def small_face(identity: np.ndarray, driving: np.ndarray) -> np.ndarray:
    """A network of the wrong size."""
    return driving[:, ::2, ::2]


def test_faces_are_put_back_where_they_were_and_all_else_is_black() -> None:
    landmarks = CLIP.face_landmarks.copy()
    landmarks[1] = np.nan
    identity = head_crop(CLIP.frames[0], landmarks[0])
    out = reenacted_faces(same_face, identity, CLIP.frames, landmarks)
    left, top, right, bottom = face_box(landmarks[0], CLIP.frames.shape[1:3])
    inner = slice(top + 2, bottom - 2), slice(left + 2, right - 2)
    assert np.abs(out[0][inner].astype(int) - CLIP.frames[0][inner]).mean() < 3
    out[0, top - 1 : bottom + 1, left - 1 : right + 1] = 0
    assert not out[0].any()
    assert not out[1].any(), "a frame without a face"


def test_altered_faces_keep_their_place_and_change_their_looks() -> None:
    frames, landmarks = altered_faces(default_rng(0), CLIP.frames, CLIP.face_landmarks)
    assert np.allclose(landmarks.mean(axis=1), CLIP.face_landmarks.mean(axis=1), atol=0.01)
    spread = np.ptp(landmarks, axis=1) / np.ptp(CLIP.face_landmarks, axis=1)
    assert (np.abs(spread - 1) < 0.3).all()
    assert np.allclose(spread, spread[0], atol=0.05), "alike in every frame"
    own, other = (face_patches(*pair)[1] for pair in ((CLIP.frames, CLIP.face_landmarks), (frames, landmarks)))
    both = (own.max(-1) > 0) & (other.max(-1) > 0)
    assert np.abs(own[both].astype(int) - other[both]).mean() > 15


def test_every_clip_is_altered_differently() -> None:
    first, second = (altered_faces(default_rng(k), CLIP.frames, CLIP.face_landmarks)[0] for k in (1, 2))
    assert np.abs(first.astype(int) - second).mean() > 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("numpy", "must be package.module:function, got 'numpy'"),
        ("no_such_package:draw", "'no_such_package:draw' cannot be imported: No module named"),
        ("numpy:no_such_function", "cannot be imported"),
        ("numpy:pi", "is a float, not a function"),
    ],
)
def test_a_network_that_cannot_be_loaded(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_reenactment(name)


def test_a_network_is_loaded_by_name() -> None:
    assert load_reenactment("numpy:zeros_like") is np.zeros_like


def test_a_network_that_gives_other_sizes() -> None:
    with pytest.raises(InputError, match=r"must give \(3, 256, 256, 3\) uint8 pictures, got \(3, 128, 128, 3\)"):
        reenacted_faces(
            small_face, head_crop(CLIP.frames[0], CLIP.face_landmarks[0]), CLIP.frames, CLIP.face_landmarks
        )
