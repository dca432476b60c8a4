"""Gradio's page, every message of which can be read on its own."""

from typing import Any

import gradio as gr


class WholeMessages(gr.Blocks):
    """`gr.Blocks` that sends values instead of differences while a generator runs.

    Gradio's page applies a difference to the very object that arrived before, which a browser that reads several
    messages together has not looked at yet: a `gr.update`, or a file, that is followed by `gr.skip()` never takes
    effect there.
    """

    def handle_streaming_diffs(
        self,
        block_fn: Any,
        data: list[Any],
        session_hash: str | None,
        run: str | None,
        final: bool,
        simple_format: bool = False,
    ) -> list[Any]:
        """As in the base class, with nothing to compare with; the last message repeats the one before it, whole."""
        sent = self.pending_diff_streams[session_hash] if session_hash else {}
        if run in sent and not final:
            sent[run] = [None] * len(data)
        return super().handle_streaming_diffs(block_fn, data, session_hash, run, final, simple_format)
