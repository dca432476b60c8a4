"""Scores of small clips whose values are known."""

import numpy as np
import pytest

from xdyna.evaluation.metrics import frame_retrieval, psnr, ssim, temporal_change

RNG = np.random.default_rng(0)
CLIP = RNG.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
ALL = np.ones((16, 16), bool)


@pytest.mark.parametrize(
    ("offset", "decibels"),
    [(0, np.inf), (1, 48.1308), (10, 28.1308), (255, 0.0)],  # 20 log10(255 / offset)
)
def test_psnr_of_a_constant_offset(offset: int, decibels: float) -> None:
    black = np.zeros((2, 4, 4, 3), np.uint8)
    assert psnr(black + np.uint8(offset), black) == pytest.approx(decibels, abs=1e-3)


def test_psnr_does_not_overflow_and_sees_only_its_region() -> None:
    black, half = np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 2, 3), np.uint8)
    half[:, 0] = 200
    upper = np.zeros((1, 2, 2), bool)
    upper[:, 0] = True
    assert psnr(black, half, upper) == psnr(half, black, upper) == pytest.approx(20 * np.log10(255 / 200))
    assert psnr(black, half, ~upper) == np.inf
    assert np.isnan(psnr(black, half, np.zeros((1, 2, 2), bool)))


def test_ssim() -> None:
    assert ssim(CLIP, CLIP) == pytest.approx(1)
    assert ssim(CLIP, 255 - CLIP) < 0


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(CLIP, 1.0, id="perfect"),
        pytest.param(CLIP[[1, 2, 3, 0]], 0.0, id="every frame is another's"),
        pytest.param(CLIP[[0, 1, 3, 2]], 0.5, id="two swapped"),
        pytest.param(CLIP[[0, 0, 0, 0]], 0.25, id="a still picture scores chance"),
    ],
)
def test_frame_retrieval(made: np.ndarray, expected: float) -> None:
    assert frame_retrieval(made, CLIP, ALL) == expected


def test_ties_count_their_share() -> None:
    still = np.repeat(CLIP[:1], 4, axis=0)
    assert frame_retrieval(CLIP, still, ALL) == 0.25


def test_temporal_change() -> None:
    clip = np.zeros((3, 2, 2, 3), np.uint8)
    clip[1] = 10
    assert temporal_change(clip) == 10
    region = np.zeros((3, 2, 2), bool)
    assert np.isnan(temporal_change(clip, region))
    region[:, 0, 0] = True
    assert temporal_change(clip, region) == 10
