"""Files of text that are replaced in one step: whoever reads finds the old one or the new one.

What a full disk, a crash or Ctrl-C leaves is the old one, and nothing beside it but, after a
crash, a hidden file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path, *, newline: str | None = None) -> Iterator[IO[str]]:
    """A stream whose text, when it is left without an error, is the file; made with its parents.

    Text that is no Unicode, such as a name of bytes, is written with `?` in its place.

    Raises:
        OSError: It cannot be written; the file is what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline=newline) as stream:
            yield stream
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
