"""Unit tests of a Pulumi program without an engine, over the same Resource Manager.

`run_program` runs a program under `pulumi.runtime.set_mocks` and returns what it
registered: inputs are checked, names and outputs are those that the provider would give,
and a resource that Resource Manager refuses raises. So a test can tell a wrong program
from a right one. What only the engine does (dependencies, order of deletion, state) is
tested with the engine.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pulumi
from pulumi.runtime import Mocks, mocks, set_all_config, settings
from pulumi.runtime.stack import run_pulumi_func

from emulator.arm.backend import Backend
from emulator.arm.memory import MemoryBackend
from emulator.arm.model import ResourceManager
from emulator.arm.store import Store
from emulator.arm.values import has_unknown, plain

_NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A resource that a program registered.

    Attributes:
        token: Type token.
        name: Its name in the program.
        id: Resource id; None for a component, and in a preview.
        inputs: As checked: named, with defaults.
        outputs: As Resource Manager answers; of a component, its inputs.
    """

    token: str
    name: str
    id: str | None
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]


class ProgramError(Exception):
    """The program registered a resource that Resource Manager refuses."""


class RegisteredHooks:
    """Takes a program's hooks, which Pulumi's own mocks have no place for, and runs none.

    Attributes:
        names: Of the hooks, in the order of their registration.
    """

    def __init__(self) -> None:
        self.names: list[str] = []

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Takes a hook of a resource's life."""
        self.names.append(hook.name)

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        """Takes a hook of a resource's failures."""
        self.names.append(hook.name)


class ArmMocks(Mocks):
    """Pulumi's mocks, answered by Resource Manager.

    Attributes:
        resources: What was registered, in order.
        hooks: The hooks that were registered.
        backend: What was made real.
    """

    def __init__(self, backend: Backend | None = None) -> None:
        self.backend: Backend = backend or MemoryBackend()
        self.resources: list[Registered] = []
        self.hooks = RegisteredHooks()
        self._store = Store(None)
        self._manager = ResourceManager(self.backend, self._store, now=lambda: _NOW)
        # Pulumi calls from several threads.
        self._lock = threading.Lock()

    def close(self) -> None:
        """Forgets the resources that Resource Manager holds; the records stay."""
        self._store.close()

    def of(self, token: str) -> list[Registered]:
        """The resources of a type, in order; the token may leave out `azure-native:`."""
        full = token if token.count(":") > 1 else f"azure-native:{token}"
        return [one for one in self.resources if one.token == full]

    def one(self, token: str, name: str | None = None) -> Registered:
        """The only resource of a type (and name).

        Raises:
            LookupError: There is none, or more than one.
        """
        found = [one for one in self.of(token) if name is None or one.name == name]
        if len(found) != 1:
            names = ", ".join(one.name for one in self.of(token)) or "none"
            raise LookupError(f"{len(found)} resources match {token} {name or ''}: {names}")
        return found[0]

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        """Registers a resource as Resource Manager would create it."""
        inputs = plain(args.inputs)
        if not args.typ.startswith("azure-native:"):
            resource_id = None if not args.custom else f"{args.name}-id"
            self._record(args.typ, args.name, resource_id, inputs, inputs)
            return resource_id, inputs
        with self._lock:
            checked = self._manager.check(args.typ, args.name, inputs)
            if checked.findings:
                lines = [f"{one.path}: {one.message}" for one in checked.findings]
                raise ProgramError(f"{args.typ} {args.name}:\n" + "\n".join(lines))
            if has_unknown(checked.inputs):
                outputs = self._manager.preview(args.typ, checked.inputs)
                known = {key: value for key, value in outputs.items() if not has_unknown(value)}
                self._record(args.typ, args.name, None, checked.inputs, outputs)
                return None, known
            owner = f"{args.typ}::{args.name}"
            # Not `asyncio.run`, which would take this thread's own loop from Pulumi.
            loop = asyncio.new_event_loop()
            try:
                resource = loop.run_until_complete(
                    self._manager.create(args.typ, owner, checked.inputs)
                )
            finally:
                loop.close()
        self._record(args.typ, args.name, resource.id, resource.inputs, resource.outputs)
        return resource.id, resource.outputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        """Calls a function of azure-native."""
        return self._manager.invoke(args.token, plain(args.args)), []

    def _record(
        self,
        token: str,
        name: str,
        resource_id: str | None,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
    ) -> None:
        self.resources.append(
            Registered(token=token, name=name, id=resource_id, inputs=inputs, outputs=outputs)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramRun:
    """What a program did.

    Attributes:
        arm: The resources, and what was made real.
        outputs: Stack outputs, resolved; secrets in clear.
    """

    arm: ArmMocks
    outputs: Mapping[str, Any] = field(default_factory=dict)


def run_program(
    program: Callable[[], None],
    *,
    stack: str = "test",
    project: str = "test",
    config: Mapping[str, str] | None = None,
    backend: Backend | None = None,
) -> ProgramRun:
    """Runs a program that declares resources and exports outputs.

    Args:
        program: As for the Automation API: a function without arguments.
        stack: Name of the stack.
        project: Name of the project.
        config: Stack config by full key (`project:key`); structured values as JSON.
        backend: The data planes; in memory by default.

    Raises:
        ProgramError: A resource has wrong inputs.
        ArmError: Resource Manager refuses a resource.
        UnknownTypeError: A resource type or function is not modelled.
    """
    arm = ArmMocks(backend)
    outputs: dict[str, Any] = {}

    async def run() -> None:
        await run_pulumi_func(program)
        exported = getattr(settings.get_root_resource(), "outputs", {})
        outputs.update(await pulumi.Output.from_input(dict(exported)).future() or {})

    try:
        with _own_loop() as loop:
            # Nothing of an earlier program: its root resource, calls and values under way.
            settings.reset_options()
            mocks.set_mocks(arm, project=project, stack=stack, preview=False)
            settings.SETTINGS.rpc_manager.clear()
            settings.SETTINGS.outputs.clear()
            settings.SETTINGS.callbacks = arm.hooks
            set_all_config(dict(config or {}))
            loop.run_until_complete(run())
    finally:
        set_all_config({})
        arm.close()
    return ProgramRun(arm=arm, outputs=outputs)


@contextmanager
def _own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for one program, with everything it leaves behind closed.

    Pulumi gives each thread that answers a registration a loop and never closes it; a
    single thread that has one already keeps the registrations in order, besides.
    """
    of_thread = asyncio.new_event_loop()
    executor = ThreadPoolExecutor(
        max_workers=1, initializer=asyncio.set_event_loop, initargs=(of_thread,)
    )
    loop = asyncio.new_event_loop()
    loop.set_default_executor(executor)
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        # A program that failed leaves the registrations that did not, and what hangs on
        # them, under way; one that is canceled can begin another.
        while unfinished := asyncio.all_tasks(loop):
            for task in unfinished:
                task.cancel()
            loop.run_until_complete(asyncio.wait(unfinished))
        # Each of its outputs would tell the one failure again as it is collected.
        loop.set_exception_handler(lambda _loop, _context: None)
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
        of_thread.close()
