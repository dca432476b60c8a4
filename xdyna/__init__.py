"""X-Dyna: animate one photo of a person with the motion and expression of a driving clip (arXiv 2501.10021).

Importing this package loads neither torch nor gradio; each room imports what it needs.
"""

__version__ = "0.1.0"
