"""The list of what was found."""

from dataclasses import replace

import pytest
from ui.test_gpu import conditions

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings
from xdyna.schema import Check, Fix
from xdyna.ui.checklist import GOOD, checklist

SETTINGS, XDYNA = AnimationSettings(), BACKENDS["xdyna"]
CUT = Check(id="cuts", severity="warning", message="The clip cuts <here>.", fix=Fix("Start at 2 s", {"start_s": 2.0}))


def test_without_checks_everything_is_fine() -> None:
    shown = checklist(conditions(), SETTINGS, XDYNA)
    assert all(text in shown for _, text in GOOD)
    assert "warning" not in shown and "<button" not in shown


def test_a_check_takes_the_place_of_what_it_contradicts_and_offers_its_fix() -> None:
    shown = checklist(replace(conditions(), checks=(CUT,)), SETTINGS, XDYNA)
    assert "The clip cuts &lt;here&gt;." in shown
    assert "One shot" not in shown
    assert 'data-fix="cuts">Start at 2 s</button>' in shown


def test_a_fix_that_is_made_is_not_offered_again() -> None:
    shown = checklist(replace(conditions(), checks=(CUT,)), replace(SETTINGS, start_s=2.0), XDYNA)
    assert "disabled" in shown and "Start at 2 s ✓" in shown


def test_a_fix_that_means_nothing_to_the_model_is_not_offered() -> None:
    long_arms = replace(CUT, id="proportions", fix=Fix("Keep the photo's proportions", {"retarget": True}))
    given = replace(conditions(), checks=(CUT, long_arms))
    assert 'data-fix="proportions"' in checklist(given, SETTINGS, XDYNA)
    shown = checklist(given, SETTINGS, BACKENDS["wan-animate-2"])
    assert 'data-fix="proportions"' not in shown and 'data-fix="cuts"' in shown


@pytest.mark.parametrize("severity", ["info", "warning"])
def test_signs_are_told_to_those_who_do_not_see_them(severity: str) -> None:
    shown = checklist(replace(conditions(), checks=(replace(CUT, severity=severity),)), SETTINGS, XDYNA)
    assert {"info": "Worth knowing", "warning": "Warning"}[severity] in shown
