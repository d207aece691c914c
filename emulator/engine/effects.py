"""What the engine wants done: the driver executes it and reports back what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.engine.world import Attempt, Node, Task


@dataclass(frozen=True, slots=True)
class AddNode:
    """Make the node's directories. Nothing is reported back; launches come after it."""

    node: Node


@dataclass(frozen=True, slots=True)
class Deploy:
    """Bring the pool's application packages to a node that boots; report `nodes.deployed`."""

    node: Node
    boot: int
    references: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """End what still runs on the node and remove its directories."""

    node: Node


@dataclass(frozen=True, slots=True)
class Launch:
    """Run the task; report `attempt_started` and in the end `attempt_ended`."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Cancel:
    """End the attempt's processes; `attempt_ended` is reported when they are gone."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class RemoveFiles:
    """Remove a task's directory from its node, if the node is still there."""

    task: Task


Effect = AddNode | Deploy | RemoveNode | Launch | Cancel | RemoveFiles
