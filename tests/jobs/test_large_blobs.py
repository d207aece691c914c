"""Large files against the real Azurite, and interrupted on purpose."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import obstore
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, ContainerClient
from hypothesis import given, settings
from hypothesis import strategies as st
from obstore.store import AzureStore

import jobs.large_blobs
from jobs.clients import Clients
from jobs.errors import CredentialError, NotFoundError, UnavailableError
from jobs.large_blobs import MOST_BLOCKS, blocks_of, get_in_ranges, put_in_blocks
from jobs.session import Session
from jobs.translate import blob_errors_translated
from jobs.whole_files import replacing_bytes

BLOCK = 64 << 10
SIZE = 10 * BLOCK + 17


@settings(max_examples=25)  # fifty thousand blocks each
@given(st.integers(0, 190 << 40))
def test_blocks_cover_a_file_once_and_in_order(size: int) -> None:
    blocks = blocks_of(size)
    assert len(blocks) <= MOST_BLOCKS
    assert [block.index for block in blocks] == [*range(len(blocks))]
    assert sum(block.length for block in blocks) == size
    assert all(one.start + one.length == next_.start for one, next_ in pairwise(blocks))


def nothing() -> None:
    """Finds that the file is as it was."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of which a test can have many."""
    monkeypatch.setattr(jobs.large_blobs, "BLOCK_BYTES", BLOCK)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(os.urandom(SIZE))
    return path


class Sending:
    """The blocks that are sent; breaks off after some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, blocks: int = 10**6) -> None:
        self.sent = 0
        stage_block = BlobClient.stage_block

        def counted(client: BlobClient, *arguments: Any, **options: Any) -> Any:
            if self.sent >= blocks:
                raise KeyboardInterrupt
            self.sent += 1
            return stage_block(client, *arguments, **options)

        monkeypatch.setattr(BlobClient, "stage_block", counted)


@pytest.fixture
def container(session: Session) -> Iterator[ContainerClient]:
    with Clients(session.stack).container_client("inputs") as found:
        yield found


def test_an_upload_that_was_interrupted_sends_only_what_is_missing(
    container: ContainerClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = container.get_blob_client("interrupted")
    with monkeypatch.context() as patched:
        first = Sending(patched, blocks=4)
        with pytest.raises(KeyboardInterrupt):
            put_in_blocks(client, file, nothing)
    second = Sending(monkeypatch)
    put_in_blocks(client, file, nothing)
    assert first.sent > 0
    assert first.sent + second.sent == len(blocks_of(SIZE))
    assert client.download_blob().readall() == file.read_bytes()


def test_blocks_of_a_file_that_has_changed_since_are_sent_again(
    container: ContainerClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = container.get_blob_client("changed")
    with monkeypatch.context() as patched:
        Sending(patched, blocks=4)
        with pytest.raises(KeyboardInterrupt):
            put_in_blocks(client, file, nothing)
    file.write_bytes(os.urandom(SIZE))
    again = Sending(monkeypatch)
    put_in_blocks(client, file, nothing)
    assert again.sent == len(blocks_of(SIZE))
    assert client.download_blob().readall() == file.read_bytes()


@pytest.fixture
def store(session: Session, container: ContainerClient, file: Path) -> AzureStore:
    put_in_blocks(container.get_blob_client("down"), file, nothing)
    return Clients(session.stack).container("inputs")


def etag(container: ContainerClient) -> str:
    return str(container.get_blob_client("down").get_blob_properties().etag)


class Counting:
    """obstore, with the ranges that it is asked for; breaks off after some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ranges: int = 10**6) -> None:
        self.asked = 0

        def get(*arguments: Any, **options: Any) -> Any:
            if self.asked >= ranges:
                raise KeyboardInterrupt
            self.asked += 1
            return obstore.get(*arguments, **options)

        monkeypatch.setattr(jobs.large_blobs, "obstore", type("obstore", (), {"get": get}))


def test_a_download_that_was_interrupted_fetches_only_what_is_missing(
    container: ContainerClient,
    store: AzureStore,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    tag = etag(container)
    with monkeypatch.context() as patched:
        first = Counting(patched, ranges=4)
        with pytest.raises(KeyboardInterrupt):
            get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    assert not target.exists()
    with monkeypatch.context() as patched:
        second = Counting(patched)
        get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    assert first.asked + second.asked == len(blocks_of(SIZE))
    assert target.read_bytes() == file.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["big"]


@pytest.mark.parametrize(
    "damage", [b"cut off", b"nonsense\n", b"\xff\xfe\n0\n", b"", b"{first}nonsense\n"]
)
def test_a_damaged_record_only_costs_time(
    container: ContainerClient,
    store: AzureStore,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: bytes,
) -> None:
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    tag = etag(container)
    with monkeypatch.context() as patched:
        Counting(patched, ranges=8)
        with pytest.raises(KeyboardInterrupt):
            get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    (record,) = target.parent.glob("*.blocks")
    first, second, *_ = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(
        first + second + b"9" if damage == b"cut off" else damage.replace(b"{first}", first)
    )
    get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    assert target.read_bytes() == file.read_bytes()


def test_a_blob_that_changed_is_not_mixed_with_what_was_fetched(
    container: ContainerClient, store: AzureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    old = etag(container)
    with monkeypatch.context() as patched:
        Counting(patched, ranges=4)
        with pytest.raises(KeyboardInterrupt):
            get_in_ranges(store, "down", target, size=SIZE, etag=old)
    data = os.urandom(SIZE)
    container.get_blob_client("down").upload_blob(data, overwrite=True)
    with (
        pytest.raises(UnavailableError, match="downloading: it changed meanwhile"),
        blob_errors_translated("downloading"),
    ):
        get_in_ranges(store, "down", target, size=SIZE, etag=old)
    get_in_ranges(store, "down", target, size=SIZE, etag=etag(container))
    assert target.read_bytes() == data
    assert [path.name for path in target.parent.iterdir()] == ["big"]


def test_two_may_fetch_the_same_at_the_same_time(
    container: ContainerClient, store: AzureStore, file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    tag = etag(container)
    digest = hashlib.sha256(b"down").hexdigest()
    record = target.parent / f".part-{digest[:24]}.blocks"
    with record.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    assert target.read_bytes() == file.read_bytes()
    assert {path.name for path in target.parent.iterdir()} == {"big", record.name}


def test_a_record_that_went_away_while_its_lock_was_waited_for_is_nobody_s(
    container: ContainerClient,
    store: AzureStore,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else two would write into one file, each by a record that the other does not see."""
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    lock = fcntl.flock
    took: list[Path] = []

    def lock_late(stream: Any, operation: int) -> None:
        (record,) = target.parent.glob("*.blocks")
        record.unlink()
        took.append(record)
        lock(stream, operation)

    made: list[str] = []

    def noted(path: Path) -> Any:
        made.append(path.name)
        return replacing_bytes(path)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    monkeypatch.setattr(jobs.large_blobs, "replacing_bytes", noted)
    get_in_ranges(store, "down", target, size=SIZE, etag=etag(container))
    assert (len(took), made) == (1, ["big"])
    assert target.read_bytes() == file.read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["big"]


class Disk:
    """Knows what was written to a file and may not be on the disk: a power loss makes zeros of it.

    Its size is on the disk before its contents, as of a file whose room was taken in advance.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lock = threading.Lock()
        self._floating: dict[tuple[int, int], int] = {}
        self.flushes = 0
        self.broken = False
        pwrite, fdatasync = os.pwrite, os.fdatasync

        def writing(handle: int, data: bytes, at: int) -> int:
            with self._lock:
                self._floating[os.fstat(handle).st_ino, at] = len(data)
            return pwrite(handle, data, at)

        def flushing(handle: int) -> None:
            inode = os.fstat(handle).st_ino
            with self._lock:
                self.flushes += 1
                before = [key for key in self._floating if key[0] == inode]
                if self.broken and before:
                    raise OSError(errno.EIO, "Input/output error")
            fdatasync(handle)
            with self._lock:
                for key in before:
                    del self._floating[key]

        monkeypatch.setattr(os, "pwrite", writing)
        monkeypatch.setattr(os, "fdatasync", flushing)

    def after_power_loss(self, directory: Path, copy: Path) -> None:
        """Copies a directory as it would be found."""
        with self._lock:
            copy.mkdir()
            for path in directory.iterdir():
                (copy / path.name).write_bytes(path.read_bytes())
                with (copy / path.name).open("r+b") as stream:
                    for (inode, at), length in self._floating.items():
                        if inode == path.stat().st_ino:
                            stream.seek(at)
                            stream.write(bytes(length))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(jobs.large_blobs, "_TOGETHER", 3)
    return Disk(monkeypatch)


def test_power_that_is_lost_costs_fetching_some_blocks_again(
    container: ContainerClient,
    store: AzureStore,
    file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disk: Disk,
) -> None:
    target, found = tmp_path / "out" / "big", tmp_path / "found"
    target.parent.mkdir()
    tag = etag(container)
    never = threading.Event()

    def recorded(directory: Path) -> int:
        return sum(path.read_text().count("\n") - 1 for path in directory.glob("*.blocks"))

    def get(*arguments: Any, **options: Any) -> Any:
        """The power goes at the last block, when the record has some."""
        if options["options"]["range"][1] == SIZE:
            until = time.monotonic() + 60
            while recorded(target.parent) < 3:
                never.wait(0.01)
                assert time.monotonic() < until
            disk.after_power_loss(target.parent, found)
            raise KeyboardInterrupt
        return obstore.get(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(jobs.large_blobs, "obstore", type("obstore", (), {"get": get}))
        with pytest.raises(KeyboardInterrupt):
            get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    left = len(blocks_of(SIZE)) - recorded(found)
    again = Counting(monkeypatch)
    get_in_ranges(store, "down", found / "big", size=SIZE, etag=tag)
    assert (found / "big").read_bytes() == file.read_bytes()
    assert again.asked == left


def test_a_file_that_is_there_is_on_the_disk(
    container: ContainerClient, store: AzureStore, file: Path, tmp_path: Path, disk: Disk
) -> None:
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    get_in_ranges(store, "down", target, size=SIZE, etag=etag(container))
    disk.after_power_loss(target.parent, tmp_path / "found")
    assert (tmp_path / "found" / "big").read_bytes() == file.read_bytes()
    assert 1 <= disk.flushes <= 2 + len(blocks_of(SIZE)) // 3


def test_what_a_disk_failed_to_take_is_not_gone_on_with(
    container: ContainerClient, store: AzureStore, file: Path, tmp_path: Path, disk: Disk
) -> None:
    """After such a failure the system takes the pages for written (https://lwn.net/Articles/752063)."""
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    tag = etag(container)
    disk.broken = True
    with pytest.raises(OSError, match="Input/output error"):
        get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    assert list(target.parent.iterdir()) == []
    disk.broken = False
    get_in_ranges(store, "down", target, size=SIZE, etag=tag)
    assert target.read_bytes() == file.read_bytes()


def test_a_range_that_comes_short_is_the_services_fault(
    store: AzureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield b"short"

    def get(*_arguments: Any, **_options: Any) -> Short:
        return Short()

    monkeypatch.setattr(jobs.large_blobs, "obstore", type("obstore", (), {"get": get}))
    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    with pytest.raises(UnavailableError, match=r"down came with .* collect again"):
        get_in_ranges(store, "down", target, size=SIZE, etag="1")
    assert list(target.parent.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(
    container: ContainerClient, store: AzureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: int) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "out" / "big"
    target.parent.mkdir()
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        get_in_ranges(store, "down", target, size=SIZE, etag=etag(container))
    assert list(target.parent.iterdir()) == []


def test_staging_and_collecting_take_the_large_way_from_a_size_on(
    session: Session, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.blobs.LARGE_BYTES", SIZE)
    found = session.container("inputs")
    found.put("large", file, nothing)
    (listed,) = [blob for blob in found.list("") if blob.name == "large"]
    ranges = Counting(monkeypatch)
    assert found.get("large", tmp_path / "back", listed) == SIZE
    assert ranges.asked == len(blocks_of(SIZE))
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    with Clients(session.stack).container_client("inputs") as client:
        committed, _ = client.get_blob_client("large").get_block_list("committed")
    assert len(committed) == len(blocks_of(SIZE))


def test_what_storage_refuses_is_told_as_of_small_files(
    session: Session, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.blobs.LARGE_BYTES", SIZE)
    with pytest.raises(NotFoundError, match="nowhere"):
        session.container("nowhere").put("large", file, nothing)
    monkeypatch.setenv("AZURE_STORAGE_KEY", "d3Jvbmc=")
    with pytest.raises(CredentialError, match="storage refuses the credential"):
        session.container("inputs").put("large", file, nothing)
    with pytest.raises(UnavailableError), blob_errors_translated("uploading"):
        raise HttpResponseError("busy")
