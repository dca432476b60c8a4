"""What is compared: settings that differ in one thing, and what to look at."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from xdyna.backends import BACKENDS
from xdyna.config import KINDS, AnimationSettings, value_type
from xdyna.schema import InputError

MIN_VARIANTS, MAX_VARIANTS = 2, 4
MAX_LABEL = 40
MAX_LETTERS = 2000
"""Of all variants of a comparison together, as they are typed."""
TRUE, FALSE = ("true", "yes", "on"), ("false", "no", "off")
BACKEND = "backend"
EXAMPLE = "Soft: adapter_strength=0.5"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to make the video.

    Attributes:
        label: a few words, drawn above it.
        changes: fields of `AnimationSettings` that differ from the common settings.
        backend: a key of `BACKENDS`, or None for the one that makes the others.
    """

    label: str
    changes: Mapping[str, Any]
    backend: str | None = None

    def settings(self, common: AnimationSettings, backend: str | None = None) -> AnimationSettings:
        """The common settings with this variant's changes; another model keeps its own tuning of what is common.

        Args:
            common: of all variants.
            backend: that `common` is meant for; None is the variant's own.

        Raises:
            InputError: they do not go together.
        """
        own = BACKENDS[self.backend].adopt(common) if self.backend not in (None, backend) else common
        try:
            changed = replace(own, **self.changes)
            if made_by := self.backend or backend:
                BACKENDS[made_by].check(changed, self.changes)
            return changed
        except ValueError as error:
            text = str(error).rstrip(".")
            raise InputError(f"Variant “{self.label}”: {text}. Change it or the common settings.") from error


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A question that a comparison answers.

    Attributes:
        title: the question in a few words.
        explanation: what to look at, and what is only an approximation.
        variants: two to four.
        cautions: what else has to be known where a certain model runs, by its key in `BACKENDS`.
    """

    title: str
    explanation: str
    variants: tuple[Variant, ...]
    cautions: Mapping[str, str] = field(default_factory=dict)


def _variant(label: str, backend: str | None = None, **changes: Any) -> Variant:
    return Variant(label=label, changes=MappingProxyType(changes), backend=backend)


AXES: dict[str, Axis] = {
    "background": Axis(
        title="Frozen or living background",
        explanation=(
            "First, the background is held at the photo, as other methods leave it; this is imitated here by putting "
            "the photo's background back at every step. Second, X-Dyna. Third, Puppet, which warps the photo's own "
            "pixels before a still background."
        ),
        variants=(
            _variant("Frozen background (imitation)", static_background=True),
            _variant("Living background", static_background=False),
            _variant("Moved by warping, still background", "puppet"),
        ),
    ),
    "strength": Axis(
        title="Dynamics-Adapter strength",
        explanation="How strongly the photo's appearance is carried over: low drifts away, high stiffens.",
        variants=tuple(_variant(f"Adapter {value:g}", adapter_strength=value) for value in (0.5, 0.75, 1.0, 1.25)),
    ),
    "reference": Axis(
        title="How the photo is read",
        explanation=(
            "The paper's figure 3: the Dynamics-Adapter; the photo's keys and values joined into self-attention, as a "
            "reference network does; image tokens only. The last two are approximations: the paper trained a model "
            "for each, here X-Dyna's own weights are used another way."
        ),
        variants=(
            _variant("Dynamics-Adapter", reference_mode="dynamics_adapter"),
            _variant("Reference attention (approx.)", reference_mode="reference_attention"),
            _variant("Image tokens only (approx.)", reference_mode="image_tokens"),
        ),
        cautions={
            "xdyna-mini": (
                "With xdyna-mini the last two come out grey and noisy: its small backbone was trained together with "
                "its adapter and does not draw well without it. That says nothing about those methods; the official "
                "weights have a backbone of their own."
            )
        },
    ),
    "face": Axis(
        title="Face control",
        explanation="Whether the expression follows the clip (S-Face, paper section 3.3).",
        variants=(
            _variant("Without face control", controlnet_face_scale=0.0),
            _variant("With face control", controlnet_face_scale=1.0),
        ),
    ),
}


def check_number(count: int) -> None:
    """Refuses comparisons of too few or too many.

    Raises:
        InputError: fewer than two, or more than four.
    """
    if not MIN_VARIANTS <= count <= MAX_VARIANTS:
        raise InputError(f"A comparison needs {MIN_VARIANTS} to {MAX_VARIANTS} variants, got {count}. Choose others.")


def read_variants(texts: Iterable[str]) -> list[Variant]:
    """Read two to four variants; empty texts are passed over.

    Raises:
        InputError: as for `read_variant`, there are too few or too many, they are longer than `MAX_LETTERS`, or two
            have the same label.
    """
    given = [text for text in texts if text.strip()]
    check_number(len(given))
    if (letters := sum(map(len, given))) > MAX_LETTERS:
        raise InputError(f"The variants may have {MAX_LETTERS} letters together, got {letters}. Shorten them.")
    variants = [read_variant(text) for text in given]
    labels = [variant.label for variant in variants]
    twice = [label for label in labels if labels.count(label) > 1]
    if twice:
        raise InputError(f"Two variants are called “{twice[0]}”. Give each a name of its own.")
    return variants


def read_variant(text: str) -> Variant:
    """Reads `LABEL: field=value, field=value`, such as `Soft: adapter_strength=0.5`; `backend=NAME` names a model.

    Raises:
        InputError: it is not of that form, or a field or value does not exist.
    """
    label, colon, rest = text.partition(":")
    label = label.strip()
    if not colon or not label or len(label) > MAX_LABEL or not label.isprintable():
        raise InputError(
            f"A variant is a label of at most {MAX_LABEL} letters, a colon and its settings, such as “{EXAMPLE}”; got "
            f"“{text}”."
        )
    parts = [part for part in rest.split(",") if part.strip()]
    chosen = [part.partition("=")[2].strip() for part in parts if part.partition("=")[0].strip() == BACKEND]
    if unknown := [name for name in chosen if name not in BACKENDS]:
        raise InputError(f"There is no model “{unknown[0]}”. There are {', '.join(BACKENDS)}.")
    changes = dict(_read_change(part) for part in parts if part.partition("=")[0].strip() != BACKEND)
    try:
        AnimationSettings(**changes)
    except ValueError as error:
        raise InputError(f"Variant “{label}”: {error}.") from error
    return Variant(label=label, changes=MappingProxyType(changes), backend=chosen[-1] if chosen else None)


def differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """The settings that are not the same in all, by name, with their value in each; absent ones are None."""
    names = dict.fromkeys(name for each in settings for name in each)
    columns = {name: tuple(each.get(name) for each in settings) for name in names}
    return {name: values for name, values in columns.items() if any(value != values[0] for value in values)}


def _read_change(text: str) -> tuple[str, Any]:
    name, _, given = (part.strip() for part in text.partition("="))
    known = {item.name: item for item in fields(AnimationSettings)}
    if name not in known:
        raise InputError(f"There is no setting “{name}”. `xdyna animate --help` lists them; - is written as _ here.")
    kind = value_type(known[name])
    try:
        if kind is not bool:
            return name, kind(given)
        if given.lower() in TRUE + FALSE:
            return name, given.lower() in TRUE
    except ValueError:  # told below, like all else
        pass
    raise InputError(f"{name} takes {KINDS[kind]}, got “{given:.{MAX_LABEL}}”.")
