"""The full-size model with random weights on a GPU: seconds, rate and memory of each memory mode.

    python benchmarks/speed_gpu.py [--frames 16 64] [--steps 25] [--dtype float16 bfloat16] [--modes full]
    python benchmarks/speed_gpu.py --tiny            # tries the script on any machine

Random weights cost what trained ones cost. `--compile`, `--channels-last`, `--float8` and `--windows-at-once` try what
may pay on top.
"""

import argparse
import time
from dataclasses import replace
from typing import Any

import torch
from speed_setup import FULL, TINY, FlopCounter, matmul_rate, print_table, random_inputs, random_pipeline, save

from xdyna.pipelines import XDynaPipeline, XDynaStep
from xdyna.pipelines.memory import MEMORY_MODES

HEIGHT, WIDTH = 896, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--dtype", nargs="+", default=["float16", "bfloat16"])
    parser.add_argument("--modes", nargs="+", choices=MEMORY_MODES, default=list(MEMORY_MODES))
    parser.add_argument("--texts", type=int, choices=(1, 2), default=1, help="2: the halves of guidance differ")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--float8", action="store_true", help="weights of UNet and ControlNets in eight bits")
    parser.add_argument("--windows-at-once", type=int, default=1)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() and not options.tiny else "cpu"
    if device == "cpu" and not options.tiny:
        parser.error("there is no GPU here; --tiny tries the script without one")
    if options.tiny:
        options.frames, options.steps, options.dtype = [4], 2, ["float32"]
    rows = [row for dtype in options.dtype for row in measured(options, device, getattr(torch, dtype))]
    print_table("full size, random weights", rows)
    if not options.tiny:
        save("gpu", rows, device)


def measured(options: argparse.Namespace, device: str, dtype: torch.dtype) -> list[dict[str, Any]]:
    pipeline = random_pipeline(TINY if options.tiny else FULL, device, dtype, with_vae=True)
    if options.channels_last:
        for network in (pipeline.unet, pipeline.controlnet_pose, pipeline.controlnet_face, pipeline.vae):
            network.to(memory_format=torch.channels_last)
    if options.compile:
        for network in (pipeline.unet, pipeline.controlnet_pose, pipeline.controlnet_face):
            network.compile()
    if options.float8:
        pipeline.store_weights_in_float8()
    peak = matmul_rate(device, dtype, size=512 if options.tiny else 8192)
    rows = []
    for mode in options.modes:
        pipeline.set_memory_mode(mode, device)
        pipeline.memory = replace(pipeline.memory, windows_at_once=options.windows_at_once)
        for num_frames in options.frames:
            size = (64, 64) if options.tiny else (HEIGHT, WIDTH)
            rows.append(
                {"dtype": str(dtype).removeprefix("torch."), "mode": mode, "frames": num_frames}
                | run(pipeline, num_frames, size, options, device, peak)
            )
    return rows


def run(
    pipeline: XDynaPipeline,
    num_frames: int,
    size: tuple[int, int],
    options: argparse.Namespace,
    device: str,
    peak: float,
) -> dict[str, Any]:
    """A step to warm up and to count FLOPs, then the whole run."""
    arguments = random_inputs(pipeline, num_frames, *size, options.texts)
    with FlopCounter() as counter:
        pipeline(**arguments, num_inference_steps=1, output_type="latent")
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    started, denoised = time.perf_counter(), 0.0
    for event in pipeline.stream(**arguments, num_inference_steps=options.steps, output_type="uint8"):
        if isinstance(event, XDynaStep) and event.phase == "denoise" and event.step == event.total:
            if device == "cuda":
                torch.cuda.synchronize()
            denoised = time.perf_counter() - started
    seconds = time.perf_counter() - started
    held = torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else float("nan")
    rate = options.steps * counter.get_total_flops() / denoised
    return {
        "s": seconds,
        "s a step": denoised / options.steps,
        "TFLOP a step": counter.get_total_flops() / 1e12,
        "share of matmul rate": rate / peak,
        "peak GB": held,
    }


if __name__ == "__main__":
    main()
