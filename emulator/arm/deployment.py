"""Drives the real Pulumi engine over the emulator: one stack of one project.

The Automation API runs the project's own `__main__.py` in this process, with a file
backend, an own engine home and the emulator's provider attached. Nothing of the user's
Pulumi is used or changed, and the project's `Pulumi.*.yaml` are copied, not written
(`emulator.arm.settings`): the engine notes the salt of its passphrase in the copy.

The passphrase only keeps secrets of a local state from lying in the open; it is random,
in a file that the user alone can read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import runpy
import secrets
import ssl
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pulumi import automation
from pulumi.automation.errors import CommandError
from pulumi.runtime._callbacks import _CallbackServicer  # there is no public way
from pulumi.runtime.settings import SETTINGS

from emulator.arm.cli_process import EngineCommand
from emulator.arm.progress import Progress, plain_text
from emulator.arm.settings import SALT, StackSettings
from emulator.arm.state import StackState, has_delete_hooks, without_pending
from emulator.errors import NotRunningError, StackError
from emulator.local import PROJECT_ROOT, LocalDirectory, RunningEmulator, write_json

HEALTH_TIMEOUT_S: Final = 5.0
"""How long a living emulator may take to say so."""

SECRET_SHOWN: Final = "[secret]"  # noqa: S105 - what is shown instead of a secret
_STACK_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
_WRONG_PASSPHRASE: Final = "incorrect passphrase"  # noqa: S105 - an error text
"""What the engine says, whatever else, where the passphrase does not open the state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an operation did.

    Attributes:
        changes: Number of resources by operation (`create`, `same`, …).
        outputs: Stack outputs; a secret is shown as `[secret]`.
    """

    changes: Mapping[str, int]
    outputs: Mapping[str, Any]


def require_answering(local: LocalDirectory) -> RunningEmulator:
    """The emulator that answers, with a provider or without.

    Raises:
        NotRunningError: None answers.
        LocalStateError: `run.json` is damaged.
    """
    running = local.read_running()
    url = f"{running.batch_endpoint}/_emulator/health"
    # Loopback, to see whether anybody is there: with --tls the certificate is self-made.
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=HEALTH_TIMEOUT_S, context=trust) as answer:  # noqa: S310 - an http(s) URL of this machine's own state
            answer.read()
    except (OSError, ValueError) as error:
        raise NotRunningError(
            f"no emulator answers at {running.batch_endpoint} ({error}), where {local.run_file} "
            f"says process {running.pid} listens.\n"
            "Start one in another terminal: python -m emulator serve"
        ) from error
    return running


def require_running(local: LocalDirectory) -> RunningEmulator:
    """The emulator that answers and has a provider.

    Raises:
        NotRunningError: None answers, or it has none.
        LocalStateError: `run.json` is damaged.
    """
    running = require_answering(local)
    if running.provider_address is None:
        raise NotRunningError(
            f"the emulator at {running.batch_endpoint} runs without its Pulumi provider.\n"
            "Stop it and start it again: python -m emulator serve"
        )
    return running


def engine_environment(
    local: LocalDirectory, provider_address: str | None = None
) -> dict[str, str]:
    """The variables with which any Pulumi CLI works on the local state.

    Args:
        local: Where the state lies; what is missing in it is made.
        provider_address: `host:port` of the emulator's provider, None if none is needed.
    """
    local.ensure()
    for directory in (local.pulumi_home, local.pulumi_state):
        directory.mkdir(parents=True, exist_ok=True)
    environment = {
        "PULUMI_BACKEND_URL": local.pulumi_state.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase_file(local)),
        # Settings without a salt are those of the stack as it was made, not of a new one.
        "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true",
        "PULUMI_HOME": str(local.pulumi_home),
        # The state names the provider's plugin; without this a refresh would first look for
        # it on the internet, for seconds, though the attached one stands in for it.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }
    if provider_address is not None:
        port = provider_address.rpartition(":")[2]
        environment["PULUMI_DEBUG_PROVIDERS"] = f"azure-native:{port}"
    return environment


class Deployment:
    """One stack, as the engine's operations on it.

    Args:
        stack: Name of the stack.
        local: Where the local state lies.
        write: Takes lines of progress.
        project: Directory with `Pulumi.yaml` and `__main__.py`.
        provider_address: `host:port` of the provider; None where none is needed.

    Raises:
        StackError: The stack's name is none.
        MissingToolError: There is no Pulumi CLI.
        LocalStateError: The project's settings cannot be read.
    """

    def __init__(
        self,
        stack: str,
        local: LocalDirectory,
        *,
        write: Callable[[str], None] = lambda _: None,
        project: Path = PROJECT_ROOT,
        provider_address: str | None = None,
    ) -> None:
        if not re.fullmatch(_STACK_NAME, stack):
            raise StackError(
                f"{stack!r} is no name of a stack: use letters, digits, hyphens, underscores and "
                "periods, a letter or digit first."
            )
        self._stack_name = stack
        self._local = local
        self._write = write
        self._project = project
        self._settings = StackSettings(
            project=project, stack=stack, work=local.root / "pulumi" / "work" / stack
        )
        self._environment = engine_environment(local, provider_address)
        self._command = EngineCommand(
            lambda: write("cancelling: the engine ends what it is doing (again to kill it)")
        )
        self.state = StackState(
            root=local.pulumi_state, project=self._settings.project_name(), stack=stack
        )

    def ensure_exists(self) -> None:
        """Makes the stack in the state if it is not there, with nothing in it.

        A plain `pulumi` reads the project's own settings: where they hold the salt of another
        passphrase it will refuse, and that is said here.

        Raises:
            StackError: The engine refuses, or the state is damaged.
        """
        if not self.state.exists():
            self._selected()
        if self._settings.has_salt_other_than(self.state.salt()):
            name = self._settings.file.name
            self._write(
                f"{name} holds the salt of another state's passphrase, and a plain pulumi will "
                f"say “{_WRONG_PASSPHRASE}”.\nDelete its line {SALT}; `python -m emulator stack` "
                "works with it and without."
            )

    def preview(self) -> Outcome:
        """What `up` would do.

        Raises:
            StackError: The program or the engine fails.
        """
        progress = Progress(self._write, planned=True)
        stack = self._prepared()
        with self._translated(progress):
            stack.preview(on_event=progress)
        return Outcome(changes=progress.changes, outputs={})

    def up(self) -> Outcome:
        """Brings the stack to what the program declares.

        The state is refreshed first: on a laptop that is cheap, and an emulator that
        was reset or listens elsewhere now is no reason to fail.

        Raises:
            StackError: The program, the engine or a resource fails.
        """
        progress = Progress(self._write)
        stack = self._prepared()
        with self._translated(progress):
            result = stack.up(on_event=progress, refresh=True)
        outputs = _shown(result.outputs)
        write_json(self._local.stack_outputs(self._stack_name), outputs)
        return Outcome(changes=progress.changes, outputs=outputs)

    def refresh(self) -> Outcome:
        """Brings the state to what there is.

        Raises:
            StackError: The engine fails.
        """
        progress = Progress(self._write)
        stack = self._prepared()
        with self._translated(progress):
            stack.refresh(on_event=progress)
        return Outcome(changes=progress.changes, outputs=self.outputs())

    def destroy(self) -> Outcome:
        """Deletes everything the stack holds, and its `outputs.json`.

        Raises:
            StackError: The engine or a resource fails.
        """
        progress = Progress(self._write)
        if self.state.exists():
            stack = self._prepared()
            with self._translated(progress):
                # Hooks that keep a resource from being deleted are in the program; without
                # any, a program that no longer runs is no reason to keep what is there.
                hooked = has_delete_hooks(stack.export_stack().deployment or {})
                stack.destroy(on_event=progress, run_program=hooked)
        self._local.stack_outputs(self._stack_name).unlink(missing_ok=True)
        # What the program registers on the way is the same until it is deleted.
        changes = {name: count for name, count in progress.changes.items() if name != "same"}
        return Outcome(changes=changes, outputs={})

    def outputs(self) -> dict[str, Any]:
        """The outputs of the last deployment; no emulator is needed.

        Raises:
            StackError: The stack does not exist, or its state is damaged.
        """
        if not self.state.exists():
            raise StackError(
                f"there is no stack {self._stack_name} yet.\n"
                f"Deploy it: python -m emulator stack up --stack {self._stack_name}"
            )
        self.state.pending_operations()
        progress = Progress(self._write)
        stack = self._selected()
        with self._translated(progress):
            return _shown(stack.outputs())

    def _prepared(self) -> automation.Stack:
        """The stack, with nothing in its way."""
        for process in self.state.release_stale_locks():
            self._write(f"removed the lock of process {process}, which is gone")
        pending = self.state.pending_operations()
        progress = Progress(self._write)
        stack = self._selected()
        self._settings.require_secrets_of(self.state.salt())
        with self._translated(progress):
            if pending:
                self._write(f"going on after an interruption: {pending} operations were under way")
                exported = stack.export_stack()
                exported.deployment = without_pending(exported.deployment or {})
                stack.import_stack(exported)
        return stack

    def _selected(self) -> automation.Stack:
        self._settings.copy()
        self.state.remove_half_attributes()
        program = self._program
        workspace = automation.LocalWorkspace(
            work_dir=str(self._settings.work),
            program=program,
            pulumi_home=str(self._local.pulumi_home),
            env_vars=self._environment,
            pulumi_command=self._command,
        )
        progress = Progress(self._write)
        with self._translated(progress):
            if self.state.exists():
                return automation.Stack.select(self._stack_name, workspace)
            return automation.Stack.create_or_select(self._stack_name, workspace)

    def _program(self) -> None:
        begin_program()
        runpy.run_path(str(self._project / "__main__.py"), run_name="__main__")

    def _lost_passphrase(self) -> str:
        return (
            f"its state was encrypted with another passphrase than that in "
            f"{self._environment['PULUMI_CONFIG_PASSPHRASE_FILE']}.\n"
            "Delete the state and deploy again; what is in the emulator is taken over:\n"
            f"  rm '{self.state.file}'\n"
            f"  python -m emulator stack up --stack {self._stack_name}"
        )

    @contextlib.contextmanager
    def _translated(self, progress: Progress) -> Iterator[None]:
        """Turns the engine's failures into one error with what the engine said."""
        root = str(self._project)
        known = root in sys.path
        if not known:
            sys.path.insert(0, root)
        try:
            yield
        except CommandError as error:
            said = "\n".join(progress.errors) or plain_text(_stderr_of(error))
            if _WRONG_PASSPHRASE in said:
                said = self._lost_passphrase()
            raise StackError(f"stack {self._stack_name}: {said}") from error
        finally:
            end_programs()
            if not known:
                sys.path.remove(root)


_loops: set[asyncio.AbstractEventLoop] = set()
"""Of the programs that ran in this process since `end_programs`."""


def begin_program() -> None:
    """Drops what a program that failed in this process has left under way.

    The SDK keeps calls and values under way for the process, not for the program, and would
    wait for those of an event loop that is closed. To be called by each program.
    """
    loop = asyncio.get_running_loop()
    _loops.add(loop)

    def of_another(one: object) -> bool:
        return isinstance(one, asyncio.Future) and one.get_loop() is not loop

    calls, values = SETTINGS.rpc_manager.rpcs, SETTINGS.outputs
    calls[:] = [call for call in calls if not of_another(call)]
    values.difference_update([value for value in values if of_another(value)])
    # Servers of hooks, all of which the SDK stops at the end of each program.
    _CallbackServicer._servicers.clear()  # noqa: SLF001 - there is no public way


def end_programs() -> None:
    """Closes the event loops of programs that are over.

    The SDK leaves a loop open when a call that was under way at the end fails, too.
    """
    for loop in [loop for loop in _loops if not loop.is_running()]:
        loop.close()
        _loops.discard(loop)


def _stderr_of(error: CommandError) -> str:
    text = str(error)
    _, _, after = text.partition("stderr: ")
    return after.strip() or text.strip()


def _shown(outputs: Mapping[str, automation.OutputValue]) -> dict[str, Any]:
    return {
        name: SECRET_SHOWN if one.secret else one.value for name, one in sorted(outputs.items())
    }


def _passphrase_file(local: LocalDirectory) -> Path:
    path = local.root / "pulumi" / "passphrase"
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32))
    return path
