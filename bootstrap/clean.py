"""`python3 -m bootstrap.clean`: what `make clean` runs.

Removes what set-up, the emulator and the tools made in this clone. Results stay, because
those of a run in Azure may be the only copy, and so does the user's cache, which other
clones use. While an emulator, a demo or a set-up works in the clone nothing is removed:
it would lose its state and its programs while it runs.

Exit status: 0 clean, 1 something is running or cannot be removed, 130 Ctrl-C.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import sys
from pathlib import Path

from bootstrap import steps

LEFTOVERS = (
    ".venv",
    "policy/venv",
    ".local",
    "build",
    "bootstrap/azurite/node_modules",
    ".coverage*",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
)
LOCKS = (
    ("demo.lock", "a demo", "wait for it"),
    ("setup.lock", "a set-up", "wait for it"),
    ("serve.lock", "an emulator", "stop it first"),
)
"""What is held in a local directory while something runs, what that is, and what to do."""


class RunningError(Exception):
    """Something works in the clone."""


def main() -> int:
    """Cleans the clone; answers the exit status."""
    try:
        with contextlib.ExitStack() as held:
            for local in _local_directories():
                for lock in LOCKS:
                    _hold(held, local, *lock)
            left = _remove()
    except RunningError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; to go on: make clean", file=sys.stderr)
        return 130
    if (steps.ROOT / "results").exists():
        print("results/ stays: what runs left is yours to remove", file=sys.stderr)
    return 1 if left else 0


def _local_directories() -> list[Path]:
    """Where emulators of this clone keep their state: `emulator/local.py` lists it."""
    named = os.environ.get("HPC_LOCAL_DIR")
    places = [steps.ROOT / ".local", *([Path(named)] if named else [])]
    return [found for place in places for found in (place, place / "demo")]


def _hold(held: contextlib.ExitStack, local: Path, name: str, what: str, to_do: str) -> None:
    """Keeps others from starting while the clone is cleaned."""
    if not (local / name).exists():
        return
    lock = held.enter_context((local / name).open("a"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = _process(local) if name == "serve.lock" else None
        how = f" (kill {pid}, or Ctrl-C in its terminal)" if pid else ""
        raise RunningError(f"{what} works in {local}: {to_do}{how}. Nothing was removed") from None


def _process(local: Path) -> int | None:
    try:
        return int(json.loads((local / "run.json").read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _remove() -> bool:
    """Removes everything it can; whether something was left."""
    left = False
    for pattern in LEFTOVERS:
        for path in steps.ROOT.glob(pattern):
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            except OSError as error:
                left = True
                print(f"{error.filename} cannot be removed: {error.strerror}", file=sys.stderr)
    return left


if __name__ == "__main__":
    sys.exit(main())
