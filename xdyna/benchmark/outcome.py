"""What one run over the benchmark's clips has measured: kept per clip, so that runs can be compared later."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from xdyna.benchmark.scores import COLUMNS
from xdyna.schema import Floats, InputError

PEOPLE, SCENERY = KINDS = ("clips with a person", "scene clips")
TRUTH = "truth"


@dataclass
class Outcome:
    """Measurements of one kind of clips.

    Attributes:
        scenes: `(n,)` class of each clip's background.
        scores: by method and column, `(n,)` float64.
        features: by method or `TRUTH`, and region, `(n, d)` float32 of the texture network.
        spectra: by method or `TRUTH`, `(n, f)` float64.
    """

    scenes: list[str] = field(default_factory=list)
    scores: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    features: dict[str, dict[str, Floats]] = field(default_factory=dict)
    spectra: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """The model first, then the baselines."""
        return list(self.scores)

    def columns(self) -> list[str]:
        """Names of the scores these clips have."""
        return [name for name in COLUMNS if name in next(iter(self.scores.values()))]


def save_outcomes(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Writes an `.npz` without pickled objects; it appears whole or not at all."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for kind, outcome in outcomes.items():
        arrays[f"{kind}|scenes"] = np.array(outcome.scenes)
        for method, columns in outcome.scores.items():
            arrays |= {f"{kind}|score|{method}|{name}": values for name, values in columns.items()}
        for method, regions in outcome.features.items():
            arrays |= {f"{kind}|feature|{method}|{region}": values for region, values in regions.items()}
        arrays |= {f"{kind}|spectrum|{method}": values for method, values in outcome.spectra.items()}
    partial = path.with_name(f"{path.stem}.partial.npz")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load_outcomes(path: Path) -> dict[str, Outcome]:
    """Reads what `save_outcomes` wrote.

    Raises:
        InputError: the file is damaged.
    """
    outcomes: dict[str, Outcome] = {}
    try:
        with np.load(path, allow_pickle=False) as stored:
            for key in stored.files:
                kind, what, *rest = key.split("|")
                outcome, values = outcomes.setdefault(kind, Outcome()), stored[key]
                if what == "scenes":
                    outcome.scenes = [str(name) for name in values]
                elif what == "spectrum":
                    outcome.spectra[rest[0]] = values
                else:
                    table = outcome.scores if what == "score" else outcome.features
                    table.setdefault(rest[0], {})[rest[1]] = values
    except (OSError, EOFError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise InputError(f"{path} is not a benchmark's result ({error}). Delete it and run again.") from error
    return outcomes
