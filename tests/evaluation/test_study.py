"""User studies: Tables 3 and 6."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from xdyna.evaluation.report import write_study
from xdyna.evaluation.study import Study, read_ratings
from xdyna.schema import InputError


def study(groups: np.ndarray) -> Study:
    """One criterion, rated by `(methods, users)`."""
    return Study(
        methods=tuple(f"m{k}" for k in range(len(groups))),
        users=tuple(f"u{k}" for k in range(groups.shape[1])),
        left_out=(),
        ratings={"BG-Dyn": groups.T},
    )


GROUPS = np.array([0.8 * ((7 * np.arange(20) + 3 * k) % 6) + 0.2 * k for k in range(5)])


def test_one_way_anova_and_its_companion() -> None:
    found = study(GROUPS).anova("BG-Dyn")
    assert (found.f, found.p) == pytest.approx((1.199776016540317, 0.3160679551622398))
    assert (found.friedman, found.friedman_p) == pytest.approx((20.6, 0.00038005397559862076))
    assert found.df == (4, 95)
    assert set(found.pairs) == {(f"m{i}", f"m{j}") for i in range(5) for j in range(i + 1, 5)}


def test_f_is_the_textbook_ratio() -> None:
    between = 20 * np.var(GROUPS.mean(axis=1), ddof=1)
    within = GROUPS.var(axis=1, ddof=1).mean()
    assert study(GROUPS).anova("BG-Dyn").f == pytest.approx(between / within)


@pytest.mark.parametrize(("f", "p"), [(7.495, 7e-06), (5.327, 0.000331), (4.685, 0.001016), (5.617, 0.000199)])
def test_table_6_has_the_degrees_of_freedom_of_5_methods_and_100_users(f: float, p: float) -> None:
    df = study(np.random.default_rng(0).uniform(0, 5, (5, 100))).anova("BG-Dyn").df
    assert df == (4, 495)
    assert scipy.stats.f.sf(f, *df) == pytest.approx(p, rel=0.04)


def ratings(path: Path, rows: list[str], header: str = "user,case,method,FG-Dyn,ID") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_users_are_averaged_over_cases_and_criteria_into_overall(tmp_path: Path) -> None:
    rows = ["a,1,x,4,2", "a,2,x,2,4", "a,1,y,1,1", "b,1,x,5,5", "b,1,y,0,2", "c,1,x,3,3"]
    found = read_ratings(ratings(tmp_path / "r.csv", rows))
    assert (found.methods, found.users, found.left_out) == (("x", "y"), ("a", "b"), ("c",))
    assert found.ratings["FG-Dyn"].tolist() == [[3, 1], [5, 0]]
    assert found.ratings["Overall"].tolist() == [[3, 1], [5, 1]]
    assert np.isnan(found.anova("ID").friedman)  # two methods only


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,1,x,6,1"], "'6' is not a rating from 0 to 5"),
        (["a,1,x,,1"], "'' is not a rating"),
        (["a,1,x,nan,1"], "'nan' is not a rating"),
        (["a,1,x,1,1", "a,1,x,2,2"], "Line 3 of r.csv is rated twice"),
        (["a,,x,1,1"], "lacks its user"),
        (["a,1,x,1,1", "b,1,x,1,1"], "1 method and 2 who rated all"),
        (["a,1,x,1,1", "a,1,y,1,1"], "2 methods and 1 who rated all"),
    ],
)
def test_ratings_that_cannot_be_used(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_ratings(ratings(tmp_path / "r.csv", rows))


def test_a_column_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needed are user, case, method"):
        read_ratings(ratings(tmp_path / "r.csv", ["a,1,3"], header="user,case,FG-Dyn"))


def test_the_report_of_a_study(tmp_path: Path) -> None:
    files = write_study(study(GROUPS), tmp_path / "out")
    assert [file.name for file in files] == ["study.md", "study.tex", "study.json", "study.png"]
    text = files[0].read_text()
    assert "1.200 | 0.316 | 4, 95" in text and "20 users" in text
    assert r"\begin{tabular}{lr}" in files[1].read_text()
