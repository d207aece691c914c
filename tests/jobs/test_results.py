from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.errors import InputError
from jobs.results import (
    Attempt,
    Manifest,
    ResultTree,
    find_tree,
    find_trees,
    require_writable,
    tree_of,
)


def manifest(job_id: str) -> Manifest:
    return Manifest(
        job_id=job_id, workload="/w/job.yaml", stack="local", outputs=None, plan="p", tasks=1,
        created="2026-01-01T00:00:00+00:00", overrides=("a=1",),
    )  # fmt: skip


def test_a_job_is_found_by_its_id_its_beginning_and_as_the_last(tmp_path: Path) -> None:
    for number, job_id in enumerate(("mc-1", "mc-2", "other")):
        tree = tree_of(job_id, tmp_path)
        tree.write_manifest(manifest(job_id))
        os.utime(tree.manifest_file, (number, number))
    assert find_tree("mc-1", tmp_path).read_manifest() == manifest("mc-1")
    assert find_tree("oth", tmp_path).root.name == "other"
    assert find_tree("last", tmp_path).root.name == "other"
    with pytest.raises(InputError, match="begins the ids of several jobs: mc-1, mc-2"):
        find_tree("mc", tmp_path)


def test_attempts_are_kept_and_their_ids_find_the_tree(tmp_path: Path) -> None:
    tree = tree_of("mc-1", tmp_path)
    again = Attempt(job_id="mc-1-r2", tasks="0-3,7", created="2026-01-02T00:00:00+00:00")
    written = replace(manifest("mc-1"), attempts=(again,))
    tree.write_manifest(written)
    assert tree.read_manifest() == written
    assert (written.current, written.job_ids) == ("mc-1-r2", ("mc-1", "mc-1-r2"))
    assert find_tree("mc-1-r2", tmp_path).root == tree.root


@pytest.mark.parametrize("job_id", ["", "..", "a/b", "a b", "x" * 65, "a\n"])
def test_what_is_no_job_id_is_no_directory(tmp_path: Path, job_id: str) -> None:
    with pytest.raises(InputError, match="is no job id"):
        tree_of(job_id, tmp_path)


def test_a_missing_or_damaged_manifest_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no job was submitted from here"):
        find_tree("last", tmp_path)
    tree = tree_of("job", tmp_path)
    with pytest.raises(InputError, match=r"job\.json cannot be read"):
        tree.read_manifest()
    tree.root.mkdir()
    for text in ("", "[]", "{}", json.dumps({"surprise": 1})):
        tree.manifest_file.write_text(text)
        with pytest.raises(InputError, match="is damaged"):
            tree.read_manifest()


def test_a_job_that_was_not_submitted_from_here_is_told_with_what_was(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"was not submitted from here: .* nor any other job"):
        find_tree("nosuch", tmp_path)
    tree_of("mc-1", tmp_path).write_manifest(manifest("mc-1"))
    with pytest.raises(InputError, match=r"the latest one there is mc-1. .*--out DIR"):
        find_tree("nosuch", tmp_path)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_place_where_results_cannot_be_written_is_told(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    root = tmp_path / place
    with pytest.raises(InputError, match="--out DIR"):  # noqa: PT012 - the first that finds out
        require_writable(root)
        tree_of("mc-1", root).write_manifest(manifest("mc-1"))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_tree_that_goes_while_trees_are_listed_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `clean --local` of another job beside it."""
    for job_id in ("one", "two", "three"):
        ResultTree(tmp_path / job_id).write_manifest(manifest(job_id))
    found = Path.glob

    def going(path: Path, pattern: str) -> Iterator[Path]:
        for one in found(path, pattern):
            if one.parent.name == "two":
                one.unlink()
            yield one

    monkeypatch.setattr(Path, "glob", going)
    trees = find_trees("all", tmp_path)
    assert {tree.root.name for tree in trees} == {"one", "three"}


def test_asking_whether_results_can_be_written_makes_nothing(tmp_path: Path) -> None:
    require_writable(tmp_path / "not" / "yet")
    assert list(tmp_path.iterdir()) == []


def test_several_jobs_are_meant_by_ids_numbers_or_all(tmp_path: Path) -> None:
    for number, name in enumerate(("mc-1", "mc-2", "other", "12")):
        tree = ResultTree(tmp_path / name)
        tree.write_manifest(
            Manifest(job_id=name, workload="w", stack="s", outputs=None, plan="p", tasks=1,
                     created="x")
        )  # fmt: skip
        os.utime(tree.manifest_file, (number, number))

    def names(text: str) -> list[str]:
        return [tree.root.name for tree in find_trees(text, tmp_path)]

    assert names("all") == ["mc-1", "mc-2", "other", "12"]
    assert names("last") == ["12"]
    assert names("2") == ["other"]
    assert names("1-3") == ["12", "other", "mc-2"]
    assert names("2-9:2,ot,mc-1") == ["other", "mc-1"]
    assert names("12") == ["12"], "an id goes before a number"
    assert find_tree("3", tmp_path).root.name == "mc-2"
    for text in ("7", "0", "mc", "x", "5-6", "1-2:0"):
        with pytest.raises(InputError):
            find_trees(text, tmp_path)
    with pytest.raises(InputError, match="takes one"):
        find_tree("1-2", tmp_path)
