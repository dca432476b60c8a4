"""The background without the person."""

import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from puppet.drawn import HEIGHT, WIDTH, drawn

from xdyna.puppet import plate
from xdyna.puppet.plate import PlateFiller


def disc(radius: float) -> np.ndarray:
    """A soft round person, `(HEIGHT, WIDTH)`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.clip(radius - np.hypot(x - WIDTH / 2, y - HEIGHT / 2), 0, 1).astype(np.float32)


def test_what_is_known_is_kept_to_the_bit() -> None:
    photo, matte = drawn(903).frames[0], drawn(903).person_mask[0].astype(np.float32)
    made = PlateFiller(photo, matte).result()
    away = np.pad(matte, 2).astype(bool)
    away = ~np.any([np.roll(away, shift, (0, 1)) for shift in np.ndindex(3, 3)], axis=0)[3:-1, 3:-1]
    assert np.array_equal(made[away], photo[away])


def test_the_hole_is_filled_from_its_surroundings() -> None:
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    photo[::2] = 200  # stripes go on behind the person
    matte = disc(60)
    person = photo.copy()
    person[matte > 0] = (255, 0, 0)
    made = PlateFiller(person, matte).result().astype(int)
    inside = matte >= 1
    assert not (made[inside] == (255, 0, 0)).all(axis=-1).any()
    assert np.minimum(made[inside], np.abs(200 - made[inside].astype(int))).max() <= 2  # copied, as sharp as the photo


def test_nobody_leaves_the_photo_as_it_is() -> None:
    photo = drawn(903).frames[0]
    assert np.array_equal(PlateFiller(photo, np.zeros((HEIGHT, WIDTH), np.float32)).result(), photo)


@pytest.mark.parametrize("end", ["crash", "hang"])
def test_a_crash_of_the_shift_map_leaves_a_smooth_filling(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "program.py"
    program.write_text({"crash": "import os; os.abort()", "hang": "import time; time.sleep(60)"}[end])
    monkeypatch.setattr(plate, "PROGRAM", program)
    photo = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    photo[disc(60) > 0] = 255
    made = PlateFiller(photo, disc(60), patience_s=0.5).result()
    assert np.abs(made[disc(60) >= 1].astype(int) - 90).max() < 8  # of OpenCV's own rounding
    assert "filled smoothly" in caplog.text


def test_the_shift_map_is_given_up_after_its_processor_time_however_busy_the_machine_is() -> None:
    question = io.BytesIO()
    picture, hole = np.random.default_rng(0).integers(0, 255, (448, 256, 3), np.uint8), np.zeros((448, 256), bool)
    hole[40:400, 40:200] = True  # takes minutes
    np.savez(question, picture=picture, hole=hole)
    done = subprocess.run([sys.executable, plate.PROGRAM, "1"], input=question.getvalue(), capture_output=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")
