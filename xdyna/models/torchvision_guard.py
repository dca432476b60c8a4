"""Make `import torchvision` safe on a CPU-only torch.

PyPI's torchvision is linked against the CUDA build of torch. On a CPU-only torch its C++ library cannot load, and the
import fails because `torchvision::nms` is unknown; with it fail transformers' image processors, diffusers' pipelines,
timm and controlnet_aux. Declaring the two operators that torchvision registers shape functions for is enough for all
of these; only the C++ operators themselves stay unavailable.
"""

import importlib.util
import sys
from functools import cache


@cache
def ensure_torchvision() -> None:
    """Call before anything imports torchvision. With a CUDA or ROCm torch, or no torchvision, it does nothing."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
        return
    import torch

    if torch.version.cuda is not None or getattr(torch.version, "hip", None) is not None:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _keep_alive.append(library)


_keep_alive: list[object] = []  # a Library's operators vanish when it is collected
