"""Six small models that differ in one thing."""

from dataclasses import fields, replace
from pathlib import Path

import pytest

from xdyna.benchmark.ablations import AblationPlan, micro_recipe, run_ablations
from xdyna.benchmark.outcome import PEOPLE, load_outcomes
from xdyna.benchmark.verdicts import ABLATIONS, Ablations
from xdyna.schema import InputError
from xdyna.training.recipe import load_recipe

TRIAL = AblationPlan(seeds=(0,), clips=3, scenes=3, steps=(1, 1), models=("landmarks",))


@pytest.mark.parametrize("name", ABLATIONS[1:])
def test_an_ablation_differs_in_what_its_shipped_recipe_changes(name: str) -> None:
    def changed(a: object, b: object) -> dict[str, object]:
        return {
            item.name: getattr(b, item.name) for item in fields(a) if getattr(a, item.name) != getattr(b, item.name)
        }

    plan, start = AblationPlan(), Path("start")
    micro = [micro_recipe(which, 1, start, plan) for which in ("full", name)]
    shipped = [load_recipe(which) for which in ("mini", f"mini-{name}")]
    assert changed(*micro) == changed(*shipped)
    assert len(changed(*micro)) == 1


def test_the_budget_is_the_same_for_all_and_the_seed_is_the_runs() -> None:
    recipes = [micro_recipe(name, 2, Path("start"), AblationPlan()) for name in ABLATIONS]
    assert {tuple(stage.steps * stage.batch_size * stage.num_frames for stage in r.stages) for r in recipes} == {
        (1500 * 32, 800 * 32)
    }
    assert {(r.seed, r.height, r.width, r.model) for r in recipes} == {(2, 112, 64, "start")}


def test_a_run_is_trained_scored_and_not_repeated(tmp_path: Path) -> None:
    phases = [getattr(event, "phase", event) for event in run_ablations(tmp_path, TRIAL)]
    assert any("joint" in str(phase) for phase in phases) and any("Clips" in str(phase) for phase in phases)
    found = phases[-1]
    assert isinstance(found, Ablations) and found.numbers.keys() == {"landmarks"}
    assert len(load_outcomes(tmp_path / "results" / "landmarks-0.npz")[PEOPLE].scenes) == 3
    assert "w/lmk" in (tmp_path / "ablations.md").read_text()
    again = list(run_ablations(tmp_path, TRIAL))
    assert len(again) == 1 and again[0].text == found.text  # the table, from results alone
    with pytest.raises(InputError, match=r"another plan: seeds was \[0\], now \[0, 1\]"):
        list(run_ablations(tmp_path, replace(TRIAL, seeds=(0, 1))))
