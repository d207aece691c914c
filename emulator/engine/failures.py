"""Failures of the nodes as the wire has them."""

from __future__ import annotations

from typing import Any

from emulator.nodes.interface import FailureInfo


def wire_failure(failure: FailureInfo | None) -> dict[str, Any] | None:
    """A `failureInfo` as the wire has it."""
    if failure is None:
        return None
    wire: dict[str, Any] = {
        "category": failure.category,
        "code": failure.code,
        "message": failure.message,
    }
    if failure.details:
        wire["details"] = [{"name": name, "value": value} for name, value in failure.details]
    return wire
