"""MediaPipe's detectors, opened on first use and without their chatter."""

import importlib
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from xdyna.schema import Image

logger = logging.getLogger(__name__)

Opened = TypeVar("Opened", bound="Graph")

CHATTER = re.compile(r"[IW]\d{4} |INFO: Created TensorFlow Lite|WARNING: All log messages before absl::")


class Graph:
    """One detector of `mediapipe.python.solutions`. Close it, or use it as a context manager.

    Args:
        module: module of the solution, e.g. "pose".
        name: class in it, e.g. "Pose".
        options: its constructor's arguments.
    """

    def __init__(self, module: str, name: str, **options: Any) -> None:
        with _quiet_stderr():
            solution = importlib.import_module(f"mediapipe.python.solutions.{module}")
            self._solution = getattr(solution, name)(**options)
            # Its threads start, and chatter, with the first picture.
            self._solution.process(np.zeros((64, 64, 3), np.uint8))

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self._solution.close()

    def __call__(self, image: Image) -> Any:
        """Runs the detector on `(height, width, 3)` uint8 RGB and returns MediaPipe's result."""
        with _quiet_stderr():
            return self._solution.process(image)


class CustomGraph(Graph):
    """Parts of MediaPipe's detectors, wired by hand where its solutions decide too much by themselves.

    Args:
        nodes: a `CalculatorGraphConfig` in protobuf's text format with an input stream "image".
        side_inputs: its input side packets.
    """

    def __init__(self, nodes: str, **side_inputs: Any) -> None:
        with _quiet_stderr():
            from google.protobuf import text_format
            from mediapipe.framework import calculator_pb2
            from mediapipe.python.solution_base import SolutionBase

            config = text_format.Parse(nodes, calculator_pb2.CalculatorGraphConfig())
            self._solution = SolutionBase(graph_config=config, side_inputs=side_inputs or None)

    def __call__(self, image: Image, **inputs: Any) -> Any:
        """Runs the graph on `(height, width, 3)` uint8 RGB and its other input streams, by name."""
        with _quiet_stderr():
            return self._solution.process({"image": image, **inputs})


class _Stderr:
    """The process's standard error while one or more detectors run: a file that is sifted afterwards.

    The detectors' C++ log has no switch before it is initialised, which Python cannot do.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._saved = -1
        self._caught: Any = None

    def catch(self) -> None:
        with self._lock:
            if self._users == 0:
                self._caught = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the last release
                self._saved = os.dup(2)
                os.dup2(self._caught.fileno(), 2)
            self._users += 1

    def release(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            os.dup2(self._saved, 2)
            os.close(self._saved)
            with self._caught as caught:
                caught.seek(0)
                for line in caught.read().decode(errors="replace").splitlines():
                    if CHATTER.match(line):
                        logger.debug("mediapipe: %s", line)
                    else:  # somebody else's line: hand it on
                        os.write(2, f"{line}\n".encode())


_stderr = _Stderr()


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    _stderr.catch()
    try:
        yield
    finally:
        _stderr.release()
