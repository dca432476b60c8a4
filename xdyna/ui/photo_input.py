"""The upload of a photo."""

from typing import Any

import gradio as gr


class PhotoInput(gr.Image):
    """Hands over the file as it came, so that `xdyna.photo` judges it and says what is wrong with it.

    Gradio's own image decodes uploads itself: it fails without words on damaged files and HEIC.
    """

    is_template = True  # to the browser this is an ordinary image

    def preprocess(self, payload: Any) -> str | None:
        """The path of the uploaded file."""
        return None if payload is None else str(payload.path)
