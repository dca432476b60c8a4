"""Motion of clips whose motion is known."""

import cv2
import numpy as np
import pytest
from scipy.stats import spearmanr

from xdyna.evaluation.dynamics import (
    flow_speed,
    high_frequency_share,
    measure_dynamics,
    noise_deviation,
    temporal_deviation,
)
from xdyna.evaluation.masks import segment_person
from xdyna.schema import Frames
from xdyna.world import render_clip

ALL = np.ones((8, 8), bool)
TONE = (128 + 20 * np.sin(2 * np.pi * 3 * np.arange(16) / 16))[:, None, None] * np.ones((1, 8, 8))
SEEDS = range(5000, 5010)


def frozen(clip: Frames, share: float) -> Frames:
    """Blended with its first frame: `(1 - share)^2` of the energy is left."""
    return ((1 - share) * clip + share * clip[:1]).round().astype(np.uint8)


def texture(shift: float, size: tuple[int, int] = (160, 128)) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    x, y = x - 2 * shift, y - shift
    x, y = 2 * np.pi * x, 2 * np.pi * y
    grey = 128 + 40 * np.sin(x / 17) + 30 * np.cos(y / 13) + 25 * np.sin((x + y) / 23)
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)


def test_the_deviation_of_a_tone_is_its_amplitude_over_root_two() -> None:
    assert temporal_deviation(TONE) == pytest.approx(20 / 2**0.5)
    half = np.where(np.arange(8) < 4, TONE, 128.0)
    assert np.sqrt((temporal_deviation(half) ** 2).mean()) == pytest.approx(10.0)


@pytest.mark.parametrize(("cutoff", "share"), [(0.25, 0.0), (0.125, 1.0)])
def test_the_frequency_of_a_tone(cutoff: float, share: float) -> None:
    assert high_frequency_share(TONE, ALL, cutoff=cutoff) == pytest.approx(share, abs=1e-9)


def test_all_frequencies_of_an_impulse_count_alike() -> None:
    impulse = np.zeros((16, 8, 8))
    impulse[3] = 1
    assert high_frequency_share(impulse, ALL) == pytest.approx(9 / 15)  # of 15 frequencies, 4/16 to 12/16


def test_noise_is_told_from_motion() -> None:
    noise = np.random.default_rng(0).normal(0, 5, (16, 64, 64)).astype(np.float32)
    everywhere = np.ones((64, 64), bool)
    assert noise_deviation(128 + noise, everywhere) == pytest.approx(5, rel=0.1)
    drift = np.linspace(0, 60, 16, dtype=np.float32)[:, None, None]
    assert noise_deviation(128 + noise + drift, everywhere) == pytest.approx(5, rel=0.1)


def test_flow_finds_a_known_shift_and_nothing_in_equal_frames() -> None:
    frames = [cv2.cvtColor(texture(0.75 * t), cv2.COLOR_RGB2GRAY) for t in (0, 1)]
    flow = cv2.calcOpticalFlowFarneback(*frames, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    assert flow_speed(flow)[8:-8, 8:-8].mean() == pytest.approx(np.hypot(1.5, 0.75), abs=0.1)
    still = cv2.calcOpticalFlowFarneback(frames[0], frames[0], None, 0.5, 3, 15, 3, 5, 1.2, 0)
    assert flow_speed(still)[8:-8, 8:-8].max() == 0


def test_a_still_picture_does_not_move() -> None:
    found = measure_dynamics(np.repeat(texture(0)[None], 8, axis=0))
    assert (found.background_motion, found.background_gauge, found.background_speed) == (0, 0, 0)
    assert (found.moving_area, found.static_background) == (0, 1)
    assert (found.flicker, found.camera_speed) == (0, 0)
    assert np.isnan(found.subject_speed)


def test_noise_alone_is_hardly_motion() -> None:
    noise = np.random.default_rng(0).normal(0, 5, (16, 160, 128, 3))
    found = measure_dynamics(np.clip(texture(0) + noise, 0, 255).astype(np.uint8))
    assert found.background_motion < 0.6
    assert found.static_background > 0.99


def test_flicker_is_not_motion() -> None:
    factor = 1 + 0.1 * np.resize([1, -1], 16)[:, None, None, None]
    found = measure_dynamics((texture(0) * factor).clip(0, 255).astype(np.uint8))
    assert found.flicker > 8
    assert found.background_motion < 0.4 * found.flicker
    assert "flicker" in found.warning


def test_a_pan_is_the_camera_not_the_background() -> None:
    scene = render_clip(5008, num_frames=1, height=448, width=448, person=False).frames[0]
    pan = np.stack([scene[20:320, 10 + 3 * t : 210 + 3 * t] for t in range(16)])
    found = measure_dynamics(pan, fps=8.0)
    assert found.camera_speed == pytest.approx(100 * 3 * 8 / 200, rel=0.05)  # percent of the shorter side per second
    assert found.background_speed < 1
    shaken = temporal_deviation(pan.mean(axis=-1))
    assert found.background_motion < 0.25 * np.sqrt((shaken**2).mean())


def test_a_person_before_a_still_background_leaves_it_still() -> None:
    clip = render_clip(5004, num_frames=16)
    still = render_clip(5004, num_frames=1, person=False).frames
    found = measure_dynamics(np.where(clip.person_mask[..., None], clip.frames, still), clip.person_mask)
    assert found.background_motion == 0
    assert found.background_speed < 1
    assert found.subject_speed > 5


def test_freezing_a_clip_lowers_its_motion_in_proportion() -> None:
    clip = render_clip(6000, num_frames=16)
    blends = [measure_dynamics(frozen(clip.frames, share), clip.person_mask) for share in (0, 0.5, 1)]
    motion = [blend.background_motion for blend in blends]
    assert motion[1] == pytest.approx(motion[0] / 2, rel=0.1)
    assert motion[2] == 0


def test_faster_dancing_is_faster() -> None:
    speeds = []
    for slower in (4, 2, 1):
        clip = render_clip(5010, num_frames=12, fps=8.0 * slower)
        speeds.append(measure_dynamics(clip.frames, clip.person_mask).subject_speed)
    assert speeds == sorted(speeds) and speeds[-1] > 1.5 * speeds[0]


def test_rank_correlation_with_the_true_background_motion() -> None:
    """Truth: the same scene rendered without the person. Once with the true mask, once with a found one."""
    true, known, found = [], [], []
    for seed in SEEDS:
        clip, empty = (render_clip(seed, num_frames=8, person=person) for person in (True, False))
        grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in empty.frames])
        true.append(np.sqrt((temporal_deviation(grey)[~clip.person_mask.any(axis=0)] ** 2).mean()))
        known.append(measure_dynamics(clip.frames, clip.person_mask).background_motion)
        found.append(measure_dynamics(clip.frames, segment_person(clip.frames)).background_motion)
    assert spearmanr(true, known).statistic > 0.9
    assert spearmanr(true, found).statistic > 0.85


def test_the_numbers_hardly_depend_on_size_and_frame_rate() -> None:
    small, large = (render_clip(5008, num_frames=16, height=h, width=w) for h, w in ((224, 128), (448, 256)))
    slow = measure_dynamics(small.frames, small.person_mask, fps=8.0)
    big = measure_dynamics(large.frames, large.person_mask, fps=8.0)
    fast = render_clip(5008, num_frames=48, fps=24.0)
    assert big.background_motion == pytest.approx(slow.background_motion, rel=0.25)
    assert big.subject_speed == pytest.approx(slow.subject_speed, rel=0.35)
    thrice = measure_dynamics(fast.frames, fast.person_mask, fps=24.0)
    assert thrice.background_motion == pytest.approx(slow.background_motion, rel=0.1)


def test_a_clip_full_of_person_has_no_background() -> None:
    clip = render_clip(5004, num_frames=8)
    found = measure_dynamics(clip.frames, np.ones(clip.frames.shape[:3], bool))
    assert np.isnan([found.background_motion, found.moving_area, found.flicker]).all()
    assert np.isfinite(found.subject_speed)


def test_a_short_clip_at_a_high_rate_is_measured() -> None:
    clip = render_clip(5004, num_frames=16, fps=60.0)
    assert np.isfinite(measure_dynamics(clip.frames, fps=60.0).background_motion)


@pytest.mark.parametrize(("frames", "mask"), [((2, 64, 64, 3), None), ((8, 64, 64, 3), (8, 32, 32))])
def test_what_cannot_be_measured(frames: tuple[int, ...], mask: tuple[int, ...] | None) -> None:
    with pytest.raises(ValueError):
        measure_dynamics(np.zeros(frames, np.uint8), None if mask is None else np.zeros(mask, bool))
