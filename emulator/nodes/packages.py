"""Application packages on a node: downloaded once, unpacked with care, told by variables.

A package lies in `applications/NAME-VERSION-CONTENT` under the node's root, shared by all
tasks of the node; what was activated anew is another content, and another directory.
Nobody sees a half-unpacked one: it is renamed when it is whole.

A zip comes from somebody's pipeline and is not trusted: a name that leaves the directory,
a link, a device, an encrypted entry, a name that comes twice, and a size beyond
`MOST_BYTES`, `MOST_RATIO` and `MOST_ENTRIES` are refused before the first file is
written. Those limits are ours; what the service does with such a zip is not documented.

Permission bits are those that the zip was made with; without any (a zip made on Windows),
files are 0644 and directories 0755.
"""

from __future__ import annotations

import asyncio
import errno
import lzma
import re
import secrets
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from emulator.nodes.blobs import BlobError, Blobs
from emulator.nodes.directories import remove_tree
from emulator.nodes.failures import TaskFailureError, of_system_error
from emulator.nodes.interface import PackageFacts

CODE: Final = "ApplicationPackageError"
MOST_BYTES: Final = 64 << 30
MOST_RATIO: Final = 200
"""A zip that grows more than this is a bomb: programs shrink to a tenth, zeros to a thousandth."""
SMALL_BYTES: Final = 64 << 20
"""Below this nobody asks how much a zip grows."""
MOST_ENTRIES: Final = 500_000

_FILE_MODE, _DIRECTORY_MODE = 0o644, 0o755
_UNIX = 3
_ENCRYPTED = 0x1
_SAFE = re.compile(r"[A-Za-z0-9._-]{1,200}")
_CHUNK = 1 << 20


class HostileZipError(Exception):
    """A zip holds what must not be unpacked, or is none."""


def variable(package: PackageFacts) -> str:
    """The environment variable that tells a package's directory, on Linux.

    Periods, hyphens and number signs become underscores, the case stays; a reference
    without a version has none in its variable. Source:
    https://learn.microsoft.com/azure/batch/batch-application-packages#execute-the-installed-applications
    """
    parts = ["AZ_BATCH_APP_PACKAGE", package.application_id]
    if not package.by_default:
        parts.append(package.version)
    return re.sub(r"[.#-]", "_", "_".join(parts))


def directory(root: Path, package: PackageFacts) -> Path:
    """Where a package is on a node."""
    name = f"{package.application_id.lower()}-{package.version.lower()}-{package.content}"
    if not _SAFE.fullmatch(name):
        raise TaskFailureError(CODE, Message=f"not the name of a package: {name!r}")
    return root / "applications" / name


def environment(root: Path, packages: Sequence[PackageFacts]) -> dict[str, str]:
    """The variables of packages that are on the node."""
    return {variable(one): str(directory(root, one)) for one in packages}


class PackageStore:
    """Brings packages to nodes; several tasks may ask for the same one at once."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._locks: dict[Path, asyncio.Lock] = {}

    async def bring(self, root: Path, packages: Sequence[PackageFacts]) -> None:
        """Makes sure that packages are on a node.

        Raises:
            TaskFailureError: One of them cannot be had, or not be unpacked.
        """
        for package in packages:
            if package.problem:
                raise TaskFailureError(CODE, **_details(package), Message=package.problem)
            target = directory(root, package)
            if target.is_dir():
                continue
            lock = self._locks.setdefault(target, asyncio.Lock())
            try:
                async with lock:
                    if not target.is_dir():
                        await self._bring_one(package, target)
            finally:
                self._locks.pop(target, None)

    async def _bring_one(self, package: PackageFacts, target: Path) -> None:
        details = _details(package)
        token = secrets.token_hex(8)
        archive = target.parent / f".{token}.zip"
        partial = target.parent / f".{token}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            await self._blobs.fetch(package.url, archive, 0o600)
            await asyncio.to_thread(unpack, archive, partial)
            partial.rename(target)
        except BlobError as error:
            raise TaskFailureError(
                CODE, **details, Message=f"The package cannot be downloaded: {error}"
            ) from error
        except HostileZipError as error:
            raise TaskFailureError(CODE, **details, Message=str(error)) from error
        except OSError as error:
            raise of_system_error(error, CODE, **details) from error
        finally:
            archive.unlink(missing_ok=True)
            await asyncio.shield(asyncio.to_thread(remove_tree, partial))


def unpack(archive: Path, target: Path) -> None:
    """Unpacks a zip into a directory that is made for it.

    Raises:
        HostileZipError: It is no zip, or holds what must not be unpacked; nothing outside
            the directory was written.
        OSError: The directory cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check_size(entries, archive.stat().st_size)
            places = _places(entries)
            target.mkdir()
            # Directories get their permissions last: one may be read-only.
            for entry, place in places:
                path = target / place
                if entry.is_dir():
                    path.mkdir(parents=True, exist_ok=True)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, path.open("xb") as sink:
                    shutil.copyfileobj(source, sink, _CHUNK)
                path.chmod(_mode(entry))
            for entry, place in sorted(places, key=lambda one: -len(one[1].parts)):
                if entry.is_dir():
                    (target / place).chmod(_mode(entry))
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        NotImplementedError,
        RuntimeError,
        FileExistsError,
        NotADirectoryError,
        ValueError,
    ) as error:
        raise HostileZipError(f"The package is not a zip that can be unpacked: {error}") from error
    except OSError as error:
        # bz2 gives no number, and a zip's wrong offset is a seek to nowhere.
        if error.errno in {None, errno.EINVAL}:
            raise HostileZipError(f"The package cannot be unpacked: {error}") from error
        raise


def _check_size(entries: list[zipfile.ZipInfo], packed: int) -> None:
    if len(entries) > MOST_ENTRIES:
        raise HostileZipError(
            f"The package has {len(entries)} entries, more than {MOST_ENTRIES}: refused"
        )
    # What an entry declares is the most that zipfile reads of it.
    size = sum(entry.file_size for entry in entries)
    if size > MOST_BYTES:
        raise HostileZipError(
            f"The package unpacks to {size} bytes, more than {MOST_BYTES}: refused"
        )
    if size > max(SMALL_BYTES, packed * MOST_RATIO):
        raise HostileZipError(
            f"The package unpacks from {packed} to {size} bytes: refused as a zip bomb"
        )


def _places(entries: list[zipfile.ZipInfo]) -> list[tuple[zipfile.ZipInfo, PurePosixPath]]:
    """Where each entry goes, all checked before any is written."""
    seen: set[PurePosixPath] = set()
    places = []
    for entry in entries:
        # What the zip says, not what zipfile made of it: that stops at a NUL.
        name = entry.orig_filename
        place = PurePosixPath(name)
        kind = stat.S_IFMT(entry.external_attr >> 16) if entry.create_system == _UNIX else 0
        if (
            not place.parts
            or place.is_absolute()
            or ".." in place.parts
            or "\\" in name
            or "\0" in name
        ):
            raise HostileZipError(f"The package holds the name {name!r}, which leads out of it")
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            what = "a link" if kind == stat.S_IFLNK else "neither a file nor a directory"
            raise HostileZipError(f"{name!r} of the package is {what}: refused")
        if entry.flag_bits & _ENCRYPTED:
            raise HostileZipError(f"{name!r} of the package is encrypted: nobody has its key")
        if place in seen:
            raise HostileZipError(f"{name!r} is in the package twice: refused")
        seen.add(place)
        places.append((entry, place))
    return places


def _mode(entry: zipfile.ZipInfo) -> int:
    kept = entry.external_attr >> 16 & 0o777 if entry.create_system == _UNIX else 0
    if entry.is_dir():
        # Its owner must be able to remove it again.
        return kept | 0o700 if kept else _DIRECTORY_MODE
    return kept | 0o400 if kept else _FILE_MODE


def _details(package: PackageFacts) -> dict[str, str]:
    name = package.application_id
    return {"ApplicationPackage": f"{name}:{package.version}" if package.version else name}
