"""`python3 -m bootstrap`: what `make setup` runs.

Exit status: 0 the project is set up, 1 a step failed, 2 a prerequisite is missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from bootstrap import prerequisites, steps

FINGERPRINTED = (
    "requirements.txt",
    "requirements-dev.txt",
    "bootstrap/azurite/package-lock.json",
    "bootstrap/pulumi/go.mod",
    "bootstrap/pulumi/go.sum",
)
STAMP = steps.VENV / ".set-up"


def main() -> int:
    """Sets the clone up; answers the exit status."""
    try:
        return _set_up()
    except steps.SetupError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; to go on: make setup", file=sys.stderr)
        return 130


def _set_up() -> int:
    """Makes what is not there yet, one set-up of this clone at a time."""
    if _is_current():
        return 0
    lacking = prerequisites.missing(str(steps.cached_pulumi()))
    if lacking:
        _tell(lacking)
        return 2
    lock = steps.ROOT / ".local" / "setup.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not _is_current():
            steps.make_venv()
            steps.link_packages()
            steps.install_azurite()
            steps.provide_pulumi()
            STAMP.write_text(fingerprint(steps.ROOT), encoding="utf-8")
    return 0


def fingerprint(root: Path) -> str:
    """Changes when, and only when, set-up has something new to do."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {prerequisites.PULUMI_VERSION}".encode())
    for name in FINGERPRINTED:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def _is_current() -> bool:
    try:
        stamped = STAMP.read_text(encoding="utf-8")
    except OSError:
        return False
    return stamped == fingerprint(steps.ROOT) and steps.everything_is_there()


def _tell(lacking: Sequence[prerequisites.Missing]) -> None:
    things = "one thing" if len(lacking) == 1 else f"{len(lacking)} things"
    print(f"This machine lacks {things}:", file=sys.stderr)
    for item in lacking:
        print(f"\n  {item.what}\n    {item.why}\n    -> {item.remedy}", file=sys.stderr)
    print("\nThen run the same command again.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
