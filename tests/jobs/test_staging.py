from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobClient

from jobs.at_once import LARGE_AT_ONCE, SIZES, SMALL_BYTES
from jobs.blobs import PART_BYTES, Blob, ObstoreContainer
from jobs.collect import collect, local_path
from jobs.contents import ContentCache
from jobs.errors import CredentialError, InputError, NotFoundError, UnavailableError
from jobs.inputs import NodeFile
from jobs.large_blobs import LARGE_BYTES
from jobs.results import ResultTree, write_json
from jobs.session import Session
from jobs.stage import Staged, stage


def files_in(directory: Path, **contents: bytes) -> list[NodeFile]:
    directory.mkdir(exist_ok=True)
    found = []
    for name, data in contents.items():
        (directory / name).write_bytes(data)
        found.append(NodeFile(local=directory / name, node_path=name, executable=False))
    return found


def staged(files: list[NodeFile], container: Any, database: Path | None = None) -> Staged:
    with ContentCache(database) as cache:
        return stage(files, cache.look(file.local for file in files), container)


def test_a_second_staging_sends_nothing(tmp_path: Path, session: Session) -> None:
    container = session.container("inputs")
    files = files_in(tmp_path / "in", a=b"1", b=b"22", c=b"", same=b"1")
    first = staged(files, container)
    assert (first.files, first.sent, first.bytes_sent) == (3, 3, 3)
    again = staged(files, container)
    assert (again.files, again.sent, again.bytes_sent) == (3, 0, 0)
    digest = hashlib.sha256(b"22").hexdigest()
    assert f"sha256/{digest}" in {blob.name for blob in container.list("sha256/")}


def test_a_changed_file_is_sent_beside_the_old_one(tmp_path: Path, session: Session) -> None:
    container = session.container("inputs")
    staged(files_in(tmp_path / "in", a=b"old"), container)
    assert staged(files_in(tmp_path / "in", a=b"new!"), container).sent == 1
    assert len(list(container.list("sha256/"))) == 2


def test_a_blob_of_the_wrong_length_is_sent_again(
    tmp_path: Path, session: Session, blobs: Any
) -> None:
    files = files_in(tmp_path / "in", a=b"whole")
    name = f"sha256/{hashlib.sha256(b'whole').hexdigest()}"
    with blobs.service() as service:
        service.get_blob_client("inputs", name).upload_blob(b"who")
    assert staged(files, session.container("inputs")).sent == 1


def test_a_large_file_arrives_whole(tmp_path: Path, session: Session, blobs: Any) -> None:
    data = bytes(range(256)) * 100_000
    files = files_in(tmp_path / "in", big=data)
    staged(files, session.container("inputs"))
    with blobs.service() as service:
        name = f"sha256/{hashlib.sha256(data).hexdigest()}"
        assert service.get_blob_client("inputs", name).download_blob().readall() == data


class Nothing:
    """A container to which nothing is sent."""

    def list(self, prefix: str) -> list[Blob]:
        assert prefix == "sha256/"
        return []


def test_a_program_that_is_taken_away_before_it_is_read_is_told(tmp_path: Path) -> None:
    (file,) = files_in(tmp_path, program=b"1")
    with pytest.raises(InputError, match="program changed while it was being staged"):
        stage([file], {}, Nothing())  # type: ignore[arg-type]  # no more is asked for


@pytest.mark.parametrize("size", [SMALL_BYTES + 1, PART_BYTES + 1])
def test_a_file_that_changes_while_it_is_sent_is_no_blob(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    (file,) = files_in(tmp_path / "in", a=b"1" * size)
    container = session.container("inputs")
    with ContentCache(None) as cache:
        contents = cache.look([file.local])
    if size >= PART_BYTES:
        stage_block = BlobClient.stage_block

        def changing(client: BlobClient, *arguments: Any, **options: Any) -> Any:
            answer = stage_block(client, *arguments, **options)
            file.local.write_bytes(b"2" * size)
            return answer

        monkeypatch.setattr(BlobClient, "stage_block", changing)
    else:
        file.local.write_bytes(b"2" * size)
    with pytest.raises(InputError, match="changed while it was being staged"):
        stage([file], contents, container)
    assert not list(container.list("sha256/"))


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (b"22", "changed while it was being staged"),
        (b"333", "changed while it was being staged"),
        (b"1", "changed while it was being staged"),
        (b"", "changed while it was being staged"),
        (None, "cannot be read any more: No such file"),
    ],
)
def test_of_a_small_file_only_what_it_was_is_sent(
    tmp_path: Path, now: bytes | None, told: str
) -> None:
    (file,) = files_in(tmp_path / "in", a=b"11")
    with ContentCache(None) as cache:
        contents = cache.look([file.local])
    file.local.unlink()
    if now is not None:
        file.local.write_bytes(now)
    with pytest.raises(InputError, match=told):
        stage([file], contents, Nothing())  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [SMALL_BYTES, SMALL_BYTES + 1])
def test_small_files_and_others_arrive_whole_and_come_back(
    tmp_path: Path, session: Session, blobs: Any, size: int
) -> None:
    data = (bytes(range(256)) * (SMALL_BYTES // 256 + 1))[:size]
    staged(files_in(tmp_path / "in", a=data), session.container("inputs"))
    (blob,) = session.container("inputs").list("sha256/")
    assert blob.size == size
    put_all(blobs, "outputs", **{"job/t1/file": data})
    tree = ResultTree(tmp_path / "job")
    assert collected(session, tree).fetched == 1
    assert (tree.outputs / "t1" / "file").read_bytes() == data


@pytest.mark.parametrize("size", [3, SMALL_BYTES + 1])
def test_a_blob_of_another_length_than_listed_is_no_file(
    tmp_path: Path, session: Session, blobs: Any, size: int
) -> None:
    class Earlier(ObstoreContainer):
        """Lists blobs as they were when a byte less was in them."""

        def list(self, prefix: str) -> Iterator[Blob]:
            for blob in super().list(prefix):
                yield replace(blob, size=blob.size - 1)

    put_all(blobs, "outputs", **{"job/t1/file": b"1" * size})
    session.container("outputs").__class__ = Earlier
    tree = ResultTree(tmp_path / "job")
    with pytest.raises(UnavailableError, match="still being written; collect again"):
        collected(session, tree)
    assert not [path for path in tree.outputs.rglob("*") if path.is_file()]


def test_a_wrong_key_is_told_as_one(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", "d3Jvbmc=")
    with pytest.raises(CredentialError, match="storage refuses the credential"):
        staged(files_in(tmp_path / "in", a=b"1"), session.container("inputs"))
    container = session.container("inputs")
    for act in (
        lambda: container.put("sha256/x", tmp_path / "in" / "a", lambda: None),
        lambda: container.get("sha256/x", tmp_path / "in" / "a"),
        lambda: container.write("sha256/x", b"1"),
        lambda: container.read(Blob(name="sha256/x", size=1, etag="")),
    ):
        with pytest.raises(CredentialError):
            act()


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert staged(files_in(tmp_path / "in", a=b"1"), session.container("inputs")).sent == 1
    session.service.get("/pools/pool-cpu", "asking")


def test_a_missing_container_is_told_by_its_name(tmp_path: Path, session: Session) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        staged(files_in(tmp_path / "in", a=b"1"), session.container("nowhere"))


def test_a_missing_blob_is_told_and_removing_it_is_no_error(
    tmp_path: Path, session: Session
) -> None:
    container = session.container("inputs")
    container.delete("sha256/gone")
    with pytest.raises(NotFoundError, match="gone"):
        container.get("sha256/gone", tmp_path / "x")


def put_all(blobs: Any, container: str, **contents: bytes) -> None:
    with blobs.service() as service:
        for name, data in contents.items():
            service.get_blob_client(container, name).upload_blob(data, overwrite=True)


def collected(session: Session, tree: ResultTree) -> Any:
    return collect(
        "job",
        tree,
        outputs=session.container("outputs"),
        logs=session.container("logs"),
    )


def test_what_is_new_is_fetched_and_nothing_twice(
    tmp_path: Path, session: Session, blobs: Any
) -> None:
    tree = ResultTree(tmp_path / "job")
    put_all(
        blobs, "outputs", **{"job/t1/a b ü.txt": b"1", "job/t2/x/y.csv": b"22", "jobs/no": b""}
    )
    put_all(blobs, "logs", **{"job/t1/stdout.txt": b""})
    first = collected(session, tree)
    assert (first.files, first.fetched, first.bytes_fetched) == (3, 3, 3)
    assert (tree.outputs / "t1" / "a b ü.txt").read_bytes() == b"1"
    assert (tree.logs / "t1" / "stdout.txt").read_bytes() == b""
    assert not list(tmp_path.rglob("no"))
    put_all(blobs, "outputs", **{"job/t1/a b ü.txt": b"9"})
    (tree.outputs / "t2" / "x" / "y.csv").unlink()
    again = collected(session, tree)
    assert (again.files, again.fetched) == (3, 2)
    assert (tree.outputs / "t1" / "a b ü.txt").read_bytes() == b"9"
    assert collected(session, tree).fetched == 0


def test_names_that_leave_the_tree_are_reported_and_not_written(
    tmp_path: Path, session: Session, blobs: Any
) -> None:
    tree = ResultTree(tmp_path / "results" / "job")
    put_all(
        blobs,
        "outputs",
        **{"job/t1/fine": b"1", "job/t1/back\\slash": b"2", "job/t1/new\nline": b"3",
           f"job/t1/{'l' * 300}": b"4", "job/t1/-rf 'quote\" $x": b"5"},
    )  # fmt: skip
    done = collected(session, tree)
    assert len(done.refused) == 2
    names = {path.name for path in tree.outputs.rglob("*") if path.is_file()}
    assert names == {"fine", "-rf 'quote\" $x", "slash"}  # storage itself makes it back/slash


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/etc/passwd", "a//b", "a/./b", "", "a\\..\\b", "a\0b", "é" * 200],
)
def test_no_name_escapes_the_directory(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        local_path(name, tmp_path)


def test_a_link_may_lead_elsewhere_in_the_tree(tmp_path: Path) -> None:
    (tmp_path / "out" / "t1").mkdir(parents=True)
    (tmp_path / "out" / "t2").symlink_to("t1")
    (tmp_path / "out" / "t1" / "away").symlink_to("/")
    inside: set[str] = set()
    assert local_path("t2/x", tmp_path / "out", inside) == tmp_path / "out" / "t2" / "x"
    for name in ("t1/away/x", "t2/away/tmp/x"):
        with pytest.raises(ValueError, match="outside"):
            local_path(name, tmp_path / "out", inside)
    assert inside == {"t1", "t2"}


def test_no_link_in_the_tree_is_followed_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "t1").symlink_to("/")
    with pytest.raises(ValueError, match="outside"):
        local_path("t1/tmp/x", tmp_path / "out")


@pytest.mark.parametrize("size", [8, 8 << 20])
def test_an_aborted_download_leaves_no_half_file(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    import obstore

    class Broken:
        meta = {"size": size}  # noqa: RUF012 - as obstore has it

        def bytes(self) -> Any:
            raise obstore.exceptions.GenericError("connection reset")

        def stream(self, **_: object) -> Any:
            yield b"half"
            raise obstore.exceptions.GenericError("connection reset")

    monkeypatch.setattr(obstore, "get", lambda *_: Broken())
    container: ObstoreContainer = session.container("outputs")
    with pytest.raises(Exception, match="connection reset"):
        container.get("x", tmp_path / "file")
    assert not list(tmp_path.glob("*file*"))
    assert not list(tmp_path.glob(".part*"))


class Counted:
    """A container that counts how many files are fetched at the same time."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.active = self.most = 0
        self._lock = threading.Lock()
        self._several = threading.Barrier(LARGE_AT_ONCE)

    def list(self, prefix: str) -> Iterator[Blob]:
        for number in range(self.count):
            yield Blob(name=f"{prefix}t/{number}", size=LARGE_BYTES, etag="1")

    def get(self, name: str, _path: Path, listed: Blob | None = None) -> int:
        assert listed is not None, name
        with self._lock:
            self.active += 1
            self.most = max(self.most, self.active)
        self._several.wait(60)
        with self._lock:
            self.active -= 1
        return listed.size


def test_few_large_files_are_fetched_at_a_time_because_each_goes_in_many_threads(
    tmp_path: Path,
) -> None:
    outputs, logs = Counted(5 * LARGE_AT_ONCE), Counted(0)
    done = collect("job", ResultTree(tmp_path / "job"), outputs=outputs, logs=logs)  # type: ignore[arg-type]  # no more is asked for
    assert done.fetched == 5 * LARGE_AT_ONCE
    assert outputs.most == LARGE_AT_ONCE


def test_what_is_a_file_of_one_attempt_and_a_directory_of_another_loses_nothing_else(
    tmp_path: Path, session: Session, blobs: Any
) -> None:
    tree = ResultTree(tmp_path / "job")
    large = b"1" * (SMALL_BYTES + 1)
    for data in (b"1", large):
        put_all(
            blobs, "outputs",
            **{"job/t1/out": data, "job/t1/out/x.txt": data, "job/t2/fine": data},
        )  # fmt: skip
        put_all(blobs, "logs", **{"job/t1/stderr.txt": data})
        done = collected(session, tree)
        assert (done.files, done.fetched, len(done.refused)) == (4, 3, 1)
        assert re.search(r"outputs/'t1/out.*': (Not a|Is a|File exists)", done.refused[0])
        assert (tree.outputs / "t2" / "fine").read_bytes() == data
        assert (tree.logs / "t1" / "stderr.txt").read_bytes() == data
        shutil.rmtree(tree.root)


def test_what_came_is_noted_before_the_end(
    tmp_path: Path, session: Session, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.collect._KEEP_EVERY_S", 0)
    tree = ResultTree(tmp_path / "job")
    put_all(blobs, "outputs", **{"job/t1/a": b"1"})
    noted: list[int] = []
    write = write_json

    def writing(path: Path, value: Any) -> None:
        noted.append(len(value))
        write(path, value)

    monkeypatch.setattr("jobs.collect.write_json", writing)
    collected(session, tree)
    assert noted == [1, 1]


def test_files_of_the_middle_size_take_little_memory_together() -> None:
    assert all(most * at_once <= 64 << 20 for most, at_once in SIZES[:-1])
    assert SIZES[-1][1] * PART_BYTES <= 64 << 20
