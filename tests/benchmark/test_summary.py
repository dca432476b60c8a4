"""The table and the bars from measurements that can be checked by hand."""

from pathlib import Path

import numpy as np
import pytest

from xdyna.benchmark.methods import BASELINES, CEILING, COPY
from xdyna.benchmark.outcome import PEOPLE, SCENERY, TRUTH, Outcome, load_outcomes, save_outcomes
from xdyna.benchmark.scores import COLUMNS
from xdyna.benchmark.summary import SPECTRUM, Bar, measured_bars, summarise
from xdyna.evaluation.frechet import frechet_distance
from xdyna.schema import InputError

MODEL = "model"
NUM_CLIPS = 12


def outcome(person: bool, seed: int = 0) -> Outcome:
    """Random measurements."""
    rng = np.random.default_rng(seed)
    names = [name for name, column in COLUMNS.items() if person or not column.person]
    methods = (MODEL, *BASELINES)
    regions = ("whole", "foreground", "background") if person else ("whole",)
    return Outcome(
        scenes=["sea", "rain"] * (NUM_CLIPS // 2),
        scores={method: {name: rng.random(NUM_CLIPS) for name in names} for method in methods},
        features={
            owner: {region: rng.normal(size=(NUM_CLIPS, 4)).astype(np.float32) for region in regions}
            for owner in (*methods, TRUTH)
        },
        spectra={owner: rng.random((NUM_CLIPS, 4)) + 1 for owner in (*methods, TRUTH)},
    )


@pytest.fixture
def outcomes() -> dict[str, Outcome]:
    return {PEOPLE: outcome(True), SCENERY: outcome(False, 1)}


def test_every_score_has_its_value_interval_and_number_of_clips(outcomes: dict[str, Outcome]) -> None:
    rows = summarise(outcomes, num_resamples=20)
    assert [row.kind for row in rows].count(PEOPLE) == len(COLUMNS) + 1 + 3
    for row in rows:
        assert row.cells.keys() == {MODEL, *BASELINES}
        for cell in row.cells.values():
            assert cell.interval[0] <= cell.value <= cell.interval[1]
            assert cell.num_clips == NUM_CLIPS
    found = {(row.kind, row.score): row for row in rows}
    people = outcomes[PEOPLE]
    assert found[PEOPLE, "PSNR"].cells[COPY].value == pytest.approx(people.scores[COPY]["PSNR"].mean())
    expected = frechet_distance(people.features[MODEL]["background"], people.features[TRUTH]["background"])
    assert found[PEOPLE, "BG-DTFD"].cells[MODEL].value == pytest.approx(expected)
    assert found[PEOPLE, "DTFD"].real_halves > 0
    assert np.isnan(found[SCENERY, SPECTRUM].real_halves)


def test_clips_without_a_value_do_not_count(outcomes: dict[str, Outcome]) -> None:
    outcomes[PEOPLE].scores[MODEL]["colour error"][:3] = np.nan
    row = next(row for row in summarise(outcomes, num_resamples=0) if row.score == "colour error")
    assert row.cells[MODEL].num_clips == NUM_CLIPS - 3
    assert row.cells[MODEL].value == pytest.approx(np.nanmean(outcomes[PEOPLE].scores[MODEL]["colour error"]))


def test_the_bars_and_their_limits(outcomes: dict[str, Outcome]) -> None:
    people, scenery = outcomes.values()
    bars = {bar.name: bar for bar in measured_bars(people, scenery)}
    assert {name: (bar.low, bar.high) for name, bar in bars.items()} == {
        "person PSNR over copying, dB": (4, np.inf),
        "PSNR over copying, dB": (2.5, np.inf),
        "SSIM over copying": (0, np.inf),
        "pose retrieval": (0.7, np.inf),
        "expression retrieval": (0.4, np.inf),
        "scene clips, PSNR over copying, dB": (-0.5, np.inf),
        "background change / true": (0.5, 1.5),
        "scene clips, change / true": (0.5, 1.5),
        "place of background change, share of ceiling": (0.5, np.inf),
        "clothes colour error, 0..255": (-np.inf, 6),
    }
    own, copy = people.scores[MODEL], people.scores[COPY]
    assert bars["PSNR over copying, dB"].value == pytest.approx(own["PSNR"].mean() - copy["PSNR"].mean())
    place = {
        method: np.concatenate([kind.scores[method]["place of change"] for kind in (people, scenery)]).mean()
        for method in (MODEL, CEILING)
    }
    share = bars["place of background change, share of ceiling"]
    assert share.value == pytest.approx(place[MODEL] / place[CEILING])
    assert all(bar.interval[0] <= bar.value <= bar.interval[1] for bar in bars.values())


@pytest.mark.parametrize(("value", "reached"), [(0.49, False), (0.5, True), (1.5, True), (1.51, False)])
def test_a_bar_is_reached_between_its_limits(value: float, reached: bool) -> None:
    bar = Bar(name="change", value=value, interval=(0, 9), num_clips=3, low=0.5, high=1.5)
    assert bar.reached == reached
    assert bar.wanted == ">= 0.5 and <= 1.5"


def test_measurements_survive_the_disk(outcomes: dict[str, Outcome], tmp_path: Path) -> None:
    save_outcomes(tmp_path / "r.npz", outcomes)
    again = load_outcomes(tmp_path / "r.npz")
    assert list(tmp_path.iterdir()) == [tmp_path / "r.npz"]
    for kind, before in outcomes.items():
        after = again[kind]
        assert (after.scenes, after.methods) == (before.scenes, before.methods)
        for method in before.methods:
            for name, values in before.scores[method].items():
                assert (after.scores[method][name] == values).all()
        assert (after.features[TRUTH]["whole"] == before.features[TRUTH]["whole"]).all()
        assert (after.spectra[MODEL] == before.spectra[MODEL]).all()


def test_a_damaged_file_is_named(outcomes: dict[str, Outcome], tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    save_outcomes(path, outcomes)
    for content in (path.read_bytes()[:500], b""):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"r\.npz is not a benchmark's result"):
            load_outcomes(path)
