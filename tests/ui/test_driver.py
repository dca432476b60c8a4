"""What a visitor is told about a clip before anything is analysed."""

from pathlib import Path

import pytest

from xdyna.backends import BACKENDS
from xdyna.schema import InputError
from xdyna.ui.driver import Driver, open_driver, part_html, part_text
from xdyna.ui.handlers.inputs import MIN_LENGTH_S, length_slider, num_frames_of, ready
from xdyna.ui.settings_form import read_settings

EXAMPLES = Path(__file__).parents[2] / "examples"
DEFAULTS = BACKENDS["xdyna-mini"].defaults
READABLE, BROKEN = Driver(facts="4.0 s", seconds=4.0), Driver(problem="The clip is an empty file (0 bytes).")


@pytest.mark.parametrize(
    ("seconds", "changes", "text"),
    [
        pytest.param(
            20.0, {"num_frames": 32, "fps": 15.0}, "2.1 s → 32 frames at 15 fps → 3 windows of 16", id="part"
        ),
        pytest.param(2.0, {}, "2.0 s → 16 frames at 8 fps → 1 window of 16", id="one window"),
        pytest.param(1.0, {"num_frames": 16}, "1.0 s → 8 frames at 8 fps → 1 window of 16", id="shorter than asked"),
        pytest.param(None, {}, "2.0 s → 16 frames at 8 fps → 1 window of 16", id="a length that nobody knows"),
        pytest.param(4.0, {"start_s": 3.9}, "Too short: 0.1 s from 3.9 s on give 1 of at least 2 frames", id="end"),
        pytest.param(4.0, {"start_s": 9.0}, "Too short: 0 s from 9 s on give 0 of at least 2 frames", id="beyond"),
    ],
)
def test_the_part_in_use_in_words(seconds: float | None, changes: dict[str, float], text: str) -> None:
    settings = read_settings(DEFAULTS.to_dict() | changes)
    assert part_text(Driver(facts="a clip", seconds=seconds), settings).startswith(text)


def test_a_clip_is_described_with_eight_moments() -> None:
    driver = open_driver(str(EXAMPLES / "sea_clip.mp4"))
    assert driver.facts == "4.0 s · 512 x 896 px · 8 fps · no sound"
    assert driver.strip is not None and driver.strip.startswith("data:image/jpeg;base64,")
    assert 'style="left:25.00%;width:50.00%"' in part_html(driver, read_settings(DEFAULTS.to_dict() | {"start_s": 1}))


@pytest.mark.parametrize(
    ("photo", "clip", "consent", "photo_problem", "driver", "reason"),
    [
        (None, None, False, None, None, "Add a photo first"),
        ("a.png", None, True, None, Driver(), "Add a driving clip"),
        ("a.png", "b.mp4", True, "damaged", READABLE, "Use another photo"),
        ("a.png", "b.mp4", True, None, BROKEN, "Use another clip"),
        ("a.png", "b.mp4", False, None, READABLE, "right to use"),
        ("a.png", "b.mp4", True, None, READABLE, ""),
    ],
)
def test_analyse_rests_until_all_is_there_and_says_why(
    photo: str | None, clip: str | None, consent: bool, photo_problem: str | None, driver: Driver | None, reason: str
) -> None:
    button, told, valid = ready(photo, clip, None, consent, photo_problem, driver)
    assert button["interactive"] == (not reason)
    assert reason in told
    assert (valid is None) == bool(reason)


def test_a_motion_file_stands_for_the_clip() -> None:
    assert ready("a.png", None, "m.xdyna-motion", True, None, READABLE)[2] == ("a.png", "m.xdyna-motion")


def test_length_in_seconds_is_frames_at_the_rate() -> None:
    assert num_frames_of(2.1, 15) == 32
    assert num_frames_of(0.0, 8) == 2
    assert num_frames_of(1000.0, 30) == 600
    slider = length_slider(READABLE, 32, 16)
    assert (slider["value"], slider["maximum"]) == (2.0, 4.0)
    assert length_slider(READABLE, 600, 8)["value"] == 4.0
    assert length_slider(Driver(facts="1 frame", seconds=0.04), 16, 8)["maximum"] > MIN_LENGTH_S  # else Gradio fails


def test_settings_that_cannot_be_read_are_an_input_error() -> None:
    with pytest.raises(InputError):
        read_settings({"fps": None})
