"""What the engine asks this program while it deploys: two hooks.

**Before a pool is deleted**, also as the end of its replacement, the Batch service is asked
for jobs with unfinished tasks on it; while there are any the deletion is refused, and so it
is when the service cannot be asked. The engine stops there, nothing is lost: the new pool
of a replacement exists by then, and the next `pulumi up` goes on. A preview says the same as
a warning. Whoever means it names the pool in `HPC_DELETE_BUSY_POOLS`: a variable of one
command, because a key in the config would stay.

**When a resource fails** because a role or an identity made moments before has not spread
through Azure yet, the engine is told to try again, a bounded number of times. azure-native
tries nothing again that Azure refuses.

The engine does not hand hooks down from parents to children, so a transformation of the
Platform, which children do inherit, binds each hook by the type of the resource: a role
assignment that a component adds tomorrow has its hook. A hook that deletes is kept in the
state by name, and the engine looks that name up in the running program; that is why
`pulumi destroy` needs `--run-program` (or `PULUMI_RUN_PROGRAM=true`), and why the name is
registered even by a program without pools. Hooks make no resources.

What this does not do: stop anybody from submitting in the second between answer and
deletion, or keep a pool from being deleted outside Pulumi.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence

import pulumi

from infra.config import Authentication
from infra.errors import AskError, BusyPoolError
from infra.unfinished import BatchService, UnfinishedJob, unfinished_jobs

ENV_DELETE_BUSY_POOLS = "HPC_DELETE_BUSY_POOLS"
"""Names pools that may go although they have unfinished tasks: ids or logical names, or `all`."""

BEFORE_DELETE = "hpc-pool-has-no-unfinished-tasks"
ON_ERROR = "hpc-wait-for-roles"
"""Names of the hooks, kept in every state: to rename one is to break `pulumi destroy`."""

RETRY_DELAYS_S: tuple[float, ...] = (5, 10, 20, 40, 60, 60, 60, 60)
"""Five minutes in all: role assignments take effect within some minutes, says
https://learn.microsoft.com/azure/role-based-access-control/troubleshooting."""

KNOWN_WITHIN_S = 120
"""How long an update may take to tell where the Batch account answers."""

_POOL = "azure-native:batch:Pool"
# What fails while a role or an identity spreads: the assignment itself, and the account,
# which Azure lets link its auto-storage by an identity only.
_WAITS_FOR_ROLES = frozenset(
    {"azure-native:authorization:RoleAssignment", "azure-native:batch:BatchAccount", _POOL}
)
# PrincipalNotFound: the directory's replicas do not all know the identity. The others: the
# place that checks a right does not have the assignment yet. A person without the right gets
# them too, but fails earlier, at resources that are not tried again.
_SPREADING = re.compile(
    r"\b(PrincipalNotFound|AuthorizationFailed|LinkedAuthorizationFailed"
    r"|AuthorizationPermissionMismatch|RoleAssignmentNotFound)\b"
)
_SHOWN_JOBS = 10


class Hooks:
    """The hooks of one program; made before its first resource.

    Args:
        authentication: How the Batch service is asked.
    """

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication
        self._account: pulumi.Output[dict[str, str]] | None = None
        self._before_delete = pulumi.ResourceHook(
            BEFORE_DELETE, self._refuse_busy, pulumi.ResourceHookOptions(on_dry_run=True)
        )
        self._on_error = pulumi.ErrorHook(ON_ERROR, is_worth_another_try)

    def ask(self, *, account: pulumi.Output[str], endpoint: pulumi.Output[str]) -> None:
        """Says which Batch service knows about the pools' tasks."""
        self._account = pulumi.Output.all(account=account, endpoint=endpoint)

    def transformation(
        self, args: pulumi.ResourceTransformationArgs
    ) -> pulumi.ResourceTransformationResult | None:
        """Binds the hooks that a resource's type asks for."""
        if args.type_ not in _WAITS_FOR_ROLES:
            return None
        binding = pulumi.ResourceHookBinding(
            before_delete=[self._before_delete] if args.type_ == _POOL else None,
            on_error=[self._on_error],
        )
        opts = pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(hooks=binding))
        return pulumi.ResourceTransformationResult(props=args.props, opts=opts)

    async def _refuse_busy(self, args: pulumi.ResourceHookArgs) -> None:
        old = args.old_inputs or {}
        pool_id, account = str(old.get("poolName")), str(old.get("accountName"))
        if is_overridden(os.environ.get(ENV_DELETE_BUSY_POOLS, ""), {args.name, pool_id}):
            pulumi.log.warn(f"pool {pool_id} goes with whatever it runs: {ENV_DELETE_BUSY_POOLS}")
            return
        try:
            service = await self._service(account)
            jobs = (await asyncio.to_thread(unfinished_jobs, service, [pool_id]))[pool_id]
            if not jobs:
                return
            text = busy_text(pool_id, args.name, jobs)
        except AskError as error:
            text = unasked_text(pool_id, args.name, error)
        if pulumi.runtime.is_dry_run():
            pulumi.log.warn(f"The deployment would stop here: {text}")
            return
        raise BusyPoolError(text)

    async def _service(self, account: str) -> BatchService:
        if self._account is None:
            raise AskError("the program declares no Batch account", remedy="Declare it again.")
        try:
            async with asyncio.timeout(KNOWN_WITHIN_S):
                known = await self._account.future()
        except TimeoutError:
            known = None
        if not known or not known.get("endpoint"):
            raise AskError(
                "the engine does not say where the Batch account answers",
                remedy="Refresh the state: pulumi refresh",
            )
        # Where the account itself is being replaced, the pool is on the one before.
        endpoint = known["endpoint"].replace(f"//{known['account']}.", f"//{account}.")
        return BatchService(
            account=account, endpoint=endpoint, authentication=self._authentication
        )


def is_overridden(variable: str, names: set[str]) -> bool:
    """Whether `HPC_DELETE_BUSY_POOLS` names a pool.

    Args:
        variable: Its value: names with commas between, or `all`.
        names: What the pool is called.
    """
    listed = {name.strip() for name in variable.split(",")} - {""}
    return "all" in listed or bool(listed & names)


def busy_text(pool_id: str, name: str, jobs: Sequence[UnfinishedJob]) -> str:
    """What a person reads whose pool still has work: which, what would be, what to do."""
    total = sum(job.tasks for job in jobs)
    lines = [
        f"pool {pool_id} still has {total} unfinished {_plural('task', total)} and is not deleted:"
    ]
    lines += [
        f"  {job.job_id}: {job.running_tasks} running, {job.waiting_tasks} waiting"
        for job in jobs[:_SHOWN_JOBS]
    ]
    if len(jobs) > _SHOWN_JOBS:
        lines.append(f"  and {len(jobs) - _SHOWN_JOBS} more jobs")
    lines += [
        "Without the pool, running tasks are stopped and no node is left to run any of them.",
        "Wait for the jobs, or end them, and run this again; it goes on from here:",
        *(f"  python -m jobs cancel {job.job_id}" for job in jobs[:1]),
        f"To delete the pool all the same: {ENV_DELETE_BUSY_POOLS}={name}",
    ]
    return "\n".join(lines)


def unasked_text(pool_id: str, name: str, error: AskError) -> str:
    """What a person reads whose pool nobody could ask about."""
    return (
        f"pool {pool_id} is not deleted, because nobody can tell whether tasks run on it: "
        f"{error}\nTo delete it without asking: {ENV_DELETE_BUSY_POOLS}={name}"
    )


async def is_worth_another_try(args: pulumi.ErrorHookArgs) -> bool:
    """Whether an error may pass by itself; answers when it is time to try again."""
    tries = len(args.errors)
    found = _SPREADING.search(args.errors[0]) if args.errors else None
    if found is None or tries > len(RETRY_DELAYS_S):
        return False
    delay_s = RETRY_DELAYS_S[tries - 1]
    pulumi.log.info(
        f"{args.name}: {found.group()}, a role has not spread yet; trying again in {delay_s:g} s "
        f"({tries} of {len(RETRY_DELAYS_S)})"
    )
    await asyncio.sleep(delay_s)
    return True


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
