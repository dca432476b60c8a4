"""The wait: what the run has so far, as a picture that moves."""

import base64
from html import escape
from io import BytesIO

import cv2
import numpy as np
from PIL import Image as PILImage

from xdyna.schema import Frames, Image
from xdyna.ui.pictures import data_uri

DRAFT_HEIGHT_PX, DRAFT_QUALITY, DRAFT_FRAMES = 336, 60, 48
STRIP_FRAMES, STRIP_HEIGHT_PX = 6, 112


def draft(preview: Frames, fps: float, done: str) -> str:
    """The whole clip as it looks so far, playing, over a strip of its moments.

    Args:
        preview: as `Progress.preview`.
        fps: of the clip.
        done: how far it is, in words: "step 3 of 25".
    """
    middle = data_uri(preview[len(preview) // 2], DRAFT_HEIGHT_PX)
    moments = np.linspace(0, len(preview) - 1, min(STRIP_FRAMES, len(preview))).round().astype(int)
    strip = data_uri(np.concatenate([preview[k] for k in moments], axis=1), STRIP_HEIGHT_PX)
    said = escape(f"Draft after {done}")
    return (
        '<figure class="generate-draft"><picture>'
        f'<source media="(prefers-reduced-motion: reduce)" srcset="{middle}">'
        f'<img src="{moving_picture(preview, fps)}" alt="{said}"></picture>'
        f'<img src="{strip}" alt="Moments of the draft"><figcaption>{said}</figcaption></figure>'
    )


def moving_picture(preview: Frames, fps: float) -> str:
    """A short animation inside an address: WebP, which every browser plays, a fraction of a GIF's size."""
    every = -(-len(preview) // DRAFT_FRAMES)
    pictures = [PILImage.fromarray(_at_height(frame)) for frame in preview[::every]]
    file = BytesIO()
    pictures[0].save(
        file,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=round(1000 * every / fps),
        loop=0,
        quality=DRAFT_QUALITY,
        method=0,
    )
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _at_height(frame: Image) -> Image:
    """Never larger than the page shows it; small ones are enlarged by the browser."""
    height = min(DRAFT_HEIGHT_PX, frame.shape[0])
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
