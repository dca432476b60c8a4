"""Colours, fonts and keys; nothing is fetched from elsewhere. What a theme cannot say is in `static/*.css`."""

from pathlib import Path

import gradio as gr

STYLES = sorted((Path(__file__).parent / "static").glob("*.css"), key=lambda path: path.stem != "style")
"""`style.css`, which holds for the whole page, then one file per screen."""
SCRIPT = (Path(__file__).parent / "static" / "radios.js").read_text(encoding="utf-8")
"""Runs once the page is there."""

THEME = gr.themes.Base(
    primary_hue="violet",
    secondary_hue="violet",
    neutral_hue="slate",
    radius_size="lg",
    font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"),
    font_mono=("ui-monospace", "Consolas", "monospace"),
).set(
    body_background_fill="*neutral_100",
    body_background_fill_dark="*neutral_950",
    body_text_color_subdued="*neutral_600",
    block_background_fill="*neutral_50",
    block_background_fill_dark="*neutral_900",
    block_border_width="1px",
    block_shadow="none",
    block_label_background_fill="*neutral_100",
    block_label_background_fill_dark="*neutral_800",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="*neutral_200",
    block_title_text_color="*neutral_800",
    block_title_text_color_dark="*neutral_100",
    block_title_text_weight="600",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_400",
    checkbox_border_radius="4px",
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    input_border_width="1px",
    input_border_color="*neutral_300",
    input_border_color_dark="*neutral_600",
    input_background_fill="white",
    input_background_fill_dark="*neutral_800",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
    button_primary_text_color="white",
    button_primary_text_color_dark="white",
    button_secondary_background_fill="*primary_50",
    button_secondary_background_fill_hover="*primary_100",
    button_secondary_background_fill_dark="*neutral_800",
    button_secondary_background_fill_hover_dark="*neutral_700",
    button_secondary_border_color="*primary_200",
    button_secondary_border_color_dark="*neutral_700",
    button_secondary_text_color="*primary_800",
    button_secondary_text_color_dark="*primary_200",
    button_cancel_background_fill="#b91c1c",
    button_cancel_background_fill_hover="#991b1b",
    button_cancel_background_fill_dark="#b91c1c",
    button_cancel_background_fill_hover_dark="#dc2626",
    button_cancel_text_color="white",
    button_cancel_text_color_dark="white",
    slider_color="*primary_600",
    slider_color_dark="*primary_500",
)
