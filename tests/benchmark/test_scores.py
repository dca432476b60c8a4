"""Scores of one clip: the truth is perfect, a still picture moves nothing."""

from dataclasses import replace

import numpy as np
import pytest

from xdyna.benchmark.methods import Setup, benchmark_clip, driver_clip, mean_picture
from xdyna.benchmark.scores import (
    COLUMNS,
    background_spectrum,
    clothes_error,
    cut_clips,
    face_region,
    picture_correlation,
    score_clip,
)
from xdyna.world import WorldClip

SMALL = Setup(height=112, width=64)


@pytest.fixture(scope="module")
def clip() -> WorldClip:
    return benchmark_clip(0, True, SMALL)


def test_the_truth_is_perfect(clip: WorldClip) -> None:
    row = score_clip(clip.frames[1:], clip)
    assert row.keys() == COLUMNS.keys()
    for name, value in row.items():
        if "PSNR" in name:
            assert value == np.inf
        else:
            assert value == pytest.approx(0 if "L1" in name or name == "colour error" else 1), name


def test_a_still_photo_scores_chance_and_does_not_move(clip: WorldClip) -> None:
    still = np.broadcast_to(clip.frames[0], clip.frames[1:].shape)
    row = score_clip(still, clip)
    assert (row["pose retrieval"], row["expression retrieval"]) == (1 / 8, 1 / 8)
    assert (row["background change / true"], row["place of change"]) == (0, 0)
    assert background_spectrum(still, clip) == pytest.approx(0, abs=1e-9)
    assert background_spectrum(clip.frames[1:], clip).sum() > 1


def test_a_scene_has_no_columns_of_a_person() -> None:
    clip = benchmark_clip(5, False, SMALL)
    row = score_clip(clip.frames[1:], clip)
    assert row.keys() == {name for name, column in COLUMNS.items() if not column.person}
    assert cut_clips(clip.frames[1:], clip).keys() == {"whole"}


def test_regions_split_the_picture(clip: WorldClip) -> None:
    """Errors of person and background add up to the whole; a change in one does not show in the other."""
    mask, truth = clip.person_mask[1:], clip.frames[1:]
    made = np.where(mask[..., None], truth // 2, truth)
    row = score_clip(made, clip)
    assert row["background L1"] == 0 and row["background PSNR"] == np.inf
    assert row["person L1"] * mask.mean() == pytest.approx(row["L1"])
    cut = cut_clips(made, clip)
    assert (cut["foreground"] + cut["background"] == made).all()
    assert (cut["background"] == cut_clips(truth, clip)["background"]).all()


def test_the_face_box_holds_the_landmarks(clip: WorldClip) -> None:
    region = face_region(clip)
    for inside, points in zip(region, clip.face_landmarks[1:], strict=True):
        x, y = np.round(points).astype(int).T
        assert inside[y.clip(0, 111), x.clip(0, 63)].all()
    assert 0 < region.mean() < 0.1


def test_clothes_that_are_brighter_by_a_known_step(clip: WorldClip) -> None:
    dark = replace(clip, frames=clip.frames // 2)
    assert clothes_error(dark.frames[1:] + np.uint8(9), dark) == pytest.approx(9)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda x: x // 2 * 2, 1.0, id="itself"),
        pytest.param(lambda x: x // 4 + 90, 1.0, id="paler and brighter"),
        pytest.param(lambda x: 255 - x, -1.0, id="negative"),
        pytest.param(lambda x: np.full_like(x, 77), 0.0, id="flat"),
    ],
)
def test_picture_correlation(change: object, expected: float) -> None:
    true = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    made = change(true)  # type: ignore[operator]
    everywhere = np.ones((32, 32), bool)
    assert picture_correlation(made, true, everywhere) == pytest.approx(expected, abs=1e-3)
    if expected > 0:
        flat = np.corrcoef(made[0, ..., 0].ravel(), true[0, ..., 0].ravel())[0, 1]
        assert picture_correlation(made[:1, ..., :1], true[:1, ..., :1], everywhere) == pytest.approx(flat)


def test_the_driver_is_somebody_else_who_does_the_same(clip: WorldClip) -> None:
    driver = driver_clip(0, SMALL)
    assert driver.expression == pytest.approx(clip.expression)
    assert driver.scene == clip.scene
    assert np.abs(driver.frames.astype(int) - clip.frames)[clip.person_mask].mean() > 5


def test_the_mean_picture_is_no_clips_own() -> None:
    mean = mean_picture(SMALL)
    assert mean.shape == (112, 64, 3) and 60 < mean.mean() < 160
    assert mean.std(axis=(0, 1)).max() < 50  # single photos have more contrast
