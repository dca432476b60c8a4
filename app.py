"""Entry of the page: `python app.py`, and what a Hugging Face Space runs."""

import spaces  # noqa: F401  (on ZeroGPU it must come before anything that touches CUDA)

from xdyna.ui.demo import launch

if __name__ == "__main__":
    launch()
