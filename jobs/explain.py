"""Why a job or a task is where it is, in sentences: facts that the service gives, in order.

The pool's reasons come from the watcher; here are those that need a closer look: nodes
that are of no use and what their start task printed, how a job ended, what an exit code
means. Nothing is guessed: what is likely is said to be.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from jobs.command_lines import shown_command, written_command
from jobs.coordination import instances
from jobs.durations import spoken
from jobs.errors import NotFoundError, ServiceError
from jobs.log_lines import unsteering
from jobs.logs import LogReader, TaskState
from jobs.looks import Look, task_end
from jobs.managed import MANAGER_ID, has_manager, look_at_manager
from jobs.plan import META_SUBMISSION, SUBMITTING
from jobs.preparation import failed_preparations, said_on_node
from jobs.report import UNNAMED, grouped, last_lines
from jobs.report_text import failure_lines
from jobs.service import BatchService, segment
from jobs.stages import shown_task
from jobs.standing import ended_text
from jobs.standstill import is_unsent, unsent_text
from jobs.submit import metadata_of
from jobs.task_names import TaskNames, Values
from jobs.watch import Watcher

LAST_LINES = 5
_NODES_SHOWN = 3
_FIRST_SIGNAL = 128
_EXIT_CODES = {
    126: "the command was found and may not be run: is it executable, and made for this system?",
    127: "the shell did not find a command",
}
_REMEDIES = {
    "Quota": "ask for more quota in the portal (Batch account, Quotas), or end what holds nodes",
    "AllocationFailed": "the region has no such machines now: wait, or take another size or "
    "region; spot nodes come last",
    "AllocationTimedOut": "the region is slow to give machines: the pool tries again by itself",
    "SubnetHasInsufficient": "the subnet has no free addresses: a larger one, or fewer nodes",
}
_SIGNALS = {
    signal.SIGKILL: "likely for want of memory, or at its time limit",
    signal.SIGTERM: "by the service or by itself: its time limit, or the job was ended",
    signal.SIGSEGV: "it used memory that is not its own",
    signal.SIGILL: "it was built for another processor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why something is where it is.

    Attributes:
        subject: A job's or a task's id.
        name: What a person calls it: `412`, or `sim/412` in a job with stages.
        state: As the service calls it, or `succeeded`, `stale` (it succeeded, and its answer is
            of outputs that were replaced since) or `failed`.
        reasons: Sentences, the most telling first.
        printed: The last lines of stderr, if they matter.
        commands: Verbs that go on from here, as command lines.
        parameters: What a task was given, where that is known.
    """

    subject: str
    name: str
    state: str
    reasons: tuple[str, ...]
    printed: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    parameters: Values = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The explanation as a JSON object."""
        return asdict(self)


def explain_job(watcher: Watcher, reader: LogReader, names: TaskNames = UNNAMED) -> Explanation:
    """Why a job is where it is; `names` are what people call its tasks.

    Raises:
        ServiceError: The job is gone, or the service refuses.
    """
    look = watcher.look()
    service, job_id = watcher.service, watcher.job_id
    job = service.get(f"/jobs/{segment(job_id)}", f"reading job {job_id}")
    ends = list(watcher.ends.values())
    told = (*filter(None, [look.stale.text]), *_job_reasons(job, look), *look.obstacles)
    reasons = list(dict.fromkeys(told))
    if look.running:
        reasons.insert(0, _standing(look))
    reasons.extend(_remedies(look))
    pool = job.get("poolInfo", {}).get("poolId")
    if pool and not look.over:
        reasons.extend(_node_reasons(service, pool))
        reasons.extend(_preparation_reasons(service, job))
    reasons.extend(failure_lines(grouped(ends, last_lines(reader.tree, ends), names)))
    commands = []
    if has_manager(job):
        if look.over and metadata_of(job).get(META_SUBMISSION) == SUBMITTING:
            commands.append(_rerun(job_id))
        reasons.extend(_manager_reasons(service, job_id, reader))
    elif is_unsent(job):
        verb = "wait" if look.arriving else "rerun" if look.job_over else "resume"
        commands.append(f"python -m jobs {verb} {job_id}")
    if look.failed:
        commands.append(f"python -m jobs explain failed --job {job_id}")
    if look.stale and look.over:
        commands.append(_rerun(job_id))
    return Explanation(
        subject=job_id,
        name=job_id,
        state=look.job_state,
        reasons=tuple(reasons) or (_standing(look),),
        commands=tuple(commands),
    )


def explain_task(
    task_id: str,
    watcher: Watcher,
    look: Look,
    reader: LogReader,
    names: TaskNames = UNNAMED,
) -> Explanation:
    """Why a task is where it is.

    Args:
        task_id: Which.
        watcher: Of its job.
        look: Tells of its job and pool.
        reader: Reads its logs.
        names: What people call the job's tasks.

    Raises:
        ServiceError: The task is gone, or the service refuses.
    """
    job_id = watcher.job_id
    path = f"/jobs/{segment(job_id)}/tasks/{segment(task_id)}"
    task = watcher.service.get(path, f"reading task {task_id}")
    name = shown_task(task_id, watcher.stage_totals)
    given = dict(names.of([task_id])[task_id])
    state: str = task["state"]
    info = task.get("executionInfo", {})
    if state != "completed":
        return Explanation(
            subject=task_id,
            name=name,
            parameters=given,
            state=state,
            reasons=tuple(_unfinished(task, state, info, look, watcher)),
            commands=_go_on(name, state, look, job_id),
        )
    end = task_end(task)
    took = f"it ran for {spoken(end.run_s)} on {end.node_id}"
    again = [f"it was run again {_times(end.retries)}"] if end.retries else []
    again += [f"it was put back {_times(end.requeues)}"] if end.requeues else []
    made = _made_before(look.stale.source(task_id))
    if end.succeeded:
        return Explanation(
            subject=task_id,
            name=name,
            parameters=given,
            state="stale" if made else "succeeded",
            reasons=(*made, took, *again),
            commands=(_rerun(job_id),) if made else (),
        )
    lines = reader.lines(TaskState(id=task_id, state=state, failed=True), "stderr")
    printed = [unsteering(line.text) for line in lines][-LAST_LINES:]
    said = reader.reason(task_id)
    return Explanation(
        subject=task_id,
        name=name,
        parameters=given,
        state="failed",
        reasons=(
            *([f"its reason: {said}"] if said else []),
            *_failure(info),
            *([took] if end.started is not None else []),
            *again,
            *made,
            f"its command: {shown_command(written_command(task['commandLine']))}",
            *_coordination(task, reader),
        ),
        printed=tuple(printed),
        commands=(f"python -m jobs logs {name} --job {job_id}",),
    )


def _made_before(source: str) -> tuple[str, ...]:
    """Why what a task left is no answer any more; nothing if it is one."""
    if not source:
        return ()
    return (f"what it left is stale: {source}, which it waits for, ran again since or is stale",)


def _rerun(job_id: str) -> str:
    return f"python -m jobs rerun {job_id}"


def _go_on(name: str, state: str, look: Look, job_id: str) -> tuple[str, ...]:
    """What to do about a task that has not ended."""
    if state == "running":
        return (f"python -m jobs logs {name} --follow --job {job_id}",)
    return (f"{_rerun(job_id)} --tasks {name}",) if look.job_over else ()


def _coordination(task: Mapping[str, Any], reader: LogReader) -> Iterator[str]:
    """What ran on every node before a task on several: its failure is the task's, too."""
    settings = task.get("multiInstanceSettings")
    if settings is None:
        return
    nodes = instances(reader.service, reader.job_id, task)
    failed = [one for one in nodes if one.failed]
    if not failed:
        # the service tells nothing of the command on the primary but the task's own result
        if reader.has_own_log(task["id"]):
            return
        failed = nodes[:1]
        yield "its command left no log: the coordination command, which runs first, may be why"
    coordination = written_command(settings["coordinationCommandLine"])
    yield f"its coordination command: {shown_command(coordination)}"
    state = TaskState(id=task["id"], state="completed", failed=True)
    for one in failed[:_NODES_SHOWN]:
        how = f" failed: {'; '.join(_failure(one.info))}" if one.failed else ""
        yield f"on node {one.number} of {len(nodes)} ({one.node_id}) it{how or ' printed:'}"
        for line in reader.printed_by(state, one, "stderr")[-LAST_LINES:]:
            yield f"  coordination: {unsteering(line)}"
    if len(failed) > _NODES_SHOWN:
        yield f"and so it did on {len(failed) - _NODES_SHOWN} more"


def exit_code_text(code: int) -> str:
    """An exit code and, where it is known to anybody, what it means."""
    if code in _EXIT_CODES:
        return f"exit code {code}: {_EXIT_CODES[code]}"
    if code == 0:
        return "exit code 0"
    try:
        by = signal.Signals(code - _FIRST_SIGNAL if code > _FIRST_SIGNAL else -code)
    except ValueError:
        return f"exit code {code}, of the program's own choosing"
    why = _SIGNALS.get(by)
    return f"exit code {code}: ended by {by.name}{f', {why}' if why else ''}"


def _job_reasons(job: Mapping[str, Any], look: Look) -> Iterator[str]:
    if metadata_of(job).get(META_SUBMISSION) == SUBMITTING:
        known = look.waiting + look.running + look.ended
        resumed = is_unsent(job) and not look.job_over
        goes_on = str(job["id"]) if resumed else ""
        yield unsent_text(goes_on, known, look.total, arriving=look.arriving)
    info = job.get("executionInfo", {})
    if problem := info.get("schedulingError"):
        yield f"{problem.get('code')}: {problem.get('message')}"
    if ended := ended_text(look.end_reason):
        yield ended


def _manager_reasons(service: BatchService, job_id: str, reader: LogReader) -> Iterator[str]:
    """What keeps the task that adds a scheduled job's tasks, or how it failed."""
    manager = look_at_manager(service, job_id)
    if manager is None:
        yield "its job manager task, which adds its tasks, is gone"
    elif manager.failed:
        yield f"its job manager task: {'; '.join(_failure(manager.info))}"
        state = TaskState(id=MANAGER_ID, state="completed", failed=True)
        for line in [*reader.lines(state, "stderr")][-LAST_LINES:]:
            yield f"  job manager: {unsteering(line.text)}"
        if (manager.info.get("failureInfo") or {}).get("code") == "CommandProgramNotFound":
            yield (
                "  the nodes of its pool have no python3, which schedules need: let the pool's "
                "start task install it, or take another image, in the stack's configuration"
            )
    elif not manager.over:
        yield f"its job manager task, which adds its tasks, is {manager.state}"


def _standing(look: Look) -> str:
    if look.over:
        return f"all {look.total} tasks succeeded" if not look.failed else "it is over"
    free = "" if look.obstacles else "nothing holds it up: "
    run = "1 task runs" if look.running == 1 else f"{look.running} tasks run"
    wait = "waits" if look.waiting == 1 else "wait"
    return (
        f"{free}{run}, {look.waiting} {wait} for a free slot, "
        f"{look.ended} of {look.total} have ended"
    )


def _node_reasons(service: BatchService, pool: str) -> Iterator[str]:
    """Nodes that cannot run tasks, with their errors and the end of their start task's log."""
    path = f"/pools/{segment(pool)}/nodes"
    query = {
        "$filter": "state eq 'starttaskfailed' or state eq 'unusable'",
        "$select": "id,state,errors,startTaskInfo",
    }
    bad = list(service.pages(path, f"listing nodes of pool {pool}", **query))
    for node in bad[:_NODES_SHOWN]:
        errors = "; ".join(f"{e.get('code')}: {e.get('message')}" for e in node.get("errors", ()))
        start = node.get("startTaskInfo") or {}
        code = start.get("exitCode")
        failed = f"its start task ended with {exit_code_text(code)}" if code else ""
        words = "; ".join(part for part in (errors, failed) if part) or node["state"]
        yield f"node {node['id']} cannot run tasks: {words}"
        if node["state"].lower() == "starttaskfailed":
            said = said_on_node(service, pool, node["id"], "startup")
            yield from (f"  start task: {line}" for line in said[-LAST_LINES:])
    if len(bad) > _NODES_SHOWN:
        yield f"and {len(bad) - _NODES_SHOWN} more nodes like these"


def _preparation_reasons(service: BatchService, job: Mapping[str, Any]) -> Iterator[str]:
    """Nodes on which the job's preparation failed, with the end of its log."""
    failed = failed_preparations(service, job)
    for item in failed[:_NODES_SHOWN]:
        yield f"on node {item.node_id} the preparation failed: {'; '.join(_failure(item.info))}"
        yield from (f"  preparation: {line}" for line in item.said(service)[-LAST_LINES:])
    if len(failed) > _NODES_SHOWN:
        yield f"and so it did on {len(failed) - _NODES_SHOWN} more"


def _remedies(look: Look) -> Iterator[str]:
    """What to do about nodes that do not come, where that is one of the obstacles."""
    told = look.pool is not None and not set(look.obstacles).isdisjoint(look.pool.reasons)
    code = look.pool.missing if look.pool is not None and told else ""
    if remedy := next((text for part, text in _REMEDIES.items() if part in code), None):
        yield f"  {remedy}"


def _unfinished(
    task: Mapping[str, Any],
    state: str,
    info: Mapping[str, Any],
    look: Look,
    watcher: Watcher,
) -> Iterator[str]:
    node = (task.get("nodeInfo") or {}).get("nodeId", "")
    if info.get("retryCount"):
        last = info.get("exitCode")
        yield f"it is run again: attempt {info['retryCount'] + 1}" + (
            f", the last ended with {exit_code_text(last)}" if last else ""
        )
    if info.get("requeueCount"):
        gone = ": its node went away" if _is_gone(task, watcher.service) else ""
        yield f"it was put back {_times(info['requeueCount'])}{gone}"
    if state == "running":
        limit = task.get("constraints", {}).get("maxWallClockTime")
        yield f"it runs on {node} since {info.get('startTime')}" + (
            f", for {limit} at most" if limit and len(limit) < len("P10675199DT2H48M") else ""
        )
    elif state == "preparing":
        yield f"its files are being brought to {node}"
    else:
        slots = task.get("requiredSlots", 1)
        if look.job_over:
            yield "it has not run, and never will: its job is over"
        held = [*_too_large(slots, look), *_parents(task.get("dependsOn") or {}, watcher)]
        yield from held
        if look.job_over:
            return
        yield from (*look.obstacles, *_remedies(look))
        if not held and (look.running or not look.obstacles):
            yield (
                f"it waits for {slots} free slot{'' if slots == 1 else 's'}: {look.running} tasks "
                f"of the job run and {look.waiting} wait"
            )


def _is_gone(task: Mapping[str, Any], service: BatchService) -> bool:
    """Whether the node that a task was last on is known to be there no more."""
    last = task.get("nodeInfo") or {}
    if not last.get("nodeId"):
        return False
    path = f"/pools/{segment(last['poolId'])}/nodes/{segment(last['nodeId'])}"
    try:
        node = service.get(path, f"reading node {last['nodeId']}", **{"$select": "id,state"})
    except NotFoundError:
        return True
    except ServiceError:
        return False
    return str(node["state"]).lower() == "preempted"


def _too_large(slots: int, look: Look) -> Iterator[str]:
    """The service takes a task that no node can ever run, and lets it wait."""
    there = 0 if look.pool is None else look.pool.slots
    if there and slots > there:
        yield (
            f"it takes {slots} slots and a node of its pool has {there}: it can never run. Give "
            "it fewer (resources.slots), or a pool with larger nodes"
        )


def _parents(depends_on: Mapping[str, Any], watcher: Watcher) -> Iterator[str]:
    """What it waits for, of the tasks that it depends on."""
    ids = frozenset(depends_on.get("taskIds", ()))
    spans = [(span["start"], span["end"]) for span in depends_on.get("taskIdRanges", ())]
    number = len(ids) + sum(last - first + 1 for first, last in spans)
    if not number:
        return
    ended = [
        end
        for end in watcher.ends.values()
        if end.id in ids or (end.id.isdecimal() and any(a <= int(end.id) <= b for a, b in spans))
    ]
    failed = [end.id for end in ended if not end.succeeded]
    left = number - len(ended)
    if failed:
        yield (
            f"{len(failed)} of the {number} tasks that it waits for failed, such as "
            f"{shown_task(min(failed), watcher.stage_totals)}: unless their failure is allowed "
            "(on_failure) it can never run"
        )
    if left:
        yield f"it waits for {left} of {number} tasks to end"


def _failure(info: Mapping[str, Any]) -> Iterator[str]:
    code = info.get("exitCode")
    failure = info.get("failureInfo") or {}
    own = failure.get("code", "FailureExitCode") == "FailureExitCode"
    if code is not None and own:
        yield exit_code_text(code)
    if failure.get("code") and (code is None or not own):
        details = "; ".join(
            f"{d.get('name')}: {d.get('value')}" for d in failure.get("details", ())
        )
        text = f"{failure['code']}: {failure.get('message', '')}".rstrip(": ")
        yield f"{text} ({details})" if details else text
    if code is not None and not own:
        yield f"its program ended with {exit_code_text(code)}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
