"""What differs between two sets of properties, path by path.

Lists are compared by position, as azure-native does. Null and missing are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emulator.arm.schema import member

Kind = Literal["add", "update", "delete"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference.

    Attributes:
        path: Property path in Pulumi's notation, such as `metadata[0].value`.
        top: The property it is in.
        kind: What became of the value.
        replaces: Whether it needs a new resource.
    """

    path: str
    top: str
    kind: Kind
    replaces: bool = False


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """The differences from `old` to `new`, in the order of the names."""
    for top in sorted({*old, *new}):
        for path, kind in _walk(old.get(top), new.get(top), member("", top)):
            yield Change(path=path, top=top, kind=kind)


def _walk(old: Any, new: Any, path: str) -> Iterator[tuple[str, Kind]]:
    if old is None or new is None:
        if old is not new:
            yield path, "add" if old is None else "delete"
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _walk(old.get(key), new.get(key), member(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _walk(before, after, f"{path}[{index}]")
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path, "update"
