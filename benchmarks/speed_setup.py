"""What the speed benchmarks share: machines, pipelines, inputs, clocks and counters."""

import xdyna.models  # noqa: F401  (its torchvision guard must run before diffusers is imported)

# isort: split
import json
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from xdyna.models import Resampler, XDynaUNet
from xdyna.pipelines import XDynaPipeline
from xdyna.pipelines.schedulers import official_scheduler
from xdyna.preprocess.draw import draw_pose
from xdyna.preprocess.face import face_patches
from xdyna.training.data import HELD_OUT_SEEDS
from xdyna.world import render_clip

RESULTS = Path(__file__).with_name("results")
MID, FULL, TINY = (128, 256, 512, 512), (320, 640, 1280, 1280), (32, 64, 64, 64)
FPS = 8.0


def machine(device: str = "cpu") -> dict[str, str | int]:
    """Where a result was measured."""
    facts: dict[str, str | int] = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
    }
    if device.startswith("cuda"):
        return facts | {"device": torch.cuda.get_device_name(device)}
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return facts | {"device": names[0].split(":")[1].strip(), "cores": len(names)}


def save(name: str, results: Any, device: str = "cpu") -> None:
    """Writes `results/speed_NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    content = {"machine": machine(device), "results": results}
    (RESULTS / f"speed_{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def print_table(title: str, rows: Sequence[dict[str, Any]]) -> None:
    """Prints rows of the same columns as Markdown."""
    print(f"\n{title}\n\n| " + " | ".join(rows[0]) + " |\n|" + " --- |" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()) + " |")


def random_pipeline(
    widths: tuple[int, ...], device: str = "cpu", dtype: torch.dtype = torch.float32, with_vae: bool = False
) -> XDynaPipeline:
    """SD 1.5's shapes at other widths, with random weights; prompts and picture come as embeddings."""
    dim = 768 if widths == FULL else widths[1]
    blocks = {"block_out_channels": widths, "cross_attention_dim": dim}
    embedding = (16, 32, 96, 256)
    torch.manual_seed(0)
    with torch.device(device):
        vae_widths = (128, 256, 512, 512) if widths == FULL else (32, 32, 32, 32)
        pipeline = XDynaPipeline(
            vae=AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4,
                up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=vae_widths,
                layers_per_block=2 if with_vae else 1,
            ),
            unet=XDynaUNet(**blocks),
            controlnet_pose=ControlNetModel(
                **blocks, attention_head_dim=8, conditioning_channels=3, conditioning_embedding_out_channels=embedding
            ),
            controlnet_face=ControlNetModel(
                **blocks, attention_head_dim=8, conditioning_channels=6, conditioning_embedding_out_channels=embedding
            ),
            scheduler=official_scheduler(),
            resampler=Resampler(dim=16, depth=1, dim_head=8, heads=2, embedding_dim=16, output_dim=dim),
            image_encoder=CLIPVisionModelWithProjection(
                CLIPVisionConfig(hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2)
            ),
            feature_extractor=CLIPImageProcessor(),
        )
    for component in pipeline.components.values():
        if isinstance(component, torch.nn.Module):
            component.eval().to(dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def random_inputs(pipeline: XDynaPipeline, num_frames: int, height: int, width: int, texts: int = 1) -> dict[str, Any]:
    """Arguments of `XDynaPipeline.stream`; with one text both halves of guidance have the same."""
    rng, unet = np.random.default_rng(0), pipeline.unet
    clips = rng.integers(0, 256, (3, num_frames, height, width, 3), dtype=np.uint8)
    draw = torch.Generator().manual_seed(0)

    def tokens(count: int, rows: int) -> Tensor:
        made = torch.randn(rows, count, unet.config.cross_attention_dim, generator=draw)
        return made.expand(2, -1, -1).to(unet.device, unet.dtype)

    return {
        "image": clips[0, 0],
        "pose_frames": clips[0],
        "face_local_frames": clips[1],
        "face_global_frames": clips[2],
        "prompt_embeds": tokens(77, texts),
        "image_embeds": tokens(unet.config.num_image_tokens, 2),
        "generator": torch.Generator().manual_seed(0),
    }


def drawn_inputs(num_frames: int, seed: int = HELD_OUT_SEEDS) -> dict[str, Any]:
    """Arguments of `XDynaPipeline.stream` for xdyna-mini: a drawn person that training never shows, at 128 x 224."""
    clip = render_clip(seed, num_frames=num_frames + 1, fps=FPS, person=True)
    size = clip.frames.shape[1:3]
    local, head = face_patches(clip.frames[1:], clip.face_landmarks[1:])
    return {
        "image": clip.frames[0],
        "pose_frames": draw_pose(clip.pose[1:], size),
        "face_local_frames": local,
        "face_global_frames": head,
        "generator": torch.Generator().manual_seed(seed),
    }


class FlopCounter(FlopCounterMode):
    """torch's counter, which leaves out attention on a CPU unless it is told."""

    def __init__(self) -> None:
        def attention(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
            return sdpa_flop_count(query, key, value)

        operation = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        super().__init__(display=False, custom_mapping={operation: attention})

    def of(self, module_name: str) -> int:
        """FLOPs of a module by its full name, its children included."""
        return sum(self.get_flop_counts().get(module_name, {}).values())


def matmul_rate(device: str = "cpu", dtype: torch.dtype = torch.float32, size: int = 2048) -> float:
    """The most FLOP/s that this machine reaches in large matrix products."""
    a, b = torch.randn(2, size, size, device=device, dtype=dtype)
    best = min(timed(lambda: a @ b, device) for _ in range(5))
    return 2 * size**3 / best


def timed(run: Callable[[], Any], device: str = "cpu") -> float:
    """Seconds: process time on a CPU, which others may be using too; wall time with a GPU."""
    gpu = device.startswith("cuda")
    clock = time.perf_counter if gpu else time.process_time
    if gpu:
        torch.cuda.synchronize(device)
    started = clock()
    run()
    if gpu:
        torch.cuda.synchronize(device)
    return clock() - started


def alternated(runs: dict[str, Callable[[], Any]], rounds: int, device: str = "cpu") -> dict[str, list[float]]:
    """Seconds of each, one after the other in every round, so that a machine's moods fall on all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(timed(run, device))
    return seconds


def median_ratio(seconds: Iterable[float], base: Iterable[float]) -> float:
    """Median over the rounds of one thing's time over another's."""
    return median(a / b for a, b in zip(seconds, base, strict=True))
