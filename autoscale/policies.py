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
        max_step_up: Most nodes added by one evaluation; None sets no limit.
        max_step_down: Most nodes taken away by one evaluation; None sets no limit.
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
            *self._ramps(),
            *(self._spot() if self.max_spot_nodes else self._dedicated_only()),
            f"$NodeDeallocationOption = {self.node_deallocation_option};",
        ]
        return "\n".join(lines) + "\n"

    @property
    def _most(self) -> int:
        """Most nodes of both kinds."""
        return self._whole(self.max_dedicated_nodes) + self._whole(self.max_spot_nodes)

    def _whole(self, nodes: int) -> int:
        """The multiple of `nodes_per_task` that fits."""
        return nodes // self.nodes_per_task * self.nodes_per_task

    def _nodes(self) -> Iterator[str]:
        yield "// Nodes that they need."
        yield f"nodes = {self._ceil('tasks', self.task_slots_per_node)};"
        if self.nodes_per_task > 1:
            yield f"// A task takes {self.nodes_per_task} nodes or does not start."
            yield f"nodes = ceil(nodes / {self.nodes_per_task}) * {self.nodes_per_task};"
        yield f"nodes = min(nodes, {self._most});"

    def _ceil(self, name: str, divisor: int) -> str:
        return f"ceil({name})" if divisor == 1 else f"ceil({name} / {divisor})"

    def _ramps(self) -> Iterator[str]:
        if self.max_step_up is None and self.max_step_down is None:
            return
        yield "// In steps, but never fewer nodes than run tasks."
        now = "$TargetDedicatedNodes"
        if self.max_spot_nodes:
            now += " + $TargetLowPriorityNodes"
        yield f"before = {now};"
        if self.max_step_up is not None:
            yield f"nodes = min(nodes, before + {self.max_step_up});"
            yield "running = max(0, $RunningTasks.GetSample(1));"
            needed = self._ceil("running", self.task_slots_per_node)
            if self.nodes_per_task > 1:
                needed = f"ceil(running / {self.nodes_per_task}) * {self.nodes_per_task}"
            yield f"nodes = max(nodes, {needed});"
        if self.max_step_down is not None:
            yield f"nodes = max(nodes, before - {self.max_step_down});"
        yield f"nodes = max(0, min(nodes, {self._most}));"

    def _dedicated_only(self) -> Iterator[str]:
        yield from self._least("nodes")

    def _least(self, wanted: str) -> Iterator[str]:
        if self.keep_warm is not None:
            yield from self.keep_warm.render()
            least = f"warm ? {max(self.keep_warm.nodes, self.min_dedicated_nodes)}"
            yield f"least = {least} : {self.min_dedicated_nodes};"
            yield f"$TargetDedicatedNodes = max(least, {wanted});"
        elif self.min_dedicated_nodes:
            yield f"$TargetDedicatedNodes = max({self.min_dedicated_nodes}, {wanted});"
        else:
            yield f"$TargetDedicatedNodes = {wanted};"

    def _spot(self) -> Iterator[str]:
        dedicated, spot = self._whole(self.max_dedicated_nodes), self._whole(self.max_spot_nodes)
        group = self.nodes_per_task
        yield "// Spot nodes first, dedicated nodes for the rest."
        if self.spot_share == 1:
            yield f"spot = min({spot}, nodes);"
        else:
            part = f"nodes * {self.spot_share:g}"
            whole = f"ceil({part})" if group == 1 else f"ceil({part} / {group}) * {group}"
            yield f"spot = min({spot}, nodes, max({whole}, nodes - {dedicated}));"
        wanted = "nodes - spot"
        if self.spot_fallback_minutes and dedicated:
            yield from self._fallback()
            missing = "missing" if group == 1 else f"ceil(missing / {group}) * {group}"
            wanted = f"min({dedicated}, nodes - spot + {missing})"
        yield from self._least(wanted)
        if self.min_spot_nodes:
            yield f"$TargetLowPriorityNodes = max({self.min_spot_nodes}, spot);"
        else:
            yield "$TargetLowPriorityNodes = spot;"

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
        if group > max(self.max_dedicated_nodes, self.max_spot_nodes):
            yield f"nodes_per_task is {group}: neither maximum has room for one task"
