"""What Resource Manager takes and never gives back: passwords, keys, protected settings.

Such members are not stored and not answered; whoever put them still knows them, and a
read gives them back from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emulator.arm.schema import WRITE_ONLY


def without_write_only(value: Any) -> Any:
    """`value` without the members that Resource Manager never gives back."""
    if isinstance(value, Mapping):
        return {
            key: without_write_only(part) for key, part in value.items() if key not in WRITE_ONLY
        }
    if isinstance(value, list):
        return [without_write_only(part) for part in value]
    return value


def with_write_only(value: Any, known: Any) -> Any:
    """`value` with the write-only members that `known` has in the same places."""
    if isinstance(value, Mapping) and isinstance(known, Mapping):
        merged = {key: with_write_only(part, known.get(key)) for key, part in value.items()}
        return merged | {
            key: part for key, part in known.items() if key in WRITE_ONLY and key not in merged
        }
    if isinstance(value, list) and isinstance(known, list):
        padded = [*known, *[None] * len(value)]
        return [with_write_only(part, padded[index]) for index, part in enumerate(value)]
    return value
