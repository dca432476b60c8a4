"""The audit of dependencies: it finds what is vulnerable or, without a source of advisories, what nobody chose."""

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools import audit

ROOT = Path(__file__).parents[1]
HASH = f" \\\n    --hash=sha256:{'0' * 64}"
PINNED = f"numpy=={version('numpy')}"


def problems(folder: Path, requirements: str, lock: str) -> list[str]:
    (folder / "requirements.txt").write_text(requirements)
    (folder / "requirements.lock").write_text(lock)
    files = folder / "requirements.txt", folder / "requirements.lock"
    return [*audit.lock_problems(*files), *audit.differences(*files)]


def test_the_lock_has_every_pin_and_hashes_for_all_but_nothing_of_where_they_come_from() -> None:
    assert list(audit.lock_problems(ROOT / "requirements.txt", ROOT / "requirements.lock")) == []
    assert "//" not in (ROOT / "requirements.lock").read_text(encoding="utf-8")


def test_what_is_installed_as_locked_is_fine(tmp_path: Path) -> None:
    assert problems(tmp_path, f"{PINNED}  # why\n", f"# head\n{PINNED}{HASH}{HASH}\n") == []
    cuda = f"nvidia-nothing==1.0{HASH}\n"  # only one of torch's builds brings it
    assert problems(tmp_path, PINNED, f"{PINNED}{HASH}\n{cuda}") == []


@pytest.mark.parametrize(
    ("requirements", "lock", "says"),
    [
        (PINNED, "", "does not have numpy=="),
        ("numpy==0.1", f"{PINNED}{HASH}\n", "does not have numpy==0.1"),
        (PINNED, f"{PINNED}\n", "is not a pinned version with hashes"),
        (PINNED, f"numpy>=1{HASH}\n", "is not a pinned version with hashes"),
        (PINNED, f"--index-url https://other.example\n{PINNED}{HASH}\n", "is not a pinned version with hashes"),
        ("numpy==0.1", f"numpy==0.1{HASH}\n", "is installed; requirements.lock has 0.1"),
        ("", f"no-such-package==1{HASH}\n", "but not installed"),
        (f"pandas=={version('pandas')}", f"pandas=={version('pandas')}{HASH}\n", "requirements.lock has None"),
    ],
)
def test_what_differs_is_told(tmp_path: Path, requirements: str, lock: str, says: str) -> None:
    assert any(says in problem for problem in problems(tmp_path, requirements, lock))


def test_the_build_of_torch_does_not_matter() -> None:
    assert audit.public("2.13.0+cpu") == "2.13.0"


def test_what_the_pins_need_is_followed_with_extras_that_are_asked_for() -> None:
    assert {"pandas", "numpy", "python-dateutil"} <= audit.needed([Requirement("pandas")])
    assert "pytest" not in audit.needed([Requirement("numpy"), Requirement("pandas")])


class FakeAudit:
    """pip-audit where some sources answer and some packages are vulnerable."""

    def __init__(self, sources: set[str], vulnerable: str = "nothing") -> None:
        self.sources, self.vulnerable, self.asked = sources, vulnerable, list[str]()

    def __call__(self, requirements: str, *options: str) -> subprocess.CompletedProcess[str]:
        self.asked.append(requirements)
        source = options[options.index("-s") + 1]
        known = re.findall(f"^(?:jinja2==2.11.2|{self.vulnerable}==.*)$", requirements, re.MULTILINE)
        found = [f"{one} PYSEC-2021-66" for one in known] if source in self.sources else []
        return subprocess.CompletedProcess([], 1 if found else 0, "\n".join(found), "")


@pytest.mark.parametrize("source", ["pypi", "osv"])
@pytest.mark.parametrize(("vulnerable", "status"), [("nothing", 0), ("pillow", 1)])
def test_a_known_vulnerability_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str, vulnerable: str, status: int
) -> None:
    fake = FakeAudit({source}, vulnerable)
    monkeypatch.setattr(audit, "install_pip_audit", lambda folder: fake)
    assert audit.main() == status
    assert ("pillow" in capsys.readouterr().out) == bool(status)
    torch = version("torch").split("+")[0]
    assert f"torch=={torch}\n" in fake.asked[-1]  # no source knows "+cpu"
    assert "xdyna" not in fake.asked[-1]


@pytest.mark.parametrize("installed", [FakeAudit(set()), None])
@pytest.mark.parametrize("found", [[], ["requirements.lock does not have numpy==2."]])
def test_without_a_source_the_lock_is_checked_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], installed: FakeAudit | None, found: list[str]
) -> None:
    monkeypatch.setattr(audit, "install_pip_audit", lambda folder: installed)
    monkeypatch.setattr(audit, "lock_problems", lambda *_: iter(found))
    monkeypatch.setattr(audit, "differences", lambda *_: iter(["numpy 3 is installed; requirements.lock has 2."]))
    assert audit.main() == len(found)  # a newer release alone is no failure
    said = capsys.readouterr().out
    assert "no source of advisories can be reached" in said and "numpy 3 is installed" in said
    assert all(problem in said for problem in found)
