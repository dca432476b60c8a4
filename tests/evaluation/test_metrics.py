"""Scores of small clips whose values are known."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from xdyna.evaluation.metrics import (
    change_correlation,
    filled_outside,
    frame_psnr,
    frame_retrieval,
    gray_ssim,
    l1_per_area,
    mean_absolute_error,
    psnr,
    ssim,
    temporal_change,
)

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


def test_ssim_and_l1_see_only_their_region() -> None:
    """Two halves as if each were a clip of its own, away from the seam that the window smears."""
    clip = np.random.default_rng(2).integers(0, 256, (2, 16, 48, 3), dtype=np.uint8)
    made = clip.copy()
    made[:, :, 24:] = 255 - made[:, :, 24:]
    left = np.zeros(clip.shape[:3], bool)
    left[:, :, :16] = True
    assert ssim(made, clip, left) == pytest.approx(1)
    assert ssim(made, clip, left[:, :, ::-1]) < 0
    assert mean_absolute_error(made, clip, left) == 0
    alone = mean_absolute_error(made[:, :, 32:], clip[:, :, 32:])
    assert mean_absolute_error(made, clip, left[:, :, ::-1]) == pytest.approx(alone)
    nowhere = np.zeros_like(left)
    assert np.isnan([ssim(made, clip, nowhere), mean_absolute_error(made, clip, nowhere)]).all()


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param([5, 10, 15], 1.0, id="half the change at the same places"),
        pytest.param([30, 20, 10], -1.0, id="where it is still the other changes most"),
        pytest.param([10, 30, 20], 0.5, id="as ranked by hand"),
        pytest.param([0, 0, 0], 0.0, id="a still picture moves nowhere"),
    ],
)
def test_change_correlation(made: list[int], expected: float) -> None:
    """Three pixels that change by known amounts from frame to frame."""

    def clip(steps: list[int]) -> np.ndarray:
        return np.array([[[[0] * 3] * 3], [[[step] * 3 for step in steps]]], np.uint8)

    region = np.ones((1, 3), bool)
    assert change_correlation(clip(made), clip([10, 20, 30]), region) == pytest.approx(expected)
    assert np.isnan(change_correlation(clip(made), clip([7, 7, 7]), region))


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


def pattern() -> dict[str, np.ndarray]:
    """Closed-form images, 64 x 48: a pair with texture (a, b) and a smooth pair (s, t)."""
    y, x, c = np.meshgrid(np.arange(64), np.arange(48), np.arange(3), indexing="ij")
    a = (7 * x + 13 * y + 29 * c + (x * y) % 17) % 256
    s = np.trunc(127.5 + 100 * np.sin(2 * np.pi * 2 * x / 48) * np.cos(2 * np.pi * 1.5 * y / 64) * np.cos(c))
    b, t = a + (3 * x + 5 * y + 11 * c) % 41 - 20, s + (x + 2 * y + 3 * c) % 9 - 4
    return {name: np.clip(v, 0, 255).astype(np.uint8)[None] for name, v in {"a": a, "b": b, "s": s, "t": t}.items()}


@pytest.mark.parametrize(
    ("pair", "l1", "decibels", "similarity"),
    [
        ("ab", 0.003246519300672743, 26.833187398885457, 0.9811309412673344),
        ("st", 0.0007233796296296297, 39.891716199235915, 0.9954983173952728),
        ("aa", 0.0, 100.0, 1.0),
    ],
)
def test_the_conventions_of_table_2(pair: str, l1: float, decibels: float, similarity: float) -> None:
    made, true = (pattern()[name] for name in pair)
    assert l1_per_area(made, true) == pytest.approx(l1, rel=1e-9)
    assert frame_psnr(made, true) == pytest.approx(decibels, rel=1e-9)
    assert gray_ssim(made, true) == pytest.approx(similarity, rel=1e-6)


def test_they_agree_with_torchmetrics_where_it_follows_the_same_convention() -> None:
    made, true = (torch.from_numpy(pattern()[name]).permute(0, 3, 1, 2).double() for name in "ab")
    expected = peak_signal_noise_ratio(made, true, data_range=255.0).item()
    assert frame_psnr(pattern()["a"], pattern()["b"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("size", "expected"), [((256, 256), 1.52587890625e-4), ((896, 512), 2.1798270089e-05)])
def test_l1_depends_on_the_resolution(size: tuple[int, int], expected: float) -> None:
    grey = np.full((1, *size, 3), 100, np.uint8)
    assert l1_per_area(grey, grey + np.uint8(10)) == pytest.approx(expected)


@pytest.mark.parametrize(("p", "q"), [(250, 5), (16, 0), (0, 255)])
def test_squares_do_not_wrap(p: int, q: int) -> None:
    made, true = np.full((1, 8, 8, 3), p, np.uint8), np.full((1, 8, 8, 3), q, np.uint8)
    assert frame_psnr(made, true) == pytest.approx(20 * np.log10(255 / abs(p - q)), abs=1e-9)
    assert mean_absolute_error(made, true) == abs(p - q)


def test_black_outside_a_region_raises_psnr_by_its_share() -> None:
    made, true = pattern()["a"], pattern()["b"]
    y, x = np.mgrid[:64, :48]
    disc = ((x - 24) ** 2 + (y - 32) ** 2 <= 18**2)[None]
    inside = psnr(made, true, disc)
    filled = frame_psnr(filled_outside(made, disc), filled_outside(true, disc))
    assert filled == pytest.approx(31.701141904390692)
    assert filled - inside == pytest.approx(10 * np.log10(disc.size / disc.sum()))


@pytest.mark.parametrize("score", [l1_per_area, frame_psnr, gray_ssim])
@pytest.mark.parametrize(
    "other",
    [pattern()["b"][:, ::2], np.repeat(pattern()["b"], 2, axis=0), pattern()["b"] / np.float32(255)],
    ids=["size", "length", "value range"],
)
def test_clips_of_another_kind_are_refused(score: Callable[..., float], other: np.ndarray) -> None:
    with pytest.raises(ValueError, match="one shape"):
        score(pattern()["a"], other)
