"""Where the time of a step goes, by kind of operator."""

from typing import Any

from speed_setup import MID, FlopCounter, matmul_rate, random_inputs, random_pipeline
from torch.profiler import ProfilerActivity, profile

KINDS = {
    "linear layers": ("addmm", "mm", "bmm"),
    "convolutions": ("convolution", "mkldnn_convolution", "_slow_conv2d_forward"),
    "attention": ("_scaled_dot_product_flash_attention_for_cpu",),
    "elementwise": ("mul", "mul_", "add", "add_", "div", "div_", "sub", "gelu", "silu", "silu_"),
    "copies and concatenation": ("copy_", "cat", "index", "constant_pad_nd"),
    "normalisation": ("native_group_norm", "native_layer_norm"),
}
"""Names in `torch.ops.aten`, those that do the work themselves."""
OTHER = "everything else, Python included"


def operators(quick: bool) -> list[dict[str, Any]]:
    """One guided step of 1+8 frames, latent 24x24, equal texts: CPU time by kind, and the rate of what multiplies."""
    size = 96 if quick else 192
    pipeline, peak = random_pipeline(MID), matmul_rate()
    arguments = random_inputs(pipeline, 8, size, size) | {"num_inference_steps": 1, "output_type": "latent"}
    pipeline(**arguments)  # encodings are kept, so that only the step is left
    with FlopCounter() as counter:
        pipeline(**arguments)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        pipeline(**arguments)
    flops: dict[str, float] = {}
    for operation, count in counter.get_flop_counts()["Global"].items():
        kind = kind_of(str(operation).removeprefix("aten."))
        flops[kind] = flops.get(kind, 0.0) + count
    seconds: dict[str, float] = {}
    for event in profiled.key_averages():
        kind = kind_of(event.key.removeprefix("aten::"))
        seconds[kind] = seconds.get(kind, 0.0) + event.self_cpu_time_total / 1e6
    total = sum(seconds.values())
    return [
        {
            "operators": kind,
            "CPU s": seconds[kind],
            "share of the time": seconds[kind] / total,
            "GFLOP": flops.get(kind, 0.0) / 1e9,
            "share of matmul rate": flops.get(kind, 0.0) / seconds[kind] / peak,
        }
        for kind in sorted(seconds, key=lambda kind: -seconds[kind])
    ]


def kind_of(name: str) -> str:
    return next((kind for kind, names in KINDS.items() if name in names), OTHER)
