"""What a run costs: rates that were measured, published or guessed, and the work that they are multiplied with."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MEASUREMENTS = Path(__file__).parents[1] / "measurements.json"


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What one model costs on one device; an entry of `measurements.json`.

    A unit of work is one million pixels of one frame in one window of one denoising step; guidance doubles it.

    Attributes:
        device: as people name it.
        measured: whether the rates were measured there; otherwise `source` says where they come from.
        source: how they were obtained.
        start_s: before the first step, model loaded.
        step_s: for a unit of work.
        step_square_s: for the square of the units that are attended to at once; 0 where attention stays in a frame.
        decode_s: for a million pixels of the result.
        base_gb: memory of the loaded model and its libraries, in 1e9 bytes.
        work_gb: memory for the units of work done at once.
        clip_gb: memory for a million pixels of the clip; 0 where it is not on the device.
    """

    device: str
    measured: bool
    source: str
    start_s: float
    step_s: float
    decode_s: float
    base_gb: float
    work_gb: float
    step_square_s: float = 0.0
    clip_gb: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much there is to do.

    Attributes:
        height: of the video in pixels.
        width: of the video in pixels.
        num_frames: of the video.
        frames_at_once: frames of a window.
        num_windows: parts that the clip is made in.
        num_steps: denoising steps of each window.
        guided: whether each step is done twice, with and without the text.
        windows_at_once: that run together.
    """

    height: int
    width: int
    num_frames: int
    frames_at_once: int
    num_windows: int
    num_steps: int
    guided: bool
    windows_at_once: int = 1

    @property
    def passes(self) -> int:
        """Evaluations of the network in a step."""
        return 2 if self.guided else 1

    def seconds(self, known: Rates) -> float:
        """Wall time on the device of the rates."""
        megapixels = self.height * self.width / 1e6
        at_once = self.frames_at_once * megapixels
        evaluation_s = known.step_s * at_once + known.step_square_s * at_once**2
        steps_s = self.num_steps * self.num_windows * self.passes * evaluation_s
        return known.start_s + steps_s + known.decode_s * self.num_frames * megapixels

    def memory_gb(self, known: Rates, resident: float = 1.0, halves_at_once: bool = True) -> float:
        """Peak memory in 1e9 bytes.

        Args:
            known: rates of the device.
            resident: share of the loaded model that is on the device at once.
            halves_at_once: whether a guided step does both its evaluations together.
        """
        megapixels = self.height * self.width / 1e6
        frames = self.frames_at_once * min(self.windows_at_once, self.num_windows)
        at_once = frames * megapixels * (self.passes if halves_at_once else 1)
        return resident * known.base_gb + known.work_gb * at_once + known.clip_gb * self.num_frames * megapixels


@lru_cache(maxsize=1)
def _all_rates() -> dict[str, Rates]:
    return {model: Rates(**entry) for model, entry in json.loads(MEASUREMENTS.read_text(encoding="utf-8")).items()}


def rates(model: str) -> Rates:
    """The entry of `measurements.json`."""
    return _all_rates()[model]
