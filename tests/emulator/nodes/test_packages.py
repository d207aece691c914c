"""Application packages on nodes: real zips in Azurite, and zips that nobody should unpack."""

from __future__ import annotations

import asyncio
import contextlib
import io
import stat
import warnings
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator.nodes import packages
from emulator.nodes.blobs import Blobs
from emulator.nodes.failures import TaskFailureError
from emulator.nodes.interface import PackageFacts
from emulator.nodes.packages import HostileZipError, PackageStore, directory, unpack, variable
from tests.emulator.nodes.conftest import Box, Storage


@pytest.fixture
async def store(storage: Storage) -> AsyncIterator[PackageStore]:
    blobs = Blobs(storage.local)
    yield PackageStore(blobs)
    await blobs.close()


def zip_of(write: Callable[[zipfile.ZipFile], None]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of a name that comes twice
        write(archive)
    return stream.getvalue()


def entry(name: str, mode: int = 0, content: bytes = b"x") -> Callable[[zipfile.ZipFile], None]:
    def write(archive: zipfile.ZipFile) -> None:
        info = zipfile.ZipInfo(name)
        info.filename = name  # the constructor would mend it
        info.create_system = 3 if mode else 0
        info.external_attr = mode << 16
        archive.writestr(info, content, zipfile.ZIP_DEFLATED)

    return write


def facts(content: str = "c1", url: str = "", **more: object) -> PackageFacts:
    given = {"application_id": "tool", "version": "1.0", "content": content, "url": url, **more}
    return PackageFacts(**given)  # type: ignore[arg-type] # members of a test's choice


async def test_a_package_is_unpacked_with_its_modes_once_for_all_tasks(
    tmp_path: Path, store: PackageStore, box: Box
) -> None:
    def write(archive: zipfile.ZipFile) -> None:
        entry("bin/run", stat.S_IFREG | 0o755)(archive)
        entry("data/in.txt", stat.S_IFREG | 0o640)(archive)
        entry("data/secret/", stat.S_IFDIR | 0o550, b"")(archive)
        entry("from-windows.txt")(archive)
        entry("setuid", stat.S_IFREG | 0o4755)(archive)

    box.put("tool.zip", zip_of(write))
    package = facts(url=box.blob_sas("tool.zip"))
    await asyncio.gather(*(store.bring(tmp_path, [package]) for _ in range(8)))
    root = directory(tmp_path, package)
    modes = {
        str(path.relative_to(root)): oct(stat.S_IMODE(path.stat().st_mode))
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
    assert modes == {
        "bin/run": "0o755",
        "data/in.txt": "0o640",
        "from-windows.txt": "0o644",
        "setuid": "0o755",
    }
    assert stat.S_IMODE((root / "data/secret").stat().st_mode) == 0o750
    assert [path.name for path in root.parent.iterdir()] == ["tool-1.0-c1"]

    # It is there: nothing is asked of storage again, whatever its URL has become.
    await store.bring(tmp_path, [facts(url="http://127.0.0.1:1/gone")])
    with pytest.raises(TaskFailureError, match="ApplicationPackageError") as absent:
        await store.bring(tmp_path, [facts(content="c2", url=f"{box.url}/absent.zip")])
    assert "cannot be downloaded" in dict(absent.value.failure.details)["Message"]
    assert [path.name for path in root.parent.iterdir()] == ["tool-1.0-c1"]


def files_under(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


HOSTILE = {
    "climbs": (entry("../outside"), "leads out"),
    "climbs from within": (entry("a/../../outside"), "leads out"),
    "absolute": (entry("/etc/outside"), "leads out"),
    "of Windows": (entry("a\\..\\..\\outside"), "leads out"),
    "a link": (entry("link", stat.S_IFLNK | 0o777, b"/etc/passwd"), "a link"),
    "a device": (entry("null", stat.S_IFCHR | 0o666), "neither a file"),
    "a bomb": (entry("zeros", content=bytes(80 << 20)), "zip bomb"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_zip_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    write, why = HOSTILE[name]
    archive = tmp_path / "hostile.zip"
    archive.write_bytes(zip_of(lambda opened: (entry("good")(opened), write(opened))[0]))
    with pytest.raises(HostileZipError, match=why):
        unpack(archive, tmp_path / "target")
    assert {path.name for path in tmp_path.iterdir()} == {"hostile.zip"}


def test_a_name_that_comes_twice_or_is_file_and_directory_is_refused(tmp_path: Path) -> None:
    twice, both = tmp_path / "twice.zip", tmp_path / "both.zip"
    twice.write_bytes(zip_of(lambda one: (entry("a")(one), entry("./a")(one))[0]))
    both.write_bytes(zip_of(lambda one: (entry("a")(one), entry("a/b")(one))[0]))
    for archive in (twice, both):
        with pytest.raises(HostileZipError):
            unpack(archive, tmp_path / archive.stem)


@pytest.mark.parametrize("cut", [0, 10, -30])
def test_what_is_no_zip_or_broken_is_refused_in_a_sentence(tmp_path: Path, cut: int) -> None:
    archive = tmp_path / "broken.zip"
    archive.write_bytes(zip_of(entry("a", content=b"text" * 1000))[: cut or 1])
    with pytest.raises(HostileZipError, match="not a zip"):
        unpack(archive, tmp_path / "target")


def test_content_that_was_changed_is_found_by_its_checksum(tmp_path: Path) -> None:
    archive = tmp_path / "changed.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as opened:
        opened.writestr("a", "unchanged")
    archive.write_bytes(archive.read_bytes().replace(b"unchanged", b"UNchanged"))
    with pytest.raises(HostileZipError, match="CRC"):
        unpack(archive, tmp_path / "target")


@given(
    kind=st.sampled_from(
        [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    ),
    at=st.integers(0, 2**16),
    byte=st.integers(1, 255),
)
@example(kind=zipfile.ZIP_LZMA, at=44, byte=1)
@example(kind=zipfile.ZIP_BZIP2, at=40, byte=1)
def test_a_changed_byte_is_a_hostile_zip_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, kind: int, at: int, byte: int
) -> None:
    archive = tmp_path_factory.mktemp("changed") / "changed.zip"
    with zipfile.ZipFile(archive, "w", kind) as opened:
        opened.writestr("some/file", b"some text, then more " * 30)
        opened.writestr("other", bytes(range(256)))
    content = bytearray(archive.read_bytes())
    content[at % len(content)] ^= byte
    archive.write_bytes(content)
    with contextlib.suppress(HostileZipError):
        unpack(archive, archive.parent / "target")


async def test_a_hostile_package_fails_the_task_and_leaves_nothing(
    tmp_path: Path, store: PackageStore, box: Box
) -> None:
    box.put("evil.zip", zip_of(entry("../../evil")))
    with pytest.raises(TaskFailureError) as refused:
        await store.bring(tmp_path / "node", [facts(url=box.blob_sas("evil.zip"))])
    assert refused.value.failure.code == "ApplicationPackageError"
    assert dict(refused.value.failure.details)["ApplicationPackage"] == "tool:1.0"
    assert files_under(tmp_path) == [tmp_path / "node", tmp_path / "node" / "applications"]


async def test_a_package_that_cannot_be_resolved_says_why(
    tmp_path: Path, store: PackageStore
) -> None:
    with pytest.raises(TaskFailureError) as refused:
        await store.bring(tmp_path, [facts(problem="Application tool does not exist")])
    assert dict(refused.value.failure.details)["Message"] == "Application tool does not exist"


@pytest.mark.parametrize(
    ("application", "version", "by_default", "name"),
    [
        ("blender", "2.7", False, "AZ_BATCH_APP_PACKAGE_blender_2_7"),
        ("blender", "2.7", True, "AZ_BATCH_APP_PACKAGE_blender"),
        ("My-Tool", "1.0-rc_1", False, "AZ_BATCH_APP_PACKAGE_My_Tool_1_0_rc_1"),
    ],
)
def test_the_variable_is_flattened_as_the_documentation_has_it(
    application: str, version: str, *, by_default: bool, name: str
) -> None:
    package = facts(application_id=application, version=version, by_default=by_default)
    assert variable(package) == name


@given(st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text))
def test_no_name_is_ever_placed_outside(name: str) -> None:
    info = zipfile.ZipInfo("placeholder")
    info.orig_filename = name
    try:
        [(_, place)] = packages._places([info])
    except HostileZipError:
        return
    assert Path("/home/target", place).resolve().is_relative_to("/home/target")
