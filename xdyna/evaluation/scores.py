"""From clips to numbers: features, then statistics, then one number per column with its uncertainty."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from xdyna import __version__
from xdyna.evaluation.backbones import BACKBONES, locate
from xdyna.evaluation.clips import Case, MismatchError, Pair, Reading, Skipped, read_pair
from xdyna.evaluation.faces import DETECTOR
from xdyna.evaluation.features import Extractor, load_extractor, load_face_embedder, load_lpips
from xdyna.evaluation.frechet import FeatureSet, frechet_distance, polynomial_mmd
from xdyna.evaluation.intervals import (
    CONFIDENCE,
    NUM_RESAMPLES,
    Interval,
    frechet_difference,
    frechet_interval,
    mean_interval,
    split_distance,
)
from xdyna.evaluation.masks import SEGMENTER
from xdyna.evaluation.protocols import FOREGROUND, PROTOCOLS, WHOLE, Metric, Protocol, Tools, in_region
from xdyna.schema import Floats, InputError, Progress

REAL = "(real)"
Place = tuple[str, str, str]
"""Network, region, owner of a set of clips."""
PER_CLIP_BACKBONES: dict[str, Callable[..., tuple[Callable[..., Floats], str]]] = {
    "vgg16": load_lpips,
    "adaface": load_face_embedder,
}


@dataclass(frozen=True, kw_only=True)
class Score:
    """One cell.

    Attributes:
        value: the number; NaN where it cannot be had.
        interval: 95 %.
        num_clips: clips it rests on.
        num_features: features of a set score (frames or windows), else 0.
        real_split: the same score between two halves of the real clips, what a perfect method would get; else NaN.
        mmd: polynomial MMD on the same features, without bias for few clips; else NaN.
    """

    value: float
    interval: Interval
    num_clips: int
    num_features: int = 0
    real_split: float = float("nan")
    mmd: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A method minus the first one, on the clips both have; it matters where the interval excludes 0."""

    method: str
    metric: str
    value: float
    interval: Interval
    num_clips: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """A finished table.

    Attributes:
        protocol: key in `PROTOCOLS`.
        scores: by method, then metric.
        differences: from the first method, where there are several.
        per_clip: by method, clip and metric.
        skipped: clips that are not in the table.
        missing: by metric, why its column is empty.
        settings: everything that defines the numbers: frames, sizes, policies, networks' hashes, detectors.
    """

    protocol: str
    scores: dict[str, dict[str, Score]]
    differences: list[Difference]
    per_clip: dict[str, dict[str, dict[str, float]]]
    skipped: list[Skipped]
    missing: dict[str, str]
    settings: dict[str, object]

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """The columns."""
        return PROTOCOLS[self.protocol].metrics


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to evaluate.

    Attributes:
        protocol: key in `PROTOCOLS`.
        cases: clips of all methods.
        reading: policies.
        statistics: folder for features; those found there are used again.
        backbones: files the user named.
        fetch: download missing networks.
        num_resamples: of the bootstrap of set scores.
        device: of the networks.
    """

    protocol: str
    cases: list[Case]
    reading: Reading
    statistics: Path
    backbones: Mapping[str, Path] = field(default_factory=dict)
    fetch: bool = False
    num_resamples: int = NUM_RESAMPLES
    device: str = "cpu"


def evaluate(plan: Plan, skipped: list[Skipped] | None = None) -> Iterator[Progress | Evaluation]:
    """Scores all clips of a plan.

    Args:
        plan: what to do.
        skipped: clips that were left out before, for the report.

    Yields:
        `Progress` after each clip, then one `Evaluation`.

    Raises:
        MismatchError: a pair differs in length, size or rate, and no policy is named.
        InputError: no clip at all could be used.
    """
    protocol = PROTOCOLS[plan.protocol]
    networks = _Networks(plan, protocol)
    bank = _FeatureBank(plan.statistics)
    skipped = list(skipped or ())
    pairs: dict[str, dict[str, dict[str, float]]] = {}
    sizes: set[str] = set()
    try:
        for k, case in enumerate(plan.cases):
            try:
                pair = read_pair(case, protocol.against, plan.reading)
            except MismatchError:
                raise
            except InputError as error:
                skipped.append(Skipped(method=case.method, name=case.name, reason=str(error)))
            else:
                num_frames, height, width, _ = pair.generated.shape
                sizes.add(f"{num_frames} x {width} x {height} @ {pair.fps:g}")
                pairs.setdefault(case.method, {})[case.name] = _clip_scores(pair, protocol, networks)
                _collect(pair, protocol, networks, bank)
            yield Progress(phase="Scoring clips", step=k + 1, total=len(plan.cases))
    finally:
        bank.save()  # also when stopped half-way
    if not pairs:
        reasons = "; ".join(f"{s.name}: {s.reason}" for s in skipped[:3])
        raise InputError(f"None of the clips could be used. {reasons}")
    scores: dict[str, dict[str, Score]] = {}
    for k, (method, rows) in enumerate(pairs.items()):
        scores[method] = {
            name: _clip_column(rows, name) if metric.clip else _set_column(bank, method, metric, plan)
            for name, metric in protocol.metrics.items()
        }
        yield Progress(phase="Statistics", step=k + 1, total=len(pairs))
    yield Evaluation(
        protocol=plan.protocol,
        scores=scores,
        differences=_differences(pairs, protocol, bank, plan),
        per_clip=pairs,
        skipped=skipped,
        missing=networks.missing,
        settings=_settings(plan, networks, sorted(sizes)),
    )


class _Networks:
    """Loads what the protocol needs; what cannot be loaded is noted once per column."""

    def __init__(self, plan: Plan, protocol: Protocol) -> None:
        self.missing: dict[str, str] = {}
        self.hashes: dict[str, str] = {}
        self.extractors: dict[str, Extractor] = {}
        loaded: dict[str, Callable[..., Floats]] = {}
        problems: dict[str, str] = {}
        for name in dict.fromkeys(metric.backbone for metric in protocol.metrics.values() if metric.backbone):
            try:
                path = locate(name, plan.backbones, fetch=plan.fetch)
                if name in PER_CLIP_BACKBONES:
                    loaded[name], self.hashes[name] = PER_CLIP_BACKBONES[name](path, device=plan.device)
                else:
                    self.extractors[name] = load_extractor(name, path, device=plan.device)
                    self.hashes[name] = self.extractors[name].sha256
            except InputError as error:
                problems[name] = str(error)
        self.tools = Tools(loaded)
        for key, metric in protocol.metrics.items():
            if metric.backbone in problems:
                self.missing[key] = problems[metric.backbone]


class _FeatureBank:
    """Features of sets of clips by (network, region, set), on disk one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stored: dict[Place, dict[str, Floats]] = {}
        self._used: dict[tuple[str, str, str, str], dict[str, str]] = {}

    def knows(self, place: Place, key: str) -> bool:
        """Whether the features of this clip, read this way, are there."""
        if place not in self._stored:
            self._stored[place] = self._load(place)
        return key in self._stored[place]

    def learn(self, place: Place, key: str, rows: Floats) -> None:
        """Adds `(rows, d)` features."""
        self._stored[place][key] = rows

    def use(self, place: Place, key: str, case: Case) -> None:
        """Counts a clip into this run."""
        self._used.setdefault((*place, case.method), {})[case.name] = key

    def clips(self, place: Place, method: str) -> dict[str, Floats]:
        """`(rows, d)` by name of the clips that were used for a method in this run."""
        return {name: self._stored[place][key] for name, key in self._used.get((*place, method), {}).items()}

    def save(self) -> None:
        """Writes all sets."""
        for place, known in self._stored.items():
            if not known:
                continue
            keys = np.repeat(list(known), [len(rows) for rows in known.values()])
            FeatureSet(keys=keys, features=np.concatenate(list(known.values()))).save(self._path(place))

    def _load(self, place: Place) -> dict[str, Floats]:
        path = self._path(place)
        if not path.is_file():
            return {}
        try:
            stored = FeatureSet.load(path)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path} is not a file of features ({error}). Delete it.") from error
        return {str(key): stored.features[stored.keys == key] for key in np.unique(stored.keys)}

    def _path(self, place: Place) -> Path:
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in place[2])
        return self.folder / f"{place[0]}-{place[1]}-{safe}.npz"


def _clip_scores(pair: Pair, protocol: Protocol, networks: _Networks) -> dict[str, float]:
    return {
        name: float("nan") if name in networks.missing else metric.clip(pair, networks.tools)
        for name, metric in protocol.metrics.items()
        if metric.clip
    }


def _collect(pair: Pair, protocol: Protocol, networks: _Networks, bank: _FeatureBank) -> None:
    """Features of the generated and of the real clip, each cut along its own person."""
    for metric in protocol.metrics.values():
        extractor = networks.extractors.get(metric.backbone)
        if metric.clip or extractor is None or len(pair.generated) < extractor.window:
            continue
        if metric.region == FOREGROUND and not (pair.generated_mask.any() and pair.other_mask.any()):
            continue  # black frames are nobody's foreground
        for owner, clip, mask, mark in (
            (pair.case.method, pair.generated, lambda: pair.generated_mask, pair.fingerprints[0]),
            (REAL, pair.other, lambda: pair.other_mask, pair.fingerprints[1]),
        ):
            place, key = (metric.backbone, metric.region, owner), f"{mark}-{extractor.sha256[:16]}"
            if not bank.knows(place, key):
                bank.learn(place, key, extractor(in_region(clip, mask, metric.region)))
            bank.use(place, key, pair.case)


def _clip_column(rows: Mapping[str, Mapping[str, float]], name: str) -> Score:
    values = np.array([row[name] for row in rows.values()])
    values = values[np.isfinite(values)]
    if not values.size:
        return Score(value=float("nan"), interval=(float("nan"),) * 2, num_clips=0)
    return Score(value=float(values.mean()), interval=mean_interval(values), num_clips=len(values))


def _sets(bank: _FeatureBank, method: str, metric: Metric) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Features by clip name: the method's, and those of the real clips it was paired with."""
    made, real = (bank.clips((metric.backbone, metric.region, owner), method) for owner in (method, REAL))
    return made, real


def _set_column(bank: _FeatureBank, method: str, metric: Metric, plan: Plan) -> Score:
    made, real = (list(side.values()) for side in _sets(bank, method, metric))
    rows = sum(map(len, made))
    if rows < 2 or sum(map(len, real)) < 2:
        return Score(value=float("nan"), interval=(float("nan"),) * 2, num_clips=len(made), num_features=rows)
    x, y = np.concatenate(made), np.concatenate(real)
    return Score(
        value=frechet_distance(x, y, ddof=metric.ddof),
        interval=frechet_interval(made, real, ddof=metric.ddof, num_resamples=plan.num_resamples),
        num_clips=len(made),
        num_features=rows,
        real_split=split_distance(real, ddof=metric.ddof),
        mmd=polynomial_mmd(x, y),
    )


def _differences(
    pairs: Mapping[str, Mapping[str, Mapping[str, float]]], protocol: Protocol, bank: _FeatureBank, plan: Plan
) -> list[Difference]:
    first, *others = pairs
    found = []
    for method in others:
        for name, metric in protocol.metrics.items():
            if metric.clip:
                common = [clip for clip in pairs[method] if clip in pairs[first]]
                gaps = np.array([pairs[method][clip][name] - pairs[first][clip][name] for clip in common])
                gaps = gaps[np.isfinite(gaps)]
                value, interval, count = float(gaps.mean()) if gaps.size else np.nan, mean_interval(gaps), len(gaps)
            else:
                (made, real), (base, _) = (_sets(bank, who, metric) for who in (method, first))
                common = [clip for clip in made if clip in base]
                if sum(len(made[clip]) for clip in common) < 2:
                    continue
                value, interval = frechet_difference(
                    [made[clip] for clip in common],
                    [base[clip] for clip in common],
                    [real[clip] for clip in common],
                    ddof=metric.ddof,
                    num_resamples=plan.num_resamples,
                )
                count = len(common)
            if np.isfinite(value):
                found.append(Difference(method=method, metric=name, value=value, interval=interval, num_clips=count))
    return found


def _settings(plan: Plan, networks: _Networks, sizes: list[str]) -> dict[str, object]:
    given = any("generated_mask" in case.files or "truth_mask" in case.files for case in plan.cases)
    return {
        "xdyna": __version__,
        "protocol": PROTOCOLS[plan.protocol].title,
        "reading": asdict(plan.reading),
        "clips (frames x width x height @ fps)": sizes,
        "crop": "none",
        "masks": "given mask videos; where absent " + SEGMENTER if given else SEGMENTER,
        "fill outside a region": "black; pixel scores use the true person, set scores each clip's own",
        "faces": DETECTOR,
        "backbones": {name: f"{BACKBONES[name].title}, sha256 {sha}" for name, sha in networks.hashes.items()},
        "regions": f"{WHOLE}, foreground and background scores are not comparable with one another",
        "intervals": f"{CONFIDENCE:.0%}; means: BCa bootstrap over clips; set scores: value +- 1.96 bootstrap "
        f"standard errors over clips ({plan.num_resamples} draws)",
    }
