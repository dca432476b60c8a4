"""The official code's own numbers (see tests/parity.py)."""

from pathlib import Path

import parity
import pytest

# Whole networks need 30 MB of weights: they run where outside test data is.
NEEDS_OUTSIDE_DATA = {"tiny_a", "tiny_b", "tiny_c", "tiny_d", "tiny_i1", "tiny_i2", "k_sface_portrait"}


def test_every_layer_and_step_agrees_with_the_official_code(golden: Path) -> None:
    rows, absent = parity.run(golden)
    assert {row.fixture for row in rows if not row.passed} == set()
    assert len(rows) > 40
    assert all(any(name.startswith(kind) for kind in NEEDS_OUTSIDE_DATA) for name in absent)


def test_whole_networks_and_pipelines_agree_with_the_official_code(test_data: Path) -> None:
    absent = set(parity.FIXTURES)
    for folder in ("parity", "backends"):
        rows, absent_here = parity.run(test_data / folder)
        assert [(row.fixture, row.what, row.error) for row in rows if not row.passed] == []
        absent &= set(absent_here)
    assert absent == set()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(None, 2, id="nothing to compare"),
        pytest.param(
            '{"cases": [{"num_frames": 3, "offset": 0, "windows": [[0, 1, 2]], '
            '"times_each_frame_is_covered": [1, 1, 1]}]}',
            0,
            id="agrees",
        ),
        pytest.param(
            '{"cases": [{"num_frames": 3, "offset": 0, "windows": [[2, 1, 0]], '
            '"times_each_frame_is_covered": [1, 1, 1]}]}',
            1,
            id="differs",
        ),
    ],
)
def test_exit_code(tmp_path: Path, content: str | None, code: int) -> None:
    if content:
        (tmp_path / "j_context_windows.json").write_text(content)
    assert parity.main([str(tmp_path)]) == code
