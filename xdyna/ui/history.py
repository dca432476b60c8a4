"""The runs that a browser remembers, and the cards that show them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape
from typing import Any

from xdyna.backends import BACKENDS
from xdyna.recipe import Recipe
from xdyna.schema import Image, InputError
from xdyna.ui.pictures import data_uri
from xdyna.ui.store import STORE

MAX_RUNS = 24
POSTER_HEIGHT_PX = 132
EMPTY = "What you make appears here, and is still here after a reload. It is kept in this browser only."


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """A result that this visitor made.

    Attributes:
        id: of its folder on `store.STORE`, for as long as it is there.
        recipe: how it was made, also where the file itself was to carry none.
        poster: a small picture inside an address.
    """

    id: str
    recipe: Recipe
    poster: str

    @classmethod
    def of(cls, id: str, recipe: Recipe, poster: Image) -> "Run":
        """A run that has just ended."""
        return cls(id=id, recipe=recipe, poster=data_uri(poster, POSTER_HEIGHT_PX))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the browser keeps them."""
        return {"id": self.id, "recipe": asdict(self.recipe), "poster": self.poster}

    @classmethod
    def from_dict(cls, value: object) -> "Run | None":
        """Reads what the browser kept; None where that is of no use, such as after an update."""
        if not isinstance(value, Mapping) or not str(value.get("poster")).startswith("data:image/jpeg;base64,"):
            return None
        try:
            recipe = Recipe.from_dict(value.get("recipe"))
        except InputError:
            return None
        return cls(id=str(value.get("id")), recipe=recipe, poster=value["poster"])


def read_runs(kept: object) -> list[Run]:
    """The runs of `Session.runs`, newest first."""
    runs = (Run.from_dict(value) for value in (kept if isinstance(kept, list) else [])[:MAX_RUNS])
    return [run for run in runs if run is not None]


def with_run(kept: object, run: Run) -> list[dict[str, Any]]:
    """`Session.runs` with one more run."""
    return [item.to_dict() for item in [run, *read_runs(kept)][:MAX_RUNS]]


def without_run(kept: object, id: str) -> list[dict[str, Any]]:
    """`Session.runs` with one run less."""
    return [item.to_dict() for item in read_runs(kept) if item.id != id]


def describe(recipe: Recipe) -> str:
    """One sentence about how a video was made."""
    backend, settings = BACKENDS.get(recipe.model), recipe.settings
    early = " Stopped early: a draft of the finished video." if recipe.stopped else ""
    title = backend.title if backend else recipe.model
    return f"{title}, seed {settings['seed']}, {settings['num_inference_steps']} steps.{early}"


def cards(kept: object) -> str:
    """A card for every run, with buttons that `runs.js` hears."""
    runs = read_runs(kept)
    if not runs:
        return f'<div class="placeholder">{escape(EMPTY)}</div>'
    return f'<ul class="runs-list">{"".join(map(_card, runs))}</ul>'


def _card(run: Run) -> str:
    settings, here = run.recipe.settings, STORE.find(run.id) is not None
    made = escape(_when(run.recipe.created))
    size = f"{run.recipe.num_frames} frames, {settings['width']} x {settings['height']} px"
    opening = _button("open", run.id, f"Open the video of {made}", "Open") if here else "<i>Video expired</i>"
    return (
        f'<li><img src="{escape(run.poster)}" alt="Middle frame, {made}"><div><b>{made}</b>'
        f"<span>{escape(describe(run.recipe))}</span><span>{size}</span><p>{opening}"
        f"{_button('use', run.id, f'Use the settings of {made}', 'Use settings')}"
        f"{_button('forget', run.id, f'Forget the run of {made}', 'Forget')}</p></div></li>"
    )


def _button(action: str, id: str, said: str, shown: str) -> str:
    return f'<button type="button" data-action="{action}" data-id="{escape(id)}" aria-label="{said}">{shown}</button>'


def _when(created: str) -> str:
    try:
        return f"{datetime.fromisoformat(created):%d %b %Y, %H:%M} UTC"
    except ValueError:
        return "unknown time"
