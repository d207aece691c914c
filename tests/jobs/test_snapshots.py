from __future__ import annotations

import gc
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import snapshots
from jobs.snapshots import IN_MEMORY, Snapshot


@given(st.lists(st.binary(max_size=40)), st.integers(1, 50))
def test_every_reader_reads_what_was_given(chunks: list[bytes], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "IN_MEMORY", limit)
        kept = Snapshot(iter(chunks))
    whole = b"".join(chunks)
    assert kept.size == len(whole)
    with kept.open() as one, kept.open() as other:
        half = one.read(len(whole) // 2)
        assert other.read() == whole
        assert half + one.read() == whole


def blocks(number: int) -> Iterator[bytes]:
    return (bytes([at % 251]) * (1 << 16) for at in range(number))


def handles(directory: Path) -> int:
    """Open files of this process that are, or were, in a directory."""
    found = 0
    for handle in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # another thread's, closed meanwhile
            found += str(handle.readlink()).startswith(str(directory))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts this process's files")
def test_a_large_one_is_in_a_file_without_a_name_that_goes_with_its_last_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept: Snapshot | None = Snapshot(blocks(IN_MEMORY // (1 << 16) + 5))
    assert kept is not None
    assert handles(tmp_path) == 1
    assert not list(tmp_path.iterdir())
    stream = kept.open()
    kept = None
    gc.collect()
    assert stream.read() == b"".join(blocks(IN_MEMORY // (1 << 16) + 5))
    del stream
    gc.collect()
    assert handles(tmp_path) == 0


def test_a_small_one_needs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    assert io.TextIOWrapper(Snapshot([b"a\n", b"b"]).open()).read() == "a\nb"


@pytest.mark.parametrize("call", ["mkstemp", "write"])
def test_no_room_is_told_with_the_variable_that_names_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: str
) -> None:
    def full(*_arguments: object, **_options: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(*{"mkstemp": (tempfile, "mkstemp"), "write": (os, "write")}[call], full)
    with pytest.raises(ValueError, match=r"no room for a copy.*\(TMPDIR\): No space left"):
        Snapshot(blocks(20))
