"""Transitions of nodes: allocated, booted, prepared by a start task, rebooted, gone."""

from __future__ import annotations

from typing import Any, Literal

from emulator.clock import from_datetime
from emulator.engine import attempts, effects, statistics, tasks
from emulator.engine.core import Core
from emulator.engine.failures import wire_failure
from emulator.engine.indexes import add_node, reindex, remove_node, set_node_state
from emulator.engine.refusal import Refused
from emulator.engine.world import WORK, Attempt, Intent, Node, Pool
from emulator.nodes.interface import TaskOutcome

START_TASK_ID = "startup"
_HEX = "0123456789abcdef"
_UP = frozenset({"idle", "running", "starttaskfailed", "waitingforstarttask", "offline"})


def get(pool: Pool, node_id: str) -> Node:
    """The node of an id.

    Raises:
        Refused: `NodeNotFound`.
    """
    node = pool.nodes.get(node_id)
    if node is None:
        raise Refused("NodeNotFound")
    return node


def check_up(node: Node) -> None:
    """Refuses what can be done only on a node that is up.

    Raises:
        Refused: `NodeNotReady`.
    """
    if node.state not in _UP:
        raise Refused("NodeNotReady")


def create(core: Core, pool: Pool, *, dedicated: bool, ready_s: float) -> Node:
    """Allocates a node; it boots in the time given."""
    name = "".join(core.random.choices(_HEX, k=64))
    host = pool.next_address
    pool.next_address += 1
    node = Node(
        id=f"tvmps_{name}_{'d' if dedicated else 'p'}",
        pool=pool,
        dedicated=dedicated,
        state="creating",
        since=core.now,
        allocated=core.now,
        ip=address(pool, host),
    )
    add_node(pool, node)
    core.save(node)
    core.effects.append(effects.AddNode(node))
    rest = 1 - core.settings.allocation_share
    creating_s = ready_s * core.settings.creating_share
    starting_s = ready_s * (rest - core.settings.creating_share)
    core.after(creating_s, _start, node, node.boots, starting_s)
    return node


BLOCK_BITS = 14
BLOCKS = range(4, 1 << 24 - BLOCK_BITS)
"""Blocks of 16384 addresses in 127.0.0.0/8; the first four hold what the machine itself uses."""


def address(pool: Pool, host: int) -> str:
    """A node's address: of this machine, and the node's own, so that its tasks can listen there.

    The service's nodes have private addresses (10.0.0.4, …), which no program could use here.
    """
    number = pool.network << BLOCK_BITS | host % (1 << BLOCK_BITS)
    return f"127.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def _start(core: Core, node: Node, boot: int, starting_s: float) -> None:
    if node.boots == boot and not node.leaving:
        set_node_state(node, "starting", core.now)
        core.save(node)
        core.after(starting_s, _booted, node, boot)


def _booted(core: Core, node: Node, boot: int) -> None:
    if node.boots != boot or node.leaving:
        return
    references = tuple(node.pool.body.get("applicationPackageReferences") or ())
    if references or node.has_packages:
        node.has_packages = bool(references)
        core.effects.append(effects.Deploy(node, boot, references))
    else:
        _prepare(core, node)


def deployed(core: Core, node: Node, boot: int, error: dict[str, Any] | None) -> None:
    """The pool's application packages are on a node, or cannot be brought there."""
    if node.boots != boot or node.leaving:
        return
    if error is None:
        _prepare(core, node)
    else:
        make_unusable(core, node, error)


def _prepare(core: Core, node: Node) -> None:
    node.booted = core.now
    node.start_task = node.pool.body.get("startTask")
    node.start_info = None
    if node.start_task is None:
        _serve(core, node)
        return
    _launch_start_task(core, node, retry_count=0)
    if node.start_task["waitForSuccess"]:
        set_node_state(node, "waitingforstarttask", core.now)
        core.save(node)
    else:
        _serve(core, node)


def _serve(core: Core, node: Node) -> None:
    """The node may take tasks."""
    set_node_state(node, "idle" if node.scheduling == "enabled" else "offline", core.now)
    core.save(node)
    core.wake[node.pool.key] = None


def _launch_start_task(core: Core, node: Node, *, retry_count: int) -> None:
    node.start_info = {"state": "running", "startTime": core.now, "retryCount": retry_count}
    attempt = attempts.new_attempt(core, "start", node, task_id=START_TASK_ID)
    core.effects.append(effects.Launch(attempt))
    core.save(node)


def start_task_ended(core: Core, attempt: Attempt, outcome: TaskOutcome | None) -> None:
    """A start task is over: the node serves, tries again, or is of no use."""
    attempts.release(core, attempt)
    node = attempt.node
    start = node.start_task
    if outcome is None or start is None or node.start_info is None or attempt.intent:
        return
    info = node.start_info
    failure = wire_failure(outcome.failure)
    retries, limit = info["retryCount"], start["maxTaskRetryCount"]
    if failure and (limit < 0 or retries < limit):
        _launch_start_task(core, node, retry_count=retries + 1)
        info = node.start_info
        info["lastRetryTime"] = core.now
        return
    node.start_info = {
        "state": "completed",
        "startTime": from_datetime(outcome.start_time),
        "endTime": from_datetime(outcome.end_time),
        **({} if outcome.exit_code is None else {"exitCode": outcome.exit_code}),
        **({"failureInfo": failure} if failure else {}),
        "result": "failure" if failure else "success",
        "retryCount": retries,
        **({"lastRetryTime": info["lastRetryTime"]} if "lastRetryTime" in info else {}),
    }
    if node.state == "waitingforstarttask":
        if failure:
            set_node_state(node, "starttaskfailed", core.now)
        else:
            _serve(core, node)
    core.save(node)


# Leaving


def leave(core: Core, node: Node, option: str) -> None:
    """Has a node leave its pool: at once, or when its tasks are over."""
    if node.leaving:
        return
    node.leaving = option
    node.boots += 1
    if option in {"taskcompletion", "retaineddata"} and _busy(node):
        reindex(node)
    else:
        set_node_state(node, "leavingpool", core.now)
        end_attempts(core, node, "terminate" if option == "terminate" else "requeue")
    core.save(node)
    core.vacated[node] = None


def _busy(node: Node) -> bool:
    return any(attempt.kind in WORK for attempt in node.attempts.values())


def end_attempts(core: Core, node: Node, intent: Intent) -> None:
    """Calls off everything that runs on a node."""
    for attempt in list(node.attempts.values()):
        tasks.call_off(core, attempt, intent)


def settle(core: Core, node: Node) -> None:
    """Lets a leaving node go once nothing runs there, and a waiting reboot begin."""
    if node.leaving == "gone":
        return
    if node.leaving and not node.attempts:
        node.leaving = "gone"
        set_node_state(node, "leavingpool", core.now)
        core.save(node)
        core.after(core.settings.node_leaving_s, _gone, node)
    elif node.leaving and not _busy(node) and node.state != "leavingpool":
        set_node_state(node, "leavingpool", core.now)
        end_attempts(core, node, "requeue")
    elif node.after_tasks and not node.attempts:
        operation, node.after_tasks = node.after_tasks, ""
        _operate(core, node, operation)


def _leave_figures(core: Core, node: Node) -> None:
    statistics.node_gone(core.world, node, core.now)
    core.save(node.pool)


def _gone(core: Core, node: Node) -> None:
    if node.pool.nodes.get(node.id) is node:
        _leave_figures(core, node)
        remove_node(node.pool, node)
        core.effects.append(effects.RemoveNode(node))
        core.forget(node)
        core.wake[node.pool.key] = None


# What clients ask of one node

Operation = Literal["reboot", "reimage", "deallocate"]
_TRANSIENT = {"reboot": "rebooting", "reimage": "reimaging", "deallocate": "deallocating"}
_BEING = {
    "creating": "NodeBeingCreated",
    "starting": "NodeBeingStarted",
    "rebooting": "NodeBeingRebooted",
    "reimaging": "NodeBeingReimaged",
    "unusable": "NodeStateUnusable",
}


def operate(core: Core, node: Node, operation: Operation, option: str) -> None:
    """Reboots, reimages or deallocates a node.

    Args:
        core: The engine's state.
        node: Which.
        operation: What to do.
        option: What becomes of its tasks: `requeue`, `terminate`, `taskcompletion`,
            `retaineddata`; the last two wait for them.

    Raises:
        Refused: The node's state does not allow it.
    """
    if node.state in _BEING and not (operation != "reboot" and node.state == "unusable"):
        raise Refused(_BEING[node.state])
    if node.state not in _UP and node.state != "unusable":
        raise Refused("OperationInvalidForCurrentState")
    node.after_tasks = operation
    if option in {"taskcompletion", "retaineddata"}:
        reindex(node)
        if not _busy(node):
            end_attempts(core, node, "requeue")
    else:
        set_node_state(node, _TRANSIENT[operation], core.now)
        end_attempts(core, node, "terminate" if option == "terminate" else "requeue")
    core.save(node)
    core.vacated[node] = None


def _operate(core: Core, node: Node, operation: str) -> None:
    node.boots += 1
    set_node_state(node, _TRANSIENT[operation], core.now)
    if operation == "deallocate":
        node.scheduling = "disabled"
        core.after(core.settings.node_leaving_s, _deallocated, node, node.boots)
    else:
        if operation == "reimage":
            core.effects += [effects.RemoveNode(node), effects.AddNode(node)]
            _lose_files(node)
        for preparation in list(node.preparations):
            job = core.world.jobs.get(preparation)
            if job is None or job.body.get("jobPreparationTask", {}).get(
                "rerunOnNodeRebootAfterSuccess", True
            ):
                del node.preparations[preparation]
        reboot(core, node)
    core.save(node)


def _lose_files(node: Node) -> None:
    for task in node.recent:
        if task.node_id == node.id:
            task.files = False


def reboot(core: Core, node: Node) -> None:
    """Has a node come up again, from whatever state shows meanwhile."""
    ready_s = core.settings.node_ready_s(core.random) * core.settings.reboot_share
    core.after(ready_s, _booted, node, node.boots)


def _deallocated(core: Core, node: Node, boot: int) -> None:
    if node.boots == boot and not node.leaving:
        _leave_figures(core, node)
        set_node_state(node, "deallocated", core.now)
        core.save(node)


def start(core: Core, node: Node) -> None:
    """Starts a deallocated node.

    Raises:
        Refused: It is not deallocated.
    """
    if node.state != "deallocated":
        raise Refused("OperationInvalidForCurrentState")
    node.boots += 1
    node.scheduling = "enabled"
    node.allocated = core.now
    set_node_state(node, "starting", core.now)
    core.save(node)
    reboot(core, node)


def disable_scheduling(core: Core, node: Node, option: str) -> None:
    """Lets no task start on a node any more.

    Raises:
        Refused: `NodeAlreadyInTargetSchedulingState`.
    """
    if node.scheduling == "disabled":
        raise Refused("NodeAlreadyInTargetSchedulingState")
    node.scheduling = "disabled"
    if option != "taskcompletion":
        for attempt in [a for a in node.attempts.values() if a.kind in WORK]:
            tasks.call_off(core, attempt, "terminate" if option == "terminate" else "requeue")
    set_node_state(node, "offline" if node.state == "idle" else node.state, core.now)
    core.save(node)


def enable_scheduling(core: Core, node: Node) -> None:
    """Lets tasks start on a node again.

    Raises:
        Refused: `NodeAlreadyInTargetSchedulingState`.
    """
    if node.scheduling == "enabled":
        raise Refused("NodeAlreadyInTargetSchedulingState")
    node.scheduling = "enabled"
    set_node_state(node, "idle" if node.state == "offline" else node.state, core.now)
    core.save(node)
    core.wake[node.pool.key] = None


# Faults


def preempt(core: Core, node: Node) -> None:
    """Takes a spot node's machine away; it keeps its id and comes back.

    Raises:
        Refused: It is dedicated, or not up.
    """
    if node.dedicated or node.state not in _UP:
        raise Refused("OperationInvalidForCurrentState")
    node.boots += 1
    _leave_figures(core, node)
    set_node_state(node, "preempted", core.now)
    end_attempts(core, node, "lost")
    node.preparations.clear()
    core.save(node)
    wait_for_return(core, node)


def wait_for_return(core: Core, node: Node) -> None:
    """Has a preempted node come back when there is capacity again."""
    core.after(core.settings.preempted_return_s, _return, node, node.boots)


def _return(core: Core, node: Node, boot: int) -> None:
    if node.boots == boot and not node.leaving:
        core.effects += [effects.RemoveNode(node), effects.AddNode(node)]
        _lose_files(node)
        set_node_state(node, "creating", core.now)
        node.allocated = core.now
        core.save(node)
        ready_s = core.settings.node_ready_s(core.random)
        core.after(ready_s * core.settings.creating_share, _start, node, boot, ready_s)


def make_unusable(core: Core, node: Node, error: dict[str, Any]) -> None:
    """Breaks a node: its tasks are requeued, and only a reimage or removal mends it."""
    node.boots += 1
    node.errors = [error]
    set_node_state(node, "unusable", core.now)
    end_attempts(core, node, "lost")
    core.save(node)
