"""What every backend says about itself, plans, shows and does. Nothing here loads a model."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from threading import Lock
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from xdyna.config import AnimationSettings
from xdyna.schema import Animation, Conditions, Frames, InputError, Progress
from xdyna.weights import RELEASES, Release, has_gpu, locate

Need = Literal["pose", "face", "pictures", "masks", "prompt", "gpu"]
"""What a model cannot do well without: the driver's pose, face or own pictures, person masks, a text, a GPU."""

Stop = Callable[[], bool]
PHOTO_POSE = -1
"""In `source_index`: the frame shows the photo's own pose and none of the clip."""

COMMON = (
    *("height", "width", "num_frames", "fps", "start_s", "seed", "prompt"),
    *("photo_person", "clip_person", "live_photo", "sway", "keep_sound", "ai_label", "save_recipe"),
)
"""Settings of every backend: they choose the inputs, or what is written."""

PLACING = ("retarget", "nudge_zoom", "nudge_x", "nudge_y")
"""Options of every backend that sees the driver laid onto the photo: they only lay it elsewhere."""

SLOWER = {"full": 1.0, "model_offload": 1.2, "sequential_offload": 5.0}
"""Times as long as with everything on the GPU, by memory mode: allowances, nobody has measured them."""

FIELDS = {item.name: item for item in fields(AnimationSettings)}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a backend accepts for one setting.

    Attributes:
        low: smallest number, or None where the setting is no number.
        high: largest number, or None likewise.
        step: of numbers; sizes and counts of frames must lie on it, counted from `low`.
        choices: of texts, or None where any text goes.
    """

    low: float | None = None
    high: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | None = None

    def nearest(self, value: Any) -> Any:
        """A value within the limits: the next lower one on the grid, or the first choice."""
        if self.choices is not None:
            return value if value in self.choices else self.choices[0]
        if self.low is None or self.high is None or value is None:
            return value
        value = min(max(value, self.low), self.high)
        if isinstance(value, int) and self.step:
            value = int(self.low + (value - self.low) // self.step * self.step)
        return type(value)(value)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run will do and cost, told before any weight is loaded.

    Attributes:
        height: of the video in pixels.
        width: of the video in pixels.
        fps: of the video.
        source_index: the driving frame, counted from 0, that each frame of the video follows; `PHOTO_POSE` for none.
        num_windows: parts that the clip is made in.
        num_steps: denoising steps of all windows together.
        seconds: expected wall time on `device`.
        memory_gb: expected peak memory of the device in 1e9 bytes.
        device: that the estimates are for.
        measured: whether they were measured there.
        memory_mode: where weights wait for their turn, a choice of `AnimationSettings.memory_mode`.
        warnings: plain sentences for the user.
    """

    height: int
    width: int
    fps: float
    source_index: tuple[int, ...]
    num_windows: int
    num_steps: int
    seconds: float
    memory_gb: float
    device: str
    measured: bool
    memory_mode: str = "full"
    warnings: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        """Frames of the video."""
        return len(self.source_index)


class Model(Protocol):
    """A loaded model. One run at a time may use it, and holds `lock`."""

    lock: Lock

    def run(
        self,
        conditions: Conditions,
        settings: AnimationSettings,
        stop: Stop | None = None,
        unfinished: Path | None = None,
        helpers: "Helpers | None" = None,
    ) -> Iterator[Progress | Animation]:
        """Yields a `Progress` at least once per denoising step, then one `Animation`.

        `unfinished` is a folder that only this run uses: killed, the same run goes on there, if the backend `resumes`.
        `helpers` gives at most so many models of the same backend on other devices, to be asked before every step, if
        the backend `spreads`.
        Once `stop` returns True, the run ends with the current denoising step and yields what it has. Closing the
        iterator drops the work at once.
        """
        ...


Helpers = Callable[[int], Sequence[Model]]


@dataclass(frozen=True, kw_only=True)
class Backend(ABC):
    """A way to animate: facts that cost nothing to read, a plan, previews, and the way to load it.

    Attributes:
        name: key in `BACKENDS`, recorded with every result.
        title: name for people.
        notice: one or two plain sentences: what it can do, what it needs.
        sees: likewise: what its previews show.
        defaults: the settings it works best with.
        needs: what it cannot do well without.
        options: settings that it has beyond `COMMON`.
        limits: where it accepts less than `AnimationSettings` does.
        native_fps: frame rate of the clips it was trained on, or None where any will do.
        stops: what the user keeps of a run that was stopped.
        resumes: whether a run that was killed can go on.
        spreads: whether one run can use several devices.
        drawn_only: whether it knows drawn characters only, and blurs photographs.
        min_gpu_gb: memory of the smallest GPU that can run it, in its smallest memory mode; 0 for a CPU.
    """

    name: str
    title: str
    notice: str
    sees: str
    defaults: AnimationSettings
    needs: frozenset[Need]
    options: tuple[str, ...]
    limits: Mapping[str, Limits] = field(default_factory=dict)
    native_fps: float | None = None
    stops: Literal["a draft", "nothing"] = "a draft"
    resumes: bool = False
    spreads: bool = False
    drawn_only: bool = False
    min_gpu_gb: float = 0.0

    @abstractmethod
    def plan(
        self, settings: AnimationSettings, num_driving_frames: int | None = None, gpu_gb: float | None = None
    ) -> Plan:
        """What a run will do. Pure arithmetic.

        Args:
            settings: of the run; size and frames must be possible, the rest was checked by `check`.
            num_driving_frames: that the clip gives; None where it is not known yet: as many as wanted.
            gpu_gb: memory of the GPU in 1e9 bytes; None where unknown.

        Raises:
            InputError: size or frames cannot be made, or the GPU is too small; the message says what can.
        """

    @abstractmethod
    def prepare(self, conditions: Conditions, settings: AnimationSettings) -> dict[str, Frames]:
        """What this model will see of the clip, drawn in its own style.

        Returns:
            Clips by name, each `(num_frames, any height, any width, 3)` uint8 RGB; "pose" where it sees a drawn pose,
            of the size of the video.
        """

    @abstractmethod
    def load(self, device: str | None = None) -> Model:
        """Loads the weights.

        Args:
            device: of torch; None takes the GPU where there is one.

        Raises:
            InputError: the weights are missing, or this machine cannot hold them.
        """

    @property
    def releases(self) -> tuple[Release, ...]:
        """Where its weights come from, their size and licence."""
        return RELEASES[self.name]

    @property
    def modes(self) -> tuple[str, ...]:
        """Values of `AnimationSettings.mode`: all can animate a photo, some can put its person into the clip."""
        return self.limits_of("mode").choices or () if "mode" in self.options else ("animate",)

    def takes(self, name: str) -> bool:
        """Whether a setting means anything to it."""
        return name in COMMON or name in self.options

    def limits_of(self, name: str) -> Limits:
        """What it accepts for a setting."""
        known = FIELDS[name].metadata
        return self.limits.get(name) or Limits(**{key: known[key] for key in ("low", "high", "step", "choices")})

    def check(self, settings: AnimationSettings, given: Iterable[str] | None = None) -> None:
        """Refuses settings that it does not have, and values that it cannot use.

        Args:
            settings: to check.
            given: names that the user has set; by default those that differ from `defaults`.

        Raises:
            InputError: the message names the setting, and what to do.
        """
        if given is None:
            given = [name for name in FIELDS if getattr(settings, name) != getattr(self.defaults, name)]
        foreign = [name for name in given if not self.takes(name)]
        if foreign:
            raise InputError(
                f"{self.title} has no setting {' or '.join(foreign)}: leave it out, or choose another model. "
                f"It has {', '.join(self.options) or 'none of its own'}."
            )
        for name in FIELDS:
            value, limits = getattr(settings, name), self.limits_of(name)
            if self.takes(name) and not self._accepts(value, limits):
                accepted = f"one of {', '.join(limits.choices)}" if limits.choices else _range_text(limits)
                raise InputError(f"{self.title} needs {name} to be {accepted}, got {value}.{_advice(value, limits)}")

    def adopt(self, settings: AnimationSettings) -> AnimationSettings:
        """The settings of another model's run for this one: inputs stay, what each model tunes is its own default."""
        inputs = [name for name in (*COMMON, *PLACING, "negative_prompt") if self.takes(name)]
        return replace(
            self.defaults, **{name: self.limits_of(name).nearest(getattr(settings, name)) for name in inputs}
        )

    def own(self, settings: AnimationSettings) -> AnimationSettings:
        """The settings with everything that it does not have at its default."""
        return replace(settings, **{name: getattr(self.defaults, name) for name in FIELDS if not self.takes(name)})

    def lacking(self) -> str:
        """Why it cannot run on this machine, with what to do; empty where it can. Imports nothing heavy."""
        try:
            locate(self.name)
        except InputError as error:
            return str(error)
        return self.gpu_wanted() if "gpu" in self.needs and not has_gpu() else ""

    def device(self, named: str | None) -> str:
        """The device of torch to load to: the one that is named, else the GPU.

        Raises:
            InputError: none is named, and there is no GPU.
        """
        import torch

        if named is None and not torch.cuda.is_available():
            raise InputError(self.gpu_wanted())
        return named or "cuda"

    def gpu_wanted(self) -> str:
        """What to say where there is no GPU."""
        return (
            f"{self.title} needs an NVIDIA GPU with at least {self.min_gpu_gb:.0f} GB, and there is none here. Run it "
            "on a machine with one, or choose xdyna-mini, which runs on any CPU."
        )

    def driven_by(self, conditions: Conditions, settings: AnimationSettings) -> NDArray[np.int64]:
        """`(num_frames,)`: the driving frame to show beside each frame that `prepare` gives.

        Raises:
            InputError: as `plan`.
        """
        plan = self.plan(self.at_canvas(settings, conditions), conditions.num_frames)
        return np.maximum(plan.source_index, 0)

    @staticmethod
    def at_canvas(settings: AnimationSettings, conditions: Conditions) -> AnimationSettings:
        """The settings at the size that was prepared."""
        return replace(settings, height=conditions.size[0], width=conditions.size[1])

    @staticmethod
    def _accepts(value: Any, limits: Limits) -> bool:
        if limits.choices is not None:
            return value in limits.choices
        if limits.low is None or limits.high is None or value is None:
            return True
        on_grid = not isinstance(value, int) or not limits.step or (value - limits.low) % limits.step == 0
        return on_grid and limits.low <= value <= limits.high


def _range_text(limits: Limits) -> str:
    if limits.step is None or limits.step <= 1:
        return f"between {limits.low:g} and {limits.high:g}"
    assert limits.low is not None
    if limits.low % limits.step == 0:
        return f"a multiple of {limits.step:g} between {limits.low:g} and {limits.high:g}"
    few = ", ".join(f"{limits.low + k * limits.step:g}" for k in range(4))
    return f"{limits.step:g} k + {limits.low:g}: {few} and so on up to {limits.high:g}"


def _advice(value: Any, limits: Limits) -> str:
    """The values next to a number that does not lie on the grid."""
    if limits.choices is not None or limits.low is None or limits.high is None or limits.step is None:
        return ""
    below = limits.nearest(value)
    near = dict.fromkeys(min(max(n, limits.low), limits.high) for n in (below, below + limits.step))
    nearest = [f"{n:g}" for n in near] if limits.low < value < limits.high else [f"{below:g}"]
    return f" Use {' or '.join(nearest)}."
