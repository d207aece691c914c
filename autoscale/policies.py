"""Policies: formulas rendered from typed parameters.

`FollowPending` sizes a pool by its queue. Every parameter is optional and adds only the
lines it needs, so the text stays as short as a person would write it. A policy keeps no
state and reads no clock: the same parameters render the same text for ever, which keeps a
deployment from seeing a change where there is none. What it promises (between least and
most, zero when idle, never below what runs, monotone in the queue) is held by properties
in the tests, over any history of samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autoscale.errors import PolicyError
from autoscale.language import DEALLOCATION_WORDS
from autoscale.schedule import KeepWarm
from autoscale.syntax import render_number

_GUARD_PERCENT = 70
# Below this a late sample leaves less than 70 percent of a window (lint AS103).
_SHORTEST_WINDOW_MINUTES = 4
_LONGEST_WINDOW_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowPending:
    """As many nodes as the waiting and running tasks need.

    The pool grows at the first evaluation that sees a waiting task. It shrinks with the
    average of the last `idle_minutes`, and is at its least when nothing waited or ran in
    all of them.

    Attributes:
        max_dedicated_nodes: Most dedicated nodes.
        min_dedicated_nodes: Least dedicated nodes, kept while idle as well.
        max_spot_nodes: Most spot nodes; 0 leaves spot alone.
        min_spot_nodes: Least spot nodes, kept while idle as well.
        spot_share: Share of the nodes that is asked for as spot, 0 to 1. What spot nodes
            may not cover (`max_spot_nodes`) is dedicated, and the other way round.
        spot_fallback_minutes: Spot nodes that did not come, or were taken away, and were
            missing this long are replaced by dedicated ones until they come. 0 waits for
            spot for ever.
        task_slots_per_node: The pool's `taskSlotsPerNode`.
        nodes_per_task: Nodes of one multi-instance task: targets are multiples of it, as
            a task of 8 nodes cannot start on 7.
        idle_minutes: How long nothing must wait or run before the pool is at its least.
        max_step_up: Most nodes of a kind added by one evaluation; None sets no limit.
        max_step_down: Most nodes of a kind taken away by one; None sets no limit.
        keep_warm: Hours in which dedicated nodes are kept without work.
        node_deallocation_option: What happens to tasks on a node that leaves.

    Raises:
        PolicyError: the parameters contradict each other; all reasons at once.
    """

    max_dedicated_nodes: int = 4
    min_dedicated_nodes: int = 0
    max_spot_nodes: int = 0
    min_spot_nodes: int = 0
    spot_share: float = 1.0
    spot_fallback_minutes: int = 15
    task_slots_per_node: int = 1
    nodes_per_task: int = 1
    idle_minutes: int = 15
    max_step_up: int | None = None
    max_step_down: int | None = None
    keep_warm: KeepWarm | None = None
    node_deallocation_option: str = "taskcompletion"

    def __post_init__(self) -> None:
        wrong = list(self._contradictions())
        if wrong:
            raise PolicyError("\n".join(f"FollowPending.{reason}" for reason in wrong))

    def render(self) -> str:
        """The formula."""
        average = f"avg($PendingTasks.GetSample(window, {_GUARD_PERCENT}))"
        lines = [
            "// Tasks that wait or run: the newest sample, or the average if that is more.",
            f"window = {self.idle_minutes} * TimeInterval_Minute;",
            "known = $PendingTasks.GetSamplePercent(window);",
            "last = max(0, $PendingTasks.GetSample(1));",
            f"tasks = known < {_GUARD_PERCENT} ? last : max(last, {average});",
            *self._nodes(),
            *self._least(),
            *(self._both() if self.max_spot_nodes else self._dedicated("nodes")),
            f"$NodeDeallocationOption = {self.node_deallocation_option};",
        ]
        return "\n".join(lines) + "\n"

    def _whole(self, nodes: int) -> int:
        """The multiple of `nodes_per_task` that fits."""
        return nodes // self.nodes_per_task * self.nodes_per_task

    @property
    def _most_dedicated(self) -> int:
        return self._whole(self.max_dedicated_nodes)

    @property
    def _most_spot(self) -> int:
        return self._whole(self.max_spot_nodes)

    def _nodes(self) -> Iterator[str]:
        group = self.nodes_per_task
        yield "// Nodes that they need."
        if group > 1:
            yield f"// A task takes {group} nodes or does not start."
        yield f"nodes = min({self._most_dedicated + self._most_spot}, {self._needed('tasks')});"
        if self.max_step_up is not None:
            yield "// Nodes that run tasks stay, however small the steps are."
            yield "running = max(0, $RunningTasks.GetSample(1));"
            yield f"busy = {self._needed('running')};"

    def _needed(self, tasks: str) -> str:
        """Nodes for tasks, rounded up to whole nodes and whole multi-instance tasks."""
        if self.nodes_per_task > 1:
            return self._grouped(tasks)
        slots = self.task_slots_per_node
        return f"ceil({tasks})" if slots == 1 else f"ceil({tasks} / {slots})"

    def _grouped(self, nodes: str) -> str:
        group = self.nodes_per_task
        return f"ceil({nodes})" if group == 1 else f"ceil({nodes} / {group}) * {group}"

    def _least(self) -> Iterator[str]:
        if self.keep_warm is not None:
            kept = max(self.keep_warm.nodes, self.min_dedicated_nodes)
            yield from self.keep_warm.render()
            yield f"least = warm ? {kept} : {self.min_dedicated_nodes};"

    @property
    def _least_dedicated(self) -> str:
        return str(self.min_dedicated_nodes) if self.keep_warm is None else "least"

    def _both(self) -> Iterator[str]:
        parts = [str(self._most_spot), "nodes"]
        if self._least_dedicated != "0":
            parts[1] = f"nodes - {self._least_dedicated}"
        if self.spot_share != 1 and self._most_dedicated:
            share = self._grouped(f"nodes * {render_number(self.spot_share)}")
            parts.append(f"max({share}, nodes - {self._most_dedicated})")
        yield "// Spot nodes first, dedicated nodes for the rest."
        yield f"spot = min({', '.join(parts)});"
        left_over = f"busy - {self._most_dedicated}" if self._most_dedicated else "busy"
        yield from self._steps("spot", "$TargetLowPriorityNodes", left_over)
        yield f"spot = max({self.min_spot_nodes}, min({self._most_spot}, spot));"
        if self._most_dedicated:
            yield "dedicated = nodes - spot;"
            if self.spot_fallback_minutes:
                yield from self._fallback()
            yield from self._dedicated("dedicated")
        else:
            yield f"$TargetDedicatedNodes = {self._least_dedicated};"
        yield "$TargetLowPriorityNodes = spot;"

    def _dedicated(self, name: str) -> Iterator[str]:
        left_over = "busy - spot" if self.max_spot_nodes else "busy"
        yield from self._steps(name, "$TargetDedicatedNodes", left_over)
        least, most = self._least_dedicated, self._most_dedicated
        if name == "nodes" and self.max_step_up is None and self.max_step_down is None:
            kept = name if least == "0" else f"max({least}, {name})"
            yield f"$TargetDedicatedNodes = {kept};"
            return
        yield f"$TargetDedicatedNodes = max({least}, min({most}, {name}));"

    def _steps(self, name: str, target: str, busy: str) -> Iterator[str]:
        """Holds the steps from the target of before; it is not yet assigned here."""
        if self.max_step_up is not None:
            yield f"{name} = max({busy}, min({name}, {target} + {self.max_step_up}));"
        if self.max_step_down is not None:
            yield f"{name} = max({name}, {target} - {self.max_step_down});"

    def _fallback(self) -> Iterator[str]:
        here, gone = "$CurrentLowPriorityNodes", "$PreemptedNodeCount"
        yield "// Spot nodes that were asked for before and are still missing."
        yield f"wait = {self.spot_fallback_minutes} * TimeInterval_Minute;"
        yield f"seen = min({here}.GetSamplePercent(wait), {gone}.GetSamplePercent(wait));"
        yield (
            f"came = seen < {_GUARD_PERCENT} ? $TargetLowPriorityNodes"
            f" : max({here}.GetSample(wait, {_GUARD_PERCENT}))"
            f" - min({gone}.GetSample(wait, {_GUARD_PERCENT}));"
        )
        yield "missing = max(0, min(spot, $TargetLowPriorityNodes) - max(0, came));"
        missing = "missing" if self.nodes_per_task == 1 else self._grouped("missing")
        yield f"dedicated = dedicated + {missing};"

    def _contradictions(self) -> Iterator[str]:
        yield from self._bad_counts()
        if self.min_dedicated_nodes > self.max_dedicated_nodes:
            yield "min_dedicated_nodes is above max_dedicated_nodes: swap them"
        if self.min_spot_nodes > self.max_spot_nodes:
            yield "min_spot_nodes is above max_spot_nodes: swap them"
        if not (math.isfinite(self.spot_share) and 0 <= self.spot_share <= 1):
            yield f"spot_share is {self.spot_share}: give a share from 0 to 1"
        if not self.max_dedicated_nodes and not self.max_spot_nodes:
            yield "max_dedicated_nodes and max_spot_nodes are both 0: no task could ever run"
        yield from self._bad_minutes()
        if self.node_deallocation_option not in DEALLOCATION_WORDS:
            words = ", ".join(DEALLOCATION_WORDS)
            yield f"node_deallocation_option is not one of {words}"
        if self.keep_warm is not None and self.keep_warm.nodes > self.max_dedicated_nodes:
            yield "keep_warm.nodes is above max_dedicated_nodes: raise the one or lower the other"
        if self.nodes_per_task > 1:
            yield from self._bad_groups()

    def _bad_minutes(self) -> Iterator[str]:
        for name, floor in (("idle_minutes", 1), ("spot_fallback_minutes", 0)):
            minutes = getattr(self, name)
            if minutes < floor or 0 < minutes < _SHORTEST_WINDOW_MINUTES:
                yield (
                    f"{name} is {minutes}: give {_SHORTEST_WINDOW_MINUTES} at least, as a sample"
                    " can be a minute late"
                )
            elif minutes > _LONGEST_WINDOW_MINUTES:
                yield f"{name} is {minutes}: give {_LONGEST_WINDOW_MINUTES} at most"

    def _bad_counts(self) -> Iterator[str]:
        for name, floor in (
            ("max_dedicated_nodes", 0),
            ("min_dedicated_nodes", 0),
            ("max_spot_nodes", 0),
            ("min_spot_nodes", 0),
            ("task_slots_per_node", 1),
            ("nodes_per_task", 1),
            ("max_step_up", 1),
            ("max_step_down", 1),
        ):
            value = getattr(self, name)
            if value is not None and value < floor:
                yield f"{name} is {value}: give {floor} at least"

    def _bad_groups(self) -> Iterator[str]:
        group = self.nodes_per_task
        if self.task_slots_per_node != 1:
            yield "task_slots_per_node must be 1 for multi-instance tasks: the service asks for it"
        for name in (
            "min_dedicated_nodes",
            "min_spot_nodes",
            "max_step_up",
            "max_step_down",
        ):
            value = getattr(self, name)
            if value and value % group:
                yield f"{name} is {value}: give a multiple of nodes_per_task, {group}"
        if self.keep_warm is not None and self.keep_warm.nodes % group:
            yield f"keep_warm.nodes is {self.keep_warm.nodes}: give a multiple of {group}"
        for name in ("max_dedicated_nodes", "max_spot_nodes"):
            value = getattr(self, name)
            if 0 < value < group:
                yield f"{name} is {value}: give 0, or {group} at least for a task of {group} nodes"
