"""Failures of the nodes as the wire has them."""

from __future__ import annotations

from typing import Any, overload

from emulator.nodes.failures import failure
from emulator.nodes.interface import FailureInfo


@overload
def wire_failure(failed: FailureInfo) -> dict[str, Any]: ...


@overload
def wire_failure(failed: FailureInfo | None) -> dict[str, Any] | None: ...


def wire_failure(failed: FailureInfo | None) -> dict[str, Any] | None:
    """A `failureInfo` as the wire has it."""
    if failed is None:
        return None
    wire: dict[str, Any] = {
        "category": failed.category,
        "code": failed.code,
        "message": failed.message,
    }
    if failed.details:
        wire["details"] = [{"name": name, "value": value} for name, value in failed.details]
    return wire


ENDED_BY_USER = wire_failure(failure("TaskEnded"))
