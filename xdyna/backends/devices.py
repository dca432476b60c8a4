"""The devices of this machine that compute, each lent to one run at a time."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from xdyna.schema import InputError
from xdyna.weights import num_gpus

VARIABLE = "XDYNA_DEVICES"

Device = str | None
"""As torch names it; None is the one that a backend takes by itself."""


class Devices:
    """Lends them. Any thread may ask.

    Args:
        names: one for each worker; "cpu:0" and "cpu:1" are two workers on one CPU.
    """

    def __init__(self, names: Sequence[Device]) -> None:
        self.names = tuple(names)
        self._free, self._returned = list(names), threading.Condition()
        self._models: dict[Device, str] = {}
        self._waiting = 0

    def __len__(self) -> int:
        return len(self.names)

    @contextmanager
    def borrow(self, model: str) -> Iterator[Device]:
        """A device for the length of the block; waits for one while all are lent.

        Args:
            model: that will run there. Where several are free, one that ran it last comes first, since it holds its
                weights; then the one that has rested longest.
        """
        with self._returned:
            self._waiting += 1
            try:
                while not self._free:
                    self._returned.wait()
            finally:
                self._waiting -= 1
            device = next((name for name in self._free if self._models.get(name) == model), self._free[0])
            self._free.remove(device)
            self._models[device] = model
        try:
            yield device
        finally:
            with self._returned:
                self._free.append(device)
                self._returned.notify()

    @contextmanager
    def borrow_idle(self, model: str) -> Iterator[Callable[[int], list[Device]]]:
        """More devices for a run that has one, as long as nobody else wants them.

        Args:
            model: that will run there. Devices that hold another one are left alone: it would have to load again.

        Yields:
            What to call before every piece of work, with the most that are of use: it gives the devices that are lent
            for that piece. Once somebody waits for one, all go back.
        """
        lent: list[Device] = []

        def give_back() -> None:
            self._free += lent
            lent.clear()
            self._returned.notify_all()

        def devices(at_most: int) -> list[Device]:
            with self._returned:
                if self._waiting:
                    give_back()
                else:
                    idle = [name for name in self._free if self._models.get(name, model) == model]
                    for name in idle[: max(0, at_most - len(lent))]:
                        self._free.remove(name)
                        self._models[name] = model
                        lent.append(name)
                return lent[:at_most]

        try:
            yield devices
        finally:
            with self._returned:
                give_back()


@lru_cache(maxsize=1)
def all_devices() -> Devices:
    """Those that the environment variable `XDYNA_DEVICES` names, such as "cuda:0,cuda:2"; else all GPUs, or the CPU.

    Raises:
        InputError: the variable names one twice.
    """
    named = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    if len(set(named)) < len(named):
        raise InputError(
            f"{VARIABLE} is {os.environ[VARIABLE]!r}. Name each device once, such as cuda:0,cuda:1, or unset it: then "
            "all GPUs are used."
        )
    several = num_gpus() if not named else 0
    if several > 1:
        named = [f"cuda:{number}" for number in range(several)]
    return Devices(named or [None])
