"""File systems that take two names for one file; none of them can be had on every machine."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.collect import collect, incomplete
from jobs.folded_names import folding
from jobs.results import ResultTree
from jobs.session import Session

COMPOSED, DECOMPOSED = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"


def exact(name: str) -> str:
    return name


def composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def composed_lower(name: str) -> str:
    return composed(name).lower()


def on(monkeypatch: pytest.MonkeyPatch, kind: Callable[[str], str]) -> None:
    """A file system that takes names for one which this makes equal."""

    def exists(path: Path) -> bool:
        return any(kind(other.name) == kind(path.name) for other in path.parent.iterdir())

    monkeypatch.setattr(Path, "exists", exists)


@pytest.mark.parametrize("kind", [exact, str.lower, composed, composed_lower])
def test_what_a_file_system_takes_for_one_name_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Callable[[str], str]
) -> None:
    with monkeypatch.context() as patched:
        on(patched, kind)
        fold = folding(tmp_path / "new") or exact
    for one, other in (("a/B", "a/b"), (COMPOSED, DECOMPOSED), (COMPOSED, DECOMPOSED.upper())):
        assert (fold(one) == fold(other)) == (kind(one) == kind(other))
    assert fold("a") != fold("b")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_file_system_that_tells_all_names_apart_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    if (tmp_path / "A").exists():
        pytest.skip("this one does not")
    assert folding(tmp_path) is None


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResultTree:
    monkeypatch.setattr("jobs.collect.folding", lambda _: composed_lower)
    return ResultTree(tmp_path / "job")


def put(blobs: Any, **contents: bytes) -> None:
    with blobs.service() as service:
        for name, data in contents.items():
            service.get_blob_client("outputs", f"job/t1/{name}").upload_blob(data, overwrite=True)


def collected(session: Session, tree: ResultTree) -> Any:
    outputs, logs = (session.container(name) for name in ("outputs", "logs"))
    return collect("job", tree, outputs=outputs, logs=logs)


def test_of_two_names_that_are_one_file_the_second_is_refused(
    session: Session, blobs: Any, tree: ResultTree
) -> None:
    put(blobs, **{"out/A.txt": b"1", "out/a.txt": b"2", "Out/b.txt": b"3", "log": b"4"})
    for fetched in (3, 0):
        done = collected(session, tree)
        assert (done.files, done.fetched) == (4, fetched)
        assert done.refused == (
            "outputs/'t1/out/a.txt': it would be the same file here as 't1/out/A.txt'",
        )
    assert (tree.outputs / "t1" / "out" / "A.txt").read_bytes() == b"1"
    assert (tree.outputs / "t1" / "Out" / "b.txt").read_bytes() == b"3"
    assert "1 file that tasks left cannot be written" in str(incomplete(done))


def test_the_name_that_is_here_already_stays(
    session: Session, blobs: Any, tree: ResultTree
) -> None:
    put(blobs, **{"a.txt": b"1"})
    assert collected(session, tree).fetched == 1
    put(blobs, **{"A.txt": b"2", "a.txt": b"3"})
    done = collected(session, tree)
    assert done.refused == ("outputs/'t1/A.txt': it would be the same file here as 't1/a.txt'",)
    assert (tree.outputs / "t1" / "a.txt").read_bytes() == b"3"
    assert not (tree.outputs / "t1" / "A.txt").exists()
