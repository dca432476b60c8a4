"""What is kept, for how long, and how it is told apart."""

import numpy as np
import torch
from torch import nn

from xdyna.pipelines.content_cache import ContentCache, content_hash, weights_key


def test_the_least_recently_used_makes_room() -> None:
    cache = ContentCache(max_bytes=24)
    made: list[str] = []

    def get(key: str, values: int = 2) -> None:
        cache.get(key, lambda: made.append(key) or torch.zeros(values))

    for key in ("a", "b", "c", "a", "d", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "d", "b"]  # d took b's place: a had been used since
    get("large", values=7)
    get("large", values=7)
    assert made[-2:] == ["large", "large"]  # never kept, and nothing left for it
    assert cache.used_bytes == 24
    cache.clear()
    assert cache.used_bytes == 0


def test_content_is_shape_type_and_values() -> None:
    zeros = np.zeros((2, 3), np.uint8)
    same = zeros.T.copy().T  # other strides
    assert content_hash(zeros) == content_hash(same)
    others = [zeros + 1, zeros.reshape(3, 2), zeros.astype(np.int8), zeros[:1]]
    assert len({content_hash(other) for other in [zeros, *others]}) == 5
    assert content_hash(zeros, zeros) != content_hash(zeros)


def test_weights_that_changed_have_another_key() -> None:
    module = nn.Linear(2, 2)
    keys = [weights_key(module)]
    torch.optim.SGD(module.parameters(), lr=1.0)  # looking at them changes nothing
    assert weights_key(module) == keys[0]
    module(torch.ones(2)).sum().backward()
    torch.optim.SGD(module.parameters(), lr=1.0).step()
    keys.append(weights_key(module))
    module.load_state_dict(nn.Linear(2, 2).state_dict())
    keys.append(weights_key(module))
    keys.append(weights_key(module.double()))
    keys.append(weights_key(nn.Linear(2, 2)))
    assert len(set(keys)) == 5
