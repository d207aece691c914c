"""What the scheduler's driver asks of the nodes, and what it gets back.

The engine decides *that* a task runs on a node; a `NodeRunner` makes it run. Tests of
the engine put a runner of simulated tasks in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol

TaskKind = Literal["task", "start", "preparation", "release", "coordination"]
"""A task of a job, a pool's start task, a job's preparation or release task, or what every
instance of a multi-instance task runs before its primary runs the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node as its tasks see it.

    Attributes:
        account: Batch account.
        batch_url: URL of the account's Batch endpoint, for `AZ_BATCH_ACCOUNT_URL`.
        pool_id: The node's pool.
        node_id: Such as `tvmps_…_d`.
        is_dedicated: False for a spot node.
        ip_address: The node's private address as the service reports it.
        identity_ids: Resource ids of the pool's user-assigned identities: what an
            `identityReference` of the node's tasks may name.
    """

    account: str
    batch_url: str
    pool_id: str
    node_id: str
    is_dedicated: bool
    ip_address: str
    identity_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """An application package that a node is to have.

    Attributes:
        application_id: In the case in which the application was made.
        version: Which; empty where none was found.
        by_default: Whether the reference left the version to the application.
        content: Names the content: another activation has another one.
        url: Where a node downloads the zip, with its signature.
        problem: Why it cannot be had; empty where it can.
    """

    application_id: str
    version: str
    by_default: bool = False
    content: str = ""
    url: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskLaunch:
    """One attempt at a task on a node.

    Attributes:
        node: Where.
        job_id: The task's job.
        task_id: The task.
        task: The task as the service stores it (wire names: `commandLine`,
            `resourceFiles`, `outputFiles`, `environmentSettings`, `constraints`, …).
        job_environment: The job's `commonEnvironmentSettings` (name → value); the
            task's own win.
        retry_count: How often the task was retried before.
        nodes: Addresses of all nodes of a multi-instance task, the primary first;
            the node's own address otherwise.
        kind: What sort of task. A start task has no job (`job_id` is empty) and runs
            in the node's `startup` directory; the others under `workitems`.
        token: For `AZ_BATCH_AUTHENTICATION_TOKEN`; empty for a task that asks for none.
        packages: Application packages: those of the pool that the node has, then the
            task's own.
    """

    node: NodeFacts
    job_id: str
    task_id: str
    task: Mapping[str, Any]
    job_environment: Mapping[str, str] = field(default_factory=dict)
    retry_count: int = 0
    nodes: Sequence[str] = ()
    kind: TaskKind = "task"
    token: str = ""
    packages: Sequence[PackageFacts] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureInfo:
    """Why a task failed, in the service's words (`failureInfo`).

    Attributes:
        category: `UserError` or `ServerError`.
        code: Such as `FailureExitCode`, `CommandProgramNotFound`, `TaskEnded`,
            `ResourceContainerAccessDenied`, `FileUploadMiscError`.
        message: The service's sentence.
        details: Name and value pairs.
    """

    category: str
    code: str
    message: str
    details: tuple[tuple[str, str], ...] = ()


class AttemptLostError(Exception):
    """A command ended with its node's agent: how it would have ended nobody knows.

    Attributes:
        outcome: The attempt as a failure, for whom it is not worth another.
    """

    def __init__(self, outcome: TaskOutcome) -> None:
        super().__init__(outcome.failure.message if outcome.failure else "the attempt was lost")
        self.outcome = outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """How an attempt ended.

    Attributes:
        start_time: When the command started, or was to start (UTC).
        end_time: When all was over, uploads included (UTC).
        exit_code: Of the command; None when it never ran.
        failure: None for success.
        user_s, kernel_s: Time of the processors for all processes of the task, seconds.
        peak_memory_bytes: Largest resident set of any of its processes.
        reads, writes: How often they read or wrote.
        bytes_read, bytes_written: From and to disks.
    """

    start_time: datetime
    end_time: datetime
    exit_code: int | None
    failure: FailureInfo | None
    user_s: float = 0.0
    kernel_s: float = 0.0
    peak_memory_bytes: int = 0
    reads: int = 0
    writes: int = 0
    bytes_read: int = 0
    bytes_written: int = 0

    @property
    def cpu_s(self) -> float:
        """User and system time, seconds."""
        return self.user_s + self.kernel_s


class NodeRunner(Protocol):
    """Runs tasks on nodes, each node under a directory of its own."""

    def node_directory(self, node: NodeFacts) -> Path:
        """The node's root (`AZ_BATCH_NODE_ROOT_DIR`)."""
        ...

    def task_directory(self, launch: TaskLaunch) -> Path:
        """The task's directory: `workitems/{job}/job-1/{task}` under the node's root."""
        ...

    async def add_node(self, node: NodeFacts) -> None:
        """Makes the node's directories."""
        ...

    async def remove_node(self, node: NodeFacts) -> None:
        """Ends whatever still runs there and removes its directories."""
        ...

    async def deploy(
        self, node: NodeFacts, packages: Sequence[PackageFacts]
    ) -> FailureInfo | None:
        """Brings application packages to a node; those that are there are left alone.

        Returns:
            Why one of them could not be brought; None when all are there.
        """
        ...

    async def run_task(
        self, launch: TaskLaunch, started: Callable[[datetime], None]
    ) -> TaskOutcome:
        """Brings files in, runs the command without a shell, takes files out.

        `started` is called once, when the command's process exists. A coordination is
        otherwise: `started` is called when its command has returned with success, and
        what the command left running runs on until it is cancelled. Cancelling ends
        every process of the task before `CancelledError` leaves this coroutine; its
        directory stays. Nothing that a task does raises: it is in the outcome.

        Raises:
            AttemptLostError: The command began, and ended with what it ran under.
        """
        ...

    async def remove_task(self, launch: TaskLaunch) -> None:
        """Removes the task's directory (retention is over, or the task is deleted)."""
        ...

    async def upload(
        self,
        node: NodeFacts,
        files: Mapping[str, Path],
        container_url: str,
        identity: Mapping[str, Any] | None,
    ) -> None:
        """Uploads files of a node to a blob container.

        Args:
            node: Whose.
            files: By the names that their blobs get.
            container_url: With its signature, unless there is an identity.
            identity: An `identityReference` of the pool's, or None.
        """
        ...

    async def close(self) -> None:
        """Ends every process of every task."""
        ...
