"""A puppet: the pixels of a photo's person, moved by the driver's pose. Needs no trained model of its own."""
