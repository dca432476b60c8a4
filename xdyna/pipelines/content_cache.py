"""Results kept by what they were made from."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import count
from typing import Any, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from torch import nn

Key = tuple[Hashable, ...]


class Sized(Protocol):
    """Tensors, and what holds several."""

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        ...


Kept = TypeVar("Kept", bound=Sized)


class ContentCache:
    """Tensors by what they were made from; the least recently used make room. One thread uses it at a time.

    Args:
        max_bytes: that all kept tensors may take together; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._kept: OrderedDict[Key, Sized] = OrderedDict()

    @property
    def used_bytes(self) -> int:
        """What is kept now."""
        return sum(kept.nbytes for kept in self._kept.values())

    def get(self, key: Key, make: Callable[[], Kept]) -> Kept:
        """What belongs to a key, made now unless it is kept. It must not be changed in place."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return cast(Kept, self._kept[key])
        made = make()
        if made.nbytes <= self.max_bytes:
            self._kept[key] = made
            while self.used_bytes > self.max_bytes:
                self._kept.popitem(last=False)
        return made

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()


def content_hash(*arrays: NDArray[Any]) -> bytes:
    """A digest of shapes, types and values."""
    digest = hashlib.blake2b(digest_size=20)
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype.str};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()


_NUMBERS: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_NEXT_NUMBER = count()


def weights_key(module: nn.Module) -> Key:
    """Changes whenever a module's weights do, by loading, training or casting; moving them changes nothing."""
    number = _NUMBERS.setdefault(module, next(_NEXT_NUMBER))  # unlike an id, never given twice
    parameters = list(module.parameters())
    # Every change in place counts a version up.
    return number, sum(parameter._version for parameter in parameters), parameters[0].dtype if parameters else None
