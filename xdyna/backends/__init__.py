"""Ways to animate. A backend is one file here and one entry of `BACKENDS`."""

from functools import lru_cache
from threading import Lock

from xdyna.backends.dynamictrl import DYNAMICTRL
from xdyna.backends.interface import PHOTO_POSE, Backend, Limits, Model, Plan
from xdyna.backends.wan_animate import WAN_ANIMATE
from xdyna.backends.wan_animate_2 import WAN_ANIMATE_2, WAN_ANIMATE_2_DISTILLED
from xdyna.backends.xdyna import XDYNA, XDYNA_MINI

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (XDYNA, XDYNA_MINI, DYNAMICTRL, WAN_ANIMATE, WAN_ANIMATE_2, WAN_ANIMATE_2_DISTILLED)
}
"""By name, in the order in which they are offered."""

__all__ = ["BACKENDS", "PHOTO_POSE", "Backend", "Limits", "Model", "Plan", "load"]

_LOADING = Lock()  # diffusers cannot load twice at the same time


def load(name: str) -> Model:
    """Loads a model on first use and keeps it. One model stays loaded at a time; any thread may ask.

    Args:
        name: a key of `BACKENDS`.

    Raises:
        InputError: its weights are not on this machine, or it cannot hold them; the message says what to do.
    """
    with _LOADING:
        return _load(name)


@lru_cache(maxsize=1)
def _load(name: str) -> Model:
    return BACKENDS[name].load()
