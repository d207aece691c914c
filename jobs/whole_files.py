"""Files that are replaced in one step: whoever reads finds the old one or the new one.

What a full disk, a crash or Ctrl-C leaves is the old one, and nothing beside it but, after a
crash, a hidden file.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

PARTIAL = ".part-"
"""How the names of files begin that are not whole yet."""


@contextmanager
def replacing_bytes(path: Path) -> Iterator[IO[bytes]]:
    """A stream whose bytes, when it is left without an error, are the file; made with its parents.

    It gets the mode that the umask gives. What is written beside it is named by chance alone:
    with the file's own name in it, that could be longer than a name can be.

    Raises:
        OSError: It cannot be written; the file is what it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f"{PARTIAL}{secrets.token_hex(8)}"
    try:
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing(path: Path, *, newline: str | None = None) -> Iterator[IO[str]]:
    """The same for text, in a file that a person may have named.

    Text that is no Unicode, such as a name of bytes, is written with `?` in its place. A link
    stays one, to the file that is replaced; what is no file (a device, a pipe) is written to.

    Raises:
        OSError: It cannot be written; the file is what it was.
    """
    special = path.exists() and not (path.is_file() or path.is_dir())
    with (
        path.open("wb") if special else replacing_bytes(path.resolve()) as stream,
        io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline=newline) as text,
    ):
        yield text


def replace_small(path: Path, data: Buffer) -> None:
    """As `replacing_bytes`, for contents that are there already and are not many.

    With as few calls of the system as can be: each gives the interpreter to another of a
    hundred threads, which is most of what a small file costs.

    Raises:
        OSError: It cannot be written; the file is what it was.
    """
    temporary = f"{path.parent}/{PARTIAL}{secrets.token_hex(8)}"
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:
        try:
            handle = os.open(temporary, flags, 0o666)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(temporary, flags, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(handle, rest) :]
        finally:
            os.close(handle)
        os.replace(temporary, path)  # noqa: PTH105 - as above
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
