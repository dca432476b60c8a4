"""What a run will cost on this machine, told before it starts: from its plan, and from how earlier runs went."""

import threading
from dataclasses import dataclass

from xdyna.backends import BACKENDS
from xdyna.config import AnimationSettings

LEARNING = 0.5  # weight of the newest run
ANALYSIS_BASE_S, ANALYSIS_PER_FRAME_S = 1.5, 0.15  # 32 frames of 512 x 896 on two cores: 5.9 s
SLOWEST, FASTEST = 50.0, 0.02  # one odd run, say on a machine that was suspended, must not spoil what follows


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run is expected to cost.

    Attributes:
        seconds: wall time.
        memory_gb: peak memory of the device in 1e9 bytes.
        device: where the rates come from.
        measured: whether they were measured, on `device` or by an earlier run on this machine.
    """

    seconds: float
    memory_gb: float
    device: str
    measured: bool


class Pace:
    """How fast this machine is, compared with the measured one; learnt from finished runs. Any thread may use it."""

    def __init__(self) -> None:
        self._lock, self._factors = threading.Lock(), dict[str, float]()

    def factor(self, model: str) -> float | None:
        """What to multiply predicted seconds with, or None before the first run."""
        with self._lock:
            return self._factors.get(model)

    def learn(self, model: str, settings: AnimationSettings, num_frames: int, seconds: float) -> None:
        """Takes a finished run into account.

        Args:
            model: a key of `BACKENDS`.
            settings: of the run.
            num_frames: of the clip that drove it.
            seconds: that it took, from the first piece of work to the last.
        """
        ratio = min(SLOWEST, max(FASTEST, seconds / BACKENDS[model].plan(settings, num_frames).seconds))
        with self._lock:
            before = self._factors.get(model, ratio)
            self._factors[model] = (1 - LEARNING) * before + LEARNING * ratio


PACE = Pace()


class AnalysisSpeed:
    """How long this machine looks at a photo and a clip; learnt from finished analyses. Any thread may use it."""

    def __init__(self) -> None:
        self._lock, self._per_frame_s = threading.Lock(), ANALYSIS_PER_FRAME_S

    def seconds(self, num_frames: int) -> float:
        """Return the time that an analysis of a clip of this length is expected to take."""
        with self._lock:
            return ANALYSIS_BASE_S + self._per_frame_s * num_frames

    def learn(self, num_frames: int, seconds: float) -> None:
        """Take a finished analysis into account."""
        measured = max(0.0, seconds - ANALYSIS_BASE_S) / max(1, num_frames)
        with self._lock:
            self._per_frame_s = (1 - LEARNING) * self._per_frame_s + LEARNING * measured


ANALYSIS_SPEED = AnalysisSpeed()


def predict(model: str, settings: AnimationSettings, num_frames: int | None = None, pace: Pace = PACE) -> Estimate:
    """The cost of a run.

    Args:
        model: a key of `BACKENDS`.
        settings: of the run.
        num_frames: that the clip gives; the settings' by default.
        pace: what was learnt on this machine.

    Raises:
        InputError: the model cannot make this size or number of frames.
    """
    plan, factor = BACKENDS[model].plan(settings, num_frames), pace.factor(model)
    return Estimate(
        seconds=plan.seconds * (factor or 1.0),
        memory_gb=plan.memory_gb,
        device=plan.device,
        measured=plan.measured or factor is not None,
    )
