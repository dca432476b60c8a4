"""The languages of the page.

The server speaks English, to visitors, clients and logs alike; the visitor's browser says the page in another
language, from a table of phrases. Gradio's own `gr.I18n` would reach labels only, not what is said while the page is
in use, would put its markers into the descriptions of the API, and cannot be switched.
"""

import json
from pathlib import Path

import gradio as gr

SCRIPT = Path(__file__).parent / "static" / "language.js"
WORDS = Path(__file__).parent / "words"
LANGUAGES = {"en": "English", "zh": "中文", "ja": "日本語"}
"""Their own names, by code. Every language but English has a table `words/CODE.json`."""

Phrases = dict[str, dict[str, str]]
"""English phrases with what they are in a language, by part of the page. Gaps, such as {N} or {time}, are filled in:
those with a name in capitals hold a number, the others any text."""


def read_phrases() -> dict[str, Phrases]:
    """The tables, by code of the language."""
    return {
        code: json.loads((WORDS / f"{code}.json").read_text(encoding="utf-8")) for code in LANGUAGES if code != "en"
    }


def add_languages() -> gr.HTML:
    """A button for each language. The browser's own comes first; a choice outlives a reload."""
    buttons = "".join(
        f'<button type="button" data-language="{code}" lang="{code}" translate="no">{name}</button>'
        for code, name in LANGUAGES.items()
    )
    return gr.HTML(
        html_template=f'<div class="languages" role="group" aria-label="Language">{buttons}</div>',
        js_on_load=SCRIPT.read_text(encoding="utf-8"),
        padding=False,
        elem_id="languages",
        phrases=json.dumps(read_phrases(), ensure_ascii=False),
    )
