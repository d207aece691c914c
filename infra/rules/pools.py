"""Rules of pools: slots, MPI, disks, start tasks, scale."""

from __future__ import annotations

import re
from collections.abc import Iterator

from infra.estate import Estate
from infra.pools import PoolPlan
from infra.rules.rule import Problem, Rule
from infra.secrets_in_clear import is_secret, secrets_in

_MOST_SLOTS = 256
_MOST_INTER_NODE_NODES = 100
_MOST_INTER_NODE_OWN_NODES = 80
_LEAST_INTERVAL_MINUTES = 5
_MOST_INTERVAL_MINUTES = 168 * 60
# Operators, variables, substitution and wildcards; not `?`, which URLs have.
_SHELL_FEATURES = frozenset("&|><;$`*")
# A shell as the first word or behind such as `sudo` and `env`, told to read a command by `-c`
# and its kin: `-lc`, `-euxc`, `-euo pipefail -c`.
_SHELL = re.compile(
    r"""(?:^|\s)["']?(?:\S*[/\\])?(?:
        (?:ba|da|z|k)?sh["']?\s+(?:[-+]\w*o\s+\w+\s+|[-+]\S+\s+)*-[a-z]*c\s
        |cmd(?:\.exe)?["']?\s+(?:/\S+\s+)*/[ck]\s
        |(?:powershell|pwsh)(?:\.exe)?["']?\s
    )""",
    re.IGNORECASE | re.VERBOSE,
)


def _slots_fit(estate: Estate) -> Iterator[Problem]:
    """A node has at most 4 slots per vCPU, and 256."""
    for pool in estate.pools:
        most = min(4 * pool.size.vcpus, _MOST_SLOTS) if pool.size else _MOST_SLOTS
        if pool.task_slots_per_node > most:
            yield Problem(
                f"{pool.path}.task_slots_per_node",
                f"{pool.task_slots_per_node} slots are more than Batch allows on "
                f"{pool.vm_size}: 4 per vCPU and {_MOST_SLOTS} at most; write {most} or less",
            )


def _mpi_has_a_node_to_itself(estate: Estate) -> Iterator[Problem]:
    """Pools for multi-instance tasks have one slot per node."""
    for pool in estate.pools:
        if pool.inter_node_communication and pool.task_slots_per_node > 1:
            yield Problem(
                f"{pool.path}.task_slots_per_node",
                "multi-instance tasks run only where a node has one slot; write 1, or set "
                "inter_node_communication: false",
            )


def _mpi_pools_are_small(estate: Estate) -> Iterator[Problem]:
    """Pools whose nodes talk to each other have at most 100 nodes, 80 in one's subscription."""
    own_nodes = estate.config.batch.has_own_nodes
    most = _MOST_INTER_NODE_OWN_NODES if own_nodes else _MOST_INTER_NODE_NODES
    for pool in estate.pools:
        if pool.inter_node_communication and pool.scale.max_nodes > most:
            yield Problem(
                f"{pool.path}.scale",
                f"{pool.scale.max_nodes} nodes that talk to each other are more than the "
                f"{most} that Batch places together; lower the most nodes, "
                "or make a second pool",
            )


def _mpi_on_spot_is_fragile(estate: Estate) -> Iterator[Problem]:
    """MPI runs on dedicated nodes."""
    for pool in estate.pools:
        if pool.inter_node_communication and pool.scale.max_spot_nodes:
            yield Problem(
                f"{pool.path}.scale",
                "one evicted spot node ends a whole MPI task; use dedicated nodes unless the "
                "program restarts from checkpoints",
            )


def _rdma_sizes_talk(estate: Estate) -> Iterator[Problem]:
    """The nodes of an rdma pool may talk to each other."""
    for pool in estate.pools:
        if pool.preset == "rdma" and not pool.inter_node_communication:
            yield Problem(
                f"{pool.path}.inter_node_communication",
                "an rdma pool whose nodes may not talk to each other pays for an InfiniBand "
                "that no task can use; write true or leave the key out",
            )


def _spot_keeps_its_disk(estate: Estate) -> Iterator[Problem]:
    """Spot nodes have no ephemeral OS disk."""
    for pool in estate.pools:
        if pool.ephemeral_os_disk and pool.scale.max_spot_nodes:
            yield Problem(
                f"{pool.path}.ephemeral_os_disk",
                "Batch does not run spot nodes on ephemeral OS disks; write false, or "
                f"{_most_keys(fixed=pool.scale.is_fixed)[1]}: 0",
            )


def _interval_is_allowed(estate: Estate) -> Iterator[Problem]:
    """Formulas are evaluated every 5 minutes to 168 hours."""
    for pool in estate.pools:
        minutes = pool.scale.interval_minutes
        if minutes is None or _LEAST_INTERVAL_MINUTES <= minutes <= _MOST_INTERVAL_MINUTES:
            continue
        yield Problem(
            f"{pool.path}.scale.evaluation_interval_minutes",
            f"Batch evaluates a formula every {_LEAST_INTERVAL_MINUTES} minutes at the most "
            f"and every {_MOST_INTERVAL_MINUTES} at the least; write a number between",
        )


def _bounds_make_sense(estate: Estate) -> Iterator[Problem]:
    """A pool can have a node, and its least is not above its most."""
    for pool in estate.pools:
        scale = pool.scale
        if not scale.is_fixed and scale.min_nodes > scale.max_nodes:
            yield Problem(
                f"{pool.path}.scale",
                f"at least {scale.min_nodes} nodes are more than the {scale.max_nodes} that "
                "there may be at most; lower the least or raise the most",
            )
        elif scale.max_nodes == 0:
            yield Problem(
                f"{pool.path}.scale",
                "the pool can never have a node, so its tasks would wait for ever; raise "
                f"{' or '.join(_most_keys(fixed=scale.is_fixed))}",
            )


def _most_keys(*, fixed: bool) -> tuple[str, str]:
    """What a pool's most nodes are written as."""
    return (
        ("dedicated_nodes", "spot_nodes") if fixed else ("max_dedicated_nodes", "max_spot_nodes")
    )


def _nodes_that_stay_cost(estate: Estate) -> Iterator[Problem]:
    """No nodes stay that cost notably without work."""
    for pool in estate.pools:
        scale = pool.scale
        price = pool.idle_price_per_hour
        if scale.min_nodes and price and price * 24 >= _NOTABLE_PRICE_PER_DAY:
            yield Problem(
                f"{pool.path}.scale",
                f"{scale.min_nodes} nodes stay when there is no work: {price * 24:,.0f} USD a "
                "day; let the pool shrink to 0 unless the waiting time costs more",
            )


_NOTABLE_PRICE_PER_DAY = 50.0


def _start_task_has_a_shell(estate: Estate) -> Iterator[Problem]:
    """Start tasks that use shell features call a shell."""
    for pool in estate.pools:
        command = pool.start_task.command_line if pool.start_task else ""
        if _lacks_a_shell(command):
            yield Problem(
                f"{pool.path}.start_task.command_line",
                "Batch starts the program itself, without a shell, so && | > $ ` * are passed "
                "on as text; write /bin/bash -c '…' around the command",
            )


def _lacks_a_shell(command: str) -> bool:
    """Whether shell features are outside of what a shell, named before them, reads."""
    shell = _SHELL.search(command)
    unread = command[: shell.start()] if shell else command
    literal = re.sub(r"'[^']*'", "", unread)
    return not _SHELL_FEATURES.isdisjoint(literal)


def _start_task_is_waited_for(estate: Estate) -> Iterator[Problem]:
    """Tasks wait for the start task."""
    for pool in estate.pools:
        if pool.start_task and not pool.start_task.wait_for_success:
            yield Problem(
                f"{pool.path}.start_task.wait_for_success",
                "tasks may start before the node is prepared, and on nodes where preparing "
                "it failed; write true",
            )


def _own_metadata_is_kept(estate: Estate) -> Iterator[Problem]:
    """Metadata does not use the program's own names."""
    for pool in estate.pools:
        for name in pool.metadata:
            if name in _OWN_METADATA:
                yield Problem(
                    f"{pool.path}.metadata.{name}",
                    "this name is written by the program itself; choose another",
                )


_OWN_METADATA = frozenset({"hpc-pool", "hpc-stack"})


def _names_differ(estate: Estate) -> Iterator[Problem]:
    """Pool names differ in more than case."""
    seen: dict[str, PoolPlan] = {}
    for pool in estate.pools:
        other = seen.setdefault(pool.name.casefold(), pool)
        if other is not pool:
            yield Problem(
                pool.path,
                f"differs from {other.path} in case alone, and Batch ignores case in names; "
                "rename one",
            )


def _no_secrets_in_clear(estate: Estate) -> Iterator[Problem]:
    """No secret is written where every reader of a pool sees it."""
    for pool in estate.pools:
        formula = pool.scale.formula
        found = list(secrets_in(pool.equipment.model_dump(mode="json"), pool.path))
        if formula and is_secret(formula):
            found.append(pool.scale.formula_path)
        for path in found:
            yield Problem(
                path,
                "this looks like a secret, and everybody who may read the file or the pool "
                "reads it; let nodes sign in by their identity or fetch it from a Key Vault, "
                "and withdraw this one",
            )


_POOLS = "https://learn.microsoft.com/rest/api/batchservice/pool/add-pool"
_MPI = "https://learn.microsoft.com/azure/batch/batch-mpi"
_SPOT = "https://learn.microsoft.com/azure/batch/batch-spot-vms"
_SCALE = "https://learn.microsoft.com/azure/batch/batch-automatic-scaling"
_SECURITY = "https://learn.microsoft.com/azure/batch/security-best-practices"
_START = "https://learn.microsoft.com/azure/batch/best-practices"

RULES = (
    Rule(
        code="POL001",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/batch-parallel-node-tasks",
        judge=_slots_fit,
    ),
    Rule(code="POL002", severity="error", source=_MPI, judge=_mpi_has_a_node_to_itself),
    Rule(code="POL003", severity="error", source=_POOLS, judge=_mpi_pools_are_small),
    Rule(code="POL004", severity="warning", source=_MPI, judge=_mpi_on_spot_is_fragile),
    Rule(code="POL005", severity="error", source=_MPI, judge=_rdma_sizes_talk),
    Rule(
        code="POL006",
        severity="error",
        source="https://learn.microsoft.com/azure/batch/create-pool-ephemeral-os-disk",
        judge=_spot_keeps_its_disk,
    ),
    Rule(code="POL007", severity="error", source=_SCALE, judge=_interval_is_allowed),
    Rule(code="POL008", severity="error", source=_SCALE, judge=_bounds_make_sense),
    Rule(code="POL009", severity="warning", source=_SPOT, judge=_nodes_that_stay_cost),
    Rule(code="POL010", severity="error", source=_START, judge=_start_task_has_a_shell),
    Rule(code="POL011", severity="warning", source=_START, judge=_start_task_is_waited_for),
    Rule(code="POL012", severity="error", source=_POOLS, judge=_own_metadata_is_kept),
    Rule(code="POL013", severity="error", source=_POOLS, judge=_names_differ),
    Rule(code="POL014", severity="error", source=_SECURITY, judge=_no_secrets_in_clear),
)
