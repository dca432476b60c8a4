"""Who a person is: proportions, skin, hair and clothes, sampled from a seed."""

from dataclasses import dataclass

import numpy as np

from xdyna.world.brush import RGB, hsv, mixed, scaled
from xdyna.world.skeleton import Proportions

HAIR_STYLES = ("short", "bob", "long", "ponytail", "curly", "bun", "twin_tails")
TOPS = ("tee", "long_sleeve", "tank", "hoodie", "dress")
BOTTOMS = ("trousers", "shorts", "skirt")
PATTERNS = ("plain", "stripes", "dots", "emblem", "block")

_SKINS: tuple[RGB, ...] = (
    (0.98, 0.84, 0.74), (0.95, 0.77, 0.65), (0.88, 0.68, 0.53), (0.78, 0.57, 0.41),
    (0.63, 0.43, 0.30), (0.46, 0.30, 0.21),
)  # fmt: skip
_HAIRS: tuple[RGB, ...] = (
    (0.10, 0.08, 0.08), (0.22, 0.13, 0.09), (0.38, 0.22, 0.12), (0.55, 0.33, 0.16), (0.86, 0.70, 0.40),
    (0.62, 0.24, 0.12), (0.58, 0.57, 0.58),
)  # fmt: skip
_IRISES: tuple[RGB, ...] = (
    (0.25, 0.14, 0.08),
    (0.36, 0.22, 0.10),
    (0.20, 0.42, 0.62),
    (0.25, 0.48, 0.30),
    (0.40, 0.42, 0.46),
)


@dataclass(frozen=True, kw_only=True)
class Character:
    """A person's looks.

    Attributes:
        proportions: bone lengths.
        girth: width of trunk and limbs, about 0.85..1.15.
        waist: width of the waist as a share of the chest's.
        face_width, eye_size, jaw, nose, lip_fullness, brow: factors about 1 that shape the face.
        hair_volume, hair_length: factors about 1.
        hair_side: -1 or 1, the side of the parting.
        sleeve: share of the arm that the sleeve covers, 0..2 (1 is the elbow).
        leg_cover: share of the leg covered, 0..2 (1 is the knee).
    """

    proportions: Proportions
    girth: float
    waist: float
    face_width: float
    eye_size: float
    jaw: float
    nose: float
    lip_fullness: float
    brow: float
    skin: RGB
    lips: RGB
    iris: RGB
    hair: RGB
    hair_style: str
    hair_volume: float
    hair_length: float
    hair_side: float
    fringe: bool
    top: str
    top_colour: RGB
    accent: RGB
    pattern: str
    pattern_scale: float
    sleeve: float
    bottom: str
    bottom_colour: RGB
    leg_cover: float
    shoes: RGB
    cropped: float

    @classmethod
    def sampled(cls, seed: int) -> "Character":
        """The character of a seed."""
        rng = np.random.default_rng([seed, 23])
        tone = rng.uniform(0, len(_SKINS) - 1)
        skin = mixed(_SKINS[int(tone)], _SKINS[min(int(tone) + 1, len(_SKINS) - 1)], tone % 1)
        hair = scaled(_HAIRS[rng.integers(len(_HAIRS))], rng.uniform(0.85, 1.1))
        if rng.random() < 0.12:
            hair = hsv(rng.random(), rng.uniform(0.4, 0.7), rng.uniform(0.55, 0.9))
        hue = rng.random()
        top_colour = hsv(hue, rng.choice([0.12, 0.5, 0.7, 0.85]), rng.uniform(0.4, 0.95))
        accent = hsv(hue + rng.choice([0.12, 0.33, 0.5, 0.6]), rng.uniform(0.2, 0.9), rng.choice([0.25, 0.9, 0.98]))
        bottom_colour = hsv(rng.choice([0.6, 0.08, rng.random()]), rng.uniform(0.05, 0.65), rng.uniform(0.18, 0.75))
        top = str(rng.choice(TOPS, p=[0.3, 0.2, 0.15, 0.15, 0.2]))
        bottom = "skirt" if top == "dress" else str(rng.choice(BOTTOMS, p=[0.5, 0.3, 0.2]))
        sleeves = {
            "tee": (0.4, 0.75),
            "long_sleeve": (1.75, 1.95),
            "tank": (0, 0),
            "hoodie": (1.8, 1.95),
            "dress": (0, 0.6),
        }
        cover = {"trousers": (1.75, 1.95), "shorts": (0.55, 0.95), "skirt": (0.5, 0.95)}
        return cls(
            proportions=Proportions.sampled(rng),
            girth=rng.uniform(0.86, 1.16),
            waist=rng.uniform(0.74, 0.96),
            face_width=rng.uniform(0.95, 1.06),
            eye_size=rng.uniform(1.0, 1.28),
            jaw=rng.uniform(0.86, 1.06),
            nose=rng.uniform(0.85, 1.2),
            lip_fullness=rng.uniform(0.85, 1.35),
            brow=rng.uniform(0.7, 1.35),
            skin=skin,
            lips=mixed(scaled(skin, 0.78), (0.80, 0.25, 0.30), rng.uniform(0.3, 0.75)),
            iris=_IRISES[rng.integers(len(_IRISES))],
            hair=hair,
            hair_style=str(rng.choice(HAIR_STYLES, p=[0.25, 0.15, 0.2, 0.12, 0.1, 0.09, 0.09])),
            hair_volume=rng.uniform(0.94, 1.1),
            hair_length=rng.uniform(0.8, 1.2),
            hair_side=float(rng.choice([-1.0, 1.0])),
            fringe=bool(rng.random() < 0.4),
            top=top,
            top_colour=top_colour,
            accent=accent,
            pattern=str(rng.choice(PATTERNS, p=[0.22, 0.22, 0.16, 0.26, 0.14])),
            pattern_scale=rng.uniform(0.8, 1.25),
            sleeve=rng.uniform(*sleeves[top]),
            bottom=bottom,
            bottom_colour=bottom_colour,
            leg_cover=rng.uniform(*cover[bottom]),
            shoes=hsv(rng.random(), rng.choice([0.05, 0.7]), rng.choice([0.16, 0.5, 0.95])),
            cropped=rng.uniform(-0.01, 0.02),
        )
