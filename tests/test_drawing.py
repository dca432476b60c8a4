"""Drawings and photographs are told apart, and each gets the model that suits it."""

import os
from pathlib import Path

import numpy as np
import pytest
from puppet.drawn import drawn

import xdyna.backends.suggest
from xdyna.backends.suggest import suggest_model
from xdyna.photo import looks_drawn, read_photo
from xdyna.schema import Image
from xdyna.video import read_video

ROOT = Path(__file__).parents[1]
REAL = Path(os.environ.get("XDYNA_TEST_DATA", "")) / "real"


def textured(photo: Image) -> Image:
    """The same picture with the grain of a camera."""
    grain = np.random.default_rng(0).normal(0, 6, photo.shape)
    return np.clip(photo + grain, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*_photo.png")), ids=lambda path: path.stem)
def test_the_drawn_examples_are_drawings(path: Path) -> None:
    assert looks_drawn(read_photo(path))


def test_drawn_characters_are_drawings_and_with_a_cameras_grain_they_are_not() -> None:
    pictures = [drawn(seed).frames[0] for seed in (900, 903, 905, 908, 914, 920, 923, 925)]
    assert all(map(looks_drawn, pictures))
    assert not any(looks_drawn(textured(picture)) for picture in pictures)


@pytest.mark.parametrize(
    "picture",
    [
        pytest.param(np.full((64, 64, 3), 200, np.uint8), id="nothing at all"),
        pytest.param(np.pad(np.full((40, 40, 3), 200, np.uint8), ((9, 9), (9, 9), (0, 0))), id="grey and black"),
    ],
)
def test_what_says_nothing_counts_as_a_photograph(picture: Image) -> None:
    assert not looks_drawn(picture)


@pytest.mark.skipif(not REAL.is_dir(), reason="XDYNA_TEST_DATA does not hold real photos")
@pytest.mark.parametrize(
    "name", ["xdyna/example_2.jpg", "free/astronaut.png", "free/coffee.png", "private/basketball1.png"]
)
def test_photographs_are_photographs(name: str) -> None:
    assert not looks_drawn(read_photo(REAL / name))


@pytest.mark.skipif(not REAL.is_dir(), reason="XDYNA_TEST_DATA does not hold real photos")
@pytest.mark.parametrize("name", ["xdyna/example_1_driving_1_113f.mp4", "xdyna/example_2_driving_2_97f.mp4"])
def test_frames_of_real_clips_are_photographs_though_their_margins_are_black(name: str) -> None:
    assert not any(map(looks_drawn, read_video(REAL / name, fps=1, num_frames=12).frames))


@pytest.mark.parametrize(
    ("best", "is_drawn", "wanted", "model"),
    [
        ("xdyna", False, (), "xdyna"),
        ("xdyna", True, (), "xdyna"),
        ("xdyna-mini", True, (), "xdyna-mini"),
        ("xdyna-mini", False, ("fps", "seed"), "puppet"),
        ("xdyna-mini", False, ("num_inference_steps",), "xdyna-mini"),  # which Puppet does not have
    ],
)
def test_without_a_big_model_photographs_are_for_puppet(
    monkeypatch: pytest.MonkeyPatch, best: str, is_drawn: bool, wanted: tuple[str, ...], model: str
) -> None:
    monkeypatch.setattr(xdyna.backends.suggest, "default_model", lambda: best)
    picture = drawn(903).frames[0]
    assert suggest_model(picture if is_drawn else textured(picture), wanted) == model


def test_a_large_photograph_is_judged_like_a_small_one() -> None:
    picture = drawn(903).frames[0]
    large = [one.repeat(3, axis=0).repeat(3, axis=1) for one in (picture, textured(picture))]
    assert [looks_drawn(one) for one in large] == [True, False]
