"""Large files against the real Azurite, and interrupted on purpose."""

from __future__ import annotations

import fcntl
import hashlib
import os
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
