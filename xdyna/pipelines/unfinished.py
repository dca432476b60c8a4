"""What a run that was killed had finished, so that the same run goes on there."""

import hashlib
import io
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from diffusers import SchedulerMixin
from numpy.typing import NDArray
from torch import Tensor

from xdyna.files import remove_file, write_whole
from xdyna.pipelines.content_cache import content_hash

SAMPLER_STATE = ("model_outputs", "timestep_list", "lower_order_nums", "this_order", "last_sample", "_step_index")
ON_DEVICE = ("model_outputs", "last_sample")
STATE = "state.pt"

logger = logging.getLogger(__name__)


class UnfinishedRun:
    """A folder that holds the latents of the last finished step and the windows of the step that was running.

    Where it cannot be written, as on a full disk, the run goes on without it and says so once in the log.

    Args:
        folder: of this run alone; it is made when needed. What another run left there is thrown away.
        key: tells runs apart: a digest of everything that the result depends on.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder, self.key = folder, key
        self._writable = True
        state = self._read(STATE)
        if state is None and (folder / STATE).is_file():  # of another run, or damaged
            self.discard()
        self._state: dict[str, Any] = state or {"next_step": 0}

    @property
    def next_step(self) -> int:
        """The step to go on with, counted from 0."""
        return self._state["next_step"]

    def restore(self, latents: Tensor, scheduler: SchedulerMixin, generator: torch.Generator | None) -> Tensor:
        """The latents to go on with; sampler and generator are put where they were.

        Args:
            latents: to begin with where no step was finished.
            scheduler: whose timesteps are set.
            generator: of the run.
        """
        if "latents" not in self._state:
            return latents
        for name, value in self._state["sampler"].items():
            setattr(scheduler, name, _moved(value, latents.device) if name in ON_DEVICE else value)
        if generator is not None and self._state["generator"] is not None:
            generator.set_state(self._state["generator"])
        return self._state["latents"].to(latents)

    def finish_step(
        self, step: int, latents: Tensor, scheduler: SchedulerMixin, generator: torch.Generator | None
    ) -> None:
        """Keeps what a step ended with; its windows are not needed any more."""
        self._write(
            STATE,
            {
                "key": self.key,
                "next_step": step + 1,
                "latents": latents.cpu(),
                "sampler": {name: vars(scheduler)[name] for name in SAMPLER_STATE if name in vars(scheduler)},
                "generator": None if generator is None else generator.get_state(),
            },
        )
        for path in self.folder.glob("window-*.pt"):
            if int(path.stem.split("-")[1]) <= step:
                remove_file(path)

    def finish_window(self, step: int, number: int, predicted: Tensor) -> None:
        """Keeps `(halves, channels, frames, h, w)`, what the UNet made of a window."""
        self._write(_window(step, number), {"key": self.key, "predicted": predicted.cpu()})

    def finished_windows(self, step: int) -> list[Tensor]:
        """Those of a step, in their order, up to the first that is missing."""
        windows: list[Tensor] = []
        while (kept := self._read(_window(step, len(windows)))) is not None:
            windows.append(kept["predicted"])
        return windows

    def discard(self) -> None:
        """Removes everything of it."""
        discard(self.folder)

    def _read(self, name: str) -> dict[str, Any] | None:
        """Return what a file of this run holds; None where it is missing, damaged, or another run's."""
        try:
            content = torch.load(self.folder / name, map_location="cpu", weights_only=True)
            return content if content["key"] == self.key else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # torch raises nearly anything about a damaged file
            logger.warning("%s is of no use (%s): what it held is computed again.", name, type(error).__name__)
            return None

    def _write(self, name: str, content: dict[str, Any]) -> None:
        """All or nothing: a run may be killed at any moment."""
        if not self._writable:
            return
        buffer = io.BytesIO()
        torch.save(content, buffer)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / name, buffer.getvalue())
        except OSError as error:
            self._writable = False
            self.discard()  # an older state is of little use, and the result will need the room
            logger.warning(
                "%s cannot be written (%s). The run goes on, but if it is killed it has to begin anew.",
                self.folder,
                error.strerror or error,
            )


def discard(folder: Path) -> None:
    """Remove what any run left in a folder, and the folder if nothing else is in it, as far as the disk allows."""
    for path in (*folder.glob("window-*.pt"), folder / STATE, *folder.glob(".*.pt.partial")):
        remove_file(path)
    with suppress(OSError):
        folder.rmdir()


def run_key(arrays: Sequence[NDArray[Any]], *settings: Any) -> str:
    """A digest of everything that a run's result depends on, as hexadecimal digits."""
    return hashlib.blake2b(content_hash(*arrays) + repr(settings).encode(), digest_size=20).hexdigest()


def _window(step: int, number: int) -> str:
    return f"window-{step}-{number}.pt"


def _moved(value: Any, device: torch.device) -> Any:
    """Tensors, alone or in a list, on a device."""
    if isinstance(value, list):
        return [_moved(item, device) for item in value]
    return value.to(device) if isinstance(value, Tensor) else value
