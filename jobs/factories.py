"""Task factories: from what the workload file says to a row of values for each task.

Rows are generated, never collected: a million tasks cost no more memory than one. The
number of rows is known beforehand without making them, except for a file or a generator
of rows, which is walked once to be checked and counted. Every walk gives the same rows: a
file is read once, and what follows reads a copy of that (`jobs.snapshots`).
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO

from jobs.draws import Drawn
from jobs.errors import Finding, WorkloadError
from jobs.generators import generated
from jobs.inputs import RemoteBlob, glob_files, node_file
from jobs.loading import LoadedWorkload
from jobs.snapshots import Snapshot
from jobs.spec import RESERVED_NAMES
from jobs.spec_factories import Axis, Factory
from jobs.spec_values import MAX_TASKS, passed_on, relative
from jobs.stages import StageView
from jobs.templates import Scalar

Row = tuple[Scalar, ...]
ListBlobs = Callable[[str, str], Iterable[tuple[str, str]]]
"""Container and prefix → names and etags of the blobs there."""
_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Values for tasks.

    Attributes:
        names: The parameters, in the order of a row's values.
        count: How many rows there are.
        each: Makes the rows anew each time it is called, and each time the same.
        file_paths: Of a `files` factory, the files; each is an input of its task.
        blobs: Of a `blobs` factory, each blob by its task's `{file}`.
        facts: Digests of what the file does not say and rows depend on: tables, generators.
    """

    names: tuple[str, ...]
    count: int
    each: Callable[[], Iterator[Row]]
    file_paths: tuple[Path, ...] = ()
    blobs: Mapping[str, RemoteBlob] = field(default_factory=dict)
    facts: tuple[str, ...] = ()


def expand(
    workload: LoadedWorkload, stage: StageView, list_blobs: ListBlobs | None = None
) -> Rows:
    """The rows of all of a stage's factories, every combination of them.

    Args:
        workload: The file.
        stage: Whose tasks.
        list_blobs: Asks storage, for a `blobs` factory; None: nobody is to be asked.

    Raises:
        WorkloadError: A file or column is missing, axes do not fit, names are used
            twice, or there are more tasks than any job should have.
    """
    findings: list[Finding] = []
    parts: list[Rows] = []
    tasks = stage.place("tasks")
    for number, factory in enumerate(stage.spec.tasks):
        place = (*tasks, number) if (*tasks, number) in workload.document.lines else tasks
        try:
            parts.append(_rows(factory, workload, list_blobs))
        except ValueError as error:
            findings.append(workload.finding(str(error), *place))
    names = [name for part in parts for name in part.names]
    findings.extend(
        workload.finding(f"two factories give {name!r}", *tasks)
        for name in sorted({name for name in names if names.count(name) > 1})
    )
    for name in sorted(set(names) & (RESERVED_NAMES | workload.spec.variables.keys())):
        what = (
            "is a variable of the file" if name in workload.spec.variables else "counts the tasks"
        )
        findings.append(workload.finding(f"no factory can give {name!r}: it {what}", *tasks))
    if findings:
        raise WorkloadError(findings)
    rows = _product(parts)
    if not 0 < rows.count <= MAX_TASKS:
        raise WorkloadError(
            [workload.finding(f"makes {rows.count} tasks; a job has 1 to {MAX_TASKS}", *tasks)]
        )
    return rows


def axis_values(axis: Axis) -> Sequence[Scalar]:
    """The values of an axis: a list, or a lazy sequence."""
    if axis.values is not None:
        return axis.values
    if axis.range is not None:
        return _Steps.of_range(axis.range)
    assert axis.linspace is not None  # noqa: S101 - the model has exactly one
    return _Steps.of_linspace(*axis.linspace)


class _Steps(Sequence[Scalar]):
    """An arithmetic sequence, computed in decimals, so that 0.1 thrice is 0.3."""

    def __init__(self, start: Decimal, step: Decimal, count: int, *, whole: bool) -> None:
        self._start, self._step, self._count, self._whole = start, step, count, whole

    @classmethod
    def of_range(cls, parts: tuple[int | float, ...]) -> _Steps:
        start, stop, *rest = (Decimal(str(part)) for part in parts)
        step = rest[0] if rest else Decimal(1)
        span = ((stop - start) / step).to_integral_value("ROUND_CEILING")
        count = int(min(max(span, Decimal(0)), Decimal(MAX_TASKS + 1)))
        whole = all(isinstance(part, int) for part in parts)
        return cls(start, step, count, whole=whole)

    @classmethod
    def of_linspace(cls, first: float, last: float, count: int) -> _Steps:
        start, stop = Decimal(str(first)), Decimal(str(last))
        step = (stop - start) / (count - 1) if count > 1 else Decimal(0)
        return cls(start, step, count, whole=False)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int | slice) -> Scalar:  # type: ignore[override] # slices are not asked for
        if isinstance(index, slice) or not 0 <= index < self._count:
            raise IndexError(index)
        value = self._start + index * self._step
        return int(value) if self._whole else float(value)


def _rows(factory: Factory, workload: LoadedWorkload, list_blobs: ListBlobs | None) -> Rows:  # noqa: PLR0911 - one for each kind of factory
    directory = workload.directory
    if factory.repeat is not None:
        count = factory.repeat
        return Rows(names=("repeat",), count=count, each=lambda: ((i,) for i in range(count)))
    if factory.sweep is not None:
        axes = {name: axis_values(axis) for name, axis in factory.sweep.items()}
        return _product([_axis(name, values) for name, values in axes.items()])
    if factory.zipped is not None:
        return _zipped({name: axis_values(axis) for name, axis in factory.zipped.items()})
    if factory.rows is not None:
        rows = factory.rows
        names = tuple(rows[0])
        return Rows(
            names=names,
            count=len(rows),
            each=lambda: (tuple(row[name] for name in names) for row in rows),
        )
    if factory.csv is not None:
        return _csv(directory / factory.csv)
    if factory.jsonl is not None:
        return _jsonl(directory / factory.jsonl)
    if factory.random is not None:
        draws = factory.random
        return _zipped(
            {
                name: Drawn(name, distribution, seed=draws.seed, count=draws.count)
                for name, distribution in draws.parameters.items()
            }
        )
    if factory.generator is not None:
        made = generated(factory.generator, directory, workload.spec.variables)
        return Rows(names=made.names, count=made.count, each=made.each, facts=(made.digest,))
    if factory.blobs is not None:
        return _blobs(factory.blobs, list_blobs)
    assert factory.files is not None  # noqa: S101 - the model has exactly one
    return _files(factory.files, directory)


def _axis(name: str, values: Sequence[Scalar]) -> Rows:
    return Rows(names=(name,), count=len(values), each=lambda: ((value,) for value in values))


def _zipped(axes: dict[str, Sequence[Scalar]]) -> Rows:
    lengths = {name: len(values) for name, values in axes.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"zip: all parameters must have equally many values; {told}")
    return Rows(
        names=tuple(axes),
        count=next(iter(lengths.values())),
        each=lambda: zip(*axes.values(), strict=True),
    )


def _product(parts: Sequence[Rows]) -> Rows:
    """Every combination, the last part varying fastest."""
    count = 1
    for part in parts:
        count *= part.count

    def each(at: int = 0) -> Iterator[Row]:
        if at == len(parts) - 1:
            yield from parts[at].each()
            return
        for row in parts[at].each():
            for rest in each(at + 1):
                yield (*row, *rest)

    return Rows(
        names=tuple(name for part in parts for name in part.names),
        count=count,
        each=each,
        file_paths=tuple(path for part in parts for path in part.file_paths),
        blobs={file: blob for part in parts for file, blob in part.blobs.items()},
        facts=tuple(fact for part in parts for fact in part.facts),
    )


def _csv(path: Path) -> Rows:
    """The rows of a CSV file; each value a number where it reads as one."""
    content, digest = _content(path, "csv")

    def text() -> IO[str]:
        return io.TextIOWrapper(content.open(), encoding="utf-8-sig", newline="")

    try:
        with text() as stream:
            reader = csv.reader(stream, strict=True)
            names = tuple(name.strip() for name in next(reader, ()))
            bad = [name for name in names if not name.isidentifier() or names.count(name) > 1]
            if not names or bad:
                told = f"{bad[0]!r} is not a usable name" if bad else "it is empty"
                raise ValueError(f"{path.name}: the first line must name the parameters: {told}")
            count = 0
            for row in reader:
                if row and len(row) != len(names):
                    raise ValueError(
                        f"{path.name}:{reader.line_num}: {len(row)} values for {len(names)} names"
                    )
                _check_text(row, f"csv: {path.name}:{reader.line_num}:")
                count += bool(row)
    except csv.Error as error:
        raise ValueError(f"csv: {path.name}:{reader.line_num}: {error}") from error
    if count == 0:
        raise ValueError(f"csv: {path.name} has no rows below its header")

    def each() -> Iterator[Row]:
        with text() as stream:
            for row in islice(csv.reader(stream, strict=True), 1, None):
                if row:
                    yield tuple(_number(text) for text in row)

    return Rows(names=names, count=count, each=each, facts=(digest,))


def _jsonl(path: Path) -> Rows:
    """The lines of a file, each a JSON object; empty lines are left out."""
    content, digest = _content(path, "jsonl")
    names: tuple[str, ...] = ()
    count = 0
    for number, row in _objects(content, path.name):
        names = names or tuple(row)
        if row.keys() != set(names):
            raise ValueError(
                f"jsonl: {path.name}:{number}: has {', '.join(row) or 'nothing'}, and the "
                f"first line {', '.join(names)}"
            )
        count += 1
    if count == 0:
        raise ValueError(f"jsonl: {path.name} has no lines")
    return Rows(
        names=names,
        count=count,
        each=lambda: (
            tuple(row[name] for name in names) for _, row in _objects(content, path.name)
        ),
        facts=(digest,),
    )


def _objects(content: Snapshot, file: str) -> Iterator[tuple[int, dict[str, Scalar]]]:
    """Line numbers and what the lines say."""
    with content.open() as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"jsonl: {file}:{number}: is no JSON: {error}") from error
            if not isinstance(row, dict) or not row:
                raise ValueError(f"jsonl: {file}:{number}: is no object of names and values")
            for name, value in row.items():
                if not (name.isascii() and name.isidentifier()):
                    raise ValueError(f"jsonl: {file}:{number}: {name!r} is no usable name")
                if not isinstance(value, bool | int | float | str):
                    raise ValueError(  # noqa: TRY004 - it is the file that is wrong
                        f"jsonl: {file}:{number}: {name} should be text, a number, true or false"
                    )
            _check_text(row.values(), f"jsonl: {file}:{number}:")
            yield number, row


def _check_text(values: Iterable[Scalar], where: str) -> None:
    for value in values:
        if isinstance(value, str):
            try:
                passed_on(value)
            except ValueError as error:
                raise ValueError(f"{where} a value {error}") from error


def _content(path: Path, kind: str) -> tuple[Snapshot, str]:
    """What is in a file, and the digest of just that."""
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                yield block

    try:
        return Snapshot(blocks()), digest.hexdigest()
    except OSError as error:
        raise ValueError(f"{kind}: {path.name} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{kind}: {path.name}: {error}") from error


def _number(text: str) -> Scalar:
    """A number only where writing it again gives the same text: `007` stays text."""
    for kind in (int, float):
        try:
            value = kind(text)
        except ValueError:
            continue
        if str(value) == text:
            return value
    return text


def _files(pattern: str, directory: Path) -> Rows:
    paths = tuple(glob_files(pattern, directory))
    if not paths:
        raise ValueError(f"files: nothing matches {pattern!r}")
    names = tuple(node_file(path, directory, None).node_path for path in paths)
    return Rows(
        names=_FILE_NAMES,
        count=len(paths),
        each=lambda: map(_file_row, names),
        file_paths=paths,
        facts=tuple(os.path.relpath(path, directory) for path in paths),
    )


def _blobs(place: str, list_blobs: ListBlobs | None) -> Rows:
    """A row for each blob of a folder."""
    container, _, prefix = place.partition("/")
    if list_blobs is None:
        raise ValueError(
            f"blobs: storage must be asked what is in {place}, and there is no stack: --stack"
        )
    found: dict[str, RemoteBlob] = {}
    for name, etag in sorted(list_blobs(container, prefix)):
        path = name.removeprefix(prefix)
        try:
            relative(path)
        except ValueError as error:
            raise ValueError(
                f"blobs: {name!r} in {container} cannot be a file: {error}"
            ) from error
        if any(ord(character) < ord(" ") for character in path):
            raise ValueError(f"blobs: {name!r} in {container} has a control character")
        found[path] = RemoteBlob(container=container, name=name, etag=etag)
    if not found:
        raise ValueError(f"blobs: there is none below {place}")
    return Rows(
        names=_FILE_NAMES,
        count=len(found),
        each=lambda: map(_file_row, found),
        blobs=found,
        facts=tuple(f"{blob.name} {blob.etag}" for blob in found.values()),
    )


_FILE_NAMES = ("file", "file_name", "file_stem")


def _file_row(name: str) -> Row:
    path = PurePosixPath(name)
    return name, path.name, path.stem
