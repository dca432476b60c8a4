"""Fill a hole in a picture by copying from elsewhere in it: a program of its own, because OpenCV's may crash.

Reads `picture`, `(height, width, 3)` uint8 RGB, and `hole`, `(height, width)` bool, as an .npz file from standard
input. Writes `source`, `(height, width)` int32, as .npy to standard output: the pixel that each pixel is copied from.
Its argument is the processor time in seconds after which it ends.
"""

import io
import sys
from contextlib import suppress

import cv2
import numpy as np

INDEX_SCALE = 1e-4  # small beside colours, so that the fourth channel does not take part in the choice


def source_pixels(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Return the flat index of the pixel to copy for each pixel, `(height, width)` int32.

    The shift map only copies pixels: a fourth channel that carries each pixel's index says from where.
    """
    height, width = hole.shape
    index = np.arange(height * width, dtype=np.float32).reshape(height, width)
    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    given = np.dstack([lab, index * INDEX_SCALE]).astype(np.float32)
    filled = np.zeros_like(given)  # without an array of the same kind nothing comes back
    cv2.xphoto.inpaint(given, np.where(hole, 0, 255).astype(np.uint8), filled, cv2.xphoto.INPAINT_SHIFTMAP)
    found = np.round(filled[..., 3] / INDEX_SCALE).astype(np.int32)
    return np.where(hole, np.clip(found, 0, height * width - 1), index.astype(np.int32))


def limit_processor_time(seconds: int) -> None:
    """End this process after some processor time: unlike a clock's, it is the same on a busy machine."""
    with suppress(ImportError):  # there is no such limit on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))


if __name__ == "__main__":
    limit_processor_time(int(sys.argv[1]))
    cv2.setNumThreads(1)
    given_arrays = np.load(io.BytesIO(sys.stdin.buffer.read()))
    answer = io.BytesIO()
    np.save(answer, source_pixels(given_arrays["picture"], given_arrays["hole"]))
    sys.stdout.buffer.write(answer.getvalue())
