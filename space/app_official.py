"""Entry of a Space whose visitors use the official weights; `space.assemble --official` makes it its `app.py`."""

import spaces  # noqa: F401  (on ZeroGPU it must come before anything that touches CUDA)

from xdyna.ui.demo import launch
from xdyna.weights import is_ready, pull

if __name__ == "__main__":
    if not is_ready("xdyna"):
        pull()  # converts what `preload_from_hub` left in the hub's cache
    launch()
