"""The upload of a photo."""

from typing import Any

import gradio as gr
from gradio.data_classes import ImageData


def photo_input(**options: Any) -> gr.Image:
    """An image upload that hands over the file as it came, so that `xdyna.photo` can say what is wrong with it.

    Gradio would open it first, and fail without words on damaged files and HEIC.
    """
    photo = gr.Image(type="filepath", **options)
    # Not a subclass: Gradio writes a stub file beside the source of each one.
    photo.preprocess = _uploaded_file  # type: ignore[method-assign]
    return photo


def _uploaded_file(payload: ImageData | None) -> str | None:
    return None if payload is None else payload.path
