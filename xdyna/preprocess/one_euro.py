"""Calm a signal while it comes in: a One-Euro filter (Casiez, Roussel and Vogel 2012)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class OneEuro:
    """Hold values still while they are at rest, and let them go along when they move.

    Args:
        min_cutoff: The cutoff frequency at rest in hertz: lower is calmer.
        beta: By how much the cutoff grows with the speed, in hertz per unit a second: higher lags less.
        speed_cutoff: The cutoff frequency of the speed in hertz.
    """

    def __init__(self, min_cutoff: float, beta: float, speed_cutoff: float = 1.0) -> None:
        self.min_cutoff, self.beta, self.speed_cutoff = min_cutoff, beta, speed_cutoff
        self.forget()

    def forget(self) -> None:
        """Begin anew, as where what is measured was lost."""
        self._raw: NDArray[np.float64] | None = None
        self._calm: NDArray[np.float64] | None = None
        self._speed: NDArray[np.float64] | None = None

    def __call__(self, values: NDArray[np.floating], rate: float, unit: float = 1.0) -> NDArray[np.float64]:
        """Return the calmed values.

        Args:
            values: The newest ones, always of one shape; NaN where unknown, which stays and begins anew.
            rate: Values per second, > 0.
            unit: What speeds are measured in, in the units of the values.
        """
        raw = np.asarray(values, np.float64)
        if self._raw is None or self._calm is None or self._speed is None:
            self._raw, self._calm, self._speed = raw, raw, np.zeros_like(raw)
            return raw
        speed = np.nan_to_num((raw - self._raw) / unit * rate)
        self._speed = self._speed + _share(self.speed_cutoff, rate) * (speed - self._speed)
        share = _share(self.min_cutoff + self.beta * np.abs(self._speed), rate)
        known = np.isfinite(self._calm)
        self._calm = np.where(known, self._calm + share * (raw - self._calm), raw)
        self._raw = raw
        return self._calm


def _share(cutoff: Any, rate: float) -> Any:
    """Return the share of a new value in a low-pass filter."""
    return 1 / (1 + rate / (2 * np.pi * cutoff))
