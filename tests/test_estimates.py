"""What a run is said to cost."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xdyna.backends import BACKENDS
from xdyna.backends.cost import rates
from xdyna.backends.memory import gpu_gb
from xdyna.backends.xdyna import num_windows
from xdyna.config import AnimationSettings
from xdyna.estimates import Pace, predict
from xdyna.pipelines.context import context_windows, open_windows
from xdyna.schema import InputError

OFFICIAL, MINI = BACKENDS["xdyna"].defaults, BACKENDS["xdyna-mini"].defaults
PEAKS = json.loads((Path(__file__).parents[1] / "benchmarks" / "results" / "speed_memory.json").read_text())["results"]


@pytest.mark.parametrize("model", BACKENDS)
def test_every_model_has_rates_with_their_device_named(model: str) -> None:
    assert rates(model).device and rates(model).source
    assert predict(model, BACKENDS[model].defaults, pace=Pace()).seconds > 0


def test_the_official_rates_say_that_nobody_measured_them() -> None:
    assert not rates("xdyna").measured
    assert predict("xdyna", OFFICIAL, pace=Pace()).memory_gb == pytest.approx(20, abs=1)  # as its README says


@pytest.mark.parametrize("peak", PEAKS, ids=lambda peak: f"{peak['frames']} frames, {peak['size']}, {peak['mode']}")
def test_memory_is_what_was_measured(peak: dict[str, Any]) -> None:
    """`python benchmarks/run_memory.py` measured it, for one guided step."""
    width, height = map(int, peak["size"].split("x"))
    settings = replace(MINI, height=height, width=width, num_frames=peak["frames"], memory_mode=peak["mode"])
    predicted = predict("xdyna-mini", replace(settings, guidance_scale=2.0), pace=Pace()).memory_gb
    assert predicted == pytest.approx(peak["peak GB"], rel=0.1)


@pytest.mark.parametrize(
    ("gpu_gb", "mode"), [(None, "full"), (24, "full"), (12, "model_offload"), (8, "sequential_offload")]
)
def test_the_fastest_memory_mode_that_fits_is_taken(gpu_gb: float | None, mode: str) -> None:
    plan = BACKENDS["xdyna"].plan(OFFICIAL, gpu_gb=gpu_gb)
    assert plan.memory_mode == mode
    assert gpu_gb is None or plan.memory_gb <= gpu_gb


def test_a_memory_mode_can_be_insisted_on() -> None:
    plan = BACKENDS["xdyna"].plan(replace(OFFICIAL, memory_mode="sequential_offload"), gpu_gb=80)
    assert plan.memory_mode == "sequential_offload"
    with pytest.raises(InputError, match=r"needs about 7 GB of GPU memory .* this GPU has 4"):
        BACKENDS["xdyna"].plan(OFFICIAL, gpu_gb=4)


@pytest.mark.parametrize("mode", ["full", "model_offload", "sequential_offload"])
def test_weights_in_eight_bits_need_less_memory_in_every_mode(mode: str) -> None:
    settings = replace(OFFICIAL, memory_mode=mode)
    full, small = (
        BACKENDS["xdyna"].plan(replace(settings, weight_storage=storage)).memory_gb for storage in ("full", "float8")
    )
    assert 0.2 < full - small < 2.1  # at most a byte for each of the two thousand million weights


def test_windows_that_run_together_need_the_memory_of_all_and_of_no_more_than_there_are() -> None:
    long = replace(OFFICIAL, num_frames=64, memory_mode="full")
    one, two, four = (
        predict("xdyna", replace(long, windows_at_once=count), pace=Pace()).memory_gb for count in (1, 2, 4)
    )
    assert four - two == pytest.approx(2 * (two - one))
    short = replace(OFFICIAL, windows_at_once=8)
    assert predict("xdyna", short, pace=Pace()).memory_gb == pytest.approx(one)


def test_a_run_can_have_what_others_leave_free_and_what_it_holds_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (9_000_000_000, 24_000_000_000))
    monkeypatch.setattr("torch.cuda.memory_reserved", lambda device: 3_000_000_000)
    assert gpu_gb("cuda:1") == gpu_gb() == 12.0
    assert BACKENDS["xdyna"].plan(OFFICIAL, gpu_gb=gpu_gb()).memory_mode == "model_offload"
    assert gpu_gb("cpu") is None


def test_open_windows_are_counted_within_one() -> None:
    for num_frames, offset in itertools.product((2, 16, 17, 28, 29, 96), range(16)):
        settings = AnimationSettings(window_schedule="open")
        assert abs(num_windows(num_frames, settings) - len(open_windows(num_frames, 16, 4, offset))) <= 1


def test_windows_are_those_of_the_pipeline() -> None:
    for num_frames, (frames, overlap) in itertools.product((2, 16, 17, 24, 28, 29, 96), ((16, 4), (16, 8), (2, 1))):
        settings = AnimationSettings(context_frames=frames, context_overlap=overlap)
        assert num_windows(num_frames, settings) == len(context_windows(num_frames, frames, overlap, 0))


@pytest.mark.parametrize(
    "more",
    [
        {"num_inference_steps": 26},
        {"num_frames": 17},
        {"height": 960},
        {"context_overlap": 8, "num_frames": 40},
    ],
)
def test_more_work_takes_longer(more: dict[str, int]) -> None:
    base = replace(OFFICIAL, num_frames=more.get("num_frames", 16) if "context_overlap" in more else 16)
    assert predict("xdyna", replace(base, **more), pace=Pace()).seconds > predict("xdyna", base, pace=Pace()).seconds


def test_guidance_doubles_a_step() -> None:
    def step(guidance: float) -> float:
        settings = replace(MINI, guidance_scale=guidance)
        once, twice = (predict("xdyna-mini", replace(settings, num_inference_steps=n), pace=Pace()) for n in (1, 2))
        return twice.seconds - once.seconds

    assert step(2.0) == pytest.approx(2 * step(1.0))


def test_a_long_clip_needs_no_more_memory_than_its_windows() -> None:
    short, long = (predict("xdyna", replace(OFFICIAL, num_frames=n), pace=Pace()) for n in (16, 160))
    assert long.memory_gb == short.memory_gb


def test_the_clip_counts_not_the_setting() -> None:
    assert predict("xdyna", OFFICIAL, 8, Pace()) == predict("xdyna", replace(OFFICIAL, num_frames=8), pace=Pace())


def test_predictions_come_closer_with_every_run() -> None:
    pace, truth = Pace(), 20 * predict("xdyna-mini", MINI, pace=Pace()).seconds
    errors = []
    for _ in range(3):
        errors.append(abs(predict("xdyna-mini", MINI, pace=pace).seconds - truth))
        pace.learn("xdyna-mini", MINI, 16, truth)
    assert errors[0] > 1
    assert errors[1:] == pytest.approx([0, 0], abs=1e-6)
    assert predict("xdyna-mini", MINI, pace=pace).measured
    assert pace.factor("xdyna") is None  # another model's business


def test_one_odd_run_does_not_spoil_the_rest() -> None:
    pace, usual = Pace(), predict("xdyna-mini", MINI, pace=Pace()).seconds
    pace.learn("xdyna-mini", MINI, 16, 1e9)
    assert predict("xdyna-mini", MINI, pace=pace).seconds <= 50 * usual + 1e-6
