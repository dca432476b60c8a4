"""Measures speed and writes tables to `benchmarks/results/speed_*.json`.

    python benchmarks/speed.py exact operators approximate quality compare mini long [--quick]

Parts alternate what they compare and give medians of ratios. `--quick` takes smaller clips and one round: for a look,
and writes nothing.
`speed_gpu.py` is the same for the full-size model on a GPU; `run_memory.py` measures memory.
"""

import argparse
import gc
import multiprocessing
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from speed_operators import operators
from speed_setup import (
    MID,
    FlopCounter,
    alternated,
    drawn_inputs,
    matmul_rate,
    median_ratio,
    print_table,
    random_inputs,
    random_pipeline,
    save,
    timed,
)

from xdyna.benchmark.methods import Setup
from xdyna.benchmark.outcome import PEOPLE
from xdyna.benchmark.run import Benchmark, BenchmarkPlan, benchmark
from xdyna.benchmark.scores import CHANGE, EXPRESSION, PLACE, POSE
from xdyna.benchmark.summary import SPECTRUM
from xdyna.evaluation.metrics import psnr
from xdyna.pipelines import XDynaPipeline, XDynaStep
from xdyna.pipelines.context import context_windows, open_windows
from xdyna.pipelines.preview import preview_frames
from xdyna.pipelines.schedulers import with_sampler
from xdyna.pipelines.seams import loop_closure, seam_frames, seam_visibility
from xdyna.weights import BUNDLED_MINI

Row = dict[str, Any]
PREFIX = ("conv_in", "down_blocks.0.resnets.0", "down_blocks.0.attentions.0.transformer_blocks.0.attn1")
"""Parts of UNet and ControlNet that have seen no text yet: both halves of guidance do the same there."""
TOKENS = ("to_k", "to_v", "to_k_ip", "to_v_ip")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    for part in options.parts:
        rows = PARTS[part](options.quick)
        print_table(part, rows)
        if not options.quick:
            save(part, rows)


def mini() -> XDynaPipeline:
    pipeline = XDynaPipeline.from_pretrained(BUNDLED_MINI, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


# ---- (a) the exact path


def exact(quick: bool) -> list[Row]:
    """FLOPs of one guided step, and of what the algorithm cannot do without; the rate against matrix products."""
    sizes = [(8, 192, 192)] if quick else [(8, 192, 192), (16, 256, 448)]
    pipeline, peak = random_pipeline(MID), matmul_rate()
    return [exact_row(pipeline, peak, *size, texts) for size in sizes for texts in (1, 2)]


def exact_row(pipeline: XDynaPipeline, peak: float, num_frames: int, height: int, width: int, texts: int) -> Row:
    arguments = random_inputs(pipeline, num_frames, height, width, texts) | {
        "reference_latents": torch.randn(1, 4, 1, height // 8, width // 8),
        "num_inference_steps": 1,
        "output_type": "latent",
    }
    seconds: dict[str, list[float]] = {"UNet": [], "ControlNets": []}
    hooks = clocked({"UNet": [pipeline.unet], "ControlNets": controlnets(pipeline)}, seconds)
    pipeline.cache.clear()
    with FlopCounter() as counter:
        total_s = timed(lambda: pipeline(**arguments))
    for hook in hooks:
        hook.remove()
    unet, control = counter.of("XDynaUNet"), counter.of("ControlNetModel")
    repeated = sum(half_of(counter, "XDynaUNet", name) for name in PREFIX)
    repeated += sum(half_of(counter, "ControlNetModel", name) for name in PREFIX) if texts == 2 else 0
    spent = {name: sum(values) for name, values in seconds.items()}
    return {
        "clip": f"1+{num_frames}, latent {height // 8}x{width // 8}",
        "texts": texts,
        "GFLOP": counter.get_total_flops() / 1e9,
        "UNet": unet / 1e9,
        "ControlNets": control / 1e9,
        "over the minimum": counter.get_total_flops() / (counter.get_total_flops() - repeated),
        "UNet, share of matmul rate": unet / spent["UNet"] / peak,
        "ControlNets, share": control / spent["ControlNets"] / peak,
        "s, UNet": spent["UNet"],
        "s, ControlNets": spent["ControlNets"],
        "s, rest": total_s - sum(spent.values()),
        "matmul GFLOP/s": peak / 1e9,
    }


def half_of(counter: FlopCounter, network: str, part: str) -> float:
    return counter.of(f"{network}.{part}") / 2


def controlnets(pipeline: XDynaPipeline) -> list[torch.nn.Module]:
    return [pipeline.controlnet_pose, pipeline.controlnet_face]


def clocked(modules: dict[str, list[torch.nn.Module]], seconds: dict[str, list[float]]) -> list[Any]:
    """Hooks that note the process time of every call."""
    hooks = []
    for name, group in modules.items():
        for module in group:
            started: list[float] = []

            def before(*_: Any, started: list[float] = started) -> None:
                started.append(time.process_time())

            def after(*_: Any, started: list[float] = started, name: str = name) -> None:
                seconds[name].append(time.process_time() - started.pop())

            hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    return hooks


# ---- (b) approximations

APPROXIMATE: dict[str, Row] = {
    "25 steps, exact": {},
    "no guidance": {"guidance_scale": 1.0},
    "guidance in the first half": {"guidance_end": 0.5},
    "guidance from 20 to 60 %": {"guidance_start": 0.2, "guidance_end": 0.6},
    "reference cache": {"reference_cache": True},
    "feature cache 2": {"feature_cache_interval": 2},
    "feature cache 3": {"feature_cache_interval": 3},
    "weights in eight bits": {"float8": True},
    "12 steps, dpm++": {"num_inference_steps": 12, "scheduler": "dpm++"},
    "8 steps, dpm++": {"num_inference_steps": 8, "scheduler": "dpm++"},
    "8 steps, unipc": {"num_inference_steps": 8, "scheduler": "unipc"},
    "6 steps, ddim": {"num_inference_steps": 6},
    "4 steps, ddim": {"num_inference_steps": 4},
    "6 steps, half guided": {"num_inference_steps": 6, "guidance_end": 0.5},
    "8 steps, dpm++, half guided": {"num_inference_steps": 8, "scheduler": "dpm++", "guidance_end": 0.5},
    "8 steps, half guided, feature cache 2": {
        "num_inference_steps": 8,
        "guidance_end": 0.5,
        "feature_cache_interval": 2,
    },
    "another seed": {"seed": 1},
}
"""The last says how far two equally good results are from one another."""


def approximate(quick: bool) -> list[Row]:
    """xdyna-mini, guidance 2, 8 frames: cost and error against 25 exact steps with the same noise."""
    exact_weights, rounded_weights = mini(), mini()
    rounded_weights.store_weights_in_float8()
    base = exact_weights.scheduler
    num_clips, num_frames = (1, 2) if quick else (4, 8)
    flops: dict[str, int] = {}
    clips = [drawn_inputs(num_frames, 1_000_000_000 + k) for k in range(num_clips)]
    results: dict[str, list[tuple[float, float, torch.Tensor, np.ndarray]]] = {name: [] for name in APPROXIMATE}
    for k, clip in enumerate(clips):
        for name, changes in APPROXIMATE.items():
            own = {"num_inference_steps": 25, "guidance_scale": 2.0} | changes
            pipeline = rounded_weights if own.pop("float8", False) else exact_weights
            pipeline.scheduler = with_sampler(base, own.pop("scheduler", "ddim"))
            generator = torch.Generator().manual_seed(100 * own.pop("seed", 0) + k)
            arguments = clip | own | {"generator": generator}
            pipeline.cache.clear()
            kept: list[torch.Tensor] = []
            frames: list[np.ndarray] = []

            def run(
                pipeline: Any = pipeline, arguments: Row = arguments, kept: Any = kept, frames: Any = frames
            ) -> None:
                for event in pipeline.stream(**arguments):
                    if isinstance(event, XDynaStep):
                        kept[:] = [event.latents]
                    else:
                        frames.append(event.frames)

            seconds = timed(run)
            if name not in flops:  # alike for all clips; their encodings are in the cache now: denoising alone
                with FlopCounter() as counter:
                    pipeline(**arguments | {"generator": torch.Generator().manual_seed(k), "output_type": "latent"})
                flops[name] = counter.get_total_flops()
            results[name].append((seconds, flops[name], kept[0], frames[0]))
    exact_results = results["25 steps, exact"]
    rows = []
    for name, own_results in results.items():
        pairs = list(zip(own_results, exact_results, strict=True))
        rows.append(
            {
                "mode": name,
                "times fewer FLOPs": median(theirs[1] / ours[1] for ours, theirs in pairs),
                "times faster": median(theirs[0] / ours[0] for ours, theirs in pairs),
                "latent error": median(
                    float((ours[2] - theirs[2]).norm() / theirs[2].norm()) for ours, theirs in pairs
                ),
                "PSNR to exact, dB": median(
                    psnr(to_levels(ours[3]), to_levels(theirs[3])) if ours is not theirs else float("inf")
                    for ours, theirs in pairs
                ),
            }
        )
    return rows


QUALITY = (
    *("25 steps, exact", "no guidance", "12 steps, dpm++", "8 steps, dpm++", "8 steps, dpm++, half guided"),
    *("6 steps, ddim", "6 steps, half guided"),
)
"""What may become a Fast preset: whatever saves half or more."""
SCORED = ("person PSNR", "face PSNR", POSE, EXPRESSION, "background PSNR", CHANGE, PLACE, SPECTRUM)


def quality(quick: bool) -> list[Row]:
    """xdyna-mini, guidance 2: scores of `xdyna benchmark` by mode, and which leave the interval of 25 exact steps."""
    with multiprocessing.get_context("spawn").Pool(torch.get_num_threads()) as pool:
        scored = pool.starmap(scores_in_mode, [(name, 3 if quick else 20) for name in QUALITY], chunksize=1)
    exact_cells = scored[0]
    rows: list[Row] = []
    for name, cells in zip(QUALITY, scored, strict=True):
        outside = [score for score, (_, (low, high)) in exact_cells.items() if not low <= cells[score][0] <= high]
        values = {score: value for score, (value, _) in cells.items()}
        rows.append({"mode": name} | values | {"outside": ", ".join(outside) or "none"})
    for edge, bound in enumerate(("low", "high")):
        bounds = {score: interval[edge] for score, (_, interval) in exact_cells.items()}
        rows.append({"mode": f"interval of exact, {bound}"} | bounds | {"outside": ""})
    return rows


def scores_in_mode(name: str, clips: int) -> dict[str, tuple[float, tuple[float, float]]]:
    """Value and interval of each of `SCORED`, in a process of its own with one thread."""
    torch.set_num_threads(1)
    own = {"num_inference_steps": 25, "guidance_scale": 2.0} | APPROXIMATE[name]
    sampling = {key: own.pop(key) for key in ("num_inference_steps", "guidance_scale", "scheduler") if key in own}
    setup = Setup(**sampling, approximations=own)
    *_, found = benchmark(BenchmarkPlan(model="xdyna-mini", clips=clips, scenes=3, setup=setup))
    assert isinstance(found, Benchmark)
    cells = {row.score: row.cells["xdyna-mini"] for row in found.rows if row.kind == PEOPLE}
    scores = {score: (cells[score].value, cells[score].interval) for score in SCORED}
    print(name, scores, flush=True)
    return scores


def to_levels(frames: np.ndarray) -> np.ndarray:
    return (frames * 255).round().astype(np.uint8)


# ---- (d) comparing and repeating


def compare(quick: bool) -> list[Row]:
    """Four variants in one program against four programs; a second run with other guidance."""
    strengths, steps = (0.5, 0.75, 1.0, 1.25), 2 if quick else 3
    clip = drawn_inputs(4 if quick else 16)

    def run(pipeline: XDynaPipeline, **changes: Any) -> None:
        generator = torch.Generator().manual_seed(1)
        pipeline(**clip | {"num_inference_steps": steps, "guidance_scale": 1.0, "generator": generator} | changes)

    def together() -> None:
        pipeline = mini()
        for strength in strengths:
            run(pipeline, adapter_strength=strength)

    def apart() -> None:
        for strength in strengths:
            run(mini(), adapter_strength=strength)

    run(mini())
    seconds = alternated({"together": together, "apart": apart}, 1 if quick else 3)
    start_s = process_start_s()
    pipeline = mini()
    parts: dict[str, list[float]] = {"first": [], "again": []}
    for _ in range(1 if quick else 3):
        pipeline.cache.clear()
        parts["first"].append(time_to_first_step(pipeline, clip, 1.0))
        parts["again"].append(time_to_first_step(pipeline, clip, 2.0))
    return [
        {
            "what": "4 variants / 4 runs, models loaded each time",
            "ratio": median_ratio(seconds["together"], seconds["apart"]),
        },
        {
            "what": "the same as programs, with their start",
            "ratio": (median(seconds["together"]) + start_s) / (median(seconds["apart"]) + 4 * start_s),
        },
        {"what": "s before the loop, first run", "ratio": median(parts["first"])},
        {"what": "s before the loop, other guidance", "ratio": median(parts["again"])},
    ]


def process_start_s() -> float:
    """CPU seconds of a program until its libraries are there."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import xdyna.pipelines"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def time_to_first_step(pipeline: XDynaPipeline, clip: Row, guidance: float) -> float:
    """CPU seconds before the UNet runs for the first time."""
    marks: list[float] = []
    hook = pipeline.unet.register_forward_pre_hook(lambda *_: marks.append(time.process_time()))
    started = time.process_time()
    events = pipeline.stream(**clip | {"num_inference_steps": 1, "guidance_scale": guidance})
    next(events)
    events.close()
    hook.remove()
    return marks[0] - started


# ---- (e) the small model


def mini_clip(quick: bool) -> list[Row]:
    """Where the time of xdyna-mini's own 16 frames goes, in CPU seconds; medians."""
    pipeline, rounds = mini(), 1 if quick else 5
    clip = drawn_inputs(4 if quick else 16)
    seconds: dict[str, list[float]] = {"UNet": [], "ControlNets": []}
    rows: list[Row] = []
    for _ in range(rounds + 1):  # the first warms up
        pipeline.cache.clear()
        for values in seconds.values():
            values.clear()
        hooks = clocked({"UNet": [pipeline.unet], "ControlNets": controlnets(pipeline)}, seconds)
        started = time.process_time()
        marks: dict[str, float] = {}
        arguments = clip | {"num_inference_steps": 3, "guidance_scale": 1.0}
        for event in pipeline.stream(**arguments):
            if isinstance(event, XDynaStep) and event.clean_latents is not None:
                preview_frames(pipeline.vae, event.clean_latents)
                marks.setdefault("first preview", time.process_time())
                marks["denoised"] = time.process_time()
        ended = time.process_time()
        for hook in hooks:
            hook.remove()
        networks = {name: sum(values) for name, values in seconds.items()}
        rows.append(
            {"whole clip": ended - started, "first preview after": marks["first preview"] - started}
            | networks
            | {"decoding": ended - marks["denoised"]}
            | {"encoding and rest": marks["denoised"] - started - sum(networks.values())}
        )
    return [{"part": name, "CPU s": median(row[name] for row in rows[1:])} for name in rows[0]]


# ---- (f) long clips


def long(quick: bool) -> list[Row]:
    """xdyna-mini over clips of a walking length: seams, the ends of the loop, CPU time per frame."""
    pipeline = mini()
    lengths = (16, 32) if quick else (16, 32, 64, 128, 256)
    rows = []
    for num_frames in lengths:
        clip = drawn_inputs(num_frames)
        for schedule, lay in {"loop": context_windows, "open": open_windows}.items():
            frames: list[np.ndarray] = []
            arguments = clip | {
                "num_inference_steps": 3,
                "guidance_scale": 1.0,
                "window_schedule": schedule,
                "output_type": "uint8",
                "window_offsets": [5, 10, 0],  # the seams of the last step, which settles details, are known
                "generator": torch.Generator().manual_seed(0),
            }
            gc.collect()
            seconds = timed(lambda a=arguments, f=frames: f.append(pipeline(**a).frames))
            seams = seam_frames(lay(num_frames, 16, 4, 0))
            rows.append(
                {
                    "frames": num_frames,
                    "windows": schedule,
                    "CPU s per frame": seconds / num_frames,
                    "change at seams / elsewhere": seam_visibility(frames[0], seams) if seams else "no seam",
                    "last to first, in changes": loop_closure(frames[0]),
                    "of the driving pose": loop_closure(clip["pose_frames"]),
                }
            )
    return rows


PARTS: dict[str, Callable[[bool], list[Row]]] = {
    "exact": exact,
    "operators": operators,
    "approximate": approximate,
    "quality": quality,
    "compare": compare,
    "mini": mini_clip,
    "long": long,
}

if __name__ == "__main__":
    main()
