"""A procedural world: clothed characters that dance over living backgrounds, with exact ground truth."""

from xdyna.world.clip import EXPRESSION, SCENES, WorldClip, render_clip

__all__ = ["EXPRESSION", "SCENES", "WorldClip", "render_clip"]
