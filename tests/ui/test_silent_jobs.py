"""Where a job has nothing to do it says so. Gradio empties the outputs of a generator that ends without a yield."""

from xdyna.backends import BACKENDS
from xdyna.ui.handlers import check, compare
from xdyna.ui.job_events import updates
from xdyna.ui.session import analysis_inputs
from xdyna.ui.settings_form import read_settings

SETTINGS = BACKENDS["xdyna-mini"].defaults.to_dict()


def test_an_analysis_that_is_being_done_changes_nothing() -> None:
    newest = check.Newest(analysis_inputs("photo.png", "clip.mp4", read_settings(SETTINGS)))
    again = check.analyse("photo.png", "clip.mp4", None, True, None, newest, **SETTINGS)
    assert list(again) == [updates(check.JOB)]


def test_nothing_found_changes_nothing() -> None:
    nothing = check.show(None, None, None, False, None, "xdyna-mini", "check", check.Shown(), 0.5, **SETTINGS)
    assert list(nothing) == [updates(check.SHOWN)]


def test_nothing_compared_changes_nothing() -> None:
    assert list(compare.show(None)) == [updates(compare.SHOWN)]
