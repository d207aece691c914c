"""A digest of what each task was given, kept where its results are: which are others by now?

`plan.json` tells whether what gives the tasks of a stage their values has changed, and not for
which of them. `rows.bin` does: a line with a version and the plan that it belongs to, then eight
bytes a task, in the order of stages and positions. It holds no values. What runs again is noted
in its place, so that it is always what the latest attempt of each task was given.

Nothing here is kept in memory by task: a million of them are read and written as they go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from hashlib import blake2b
from itertools import chain, islice, repeat
from pathlib import Path

from jobs.checking import Checked, CheckedStage
from jobs.errors import InputError, shown
from jobs.factories import Rows
from jobs.results import Manifest, ResultTree
from jobs.stages import FIRST_STAGE, STAGE_SPAN
from jobs.whole_files import replacing_bytes

_FILE = "rows.bin"
_BYTES = 8
_AT_ONCE = 4096


def rows_file(tree: ResultTree) -> Path:
    """Where the digests of a tree are."""
    return tree.root / _FILE


def keep_rows(tree: ResultTree, checked: Checked, numbers: Collection[int] | None = None) -> None:
    """Notes what tasks are given; of a tree whose manifest is written.

    Args:
        tree: The result tree.
        checked: Its workload.
        numbers: Of the tasks that run again; the others stay as they were noted. None: all.

    Raises:
        InputError: It cannot be written.
    """
    manifest = tree.read_manifest()
    stages = {stage.view.number: stage for stage in checked.stages}
    digests: Iterator[bytes]
    if numbers is None:
        digests = chain.from_iterable(map(_digests, (stage.rows for stage in checked.stages)))
    else:
        noted = _noted(tree, manifest)
        if noted is None:
            return
        digests = _replaced(noted, manifest, stages, numbers)
    try:
        with replacing_bytes(rows_file(tree)) as stream:
            stream.write(_head(manifest))
            while batch := b"".join(islice(digests, _AT_ONCE)):
                stream.write(batch)
    except (OSError, ValueError) as error:  # a generator may give others than before, too
        raise InputError(f"{shown(rows_file(tree))} cannot be written: {error}") from error


def differing_rows(
    tree: ResultTree, manifest: Manifest, stage: CheckedStage
) -> Iterator[int] | None:
    """Positions in a stage of tasks that are given something else now.

    Returns:
        None where that cannot be said: it was not noted, or there are more or fewer by now.
    """
    noted = _noted(tree, manifest)
    before = 0
    for number, count in _counts(manifest).items():
        if number == stage.view.number:
            if noted is None or count != stage.rows.count:
                return None
            mine = islice(noted, before, before + count)
            now = _digests(stage.rows)
            pairs = enumerate(zip(mine, now, strict=False))
            return (position for position, (was, is_now) in pairs if was != is_now)
        before += count
    return None


def _replaced(
    noted: Iterator[bytes],
    manifest: Manifest,
    stages: Mapping[int, CheckedStage],
    numbers: Collection[int],
) -> Iterator[bytes]:
    for number, count in _counts(manifest).items():
        now = _digests(stages[number].rows) if number in stages else iter(())
        first = number * STAGE_SPAN
        for task, was, is_now in zip(
            range(first, first + count), noted, chain(now, repeat(b"")), strict=False
        ):
            yield is_now if is_now and task in numbers else was


def _digests(rows: Rows) -> Iterator[bytes]:
    named = blake2b(repr(rows.names).encode(), digest_size=_BYTES)
    for row in rows.each():
        one = named.copy()
        one.update(repr(row).encode())
        yield one.digest()


def _counts(manifest: Manifest) -> dict[int, int]:
    """Tasks by number of the stage, in order."""
    if not manifest.stages:
        return {0: manifest.tasks}
    return {FIRST_STAGE + at: count for at, count in enumerate(manifest.stages.values())}


def _head(manifest: Manifest) -> bytes:
    return f"rows 1 {manifest.plan}\n".encode()


def _noted(tree: ResultTree, manifest: Manifest) -> Iterator[bytes] | None:
    """The digests, as long as they are taken; None if there are none of this plan, whole."""
    head = _head(manifest)
    path = rows_file(tree)
    try:
        with path.open("rb") as stream:
            if stream.read(len(head)) != head:
                return None
        if path.stat().st_size != len(head) + _BYTES * manifest.tasks:
            return None
    except OSError:
        return None
    return _read(path, len(head))


def _read(path: Path, start: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(start)
        while batch := stream.read(_BYTES * _AT_ONCE):
            yield from (batch[at : at + _BYTES] for at in range(0, len(batch), _BYTES))
