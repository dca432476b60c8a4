"""User studies: mean ratings per method (Table 3) and their analysis of variance (Table 6)."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from xdyna.schema import InputError

COLUMNS = ("user", "case", "method")
OVERALL = "Overall"


@dataclass(frozen=True, kw_only=True)
class Anova:
    """Tests of one criterion on the users' mean ratings.

    Attributes:
        f: one-way F, groups are methods (Table 6).
        p: its probability under equal means.
        df: degrees of freedom between and within groups.
        friedman: chi-square of the test that respects that the same users rated every method.
        friedman_p: its probability; both NaN below three methods.
        pairs: Tukey's honest p for each pair of methods.
    """

    f: float
    p: float
    df: tuple[int, int]
    friedman: float
    friedman_p: float
    pairs: dict[tuple[str, str], float]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A rating study.

    Attributes:
        methods: in order of appearance.
        users: who rated every method.
        left_out: users who did not rate every method, and are not counted.
        ratings: by criterion (with "Overall", their mean), `(num_users, num_methods)` mean over the cases.
    """

    methods: tuple[str, ...]
    users: tuple[str, ...]
    left_out: tuple[str, ...]
    ratings: dict[str, NDArray[np.float64]]

    def anova(self, criterion: str) -> Anova:
        """Tests whether the methods differ in one criterion."""
        groups = list(self.ratings[criterion].T)
        done = scipy.stats.f_oneway(*groups)
        several = len(groups) > 2
        friedman = scipy.stats.friedmanchisquare(*groups) if several else None
        tukey = scipy.stats.tukey_hsd(*groups).pvalue
        pairs = {
            (self.methods[i], self.methods[j]): float(tukey[i, j])
            for i in range(len(groups))
            for j in range(i + 1, len(groups))
        }
        return Anova(
            f=float(done.statistic),
            p=float(done.pvalue),
            df=(len(groups) - 1, len(groups) * (len(self.users) - 1)),
            friedman=float(friedman.statistic) if friedman else float("nan"),
            friedman_p=float(friedman.pvalue) if friedman else float("nan"),
            pairs=pairs,
        )


def read_ratings(path: Path, *, low: float = 0, high: float = 5) -> Study:
    """Reads a CSV with the columns user, case, method and one column per criterion.

    Args:
        path: the file; one row per user, case and method.
        low: lowest rating allowed.
        high: highest.

    Raises:
        InputError: a column is missing, a rating is not a number in range or given twice, or too few users or methods.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The ratings {path} cannot be read ({error}). Give a CSV file in UTF-8.") from error
    header = tuple(rows[0]) if rows else ()
    criteria = [name for name in header if name and name not in COLUMNS]
    if not set(COLUMNS) <= set(header) or not criteria:
        raise InputError(
            f"{path.name} has the columns {', '.join(map(str, header)) or 'none'}; needed are user, case, method and "
            "one per criterion, such as FG-Dyn."
        )
    given: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    seen: set[tuple[str, ...]] = set()
    for line, row in enumerate(rows, start=2):
        entry = tuple((row[name] or "").strip() for name in COLUMNS)
        if not all(entry) or entry in seen:
            what = "is rated twice" if all(entry) else "lacks its user, case or method"
            raise InputError(f"Line {line} of {path.name} {what}. Keep one row per user, case and method.")
        seen.add(entry)
        given[entry[0], entry[2]].append([_rating(row[name], line, path.name, low, high) for name in criteria])
    return _study(given, criteria, path.name)


def _study(given: dict[tuple[str, str], list[list[float]]], criteria: list[str], name: str) -> Study:
    everyone, methods = (tuple(dict.fromkeys(key[i] for key in given)) for i in (0, 1))
    users = tuple(user for user in everyone if all((user, method) in given for method in methods))
    if len(users) < 2 or len(methods) < 2:
        raise InputError(
            f"{name} has {len(methods)} method{'s' * (len(methods) != 1)} and {len(users)} who rated all of them; "
            "a comparison needs two of each."
        )
    means = np.array([[np.mean(given[user, method], axis=0) for method in methods] for user in users])
    ratings = {criterion: means[..., k] for k, criterion in enumerate(criteria)}
    if len(criteria) > 1:
        ratings[OVERALL] = means.mean(axis=-1)
    left_out = tuple(user for user in everyone if user not in users)
    return Study(methods=methods, users=users, left_out=left_out, ratings=ratings)


def _rating(text: str | None, line: int, name: str, low: float, high: float) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise InputError(f"Line {line} of {name}: {text!r} is not a rating from {low:g} to {high:g}. Correct it.")
    return value
