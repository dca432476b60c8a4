"""What a clip reads of its reference, computed once instead of with every window: an approximation."""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class ReferenceFeatures:
    """Recorded when the UNet sees the reference alone, read when it sees driving frames alone.

    In X-Dyna the reference runs as frame 0 of every window. It reads nothing of the driving frames but the shared
    statistics of group normalisation; what they read of it are keys and values in the Dynamics-Adapter, and its share
    of these statistics. Computed by itself, it lacks the frames' share in its own normalisation: that is the error.

    Attributes:
        keys: by `id` of the attention layer, keys and values `(rows, heads, tokens, width)`.
        moments: by `id` of the normalisation layer, mean and variance of each group, `(rows, groups)`.
    """

    keys: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    moments: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory of all recorded tensors."""
        return sum(t.nbytes for pair in (*self.keys.values(), *self.moments.values()) for t in pair)

    def rows(self, chosen: list[int], repeats: int) -> "ReferenceFeatures":
        """For a batch of some of the recorded rows, each with several windows behind one another."""
        if repeats == 1 and chosen == list(range(len(next(iter(self.moments.values()))[0]))):
            return self

        def pick(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            first, second = (tensor[chosen].repeat_interleave(repeats, dim=0) for tensor in pair)
            return first, second

        return ReferenceFeatures(
            keys={layer: pick(pair) for layer, pair in self.keys.items()},
            moments={layer: pick(pair) for layer, pair in self.moments.items()},
        )
