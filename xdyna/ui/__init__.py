"""The page: layout in `demo`, events in `handlers`."""

from xdyna.ui.gradio_import import import_gradio

import_gradio()
