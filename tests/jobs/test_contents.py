from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from jobs.contents import ContentCache, unchanged
from jobs.errors import InputError


def old_file(path: Path, data: bytes) -> Path:
    """A file that was last touched a minute ago, as far as its times can say so."""
    path.write_bytes(data)
    return path


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.contents._SETTLED_NS", 0)
    path = old_file(tmp_path / "f", b"one")
    database = tmp_path / "cache" / "c.sqlite"
    for expected_reads in (1, 0):
        with ContentCache(database) as cache:
            assert cache.look([path])[path].sha256 == hashlib.sha256(b"one").hexdigest()
            assert cache.files_read == expected_reads
    old_file(path, b"two")
    with ContentCache(database) as cache:
        assert cache.look([path])[path].sha256 == hashlib.sha256(b"two").hexdigest()
        assert cache.files_read == 1


def test_a_file_of_this_moment_is_not_remembered(tmp_path: Path) -> None:
    path = old_file(tmp_path / "f", b"one")
    for _ in range(2):
        with ContentCache(tmp_path / "c.sqlite") as cache:
            cache.look([path])
            assert cache.files_read == 1


def test_a_damaged_database_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    database = tmp_path / "c.sqlite"
    database.write_bytes(b"no database" * 100)
    path = old_file(tmp_path / "f", b"1")
    with ContentCache(database) as cache:
        assert cache.look([path])[path].size == 1
    assert "is damaged" in caplog.text
    with ContentCache(database) as cache:
        cache.look([path])


def test_all_unreadable_files_are_named(tmp_path: Path) -> None:
    with ContentCache(None) as cache, pytest.raises(InputError) as caught:
        cache.look([tmp_path / "a", tmp_path / "b"])
    assert "a cannot be read: No such file" in str(caught.value)
    assert "b cannot be read: No such file" in str(caught.value)


def test_a_change_of_contents_with_the_same_size_and_mtime_is_seen(tmp_path: Path) -> None:
    path = old_file(tmp_path / "f", b"one")
    with ContentCache(None) as cache:
        contents = cache.look([path])[path]
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    assert unchanged(path, contents)
    os.rename(old_file(tmp_path / "g", b"two"), path)  # noqa: PTH104 - what an editor does
    os.utime(path, ns=times)
    assert not unchanged(path, contents)
