"""What older api-versions write otherwise than 2025-06-01, whose members the emulator renders.

One table, from recordings of the versions: a member that a version did not have yet is
left out, one that it had and that is gone now is put in. Requests are not told apart: a
member is taken in every version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

NEWEST = "2025-06-01"

_POOL_SINCE = {
    "taskSchedulingPolicy/jobDefaultOrder": "2025-06-01",
    "upgradePolicy": "2024-02-01",
    "networkConfiguration/enableAcceleratedNetworking": "2023-05-01",
}
_SINCE: Mapping[str, Mapping[str, str]] = {
    "pools": _POOL_SINCE,
    "jobs": {
        "allowTaskPreemption": "2022-01-01",
        "maxParallelTasks": "2021-06-01",
        **{
            f"poolInfo/autoPoolSpecification/pool/{path}": since
            for path, since in _POOL_SINCE.items()
        },
    },
    "nodes": {"virtualMachineInfo": "2021-06-01"},
    "poolnodecounts": {
        f"{kind}/{state}": "2024-07-01"
        for kind in ("dedicated", "lowPriority")
        for state in ("deallocated", "deallocating")
    },
}
"""Context of an entity → path of a member → the first api-version that writes it."""

_CERTIFICATES = "certificateReferences"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A member that is gone, and always was empty here: there are no certificates.

    Attributes:
        name: Of the member.
        after: The last of these members that the entity has comes before it.
        first: The first api-version that writes it where the emulator has it.
        last: The last one.
        needs: Only entities with this member have it; empty for all.
    """

    name: str
    after: tuple[str, ...]
    first: str
    last: str
    needs: str = ""


_RETIRED: Mapping[str, Retired] = {
    "pools": Retired(
        name=_CERTIFICATES,
        after=("enableInterNodeCommunication", "startTask", "userAccounts"),
        first="2024-07-01",
        last="2024-07-01",
    ),
    "nodes": Retired(
        name=_CERTIFICATES,
        after=("runningTaskSlotsCount", "recentTasks", "startTask", "startTaskInfo"),
        first="2019-06-01",
        last="2024-07-01",
        needs="nodeAgentInfo",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one kind of entity is written in one older api-version."""

    removed: tuple[tuple[str, ...], ...]
    added: Retired | None

    @property
    def names(self) -> tuple[str, ...]:
        """Members that this version has beyond those of the newest."""
        return (self.added.name,) if self.added else ()

    def write(self, entity: dict[str, Any], names: frozenset[str] | None) -> dict[str, Any]:
        """The entity in this version; `names` are those asked for, None for all."""
        for path in self.removed:
            _remove(entity, path)
        new = self.added
        if new is None or (new.needs and new.needs not in entity):
            return entity
        if names is not None and new.name not in names:
            return entity
        members = list(entity.items())
        at = max((n for n, (name, _) in enumerate(members) if name in new.after), default=-1)
        return dict([*members[: at + 1], (new.name, []), *members[at + 1 :]])


@lru_cache(maxsize=256)
def dialect(context: str, version: str) -> Dialect | None:
    """How a version writes entities of a context; None where it writes them as the newest.

    Args:
        context: Of `odata.metadata`: `pools`, `jobs`, …
        version: Such as `2024-02-01.19.0`.
    """
    date = version[:10]
    if date >= NEWEST:
        return None
    removed = tuple(
        tuple(path.split("/")) for path, since in _SINCE.get(context, {}).items() if date < since
    )
    retired = _RETIRED.get(context)
    added = retired if retired and retired.first <= date <= retired.last else None
    return Dialect(removed=removed, added=added) if removed or added else None


def _remove(entity: dict[str, Any], path: tuple[str, ...]) -> None:
    """Takes a member out; what is on the way to it is copied, as it belongs to the world."""
    name, *rest = path
    if name not in entity:
        return
    if not rest:
        del entity[name]
        return
    inner = entity[name]
    if isinstance(inner, dict):
        entity[name] = dict(inner)
        _remove(entity[name], tuple(rest))
