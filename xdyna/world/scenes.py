"""The backgrounds by name."""

import numpy as np

from xdyna.world import night, sky, water, weather
from xdyna.world.scene import Scene

_CLASSES: dict[str, type[Scene]] = {
    scene.name: scene
    for scene in (
        sky.Clouds,
        sky.Sunset,
        sky.Grass,
        sky.Leaves,
        water.Waterfall,
        water.Sea,
        water.River,
        weather.Rain,
        weather.Snow,
        night.Fireworks,
        night.Campfire,
        night.City,
    )
}
SCENES: tuple[str, ...] = tuple(_CLASSES)
"""Names of the backgrounds."""


def make_scene(seed: int, name: str | None, aspect: float) -> Scene:
    """Builds the background of a seed.

    Args:
        seed: layout and colours, and the class where `name` is None.
        name: one of `SCENES`, or None for a random one.
        aspect: width over height of the frame.

    Raises:
        ValueError: unknown name.
    """
    rng = np.random.default_rng([seed, 37])
    drawn = SCENES[rng.integers(len(SCENES))]
    if name is not None and name not in _CLASSES:
        raise ValueError(f"scene_name must be one of {SCENES}, got {name!r}")
    return _CLASSES[name or drawn](rng, aspect)
