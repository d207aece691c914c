"""Names that are two in storage and one here.

Storage tells names apart by every byte. File systems need not: most on macOS take `Out.txt` and
`out.txt` for one file, and an `é` for an `e` with an accent; those of Windows, memory cards and
some network drives do the former. Which ones do is found out, because any may be mounted anywhere.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable
from pathlib import Path

from jobs.whole_files import PARTIAL

Fold = Callable[[str], str]


def folding(directory: Path) -> Fold | None:
    """What makes names equal that are one file in a directory; None where no two names are.

    Makes the directory if needed, and a file in it for a moment. What it gives makes more names
    equal than some file systems do (`ß` and `ss`): it is for refusing, not for finding.

    Raises:
        OSError: The directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{PARTIAL}{secrets.token_hex(8)}\N{LATIN SMALL LETTER E WITH ACUTE}"
    probe = directory / name
    probe.touch(exist_ok=False)
    try:
        no_case = (directory / name.upper()).exists()
        no_form = (directory / unicodedata.normalize("NFD", name)).exists()
    finally:
        probe.unlink(missing_ok=True)
    if no_case:
        return _without_case_and_form if no_form else str.casefold
    return _without_form if no_form else None


def _without_form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _without_case_and_form(name: str) -> str:
    return _without_form(unicodedata.normalize("NFD", name).casefold())
