"""Tasks as real processes: `emulator.nodes.interface.NodeRunner` on this machine.

An attempt is: application packages, directories, resource files, the command, output
files. Whatever goes wrong on the way is the outcome's `failure`, in the service's words.

Nodes are directories, not cages. Tasks run as the user who runs the emulator: the pool's
and the task's non-admin auto-user are that user; an admin is had only by root; a named
user only if it is that very user.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import pwd
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from emulator.nodes import node_log, output_files, resource_files
from emulator.nodes.blobs import BlobError, Blobs, ContainerUrl, LocalStorage
from emulator.nodes.command import environment, split, wall_clock_s
from emulator.nodes.containers import NOT_CREATED, Container, container
from emulator.nodes.directories import (
    make_node,
    node_root,
    node_roots,
    remove_tree,
    task_directories,
    task_root,
)
from emulator.nodes.failures import (
    TaskFailureError,
    failure,
    of_system_error,
    without_secrets,
)
from emulator.nodes.interface import (
    AttemptLostError,
    FailureInfo,
    NodeFacts,
    PackageFacts,
    TaskLaunch,
    TaskOutcome,
)
from emulator.nodes.launcher import AgentLostError, Exit, Launcher, Running
from emulator.nodes.orphans import end_orphans
from emulator.nodes.packages import PackageStore
from emulator.nodes.packages import environment as package_environment
from emulator.processes import Program, SpawnError, make_directories

_logger = logging.getLogger(__name__)

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL for a task that is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """An attempt whose files are in place."""

    program: Program
    environment: Mapping[str, str]
    container: Container | None


class ProcessRunner:
    """Runs tasks as processes of this machine, under an agent that ends them with it.

    Args:
        nodes: Directory of all nodes: `POOL/NODE` under it.
        storage: The emulator's own storage accounts.
        grace_s: Between SIGTERM and SIGKILL, seconds.
        identity: Variables by which a task is its pool's identity, where it has one.
    """

    def __init__(
        self,
        nodes: Path,
        storage: LocalStorage,
        *,
        grace_s: float = GRACE_S,
        identity: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._identity = identity
        self._nodes = nodes.resolve()
        self._blobs = Blobs(storage)
        self._packages = PackageStore(self._blobs)
        self._launcher = Launcher(partial(end_orphans, self._nodes))
        self._grace_s = grace_s
        self._running: dict[tuple[str, str], set[Running]] = {}
        self._attempts: set[asyncio.Task[Any]] = set()

    def node_directory(self, node: NodeFacts) -> Path:
        """The node's root (`AZ_BATCH_NODE_ROOT_DIR`)."""
        return node_root(self._nodes, node)

    def task_directory(self, launch: TaskLaunch) -> Path:
        """The task's directory, `AZ_BATCH_TASK_DIR`."""
        return task_root(self._nodes, launch)

    async def add_node(self, node: NodeFacts) -> None:
        """Makes the node's directories."""
        make_node(self.node_directory(node))

    async def deploy(
        self, node: NodeFacts, packages: Sequence[PackageFacts]
    ) -> FailureInfo | None:
        """Brings a pool's application packages; see `NodeRunner.deploy`."""
        try:
            await self._packages.bring(self.node_directory(node), packages)
        except TaskFailureError as error:
            return error.failure
        return None

    async def remove_node(self, node: NodeFacts) -> None:
        """Ends whatever still runs there and removes its directories."""
        running = self._running.pop((node.pool_id, node.node_id), set())
        await asyncio.gather(*(one.end(self._grace_s) for one in running))
        await self.sweep([self.node_directory(node)])

    async def end_orphans(self) -> None:
        """Ends what goes on of tasks of an emulator that was killed; before any is run."""
        await asyncio.to_thread(end_orphans, self._nodes)

    def node_directories(self) -> set[Path]:
        """Of all nodes that have one, also of those that nobody knows any more."""
        return node_roots(self._nodes)

    async def sweep(self, roots: Iterable[Path]) -> None:
        """Removes directories of nodes on which nothing runs."""
        for root in roots:
            await asyncio.to_thread(remove_tree, root)
            with contextlib.suppress(OSError):  # the pool's directory goes with its last node
                root.parent.rmdir()

    async def remove_task(self, launch: TaskLaunch) -> None:
        """Removes the task's directory, and its job's when it was the last."""
        root = self.task_directory(launch)
        await asyncio.to_thread(remove_tree, root)
        with contextlib.suppress(OSError):
            root.parent.rmdir()
            root.parent.parent.rmdir()

    async def close(self) -> None:
        """Ends every process of every task."""
        attempts = list(self._attempts)
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)
        await self._launcher.close()
        await self._blobs.close()

    async def upload(
        self,
        node: NodeFacts,
        files: Mapping[str, Path],
        container_url: str,
        identity: Mapping[str, Any] | None,
    ) -> None:
        """See `NodeRunner.upload`; what cannot be uploaded is logged, as nobody waits for it."""
        try:
            url = self._blobs.as_identity(container_url, identity, node)
            for name, path in files.items():
                await self._blobs.put(path, ContainerUrl.parse(url).blob(name), {})
        except (BlobError, OSError) as error:
            place = without_secrets(container_url)
            _logger.warning("logs of node %s do not reach %s: %s", node.node_id, place, error)

    async def run_task(
        self, launch: TaskLaunch, started: Callable[[datetime], None]
    ) -> TaskOutcome:
        """One attempt, noted in the node's log; see `NodeRunner.run_task`."""
        outcome: TaskOutcome | None = None
        try:
            outcome = await self._run_task(launch, started)
            return outcome
        finally:
            with contextlib.suppress(OSError):  # a full disk is told by the task itself
                node_log.note(self.node_directory(launch.node), launch, outcome)

    async def _run_task(
        self, launch: TaskLaunch, started: Callable[[datetime], None]
    ) -> TaskOutcome:
        attempt = asyncio.current_task()
        if attempt is not None:
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        if launch.kind == "coordination":
            return await self._coordinate(launch, started)
        begun = datetime.now(UTC)
        try:
            prepared = await self._prepare(launch)
            running = await self._launch(prepared.program)
        except TaskFailureError as error:
            return _outcome(begun, None, error.failure)
        except AgentLostError as error:
            raise AttemptLostError(_lost(begun, error)) from error
        started(running.time)
        try:
            with self._on_node(launch.node, running):
                ended, failed = await self._until_it_ends(launch, running, prepared.container)
        except AgentLostError as error:
            raise AttemptLostError(_lost(running.time, error)) from error
        except TaskFailureError as error:
            return _outcome(running.time, None, error.failure)
        if files := _items(launch.task, "outputFiles"):
            try:
                not_taken = await output_files.take(
                    self._blobs,
                    launch.node,
                    files,
                    self.task_directory(launch) / "wd",
                    prepared.environment,
                    succeeded=failed is None,
                )
            except OSError as error:  # the logs of the upload
                not_taken = of_system_error(error, "FileUploadMiscError")
            if failed is None and not_taken is not None:
                failed = not_taken.failure
        return _outcome(running.time, ended, failed)

    @contextlib.contextmanager
    def _on_node(self, node: NodeFacts, running: Running) -> Iterator[None]:
        """Has a node that is removed end what runs there."""
        of_node = self._running.setdefault((node.pool_id, node.node_id), set())
        of_node.add(running)
        try:
            yield
        finally:
            of_node.discard(running)

    async def _coordinate(
        self, launch: TaskLaunch, started: Callable[[datetime], None]
    ) -> TaskOutcome:
        """An instance's coordination command, and then what it left running."""
        begun = datetime.now(UTC)
        try:
            prepared = await self._prepare(launch)
            running = await self._launch(prepared.program, keep=True)
        except TaskFailureError as error:
            return _outcome(begun, None, error.failure)
        except AgentLostError as error:
            raise AttemptLostError(_lost(begun, error)) from error
        failed: FailureInfo | None = None
        try:
            with self._on_node(launch.node, running):
                try:
                    async with asyncio.timeout(wall_clock_s(launch.task)):
                        code = await running.returned()
                    if code == 0:
                        started(datetime.now(UTC))
                    ended = await running.wait()
                except TimeoutError:
                    failed = _out_of_time()
                    await running.end(self._grace_s)
                    ended = await running.wait()
                except asyncio.CancelledError:
                    await running.end(self._grace_s)
                    raise
        except AgentLostError as error:
            raise AttemptLostError(_lost(running.time, error)) from error
        return _outcome(running.time, ended, failed or _bad_exit(ended) or _lost_processes())

    async def _prepare(self, launch: TaskLaunch) -> _Prepared:
        task = _as_run(launch)
        root, task_dir = self.node_directory(launch.node), self.task_directory(launch)
        argv = split(str(task.get("commandLine") or ""))
        _check_user(task.get("userIdentity") or {})
        await self._packages.bring(root, launch.packages)
        directories = task_directories(task_dir)
        files = _items(task, "resourceFiles")
        if files or task.get("containerSettings"):  # else whoever starts the program makes them
            try:
                make_directories(directories)
            except OSError as error:
                raise _no_directories(error, directories) from error
            home = task_dir if launch.kind == "coordination" else task_dir / "wd"
            await resource_files.bring(self._blobs, launch.node, files, home)
        env = environment(launch, root, task_dir) | package_environment(root, launch.packages)
        if launch.node.identity_ids:
            env = {**self._identity(), **env}
        inside = None
        if settings := task.get("containerSettings"):
            name = f"batch-{launch.node.node_id[:12]}-{secrets.token_hex(6)}"
            inside = container(settings, argv, env, root=root, task_dir=task_dir, name=name)
        program = Program(
            argv=inside.argv if inside else argv,
            env=inside.env if inside else env,
            cwd=f"{task_dir}/wd",
            stdout=f"{task_dir}/{_output_of(launch)}stdout.txt",
            stderr=f"{task_dir}/{_output_of(launch)}stderr.txt",
            directories=directories,
        )
        return _Prepared(program=program, environment=env, container=inside)

    async def _launch(self, program: Program, *, keep: bool = False) -> Running:
        try:
            return await self._launcher.launch(program, keep=keep)
        except SpawnError as error:
            if error.stage == "program" and error.errno in {errno.ENOENT, errno.ENOTDIR}:
                # The service says so on Linux, too.
                raise TaskFailureError(
                    "CommandProgramNotFound",
                    Message="The system cannot find the file specified",
                ) from error
            system = OSError(error.errno, "")
            if error.stage == "directories":
                raise _no_directories(system, program.directories) from error
            raise of_system_error(
                system, "CommandLaunchFailed", CommandProgram=program.argv[0]
            ) from error

    async def _until_it_ends(
        self, launch: TaskLaunch, running: Running, inside: Container | None
    ) -> tuple[Exit, FailureInfo | None]:
        in_time = True
        try:
            try:
                async with asyncio.timeout(wall_clock_s(launch.task)):
                    ended = await running.wait()
            except TimeoutError:
                in_time = False
                running.stop(self._grace_s)
                ended = await running.wait()
        except asyncio.CancelledError:
            await running.end(self._grace_s)
            raise
        finally:
            if inside:
                await asyncio.shield(self._remove_container(inside))
        if inside and ended.code == NOT_CREATED and not inside.created.exists():
            said = self.task_directory(launch) / "stderr.txt"
            raise TaskFailureError("ContainerRuntimeError", Message=_tail(said))
        if not in_time:
            return ended, _out_of_time()
        return ended, _bad_exit(ended)

    async def _remove_container(self, inside: Container) -> None:
        program = Program(
            argv=inside.removal, env=inside.env, stdout=os.devnull, stderr=os.devnull
        )
        with contextlib.suppress(SpawnError, AgentLostError):
            await (await self._launcher.launch(program)).wait()


def _outcome(begun: datetime, ended: Exit | None, failed: FailureInfo | None) -> TaskOutcome:
    over = datetime.now(UTC)
    if ended is None:
        return TaskOutcome(start_time=begun, end_time=over, exit_code=None, failure=failed)
    return TaskOutcome(
        start_time=begun,
        end_time=over,
        exit_code=ended.code,
        failure=failed,
        user_s=ended.user_s,
        kernel_s=ended.kernel_s,
        peak_memory_bytes=ended.peak_bytes,
        reads=ended.reads,
        writes=ended.writes,
        bytes_read=ended.bytes_read,
        bytes_written=ended.bytes_written,
    )


def _output_of(launch: TaskLaunch) -> str:
    """What the names of its output files begin with.

    On the primary's node what the coordination left running may write while the task does.
    """
    beside = launch.kind == "coordination" and launch.nodes[0] == launch.node.ip_address
    return "coordination-" if beside else ""


def _as_run(launch: TaskLaunch) -> Mapping[str, Any]:
    """The task as this launch runs it: a coordination has a command and files of its own."""
    if launch.kind != "coordination":
        return launch.task
    settings = launch.task["multiInstanceSettings"]
    return {
        **launch.task,
        "commandLine": settings["coordinationCommandLine"],
        "resourceFiles": settings.get("commonResourceFiles"),
    }


def _no_directories(error: OSError, directories: Sequence[str]) -> TaskFailureError:
    return of_system_error(error, "ResourceDirectoryCreateFailed", FilePath=directories[0])


def _lost(since: datetime, error: AgentLostError) -> TaskOutcome:
    return _outcome(since, None, failure("Unknown", Message=str(error)))


def _out_of_time() -> FailureInfo:
    return failure("TaskEnded", Message="The task ran longer than its maxWallClockTime")


def _bad_exit(ended: Exit) -> FailureInfo | None:
    if not ended.code:
        return None
    return failure(
        "FailureExitCode",
        Message="The task process exited with an unexpected exit code",
        AdditionalErrorCode="FailureExitCode",
    )


def _lost_processes() -> FailureInfo:
    return failure("Unknown", Message="The processes of the coordination were ended")


def _items(task: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return list(task.get(name) or ())


def _check_user(identity: Mapping[str, Any]) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    name = identity.get("username")
    if name is not None and name != me:
        raise TaskFailureError(
            "UserIdentityError",
            UserName=str(name),
            Message=f"Tasks of the emulator run as {me}, who started it",
        )
    level = str((identity.get("autoUser") or {}).get("elevationLevel") or "nonadmin").lower()
    if name is None and level == "admin" and os.geteuid() != 0:
        raise TaskFailureError(
            "UserIdentityError",
            ElevationLevel="admin",
            Message=f"Tasks of the emulator run as {me}, who started it and is no "
            "administrator: start it as root, or ask for nonadmin",
        )


def _tail(path: Path) -> str:
    try:
        return path.read_bytes()[-400:].decode(errors="replace").strip()
    except OSError as error:
        return str(error)
