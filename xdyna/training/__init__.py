"""Training: data, stages and one loop. Importing this room loads torch and diffusers."""

import xdyna.models  # noqa: F401  (its torchvision guard must run before diffusers is imported)
