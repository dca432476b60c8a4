"""The offline benchmark: what a model makes of rendered clips whose truth is known, in one table."""
