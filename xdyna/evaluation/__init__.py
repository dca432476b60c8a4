"""Scores of videos. This room never loads a model of ours: it sees only pictures."""
