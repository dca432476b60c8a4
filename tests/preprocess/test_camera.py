import numpy as np
import pytest
import skimage.data

from xdyna.preprocess.camera import CameraWatcher
from xdyna.world.clip import render_clip

NOBODY = np.full(4, np.nan, np.float32)
PICTURE = np.repeat(np.repeat(skimage.data.astronaut(), 2, axis=0), 2, axis=1)


@pytest.mark.parametrize("pixels", [0, 4, 12])
def test_the_speed_of_a_pan_is_measured(pixels):
    watcher = CameraWatcher(8.0)
    for k in range(6):
        watcher.add(PICTURE[:800, k * pixels : k * pixels + 600], NOBODY)
    assert watcher.speed() == pytest.approx(8 * pixels / np.hypot(800, 600), rel=0.05, abs=1e-3)


def test_a_zoom_is_a_moving_camera():
    watcher = CameraWatcher(8.0)
    for k in range(6):
        watcher.add(PICTURE[12 * k : 1024 - 12 * k, 12 * k : 1024 - 12 * k], NOBODY)
    assert watcher.speed() > 0.05


def test_the_person_is_not_the_camera():
    """Only the person moves; the background is a picture that stands."""
    watcher = CameraWatcher(8.0)
    for k in range(6):
        frame, left = PICTURE[:800, :600].copy(), 100 + 30 * k
        frame[200:700, left : left + 250] = PICTURE[400:900, 700:950]
        watcher.add(frame, np.array([left, 200, left + 250, 700], np.float32))
    assert watcher.speed() < 0.002


def test_water_and_fire_are_not_the_camera():
    for seed in range(20, 24):
        clip = render_clip(seed, num_frames=8, height=448, width=256)
        watcher = CameraWatcher(8.0)
        for frame, mask in zip(clip.frames, clip.person_mask, strict=True):
            rows, columns = np.nonzero(mask)
            watcher.add(frame, np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float32))
        assert watcher.speed() < 0.03


def test_drifting_clouds_are_not_the_camera():
    """A sky that moves as one, above a ground that stands."""
    watcher = CameraWatcher(8.0)
    for k in range(6):
        frame = np.full((800, 600, 3), 120, np.uint8)
        frame[:300] = PICTURE[:300, 12 * k : 12 * k + 600]
        watcher.add(frame, NOBODY)
    assert watcher.speed() == 0


@pytest.mark.parametrize("number", [1, 2])
def test_the_official_drivers_have_a_camera_that_stands(test_data, number):
    from preprocess.skeletons import official_frames

    watcher = CameraWatcher(8.0)
    for frame in official_frames(test_data, number, "driving", range(0, 60, 3)):
        watcher.add(frame, NOBODY)
    assert watcher.speed() < 0.03


def test_a_blank_clip_does_not_move():
    watcher = CameraWatcher(8.0)
    for _ in range(3):
        watcher.add(np.zeros((64, 64, 3), np.uint8), NOBODY)
    assert watcher.speed() == 0
