"""The list of what was found."""

from dataclasses import replace

import pytest
from ui.test_gpu import conditions

from xdyna.config import AnimationSettings
from xdyna.schema import Check, Fix
from xdyna.ui.checklist import GOOD, checklist

SETTINGS = AnimationSettings()
CUT = Check(id="cuts", severity="warning", message="The clip cuts <here>.", fix=Fix("Start at 2 s", {"start_s": 2.0}))


def test_without_checks_everything_is_fine() -> None:
    shown = checklist(conditions(), SETTINGS)
    assert all(text in shown for _, text in GOOD)
    assert "warning" not in shown and "<button" not in shown


def test_a_check_takes_the_place_of_what_it_contradicts_and_offers_its_fix() -> None:
    shown = checklist(replace(conditions(), checks=(CUT,)), SETTINGS)
    assert "The clip cuts &lt;here&gt;." in shown
    assert "One shot" not in shown
    assert 'data-fix="cuts">Start at 2 s</button>' in shown


def test_a_fix_that_is_made_is_not_offered_again() -> None:
    shown = checklist(replace(conditions(), checks=(CUT,)), replace(SETTINGS, start_s=2.0))
    assert "disabled" in shown and "Start at 2 s ✓" in shown


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_signs_are_told_to_those_who_do_not_see_them(severity: str) -> None:
    shown = checklist(replace(conditions(), checks=(replace(CUT, severity=severity),)), SETTINGS)
    assert {"info": "Worth knowing", "warning": "Warning"}[severity] in shown
