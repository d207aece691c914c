"""What the node runner is told of an account's nodes and tasks, made of the world.

Nothing is begun here: `emulator.driver` has the runner do it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from emulator.applications.catalogue import Catalogue
from emulator.engine.task_specs import spec_of
from emulator.engine.world import Attempt, Job, Node, Task
from emulator.nodes.interface import NodeFacts, PackageFacts, TaskLaunch
from emulator.service import job_tokens


class Launches:
    """Launches of one account's tasks.

    Args:
        account: Its name.
        applications: The account's.
        base_url: Tells where tasks reach the service.
        key: Tells the account's key, which signs the tokens of its tasks.
    """

    def __init__(
        self,
        account: str,
        applications: Catalogue,
        *,
        base_url: Callable[[], str],
        key: Callable[[], bytes],
    ) -> None:
        self._account = account
        self._applications = applications
        self._base_url = base_url
        self._key = key

    def facts(self, node: Node) -> NodeFacts:
        """A node."""
        identities = (node.pool.identity or {}).get("userAssignedIdentities") or ()
        return NodeFacts(
            account=self._account,
            batch_url=self._url(),
            pool_id=node.pool.id,
            node_id=node.id,
            is_dedicated=node.dedicated,
            ip_address=node.ip,
            identity_ids=tuple(identity["resourceId"] for identity in identities),
        )

    def _url(self) -> str:
        """The account's URL. Where tokens are taken it names the account: a token does not."""
        url = self._base_url()
        return f"{url}/accounts/{self._account}" if url.startswith("https://") else url

    def packages(self, references: Iterable[Mapping[str, Any]]) -> tuple[PackageFacts, ...]:
        """What references to application packages mean now."""
        return tuple(
            self._applications.resolve(one["applicationId"], one.get("version"))
            for one in references
        )

    def of_attempt(self, attempt: Attempt, on_node: Iterable[PackageFacts]) -> TaskLaunch:
        """An attempt to be made.

        Args:
            attempt: Which.
            on_node: The packages of its pool that the node got at its last boot.
        """
        spec: Mapping[str, Any]
        job, retries = attempt.job, 0
        match attempt.kind:
            case "task" | "coordination" if attempt.task is not None:
                spec, retries = spec_of(attempt.task), attempt.task.retry_count
            case "preparation" if job is not None:
                spec = job.body["jobPreparationTask"]
            case "release" if job is not None:
                spec = job.body["jobReleaseTask"]
            case _:
                spec = attempt.node.start_task or {}
                retries = (attempt.node.start_info or {}).get("retryCount", 0)
        return TaskLaunch(
            node=self.facts(attempt.node),
            job_id=job.id if job else "",
            task_id=attempt.task_id,
            task=spec,
            job_environment=_environment(job),
            retry_count=retries,
            nodes=_addresses(attempt),
            kind=attempt.kind,
            token=self._token(job, spec),
            packages=(
                *on_node,
                *self.packages(spec.get("applicationPackageReferences") or ()),
            ),
        )

    def of_ended(self, task: Task, node: Node) -> TaskLaunch:
        """A task that is over, on one of its nodes: what tells the runner its directory."""
        return TaskLaunch(
            node=self.facts(node), job_id=task.job.id, task_id=task.id, task={"id": task.id}
        )

    def _token(self, job: Job | None, spec: Mapping[str, Any]) -> str:
        asked = (spec.get("authenticationTokenSettings") or {}).get("access")
        return job_tokens.issue(self._key(), self._account, job) if job and asked else ""


def _addresses(attempt: Attempt) -> tuple[str, ...]:
    """Of all nodes of a multi-instance task, its primary's first; else of the one."""
    gang = attempt.task.gang if attempt.task else None
    if gang is None:
        return (attempt.node.ip,)
    return tuple(gang.instances[number].node.ip for number in sorted(gang.instances))


def _environment(job: Job | None) -> dict[str, str]:
    settings = job.body.get("commonEnvironmentSettings", ()) if job else ()
    return {setting["name"]: setting.get("value", "") for setting in settings}
