"""What a deployment would do to the pools that exist: `python -m infra changes`.

The program itself says what it wants: it runs against the deployed state in place of an
engine, each resource answering with what the state has of it, and each pool's inputs
are compared with those in the state. So ids, subnets and names are the real ones, and
the answer is the one that `pulumi preview` gives, told per field with the reason.

Of a pool that would go, the Batch service is asked which jobs still have tasks on it; where
it cannot be asked, that is said, and the rest stands.

What this does not do: find drift (`pulumi refresh` does), or tell a new value of a secret
from an old one.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pulumi
from pulumi.runtime import Mocks, mocks, set_all_config, settings
from pulumi.runtime.stack import run_pulumi_func

from infra.config import NAMESPACE, Authentication
from infra.endpoints import endpoint_url
from infra.equipment import SECRETS_NAMESPACE
from infra.errors import AskError, StackFileError
from infra.estate import Estate
from infra.platform import Platform
from infra.pool_changes import EFFECTS, Effect
from infra.unfinished import BatchService, UnfinishedJob, unfinished_jobs

POOL = "azure-native:batch:Pool"
ACCOUNT = "azure-native:batch:BatchAccount"
UNKNOWN = "(known after deployment)"
SECRET = "[secret]"  # noqa: S105 - what is shown instead of a secret
_NAME = "poolName"
_LIST_KEYS = "azure-native:storage:listStorageAccountKeys"
# What Pulumi marks a secret with, on the wire and in state.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark
_SECRET_FIELDS = frozenset({"accountKey", "password"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """One field of a pool that differs; `effect` is how Azure applies it."""

    field: str
    effect: Effect
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChange:
    """What happens to one pool.

    Attributes:
        pool: Logical name.
        pool_id: Id of the deployed pool, None for a new one.
        action: What the engine does.
        fields: What differs; empty unless the pool exists before and after.
        unfinished_jobs: Jobs with unfinished tasks on a pool that goes; None for a pool that
            stays, and where nobody could be asked.
    """

    pool: str
    pool_id: str | None
    action: Literal["create", "update", "replace", "delete", "same"]
    fields: tuple[FieldChange, ...] = ()
    unfinished_jobs: tuple[UnfinishedJob, ...] | None = None

    @property
    def goes(self) -> bool:
        """Whether the deployed pool goes."""
        return self.action in {"replace", "delete"}

    def to_json(self) -> dict[str, Any]:
        """The change as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DeployedState:
    """The resources of `pulumi stack export`, by type token and logical name."""

    resources: Mapping[tuple[str, str], Mapping[str, Any]]

    @classmethod
    def parse(cls, text: str, *, source: str) -> DeployedState:
        """Reads an exported state.

        Raises:
            StackFileError: It is none.
        """
        try:
            listed = (json.loads(text).get("deployment") or {}).get("resources") or []
            # A resource that is only waiting to be deleted is no longer the stack's.
            return cls(
                {
                    (entry["type"], entry["urn"].rsplit("::", 1)[1]): _whole(entry)
                    for entry in listed
                    if not entry.get("delete")
                }
            )
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise StackFileError(
                f"{source} is no exported state ({type(error).__name__}: {error}); "
                "make one with `pulumi stack export --file state.json`"
            ) from error

    def batch_service(self, authentication: Authentication) -> BatchService:
        """Where the deployed Batch account answers.

        Raises:
            AskError: The state has no Batch account.
        """
        for (token, _), entry in self.resources.items():
            outputs = entry.get("outputs") or {}
            if token == ACCOUNT and outputs.get("accountEndpoint"):
                return BatchService(
                    account=str(outputs.get("name")),
                    endpoint=endpoint_url(str(outputs["accountEndpoint"])),
                    authentication=authentication,
                )
        raise AskError(
            "the deployed state has no Batch account", remedy="Refresh it: pulumi refresh"
        )

    def pools(self) -> dict[str, Mapping[str, Any]]:
        """The deployed pools by logical name."""
        return {name: entry for (token, name), entry in self.resources.items() if token == POOL}


def _whole(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """A resource of a state.

    Raises:
        ValueError: It is a pool without the inputs that changes are told from.
    """
    if entry["type"] == POOL and _NAME not in (entry.get("inputs") or {}):
        raise ValueError(f"{entry['urn']} has no inputs.{_NAME}")
    return entry


def read_state(stack: str, *, file: Path | None, root: Path) -> DeployedState:
    """The deployed state, from a file or from the engine's backend.

    Raises:
        StackFileError: The file is no exported state, or the CLI has none to give.
    """
    if file is not None:
        try:
            return DeployedState.parse(file.read_text(encoding="utf-8"), source=str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise StackFileError(f"{file} cannot be read: {error}") from error
    # Pulumi encrypts a list whole that has a secret in it, so mounts and accounts could not
    # be compared otherwise. What is secret stays in this process.
    command = ["pulumi", "stack", "export", "--show-secrets", "--stack", stack]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise StackFileError(
            "there is no pulumi on PATH to ask for the deployed state; give it with --state FILE"
        ) from error
    if done.returncode:
        raise StackFileError(
            f"`{' '.join(command)}` failed: {done.stderr.strip()}\n"
            "Sign in (`pulumi login`), or for the local stack set the variables that "
            "`python -m emulator env` prints, or give a file with --state."
        )
    return DeployedState.parse(done.stdout, source="`pulumi stack export`")


def pool_changes(estate: Estate, state: DeployedState) -> list[PoolChange]:
    """What deploying the estate does to each pool, in order of logical name."""
    wanted = _wanted_pools(estate, state)
    deployed = state.pools()
    changes = []
    for name in sorted({*wanted, *deployed}):
        if name not in deployed:
            changes.append(PoolChange(pool=name, pool_id=None, action="create"))
            continue
        before = _plain(deployed[name]["inputs"])
        pool_id = str(before[_NAME])
        if name not in wanted:
            changes.append(PoolChange(pool=name, pool_id=pool_id, action="delete"))
            continue
        fields = tuple(_differences(before, wanted[name]))
        changes.append(
            PoolChange(pool=name, pool_id=pool_id, action=_action(fields), fields=fields)
        )
    return changes


def with_unfinished_jobs(changes: Sequence[PoolChange], service: BatchService) -> list[PoolChange]:
    """The changes with the jobs that still have tasks on the pools that go.

    Raises:
        AskError: The Batch service cannot be asked, or does not answer.
    """
    going = [change.pool_id for change in changes if change.goes and change.pool_id]
    jobs = unfinished_jobs(service, going) if going else {}
    return [
        replace(change, unfinished_jobs=jobs.get(str(change.pool_id))) if change.goes else change
        for change in changes
    ]


def _plain(value: Any) -> Any:
    """An input, registered or of state: unknowns named, whole numbers as such, secrets bare.

    What a state has encrypted is `[secret]`.
    """
    if isinstance(value, pulumi.output.Unknown):
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET_SIGNATURE:
            return _bare(value)
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _bare(sealed: Mapping[str, Any]) -> Any:
    """What a secret holds, if it is not encrypted."""
    if "plaintext" in sealed:
        return _plain(json.loads(sealed["plaintext"]))
    return _plain(sealed["value"]) if "value" in sealed else SECRET


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    pairs = {
        field: (_veiled(before.get(field)), _veiled(after.get(field))) for field in sorted(EFFECTS)
    }
    # Of a field that the state has encrypted whole nobody can say what differs.
    pairs = {field: pair for field, pair in pairs.items() if SECRET not in pair}
    found = [
        FieldChange(field=field, effect=EFFECTS[field], before=old, after=new)
        for field, (old, new) in pairs.items()
        if old != new
    ]
    rest = [change for change in found if change.field != _NAME]
    # The name follows from the others; alone it tells that the program names differently,
    # unless it follows from a secret, which nobody has here.
    return rest if rest or _has_secrets(after) else found


def _has_secrets(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(key in _SECRET_FIELDS or _has_secrets(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_secrets(item) for item in value)


def _veiled(value: Any) -> Any:
    """A value without its secrets, which the program has none of here and nobody is told."""
    if isinstance(value, Mapping):
        return {
            key: SECRET if key in _SECRET_FIELDS else _veiled(item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_veiled(item) for item in value]
    return value


def _action(fields: tuple[FieldChange, ...]) -> Literal["same", "update", "replace"]:
    if not fields:
        return "same"
    return "update" if all(field.effect is Effect.LIVE for field in fields) else "replace"


class _Deployed(Mocks):
    """Answers each resource with what the state has; what it lacks stays unknown."""

    def __init__(self, state: DeployedState) -> None:
        self._state = state
        self.pools: dict[str, Mapping[str, Any]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ == POOL:
            self.pools[args.name] = _plain(args.inputs)
        entry = self._state.resources.get((args.typ, args.name))
        if entry is None:
            return None, {}
        return entry.get("id"), {**args.inputs, **_plain(entry.get("outputs", {}))}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        """Who deployed the state, and keys that nobody has here: all that the program asks for."""
        if args.token == _LIST_KEYS:
            return {"keys": [{"keyName": "key1", "permissions": "Full", "value": SECRET}]}, []
        for entry in self._state.resources.values():
            parts = str(entry.get("id", "")).split("/")
            if parts[1:2] == ["subscriptions"]:
                return {"subscriptionId": parts[2]}, []
        return {"subscriptionId": ""}, []


class _NoHooks:
    """Takes the program's hooks, which are for the engine, and runs none."""

    def register_resource_hook(self, hook: pulumi.ResourceHook) -> None:
        """Takes a hook of a resource's life."""

    def register_error_hook(self, hook: pulumi.ErrorHook) -> None:
        """Takes a hook of a resource's failures."""


def _wanted_pools(estate: Estate, state: DeployedState) -> dict[str, Mapping[str, Any]]:
    """The inputs of each pool that the program declares, by logical name."""
    deployed = _Deployed(state)
    secrets = {name for pool in estate.pools for name in pool.equipment.secret_names()}
    set_all_config({f"{SECRETS_NAMESPACE}:{name}": SECRET for name in secrets})

    def program() -> None:
        Platform(NAMESPACE, estate)

    with _own_loop() as loop:
        settings.reset_options()
        mocks.set_mocks(deployed, project=NAMESPACE, stack=estate.stack, preview=True)
        settings.SETTINGS.callbacks = _NoHooks()
        loop.run_until_complete(run_pulumi_func(program))
    return deployed.pools


@contextmanager
def _own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop for one program, which leaves nothing open or under way, failed or not.

    Pulumi answers registrations in a pool of threads, each of which wants a loop of its own
    and leaves it open: here it is one thread, whose loop is made and closed here.
    """
    of_thread, loop = asyncio.new_event_loop(), asyncio.new_event_loop()
    executor = ThreadPoolExecutor(
        max_workers=1, initializer=asyncio.set_event_loop, initargs=(of_thread,)
    )
    loop.set_default_executor(executor)
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        while unfinished := asyncio.all_tasks(loop):
            for task in unfinished:
                task.cancel()
            loop.run_until_complete(asyncio.wait(unfinished))
        # Each output of a program that failed would tell so once more as it is collected.
        loop.set_exception_handler(lambda _loop, _context: None)
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()
        of_thread.close()
