"""Ways to animate. A backend is one file here and one entry of `BACKENDS`."""

from threading import Lock

from xdyna.backends.devices import Device, all_devices
from xdyna.backends.dynamictrl import DYNAMICTRL
from xdyna.backends.interface import PHOTO_POSE, Backend, Limits, Model, Plan
from xdyna.backends.puppet import PUPPET
from xdyna.backends.wan_animate import WAN_ANIMATE
from xdyna.backends.wan_animate_2 import WAN_ANIMATE_2, WAN_ANIMATE_2_DISTILLED
from xdyna.backends.xdyna import XDYNA, XDYNA_MINI

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (XDYNA, XDYNA_MINI, PUPPET, DYNAMICTRL, WAN_ANIMATE, WAN_ANIMATE_2, WAN_ANIMATE_2_DISTILLED)
}
"""By name, in the order in which they are offered."""

__all__ = ["BACKENDS", "PHOTO_POSE", "Backend", "Limits", "Model", "Plan", "all_devices", "load"]

_LOADING = Lock()  # diffusers cannot load twice at the same time


_LOADED: dict[Device, tuple[str, Model]] = {}


def load(name: str, device: Device = None) -> Model:
    """Loads a model on first use and keeps it. One model stays loaded on each device; any thread may ask.

    Args:
        name: a key of `BACKENDS`.
        device: that will compute, as `all_devices().borrow` lends it.

    Raises:
        InputError: its weights are not on this machine, or it cannot hold them; the message says what to do.
    """
    loaded = _LOADED.get(device)
    if loaded is not None and loaded[0] == name:
        return loaded[1]  # without waiting for what loads elsewhere
    with _LOADING:
        if device not in _LOADED or _LOADED[device][0] != name:
            loaded = None
            _LOADED.pop(device, None)  # first: a device may not have room for two
            _LOADED[device] = name, BACKENDS[name].load(device)
        return _LOADED[device][1]
