"""A procedural world: clothed characters that dance over living backgrounds, with exact ground truth."""

from xdyna.world.clip import EXPRESSION, MOTIONS, SCENES, STYLES, WorldClip, render_clip
from xdyna.world.flow import person_flow

__all__ = ["EXPRESSION", "MOTIONS", "SCENES", "STYLES", "WorldClip", "person_flow", "render_clip"]
