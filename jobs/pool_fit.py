"""Whether a pool can run a workload's tasks, as far as the stack's outputs say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.advice import BLOCKED, REGISTRY, ROUNDS, Advice
from jobs.errors import Finding
from jobs.loading import LoadedWorkload
from jobs.spec_tasks import MultiInstance
from jobs.stack import Pool, Stack
from jobs.stages import StageView

LONGEST_RELEASE_S = 15 * 60
_HUB = "docker.io"
_PRIVATE = (".azurecr.io", ".azurecr.cn", ".azurecr.us")
"""Registries of Azure: read by everybody only where that was switched on."""


def pool_findings(
    workload: LoadedWorkload, stages: Sequence[StageView], pool: Pool
) -> Iterator[Finding]:
    """What cannot work."""
    name = workload.spec.pool
    if pool.identity_id is None:
        yield workload.finding(
            f"pool {name!r} has no identity, so its nodes can neither read "
            "programs nor leave outputs: give it one in the stack's configuration",
            "pool",
        )
    if pool.max_nodes < 1:
        yield workload.finding(f"pool {name!r} can have no node (max_nodes is 0)", "pool")
    seen: set[Finding] = set()
    for stage in stages:
        for finding in _stage_findings(workload, stage, pool):
            if finding not in seen:
                seen.add(finding)
                yield finding
    release = workload.spec.release
    longest = release.wall_clock if release is not None else None
    if longest is not None and longest.total_seconds() > LONGEST_RELEASE_S:
        yield workload.finding(
            "the service ends a release after 15 minutes", "release", "wall_clock"
        )
    for key in ("preparation", "release"):
        node = getattr(workload.spec, key)
        if node is not None and node.script is not None and pool.os == "windows":
            yield workload.finding(_NO_SHELL, key, "script")


def schedule_findings(workload: LoadedWorkload, stack: Stack, pool: Pool) -> Iterator[Finding]:
    """What keeps nodes from adding the tasks of a scheduled job.

    Images of Windows Server have no Python: who needs it installs it with a start task
    (https://github.com/Azure/Batch/issues/146), and what that adds to PATH reaches no process
    that runs already (https://github.com/microsoft/azure-pipelines-agent/issues/1606), as the
    one that starts tasks does.
    """
    if workload.spec.schedule is None:
        return
    if pool.os == "windows":
        linux = sorted(name for name, one in stack.pools.items() if one.os == "linux")
        instead = f"name a Linux pool ({', '.join(linux)})" if linux else (
            "add a Linux pool to the stack's configuration"
        )  # fmt: skip
        yield workload.finding(
            "the tasks of a scheduled job are added by python3 on a node of its pool; pool "
            f"{workload.spec.pool!r} runs Windows, whose images have no Python, and nobody has "
            f"tried this there: {instead}, or leave `schedule` out and let the schedule of a "
            "pipeline start python -m jobs run",
            "schedule",
        )
    if stack.authentication == "entra" and not stack.nodes_submit_jobs:
        yield workload.finding(
            f"the tasks of a scheduled job are added by a node, and those of stack {stack.stack} "
            "may not: set hpc:batch: {nodes_submit_jobs: true} in the stack's configuration and "
            "deploy it, or leave `schedule` out and let the schedule of a pipeline start "
            "python -m jobs run",
            "schedule",
        )


def schedule_warnings(workload: LoadedWorkload, stages: Sequence[StageView]) -> Iterator[Advice]:
    """What may keep the jobs of a schedule from coming: one that nothing ends.

    The service never ends a job whose tasks wait for one that failed (`jobs.exits`), and makes
    no other of a schedule as long as there is one that is not over.
    """
    if workload.spec.schedule is None:
        return
    waited_for = {name for stage in stages for name in stage.after}
    blocking = [
        stage.title or "the job"
        for stage in stages
        if stage.name in waited_for
        and "block"
        in {*stage.spec.on_failure.values(), stage.spec.on_failure.get("otherwise", "block")}
    ]
    if blocking:
        message = (
            f"{', '.join(blocking)}: where a task fails, those that wait for it never run, and "
            "Batch does not end the job: the schedule makes no other until somebody waits for "
            f"it (python -m jobs wait {workload.spec.name}) or ends it. With `on_failure: stop` "
            "or `continue` it goes on by itself"
        )
        yield Advice(code=BLOCKED, message=message)


def registry_of(image: str) -> str:
    """The registry that an image is fetched from: its name's first part, if that is a host.

    Source: https://github.com/distribution/reference (`splitDockerDomain`).
    """
    host, slash, _ = image.partition("/")
    named = slash and ("." in host or ":" in host or host == "localhost" or host != host.lower())
    return host.lower() if named else _HUB


def pool_warnings(counts: Sequence[tuple[StageView, int]], pool: Pool) -> Iterator[Advice]:
    """What will work, and slower than somebody may think, or perhaps not."""
    for stage, _ in counts:
        yield from _registry_warnings(stage, pool)
    for stage, count in counts:
        several = stage.spec.multi_instance
        if several is not None:
            needed = several.nodes * count
            if needed > pool.max_nodes:
                message = (
                    f"{stage.title or 'the job'}: {count} tasks of {several.nodes} nodes each are "
                    f"{needed} nodes, and the pool's formula has {pool.max_nodes} at most: "
                    f"{pool.max_nodes // several.nodes} run at a time"
                )
                yield Advice(code=ROUNDS, message=message)
            continue
        at_once = pool.max_nodes * (pool.task_slots_per_node // max(1, stage.spec.resources.slots))
        if count > at_once > 0:
            rounds = -(-count // at_once)
            message = (
                f"{stage.title or 'the job'}: {count:,} tasks, and the pool's formula has "
                f"{pool.max_nodes} nodes at most, for {at_once:,} of them at a time: "
                f"{rounds:,} rounds"
            )
            yield Advice(code=ROUNDS, message=message)


_NO_SHELL = "is for /bin/sh, and the pool runs Windows: use `command`"


def _stage_findings(workload: LoadedWorkload, stage: StageView, pool: Pool) -> Iterator[Finding]:
    name = workload.spec.pool
    slots = stage.spec.resources.slots
    several = stage.spec.multi_instance
    if slots > pool.task_slots_per_node:
        yield workload.finding(
            f"a task wants {slots} slots and a node of pool {name!r} has "
            f"{pool.task_slots_per_node}: it would wait for ever",
            *stage.place("resources", "slots"),
        )
    if stage.spec.container is not None and pool.tells_registries and pool.registries is None:
        yield container_finding(workload, stage)
    if pool.os == "windows":
        if stage.spec.script is not None:
            yield workload.finding(_NO_SHELL, *stage.place("script"))
        if several is not None and several.mpi is not None:
            yield workload.finding(
                "MPI is started by /bin/sh, and the pool runs Windows: leave `mpi` out and start "
                "it in `command`",
                *stage.place("multi_instance", "mpi"),
            )
        for number, entry in enumerate(stage.spec.inputs):
            if entry.stage is not None:
                yield workload.finding(
                    "another stage's outputs are put in place by /bin/sh, and the pool runs "
                    "Windows",
                    *stage.place("inputs", number),
                )
    if several is not None:
        yield from _several_nodes(workload, stage, several, pool)


def container_finding(workload: LoadedWorkload, stage: StageView) -> Finding:
    """That the nodes of the pool run no containers, which a stage needs."""
    return workload.finding(
        f"the nodes of pool {workload.spec.pool!r} run no containers: give it `containers` in "
        "the stack's configuration, or leave `container` out",
        *stage.place("container"),
    )


def _registry_warnings(stage: StageView, pool: Pool) -> Iterator[Advice]:
    """Images that nodes fetch without a sign-in, where a private registry wants one."""
    wanted = stage.spec.container
    if wanted is None:
        return
    server, title = registry_of(wanted.image), stage.title or "the job"
    if wanted.registry is not None:
        if wanted.registry.lower() != server:
            message = (
                f"{title}: image {wanted.image!r} is of {server}, so that `registry: "
                f"{wanted.registry}` says nothing about it: begin the image with its registry"
            )
            yield Advice(code=REGISTRY, message=message)
    elif (
        pool.tells_registries
        and server.endswith(_PRIVATE)
        and server not in map(str.lower, pool.registries or ())
    ):
        known = ", ".join(pool.registries or ()) or "none"
        message = (
            f"{title}: the nodes sign in to {known}, and image {wanted.image!r} is of {server}: "
            f"unless everybody may read it, write `registry: {server}`, or add it to the pool's "
            "containers.registries in the stack's configuration"
        )
        yield Advice(code=REGISTRY, message=message)


def _several_nodes(
    workload: LoadedWorkload, stage: StageView, several: MultiInstance, pool: Pool
) -> Iterator[Finding]:
    name = workload.spec.pool
    if several.nodes > pool.max_nodes:
        yield workload.finding(
            f"a task takes {several.nodes} nodes and pool {name!r} has {pool.max_nodes} at most: "
            "it would wait for ever",
            *stage.place("multi_instance", "nodes"),
        )
    if several.nodes > 1 and not pool.inter_node_communication:
        yield workload.finding(
            f"the nodes of pool {name!r} cannot reach each other: set "
            "inter_node_communication for it in the stack's configuration",
            *stage.place("multi_instance"),
        )
    if pool.task_slots_per_node != 1:
        yield workload.finding(
            f"the nodes of pool {name!r} have {pool.task_slots_per_node} task slots, and the "
            "service runs multi-instance tasks on nodes that have one: set task_slots_per_node "
            "to 1 for it in the stack's configuration",
            *stage.place("multi_instance"),
        )
    if stage.spec.resources.slots != 1:
        yield workload.finding(
            "a multi-instance task takes whole nodes: the service takes no slots for it",
            *stage.place("resources", "slots"),
        )
