"""Table 4 in miniature: six models trained alike but for one thing, scored on the same clips."""

import json
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from xdyna.benchmark.methods import Setup
from xdyna.benchmark.outcome import Outcome, load_outcomes, save_outcomes
from xdyna.benchmark.run import Benchmark, BenchmarkPlan, benchmark
from xdyna.benchmark.texture_net import Textures
from xdyna.benchmark.verdicts import ABLATIONS, Ablations, judge, write_ablations
from xdyna.models import PatchAutoencoder
from xdyna.schema import InputError, Progress
from xdyna.training.checkpoint import SNAPSHOT
from xdyna.training.loop import train
from xdyna.training.mini import build_pipeline
from xdyna.training.recipe import Recipe, load_recipe, recipe_from
from xdyna.training.start import initialise
from xdyna.weights import BUNDLED_MINI

BUDGET = Path(__file__).with_name("micro.toml")
BLOCK_OUT_CHANNELS, NUM_ATTENTION_HEADS = (48, 96), (4, 4)


@dataclass(frozen=True, kw_only=True)
class AblationPlan:
    """What is fixed before the first run.

    Attributes:
        seeds: of weights, data and noise; each model is trained once with each.
        clips: scored, with a person.
        scenes: scored, without one.
        steps: optimiser steps of the two stages; those of the budget by default. Fewer only try the machinery.
        models: some of `ABLATIONS`.
    """

    seeds: tuple[int, ...] = (0, 1, 2)
    clips: int = 100
    scenes: int = 12
    steps: tuple[int, int] | None = None
    models: tuple[str, ...] = ABLATIONS


def run_ablations(folder: Path, plan: AblationPlan | None = None) -> Iterator[Progress | Ablations]:
    """Trains and scores every model that has no result yet, and writes the table after each.

    Killed at any point, it goes on when called again: training from its last checkpoint, at most a minute back,
    scoring from its beginning.

    Args:
        folder: gets `runs/`, `results/`, and the table.
        plan: default: the one written down in docs/benchmark.md.

    Yields:
        `Progress`, then the table.

    Raises:
        InputError: the folder holds runs of another plan.
    """
    plan = plan or AblationPlan()
    _keep_plan(folder, plan)
    for seed in plan.seeds:  # one of each first: the table is complete after every round
        for name in plan.models:
            result = folder / "results" / f"{name}-{seed}.npz"
            if result.exists():
                continue
            for event in _train_and_score(folder, plan, name, seed):
                if isinstance(event, Progress):
                    phase = f"{name}, seed {seed}: {event.phase}"
                    yield Progress(phase=phase, step=event.step, total=event.total, seconds_left=event.seconds_left)
                else:
                    save_outcomes(result, event.outcomes)
            write_ablations(_judged(folder, plan), folder)
    found = _judged(folder, plan)
    write_ablations(found, folder)
    yield found


def micro_recipe(name: str, seed: int, start: Path, plan: AblationPlan) -> Recipe:
    """The recipe of one run: the shipped ablation of xdyna-mini at the small budget.

    Args:
        name: one of `ABLATIONS`.
        seed: of the run.
        start: folder of the untrained pipeline.
        plan: may shorten the stages.
    """
    shipped = load_recipe("mini" if name == "full" else f"mini-{name}").to_dict()
    budget = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
    if plan.steps:
        for stage, steps in zip(budget["stages"], plan.steps, strict=True):
            stage |= {"steps": steps, "warmup_steps": 0, "decay_steps": 0}
    return recipe_from({**shipped, **budget, "model": str(start), "seed": seed}, str(BUDGET))


def _train_and_score(folder: Path, plan: AblationPlan, name: str, seed: int) -> Iterator[Progress | Benchmark]:
    start = folder / "runs" / f"start-{seed}"
    _write_start(start, seed)
    recipe = micro_recipe(name, seed, start, plan)
    run = folder / "runs" / f"{name}-{seed}"
    yield from train(recipe, run, cpu=True)
    setup = Setup(
        height=recipe.height,
        width=recipe.width,
        num_inference_steps=recipe.num_inference_steps,
        reference_mode=recipe.reference_mode,
        face_control=recipe.face_control,
    )
    yield from benchmark(
        BenchmarkPlan(
            model=str(run / SNAPSHOT),
            clips=plan.clips,
            scenes=plan.scenes,
            setup=setup,
            num_resamples=0,
            with_puppet=False,  # it refuses people this small
        )
    )


def _write_start(folder: Path, seed: int) -> None:
    """The untrained pipeline that all models of a seed start from, around xdyna-mini's autoencoder."""
    if folder.exists():
        return
    torch.manual_seed(seed)
    vae = PatchAutoencoder.from_pretrained(BUNDLED_MINI / "vae", torch_dtype=torch.float32)
    pipeline = build_pipeline(vae, BLOCK_OUT_CHANNELS, NUM_ATTENTION_HEADS)
    initialise(pipeline)
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline.save_pretrained(partial)
    partial.rename(folder)


def _keep_plan(folder: Path, plan: AblationPlan) -> None:
    path = folder / "plan.json"
    budget = tomllib.loads(BUDGET.read_text(encoding="utf-8"))
    fixed = {**asdict(plan), "budget": budget, "texture_network": Textures().sha256}
    now: dict[str, Any] = json.loads(json.dumps(fixed))
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [key for key in now if before.get(key) != now[key]]
        if changed:
            raise InputError(
                f"The runs in {folder} follow another plan: {changed[0]} was {before.get(changed[0])}, now "
                f"{now[changed[0]]}. Give another folder."
            )
        return
    (folder / "results").mkdir(parents=True, exist_ok=True)
    (folder / "runs").mkdir(exist_ok=True)
    partial = folder / "plan.partial"
    partial.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _judged(folder: Path, plan: AblationPlan) -> Ablations:
    found: dict[str, dict[int, dict[str, Outcome]]] = {}
    for name in plan.models:
        for seed in plan.seeds:
            result = folder / "results" / f"{name}-{seed}.npz"
            if result.exists():
                found.setdefault(name, {})[seed] = load_outcomes(result)
    return judge(found, plan.seeds)
