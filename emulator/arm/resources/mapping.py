"""A two-way mapping between Resource Manager's pool and the Batch service's, as data.

Both describe the same pool with other names (`nodeAgentSkuId`, `nodeAgentSKUId`), other
cases of enumerations (`ReadOnly`, `readonly`) and sometimes another depth
(`storageAccountType`, `managedDisk.storageAccountType`). A shape says for one value how
it goes there and back; `Fields` composes them. What a shape does not name is refused by
its path, so nothing is ever dropped silently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from emulator.arm.schema import WRITE_ONLY, member


class UnmappedError(Exception):
    """A property that the data plane has no place for; its argument is the path."""


class Shape(Protocol):
    """How a value goes to the data plane and back."""

    def to_wire(self, value: Any, path: str) -> Any:
        """The data plane's value.

        Raises:
            UnmappedError: It holds a property without a place.
        """
        ...

    def to_arm(self, value: Any) -> Any:
        """Resource Manager's value."""
        ...


@dataclass(frozen=True, slots=True)
class Same:
    """The same on both sides."""

    def to_wire(self, value: Any, path: str) -> Any:
        """The value."""
        del path
        return value

    def to_arm(self, value: Any) -> Any:
        """The value."""
        return value


@dataclass(frozen=True, slots=True)
class Choice:
    """An enumeration: Resource Manager's spellings; the wire's are lower-case or listed."""

    arm: tuple[str, ...]
    wire: tuple[str, ...] = ()

    def to_wire(self, value: Any, path: str) -> Any:
        """The wire's spelling; an unknown value stays, for the service to refuse."""
        del path
        return self._swap(str(value), self.wire or tuple(one.lower() for one in self.arm))

    def to_arm(self, value: Any) -> Any:
        """Resource Manager's spelling."""
        return self._swap(str(value), self.arm)

    @staticmethod
    def _swap(value: str, spellings: tuple[str, ...]) -> str:
        return next((one for one in spellings if one.casefold() == value.casefold()), value)


@dataclass(frozen=True, slots=True)
class Each:
    """A list of one shape."""

    item: Shape

    def to_wire(self, value: Any, path: str) -> Any:
        """The list, item by item."""
        return [self.item.to_wire(part, f"{path}[{index}]") for index, part in enumerate(value)]

    def to_arm(self, value: Any) -> Any:
        """The list, item by item."""
        return [self.item.to_arm(part) for part in value]


@dataclass(frozen=True, slots=True)
class Fields:
    """An object: by Resource Manager's name, the wire's (dotted where deeper) and the shape."""

    fields: Mapping[str, tuple[str, Shape]]

    def to_wire(self, value: Any, path: str) -> Any:
        """The object under the wire's names."""
        result: dict[str, Any] = {}
        for name, part in value.items():
            if part is None:
                continue
            if name not in self.fields:
                raise UnmappedError(member(path, name))
            wire, shape = self.fields[name]
            *outer, last = wire.split(".")
            target = result
            for key in outer:
                target = target.setdefault(key, {})
            target[last] = shape.to_wire(part, member(path, name))
        return result

    def to_arm(self, value: Any) -> Any:
        """The object under Resource Manager's names; what it does not know is left out."""
        result = {}
        for name, (wire, shape) in self.fields.items():
            found: Any = value
            for key in wire.split("."):
                found = found.get(key) if isinstance(found, Mapping) else None
            if found is not None:
                result[name] = shape.to_arm(found)
        return result


SAME: Final = Same()


def same(*names: str) -> dict[str, tuple[str, Shape]]:
    """Fields that are the same on both sides."""
    return {name: (name, SAME) for name in names}


def covers(actual: Any, expected: Any) -> bool:
    """Whether the data plane has what was asked, whatever else it added.

    Case and the notation of durations do not count; secrets never come back.
    """
    if isinstance(expected, Mapping):
        found = actual if isinstance(actual, Mapping) else {}
        return all(
            covers(found.get(key), part) for key, part in expected.items() if key not in WRITE_ONLY
        )
    if isinstance(expected, list):
        found_items = actual or []
        return len(found_items) == len(expected) and all(
            covers(one, other) for one, other in zip(found_items, expected, strict=True)
        )
    if isinstance(expected, str) and isinstance(actual, str):
        if expected.casefold() == actual.casefold():
            return True
        first, second = duration(expected), duration(actual)
        return first is not None and first == second
    return bool(actual == expected)


def duration(text: str) -> timedelta | None:
    """An ISO 8601 duration of days and less, or None."""
    match = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", text)
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
