"""Looks for known vulnerabilities in what is installed: `.venv/bin/python tools/audit.py`.

pip-audit does it, from a folder of its own, because what it needs would change our pins. Where no source of advisories
can be reached, `requirements.lock` is checked instead: it has to hold every pin, and hashes for all that they bring.
Where newer releases of what our pins need are installed, that is said, but is no failure: everybody who follows the
README gets those. The command at the head of the lock renews it; `uv` comes from PyPI.

The lock has the hashes of PyPI's own files. torch may come from elsewhere, as a build for CPUs: its version then ends
in "+cpu", and the CUDA libraries are missing. That is accepted, so only versions are compared here; the hashes are for
`pip install --require-hashes -r requirements.lock`.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PIP_AUDIT = "pip-audit==2.10.1"
IGNORED: dict[str, str] = {}
"""Advisories that we live with, and why each is no danger here."""
CANARY = "jinja2==2.11.2"  # has an advisory since 2021: a source that does not know it knows nothing
NOT_OURS = {"pip", "xdyna"}  # pip comes with Python and serves nobody
CUDA = re.compile(r"nvidia-.*|cuda-.*|triton")  # only PyPI's own torch brings them

Audit = Callable[..., subprocess.CompletedProcess[str]]


def main() -> int:
    """Look for vulnerabilities, or compare with the lock; return what the process exits with."""
    with TemporaryDirectory() as folder:
        audit = install_pip_audit(Path(folder))
        source = reachable_source(audit) if audit else None
        if audit and source:
            return look_for_vulnerabilities(audit, source)
    print("audit: no source of advisories can be reached from here; the lock is checked instead")
    requirements, lock = ROOT / "requirements.txt", ROOT / "requirements.lock"
    problems = list(lock_problems(requirements, lock))
    print("\n".join([*problems, *differences(requirements, lock)]) or "audit: all is as in requirements.lock")
    return 1 if problems else 0


def install_pip_audit(folder: Path) -> Audit | None:
    """Return what runs pip-audit on a text of requirements, or None if it cannot be fetched."""
    tools, listed = folder / "tools", folder / "requirements.txt"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(tools), PIP_AUDIT]
    without_pins = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    if subprocess.run(command, capture_output=True, env=without_pins).returncode != 0:
        return None

    def audit(requirements: str, *options: str) -> subprocess.CompletedProcess[str]:
        listed.write_text(requirements)
        command = [sys.executable, "-m", "pip_audit", "-r", str(listed), "--no-deps", "--disable-pip", *options]
        environment = os.environ | {"PYTHONPATH": str(tools), "PIP_AUDIT_PROGRESS_SPINNER": "off"}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    return audit


def reachable_source(audit: Audit) -> str | None:
    """Return the name of a source of advisories that answers; `PIP_AUDIT_OSV_URL` may name a mirror of OSV.

    A package index may be reachable without its advisories; pip-audit then finds nothing and is content.
    """
    for source in ("pypi", "osv"):
        if re.search(r"PYSEC-|GHSA-|CVE-", audit(CANARY, "-s", source).stdout):
            return source
    return None


def look_for_vulnerabilities(audit: Audit, source: str) -> int:
    """Run pip-audit on all that is installed here, and print what it says."""
    installed = {canonicalize_name(found.name): public(found.version) for found in distributions()}
    listed = "".join(f"{name}=={version}\n" for name, version in sorted(installed.items()) if name not in NOT_OURS)
    ignored = [option for advisory in IGNORED for option in ("--ignore-vuln", advisory)]
    # Strict: a package that the source does not know is an error.
    done = audit(listed, "-s", source, "--strict", *ignored)
    print(done.stdout, done.stderr, sep="\n")
    return done.returncode


def lock_problems(requirements: Path, lock: Path) -> Iterator[str]:
    """Tell what is wrong with the lock, in one sentence each."""
    locked = read_lock(lock)
    for name, version in locked.items():
        if version is None:
            yield f"requirements.lock: {name} is not a pinned version with hashes."
    for pin in read_pins(requirements):
        if str(pin.specifier) != f"=={locked.get(canonicalize_name(pin.name))}":
            yield f"requirements.lock does not have {pin}: renew it with the command at its head."


def read_pins(requirements: Path) -> list[Requirement]:
    """Return the pins of a file."""
    lines = (line.split("#")[0].strip() for line in requirements.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line]


def read_lock(lock: Path) -> dict[str, str | None]:
    """Return the versions that a lock pins; None for an entry that is no version with hashes."""
    locked: dict[str, str | None] = {}
    for entry in re.split(r"^(?=[^\s#])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        found = re.fullmatch(r"(\S+)==(\S+)((?: \\\n {4}--hash=sha256:[0-9a-f]{64})+)\n*", entry)
        locked[canonicalize_name(found[1]) if found else entry.split()[0]] = found[2] if found else None
    return locked


def differences(requirements: Path, lock: Path) -> Iterator[str]:
    """Tell where installed versions differ from the lock, in one sentence each."""
    locked = read_lock(lock)
    for name in sorted(needed(read_pins(requirements)) | set(locked)):
        try:
            version = public(distribution(name).version)
        except PackageNotFoundError:
            if not CUDA.fullmatch(name):
                yield f"{name} is in requirements.lock, but not installed."
            continue
        if version != locked.get(name):
            yield f"{name} {version} is installed; requirements.lock has {locked.get(name)}."


def needed(pins: list[Requirement]) -> set[str]:
    """Return the names of all installed packages that the pins need, and what these need, and so on."""
    seen, left = set[tuple[str, str]](), [(pin.name, extra) for pin in pins for extra in ("", *pin.extras)]
    while left:
        name, extra = canonicalize_name(left[-1][0]), left.pop()[1]
        try:
            wanted = [Requirement(line) for line in distribution(name).requires or ()]
        except PackageNotFoundError:
            continue
        if (name, extra) not in seen:
            seen.add((name, extra))
            wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": extra})]
            left += [(one.name, more) for one in wanted for more in ("", *one.extras)]
    return {name for name, _ in seen}


def public(version: str) -> str:
    """Return a version without the name of its build: "2.13.0+cpu" is 2.13.0."""
    return version.split("+")[0]


if __name__ == "__main__":
    sys.exit(main())
