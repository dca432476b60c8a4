"""What whoever runs the server may set: how long files stay, and how much work may wait. From the environment."""

import os
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from xdyna.schema import InputError


def _setting(default: int, variable: str, help: str) -> Any:
    return field(default=default, metadata={"variable": variable, "help": help})


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Bounds of one server. Each is a whole number above 0, from the environment variable that its metadata names."""

    keep_s: int = _setting(7200, "XDYNA_KEEP_S", "Seconds after which every file of a visitor is deleted.")
    max_store_mb: int = _setting(4000, "XDYNA_MAX_STORE_MB", "Megabytes of all files; the oldest go first.")
    max_waiting: int = _setting(20, "XDYNA_MAX_WAITING", "Jobs that may wait in each queue.")
    max_waiting_per_visitor: int = _setting(
        5, "XDYNA_MAX_WAITING_PER_VISITOR", "Of these, jobs of one browser tab or API client."
    )

    max_mirrors: int = _setting(1, "XDYNA_MAX_MIRRORS", "Cameras that may move their photos at the same time.")
    mirror_s: int = _setting(180, "XDYNA_MIRROR_S", "Seconds after which a mirror ends, for the next visitor.")

    @property
    def sweep_every_s(self) -> float:
        """Seconds between two looks for what has to be deleted; with `keep_s` it bounds the age of any file."""
        return min(600.0, self.keep_s / 12)

    @property
    def max_waiting_per_address(self) -> int:
        """Jobs of one network address that may wait: whatever it opens, a quarter of the places stays for others."""
        return max(1, self.max_waiting * 3 // 4)

    @classmethod
    def from_environment(cls) -> "ServerSettings":
        """Read all variables.

        Raises:
            InputError: one is not a whole number above 0.
        """
        given = {}
        for item in fields(cls):
            text = os.environ.get(item.metadata["variable"], "").strip()
            if text and not (text.isascii() and text.isdigit() and int(text) > 0):
                raise InputError(
                    f"{item.metadata['variable']} must be a whole number above 0, got {text!r:.40}. "
                    f"{item.metadata['help']} Correct it, or unset it: then it is {item.default}."
                )
            if text:
                given[item.name] = int(text)
        return cls(**given)


@lru_cache(maxsize=1)
def server_settings() -> ServerSettings:
    """Return the settings of this process."""
    return ServerSettings.from_environment()
