"""What a killed engine leaves in the file backend, and how the next run gets past it.

A lock names the process that took it; a lock of a process that is gone is removed.
Operations that were under way stand in the state as pending; they are dropped, because
creating again takes over what was created, and updating and deleting again end the same
(see `emulator.arm.provider`). What the backend notes beside each file (`.attrs`: its type and
checksum) is not written in one step; half of it is removed, because the engine can do without
and refuses half. State that is no JSON is a matter for a person.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.errors import StackError


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """A stack in the engine's file backend.

    Attributes:
        root: Directory of the backend.
        project: Name of the project.
        stack: Name of the stack.
    """

    root: Path
    project: str
    stack: str

    @property
    def file(self) -> Path:
        """The stack's checkpoint."""
        return self.root / ".pulumi" / "stacks" / self.project / f"{self.stack}.json"

    @property
    def locks(self) -> Path:
        """Where engines say that they work on the stack."""
        return self.root / ".pulumi" / "locks" / "organization" / self.project / self.stack

    def exists(self) -> bool:
        """Whether the stack was ever made."""
        return self.file.exists()

    def release_stale_locks(self) -> list[int]:
        """Removes the locks of processes that are gone, and tells which.

        Raises:
            StackError: A living process holds a lock.
        """
        released = []
        for lock in sorted(self.locks.glob("*.json")):
            try:
                held = json.loads(lock.read_text(encoding="utf-8"))
                process = int(held["pid"])
                host = str(held.get("hostname", ""))
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError):
                # Half a lock is what a kill in the middle of writing leaves.
                _remove(lock)
                continue
            if host in {"", socket.gethostname()} and not _is_engine(process):
                _remove(lock)
                released.append(process)
            else:
                raise StackError(
                    f"another deployment of stack {self.stack} is under way: process {process} "
                    f"on {host or 'this machine'}.\nWait until it ends, or end it: kill {process}"
                )
        return released

    def remove_half_attributes(self) -> None:
        """Removes attributes that a killed engine was just writing."""
        for attributes in (
            *self.file.parent.glob("*.attrs"),
            *self.file.parents[2].glob("*.attrs"),
        ):
            try:
                json.loads(attributes.read_bytes())
            except ValueError:
                attributes.unlink(missing_ok=True)
            except OSError:
                continue  # gone meanwhile, or for the engine to complain of

    def pending_operations(self) -> int:
        """How many operations a killed engine left under way.

        Raises:
            StackError: The state is damaged.
        """
        if not self.exists():
            return 0
        latest = self._checkpoint().get("latest") or {}
        return len(latest.get("pending_operations") or [])

    def salt(self) -> str | None:
        """Salt of the passphrase that the stack's secrets are encrypted with, if it has one.

        Raises:
            StackError: The state is damaged.
        """
        if not self.exists():
            return None
        latest = self._checkpoint().get("latest") or {}
        manager = (latest.get("secrets_providers") or {}).get("state")
        return manager.get("salt") if isinstance(manager, dict) else None

    def _checkpoint(self) -> dict[str, Any]:
        try:
            return _parsed(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StackError(
                f"the state of stack {self.stack} is damaged: {self.file}: {error}.\n"
                f"Delete the file and deploy again; what is in the emulator is taken over:\n"
                f"  rm '{self.file}'\n"
                f"  python -m emulator stack up --stack {self.stack}"
            ) from error


def _parsed(text: str) -> dict[str, Any]:
    """The checkpoint in a state file, of the shape that the engine can read."""
    checkpoint = dict(json.loads(text)["checkpoint"])
    latest = checkpoint.get("latest") or {}
    for part in ("resources", "pending_operations"):
        if not isinstance(latest.get(part) or [], list):
            raise TypeError(f"{part} is no list")
    if not isinstance(latest.get("secrets_providers") or {}, dict):
        raise TypeError("secrets_providers is no object")
    return checkpoint


def without_pending(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """An exported deployment without the operations that were under way."""
    return {key: value for key, value in deployment.items() if key != "pending_operations"}


def has_delete_hooks(deployment: Mapping[str, Any]) -> bool:
    """Whether a resource of an exported deployment wants its program asked before it goes."""
    return any(
        (resource.get("resourceHooks") or {}).get(kind)
        for resource in deployment.get("resources") or []
        for kind in ("BeforeDelete", "AfterDelete")
    )


def _remove(lock: Path) -> None:
    lock.unlink(missing_ok=True)
    # Attributes of the object, which the backend keeps beside it.
    lock.with_name(f"{lock.name}.attrs").unlink(missing_ok=True)


def _is_engine(process: int) -> bool:
    """Whether a process lives and may be an engine (an id may be given out again)."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # Where there is no /proc, whoever lives under that id counts as an engine.
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        command = Path(f"/proc/{process}/cmdline").read_bytes()
        ended = status[0] in {b"Z", b"X"}
        # A process that is just becoming another program has no command line yet.
        return not ended and (not command or b"pulumi" in command)
    return True
