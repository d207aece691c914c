"""What is published: a directory or a file as a zip, the same content as the same zip.

Names are sorted, times are 1980-01-01, modes are 0755 or 0644 by who may execute, so that
neither a checkout's times nor its umask make another package. Because compressed bytes
still depend on zlib's version, sameness is told by a digest over names, modes and
contents. A `.zip` file is taken as it is, once each of its members has been looked at: what
nodes would not unpack is told here, before anything is sent.

A link is refused: nodes would refuse it, and what it leads to may not be meant.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, NoReturn

from jobs.errors import Finding, InputError, shown

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_FILE, _PROGRAM, _DIRECTORY = 0o644, 0o755, 0o755
_UNIX = 3
_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")
_LEVEL = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member of the zip.

    Attributes:
        name: In the zip, with `/`; a directory's ends with one.
        source: The file; None for a directory.
        mode: Permissions.
    """

    name: str
    source: Path | None
    mode: int


def pack(path: Path, target: IO[bytes]) -> str:
    """Writes the zip of a directory, a file or a zip; its digest.

    Raises:
        InputError: With everything that cannot be packed.
    """
    if path.is_file() and path.suffix.lower() == ".zip":
        check_zip(path)
        with path.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            source.seek(0)
            shutil.copyfileobj(source, target)
        return digest
    return write_zip(entries_of(path), target)


def check_zip(path: Path) -> None:
    """Looks at every member of a zip that somebody else made.

    Raises:
        InputError: It is no zip, or has members that nodes do not unpack: all of them.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
        what = "is no zip, though its name ends so: give it another name, or make it one"
        raise InputError([Finding(where=shown(path), message=f"{what} ({error})")]) from error
    except OSError as error:
        _raise(error)
    seen: set[PurePosixPath] = set()
    findings = [
        # A name may hold anything: it is shown as Python writes it.
        Finding(where=shown(path), message=f"{member.orig_filename!r} {why}")
        for member in members
        if (why := _unfit_member(member, seen)) is not None
    ]
    if not members:
        findings.append(
            Finding(where=shown(path), message="is empty: there is nothing to publish")
        )
    if findings:
        raise InputError(findings)


def _unfit_member(member: zipfile.ZipInfo, seen: set[PurePosixPath]) -> str | None:
    """Why nodes would not unpack a member; `seen` has the places before, and gets this one."""
    # What the zip says, not what zipfile made of it: that stops at a NUL.
    name = member.orig_filename
    place = PurePosixPath(name)
    kind = stat.S_IFMT(member.external_attr >> 16) if member.create_system == _UNIX else 0
    checks = (
        (
            "\\" in name or "\0" in name,
            "has a backslash or a NUL in its name, which nodes read differently",
        ),
        (
            place.is_absolute() or _DRIVE.match(name) is not None,
            "has an absolute name: only what is below the package's directory is unpacked",
        ),
        (".." in place.parts or not place.parts, "leads out of the package's directory"),
        (
            kind == stat.S_IFLNK,
            "is a link, which nodes do not unpack: put what it leads to into the zip",
        ),
        (kind not in {0, stat.S_IFREG, stat.S_IFDIR}, "is neither a file nor a directory"),
        (bool(member.flag_bits & _ENCRYPTED), "is encrypted, and nodes have no password"),
        (place in seen, "comes twice"),
    )
    seen.add(place)
    return next((why for unfit, why in checks if unfit), None)


def entries_of(path: Path) -> list[Entry]:
    """What the zip of a path holds, sorted.

    Raises:
        InputError: With everything that cannot be packed.
    """
    if path.is_symlink() or not path.exists():
        what = "is a link" if path.is_symlink() else "is not there"
        raise InputError([Finding(where=shown(path), message=what)])
    if path.is_file():
        return [_file(path.name, path)]
    findings: list[Finding] = []
    entries: list[Entry] = []
    for folder, directories, files in os.walk(path, onerror=_raise):
        directories.sort()
        here = Path(folder)
        for name in [*directories, *files]:
            one = here / name
            if (why := _unfit(one)) is not None:
                findings.append(Finding(where=shown(one), message=why))
            elif name in files:
                entries.append(_file(one.relative_to(path).as_posix(), one))
        if not directories and not files and here != path:
            inside = f"{here.relative_to(path).as_posix()}/"
            entries.append(Entry(name=inside, source=None, mode=_DIRECTORY))
    if not entries and not findings:
        findings.append(
            Finding(where=shown(path), message="is empty: there is nothing to publish")
        )
    if findings:
        raise InputError(findings)
    return sorted(entries, key=lambda entry: entry.name)


def write_zip(entries: list[Entry], target: IO[bytes]) -> str:
    """Writes a zip; the digest of what is in it."""
    facts: list[list[str]] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for entry in entries:
            info = zipfile.ZipInfo(entry.name, _EPOCH)
            info.create_system = _UNIX
            info.compress_type = zipfile.ZIP_DEFLATED
            kind = stat.S_IFDIR if entry.source is None else stat.S_IFREG
            info.external_attr = (kind | entry.mode) << 16
            sha256 = hashlib.sha256()
            if entry.source is None:
                archive.writestr(info, b"")
            else:
                info.file_size = entry.source.stat().st_size
                with entry.source.open("rb") as source, archive.open(info, "w") as sink:
                    while chunk := source.read(1 << 20):
                        sha256.update(chunk)
                        sink.write(chunk)
            facts.append([entry.name, oct(entry.mode), sha256.hexdigest()])
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _file(name: str, path: Path) -> Entry:
    mode = _PROGRAM if path.stat().st_mode & stat.S_IXUSR else _FILE
    return Entry(name=name, source=path, mode=mode)


def _unfit(path: Path) -> str | None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return "is a link, which nodes do not unpack: copy what it leads to"
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return "is neither a file nor a directory"
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError:
        return "has a name that is not UTF-8"
    if "\\" in path.name:
        return "has a name with a backslash, which a zip cannot tell from a directory"
    return None


def _raise(error: OSError) -> NoReturn:
    where = shown(Path(error.filename or ""))
    raise InputError([Finding(where=where, message=f"cannot be read: {error.strerror}")])
