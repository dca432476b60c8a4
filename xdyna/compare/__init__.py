"""The same photo, clip, seed and noise under several settings, side by side (paper figure 3)."""
