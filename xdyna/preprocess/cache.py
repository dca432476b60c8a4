"""What was found in files that were seen before. In memory only: people's pictures are nobody else's business."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Generic, TypeVar

BLOCK_BYTES = 2**20

Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """Keeps the values that were used last, for any number of threads.

    Args:
        size: how many are kept, >= 1.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        """The value of a key, or None where it was never put or has been dropped."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Value) -> None:
        """Keeps a value and drops the one that was not used for longest."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._size:
                self._values.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._values.clear()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits; not of its name."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
