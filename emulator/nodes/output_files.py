"""Output files: what is taken from a task after its command ended."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from emulator.nodes.blobs import BlobError, Blobs, ContainerUrl
from emulator.nodes.failures import TaskFailureError, of_system_error
from emulator.nodes.interface import NodeFacts

_WILD = re.compile(r"[*?[]")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A file that a pattern found.

    Attributes:
        path: The file.
        name: Its path from the pattern's first directory with a wildcard, `/` between;
            what the service appends to the destination's path.
    """

    path: Path
    name: str


def expand(pattern: str, environment: Mapping[str, str]) -> str:
    """The pattern with `$NAME` and `${NAME}` replaced; unknown names stay as they are."""
    return _VARIABLE.sub(lambda found: environment.get(found[1] or found[2], found[0]), pattern)


def has_wildcard(pattern: str) -> bool:
    """Whether a pattern may match several files."""
    return _WILD.search(pattern) is not None


def matches(pattern: str, work: Path) -> list[Match]:
    """Regular files that a pattern matches, by name.

    `*`, `?`, `[abc]`, `[!abc]` within a name; `**` any directories, none too, and at the end
    all files in them (https://learn.microsoft.com/rest/api/batchservice/task/add-task,
    `filePattern`: "matches any directory"). Names that begin with a dot are matched only by
    patterns that do. `**` does not follow links, so that a link to a parent is no trap.

    Args:
        pattern: Absolute, or relative to the working directory; may climb out by `..`.
        work: The task's working directory.
    """
    parts = PurePosixPath(pattern).parts
    fixed = next((at for at, part in enumerate(parts) if has_wildcard(part)), len(parts) - 1)
    base = Path(os.path.normpath(work.joinpath(*parts[: max(fixed, 0)])))
    found = {path: None for path in _walk(base, parts[max(fixed, 0) :]) if _is_file(path)}
    named = [Match(path=path, name=path.relative_to(base).as_posix()) for path in found]
    return sorted(named, key=lambda match: match.name)


def _walk(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _walk(folder, rest or ("*",))
        for name in _names(folder):
            path = folder / name
            if not name.startswith(".") and path.is_dir() and not path.is_symlink():
                yield from _walk(path, parts)
    elif has_wildcard(part):
        for name in _names(folder):
            if fnmatch.fnmatchcase(name, part) and name.startswith(".") <= part.startswith("."):
                yield from _walk(folder / name, rest)
    else:
        yield from _walk(folder / part, rest)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted
    except OSError:
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def wanted(file: Mapping[str, Any], *, succeeded: bool) -> bool:
    """Whether an output file is uploaded after a command that ended so."""
    options = file.get("uploadOptions") or {}
    condition = str(options.get("uploadCondition") or "taskcompletion").lower()
    return condition == "taskcompletion" or (condition == "tasksuccess") == succeeded


async def take(
    blobs: Blobs,
    node: NodeFacts,
    files: list[Mapping[str, Any]],
    work: Path,
    environment: Mapping[str, str],
    *,
    succeeded: bool,
) -> TaskFailureError | None:
    """Uploads a task's `outputFiles` and writes the two logs of it that the service writes.

    A pattern without a file is no error: `fileuploaderr.txt` says it. One file's failure
    does not keep the others back.

    Returns:
        The first failure.
    """
    due = [file for file in files if wanted(file, succeeded=succeeded)]
    if not due:
        return None
    first: TaskFailureError | None = None
    done: list[str] = []
    wrong: list[str] = []
    for file in due:
        pattern = expand(str(file.get("filePattern") or ""), environment)
        found = matches(pattern, work)
        if not found:
            wrong.append(f"no file matches {pattern}")
        for match in found:
            try:
                blob = await _upload(blobs, node, file, work, pattern, match)
            except TaskFailureError as error:
                first = first or error
                wrong.append(
                    f"{_shown(match.path)}: {error} {dict(error.failure.details)['Message']}"
                )
            else:
                done.append(f"{_shown(match.path)} -> {blob}")
    _write_lines(work.parent / "fileuploadout.txt", done)
    _write_lines(work.parent / "fileuploaderr.txt", wrong)
    return first


async def _upload(
    blobs: Blobs,
    node: NodeFacts,
    file: Mapping[str, Any],
    work: Path,
    pattern: str,
    match: Match,
) -> str:
    destination: Mapping[str, Any] = (file.get("destination") or {}).get("container") or {}
    given = str(destination.get("containerUrl") or "")
    details = {
        "FilePath": _shown(match.path),
        "FilePattern": _absolute(work, pattern),
        "FileDestination": ContainerUrl.parse(given).base,
    }
    if _shown(match.path) != str(match.path):
        message = "The file's name is not UTF-8, as a blob's must be"
        raise TaskFailureError("FileUploadMiscError", **details, Message=message)
    path = str(destination.get("path") or "").strip("/")
    name = path or match.name
    if path and has_wildcard(pattern):
        name = f"{path}/{match.name}"
    headers = {
        str(header["name"]): str(header.get("value") or "")
        for header in destination.get("uploadHeaders") or ()
    }
    try:
        opened = blobs.as_identity(given, destination.get("identityReference"), node)
        container = ContainerUrl.parse(opened)
        await blobs.put(match.path, container.blob(name), headers)
    except BlobError as error:
        code = error.code(
            missing="FileUploadContainerNotFound",
            denied="FileUploadAccessDenied",
            other="FileUploadMiscError",
        )
        raise TaskFailureError(code, **details, Message=str(error)) from error
    except OSError as error:
        raise of_system_error(error, "FileUploadMiscError", **details) from error
    return f"{container.base}/{name}"


def _shown(path: Path) -> str:
    r"""A path that can be written down: what is not UTF-8 in it as `\xff`."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _absolute(work: Path, pattern: str) -> str:
    return os.path.normpath(work / pattern)


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
