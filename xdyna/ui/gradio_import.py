"""Imports Gradio in half its time.

At every import Gradio parses its own sources and renews the type stubs beside them, which takes 2 of 3.7 seconds. It
leaves out classes that have no source file, so for a moment its own have none.
"""

import inspect
from typing import Any


def import_gradio() -> None:
    """Does what `import gradio` does, without the stubs."""
    known = inspect.getfile

    def getfile(thing: Any) -> str:
        if str(getattr(thing, "__module__", "")).startswith("gradio."):
            raise OSError("no source file while Gradio is imported")
        return known(thing)

    inspect.getfile = getfile  # type: ignore[assignment]
    try:
        import gradio  # noqa: F401
    finally:
        inspect.getfile = known
