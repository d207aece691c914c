"""What a pool allows, as far as the lint needs to know it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The pool that a formula is for; None is "not known".

    Attributes:
        max_dedicated_nodes: Most dedicated nodes by quota or by decision.
        max_low_priority_nodes: Most spot nodes; above 0 says that spot is allowed.
        min_dedicated_nodes: Dedicated nodes that are meant to stay while idle.
        min_low_priority_nodes: Spot nodes that are meant to stay while idle.
        task_slots_per_node: The pool's `taskSlotsPerNode`.
    """

    max_dedicated_nodes: int | None = None
    max_low_priority_nodes: int | None = None
    min_dedicated_nodes: int = 0
    min_low_priority_nodes: int = 0
    task_slots_per_node: int | None = None
