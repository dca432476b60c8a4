"""Entry of the page: `python app.py`, and what a Hugging Face Space runs."""

import sys

import spaces  # noqa: F401  (on ZeroGPU it must come before anything that touches CUDA)

from xdyna.schema import InputError

if __name__ == "__main__":
    try:
        from xdyna.ui.demo import launch  # reads the settings

        launch()
    except InputError as error:
        sys.exit(f"xdyna: {error}")
