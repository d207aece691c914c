"""The engine's events as short lines: what is done to which resource, in what time."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable

from pulumi.automation import EngineEvent

_MARKS = {
    "create": ("+", "created"),
    "create-replacement": ("+", "created (replacement)"),
    "update": ("~", "updated"),
    "delete": ("-", "deleted"),
    "delete-replaced": ("-", "deleted (replaced)"),
    "discard": ("-", "left"),
    "import": ("=", "imported"),
    "read": (">", "read"),
}
_PLANNED = {
    "created": "will be created",
    "updated": "will be updated",
    "deleted": "will be deleted",
}
_LINE = "  {mark} {name:<52} {what}"


class Progress:
    """Takes events from the engine's threads, writes a line for each change and each warning.

    Attributes:
        errors: Texts of the errors that the engine reported, in order, each once.
        changes: Number of resources by operation, from the engine's summary.
    """

    def __init__(self, write: Callable[[str], None], *, planned: bool = False) -> None:
        self.errors: list[str] = []
        self.changes: dict[str, int] = {}
        self._write = write
        self._planned = planned
        self._begun: dict[str, float] = {}
        self._warned: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, event: EngineEvent) -> None:
        """Takes one event."""
        with self._lock:
            if event.resource_pre_event is not None:
                self._begun[event.resource_pre_event.metadata.urn] = time.monotonic()
                if self._planned:
                    metadata = event.resource_pre_event.metadata
                    self._line(str(metadata.op.value), metadata.urn, metadata.type, None)
            if event.res_outputs_event is not None and not self._planned:
                metadata = event.res_outputs_event.metadata
                began = self._begun.get(metadata.urn, time.monotonic())
                self._line(
                    str(metadata.op.value), metadata.urn, metadata.type, time.monotonic() - began
                )
            if event.res_op_failed_event is not None:
                metadata = event.res_op_failed_event.metadata
                name = _named(metadata.urn, metadata.type)
                self._write(_LINE.format(mark="✘", name=name, what="failed"))
            if event.diagnostic_event is not None:
                text = plain_text(event.diagnostic_event.message)
                if event.diagnostic_event.severity == "error":
                    self._note(text)
                elif event.diagnostic_event.severity == "warning" and text not in self._warned:
                    self._warned.add(text)
                    self._write(f"  ! {text}")
            if event.summary_event is not None:
                counts = event.summary_event.resource_changes or {}
                self.changes = {
                    str(getattr(op, "value", op)): int(count) for op, count in counts.items()
                }

    def _note(self, text: str) -> None:
        # A program's error comes by itself, and again inside the engine's own sentence.
        if text and text != "update failed" and not any(known in text for known in self.errors):
            self.errors.append(text)

    def _line(self, operation: str, urn: str, kind: str, seconds: float | None) -> None:
        # Components and the provider itself are nothing in Azure.
        if operation not in _MARKS or not kind.startswith("azure-native:"):
            return
        mark, what = _MARKS[operation]
        if self._planned:
            what = _PLANNED.get(what, f"will be {what}")
        elif seconds is not None:
            what = f"{what} ({seconds:.1f} s)"
        self._write(_LINE.format(mark=mark, name=_named(urn, kind), what=what))


def plain_text(message: str) -> str:
    """A diagnostic without the engine's colour tags."""
    return re.sub(r"<\{%.*?%\}>", "", message).strip()


def _named(urn: str, kind: str) -> str:
    """`batch:Pool cpu`, the way a person names it."""
    return f"{kind.removeprefix('azure-native:')} {urn.split('::', 3)[-1]}"
