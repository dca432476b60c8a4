"""Spectra of clips whose motion is known in closed form."""

import numpy as np
import pytest

from xdyna.evaluation.spectrum import motion_spectrum, spectrum_distance

ALL = np.ones((4, 4), bool)


def pulsing(cycles_per_frame: float, amplitude: float = 60.0, n: int = 16) -> np.ndarray:
    """A grey clip whose brightness is a tone of one frequency."""
    luma = 128 + amplitude * np.sin(2 * np.pi * cycles_per_frame * np.arange(n) + 0.4)
    return np.broadcast_to(luma.round().astype(np.uint8)[:, None, None, None], (n, 4, 4, 3))


@pytest.mark.parametrize("bin_", [2, 4, 6])
def test_a_tone_has_its_power_at_its_frequency(bin_: int) -> None:
    power = motion_spectrum(pulsing(bin_ / 16), ALL)
    assert power.shape == (8,)
    assert power.argmax() == bin_ - 1
    assert power[bin_ - 2 : bin_ + 1].sum() > 0.97 * power.sum()


def test_noise_has_its_variance_spread_evenly() -> None:
    noise = np.random.default_rng(0).normal(128, 12, (16, 64, 64, 1)).repeat(3, axis=3).round().astype(np.uint8)
    power = motion_spectrum(noise, np.ones((64, 64), bool))
    # Removing each pixel's mean takes a little from the lowest frequency, and half a cycle counts once.
    assert power[1:-1] == pytest.approx(np.full(6, 2 * 12**2 / 16), rel=0.08)


def test_only_the_region_counts() -> None:
    clip = pulsing(0.25).copy()
    clip[:, :, :2] = 50
    right = np.zeros((4, 4), bool)
    right[:, 2:] = True
    assert motion_spectrum(clip, ~right) == pytest.approx(0, abs=1e-9)
    assert motion_spectrum(clip, right) == pytest.approx(motion_spectrum(pulsing(0.25), ALL))
    assert np.isnan(motion_spectrum(clip, np.zeros((4, 4), bool))).all()


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_clip_blended_with_its_first_frame_loses_its_share(share: float) -> None:
    true = np.random.default_rng(1).gamma(4.0, 50.0, (6, 8)) + 1e4  # far above the floor
    expected = -20 * np.log10(1 - share)
    assert spectrum_distance((1 - share) ** 2 * true, true, list("aabbcc")) == pytest.approx(expected, abs=0.05)
    assert spectrum_distance(true, true, list("aabbcc")) == 0


def test_classes_are_compared_one_by_one() -> None:
    """Fire that moves like water and water that moves like fire are wrong, though their mean is right."""
    true = np.array([[1e4, 1e2], [1e2, 1e4]])
    assert spectrum_distance(true[::-1], true, ["fire", "water"]) == pytest.approx(20, abs=0.1)
    assert spectrum_distance(true[::-1], true, ["any", "any"]) == pytest.approx(0)


def test_clips_without_background_do_not_count() -> None:
    true = np.array([[100.0, 10.0], [np.nan, np.nan]])
    assert spectrum_distance(true, true, ["a", "b"]) == 0
    assert np.isnan(spectrum_distance(true[1:], true[1:], ["b"]))


def test_a_clip_of_two_frames_has_no_spectrum() -> None:
    with pytest.raises(ValueError, match="at least 3 frames"):
        motion_spectrum(pulsing(0.25, n=2), ALL)
