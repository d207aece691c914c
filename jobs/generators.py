"""Python generators of tasks: a function in a file beside the workload file.

For what no other factory says. The function is called for each walk over the tasks, and
its values are never kept, so a million of them cost no memory. It must give the same
each time, because tasks are counted before they are sent and may be sent in two goes. So
each row is compared with the one that was counted (eight bytes of it are kept), and the
first that differs ends the submission before it is sent.

The file is run with this process's rights, as any Python that its owner starts.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from jobs.aside import printing_aside
from jobs.snapshots import Snapshot
from jobs.spec_values import MAX_TASKS, passed_on
from jobs.templates import Scalar

Row = tuple[Scalar, ...]
_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedRows:
    """What a generator yields.

    Attributes:
        names: The parameters, as the first mapping has them.
        count: How many mappings there are.
        digest: Of all of them.
    """

    names: tuple[str, ...]
    count: int
    digest: str
    _call: Callable[[], Iterable[Any]]
    _where: str
    _file: Path
    _marks: Snapshot

    def each(self) -> Iterator[Row]:
        """The rows, from a new call of the function.

        Raises:
            ValueError: The function fails, or gives others than the first time.
        """
        with self._marks.open() as marks:
            for row in _rows(self._call, self._where, self._file, self.names):
                if marks.read(_BYTES) != _mark(row):
                    raise self._other()
                yield row
            if marks.read(1):
                raise self._other()

    def _other(self) -> ValueError:
        return ValueError(
            f"{self._where} gave other tasks than when they were counted: it must give the "
            "same each time. Take random values from a seed, and sort what has no order"
        )


def generated(reference: str, directory: Path, variables: Mapping[str, Scalar]) -> GeneratedRows:
    """Calls a generator once to count and check what it yields.

    Args:
        reference: `MODULE:FUNCTION`.
        directory: Where MODULE.py is.
        variables: Passed to the function's parameters of the same names.

    Raises:
        ValueError: There is no such file or function, it fails, or yields what is no task.
    """
    module_name, _, function_name = reference.partition(":")
    file = directory / f"{module_name}.py"
    where = f"generator {reference}"
    if not file.is_file():
        raise ValueError(f"{where}: there is no {file.name} beside the workload file")
    function = getattr(_loaded(file, where), function_name, None)
    if not callable(function):
        raise ValueError(f"{where}: {file.name} has no function {function_name}")  # noqa: TRY004 - the file is wrong, not a type
    arguments = _arguments(function, variables, where)

    def call() -> Iterable[Any]:
        return function(**arguments)  # type: ignore[no-any-return] # checked as it is walked

    digest = hashlib.sha256()
    count = 0
    names: tuple[str, ...] = ()

    def counted() -> Iterator[bytes]:
        nonlocal count, names
        for mapping in _mappings(call, where, file):
            row = _row(mapping, names, where, count)
            names = names or tuple(mapping)
            digest.update(_bytes(row))
            yield _mark(row)
            count += 1
            if count > MAX_TASKS:
                raise ValueError(f"{where} yields more than {MAX_TASKS:,} tasks")

    marks = Snapshot(counted())
    if not count:
        raise ValueError(f"{where} yields nothing")
    return GeneratedRows(
        names=names, count=count, digest=digest.hexdigest(), _call=call, _where=where, _file=file,
        _marks=marks,
    )  # fmt: skip


def _loaded(file: Path, where: str) -> ModuleType:
    """The module, fresh: two workloads may each have a `cases.py`.

    It is among `sys.modules`, where dataclasses look for theirs, until another takes its name.
    """
    spec = importlib.util.spec_from_file_location(f"workload_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{where}: {file.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    sys.path.insert(0, str(file.parent))
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        with _told(where, file, "cannot be loaded"):
            spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(str(file.parent))
    return module


def _arguments(
    function: Callable[..., Any], variables: Mapping[str, Scalar], where: str
) -> dict[str, Scalar]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} cannot be called: {error}") from error
    plain = [p for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}]
    missing = [p.name for p in plain if p.default is p.empty and p.name not in variables]
    if missing:
        raise ValueError(
            f"{where} wants {', '.join(missing)}: the file's variables have no such name"
        )
    return {p.name: variables[p.name] for p in plain if p.name in variables}


def _rows(
    call: Callable[[], Iterable[Any]], where: str, file: Path, names: tuple[str, ...]
) -> Iterator[Row]:
    for number, mapping in enumerate(_mappings(call, where, file)):
        yield _row(mapping, names, where, number)


def _mappings(call: Callable[[], Iterable[Any]], where: str, file: Path) -> Iterator[Any]:
    with _told(where, file, "fails"):
        walk = iter(call())
    number = 0
    while True:
        with _told(where, file, f"fails at task {number}"):
            try:
                mapping = next(walk)
            except StopIteration:
                return
        yield mapping
        number += 1


def _row(mapping: object, names: tuple[str, ...], where: str, number: int) -> Row:
    if not isinstance(mapping, Mapping) or not mapping:
        raise ValueError(
            f"{where}: task {number} is {_brief(mapping)}; yield mappings of names to values"
        )
    bad = [n for n in mapping if not isinstance(n, str) or not (n.isascii() and n.isidentifier())]
    if bad:
        raise ValueError(f"{where}: task {number}: {_brief(bad[0])} is no usable name")
    if names and (len(mapping) != len(names) or any(name not in mapping for name in names)):
        raise ValueError(
            f"{where}: task {number} has {', '.join(mapping)}, and task 0 {', '.join(names)}"
        )
    row = tuple(mapping[name] for name in names or mapping)
    for value in row:
        if not isinstance(value, bool | int | float | str):
            raise ValueError(  # noqa: TRY004 - every finding about rows is one
                f"{where}: task {number}: {_brief(value)} is no text, number, true or false"
            )
        if isinstance(value, str):
            try:
                passed_on(value)
            except ValueError as error:
                raise ValueError(f"{where}: task {number}: {_brief(value)} {error}") from error
    return row


def _bytes(row: Row) -> bytes:
    """What tells a row from others; numbers may be of any size and of a library's own kind."""
    return repr(row).encode()


def _mark(row: Row) -> bytes:
    return hashlib.blake2b(_bytes(row), digest_size=_BYTES).digest()


@contextmanager
def _told(where: str, file: Path, what: str) -> Iterator[None]:
    """The user's code: what it prints is no result; its failure is a sentence with their line."""
    try:
        with printing_aside():
            yield
    except Exception as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == str(file)
        ]
        at = f" ({file.name}:{lines[-1]})" if lines else ""
        if isinstance(error, SyntaxError) and error.filename == str(file):
            at = f" ({file.name}:{error.lineno})"
        text = " ".join(str(error).split()) or "no message"
        raise ValueError(f"{where} {what}: {type(error).__name__}: {text}{at}") from error


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - half a line
