"""What was provisioned, as `jobs` sees it: the stack outputs (docs/stack-outputs.md).

Reads them from a file, from what the local stack left, or from `pulumi stack output`;
asks nothing of Azure. Another version of the contract is refused, because a member that
changed its meaning is worse than one that is missing.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.document import written
from jobs.errors import Finding, StackError, shown
from jobs.known_names import remember
from jobs.shapes import said

SCHEMA_VERSION = 1
PROJECT_ROOT = Path(__file__).resolve().parent.parent
ENV_LOCAL_DIR = "HPC_LOCAL_DIR"
_PULUMI_TIMEOUT_S = 120
_STACK_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}(?:/[A-Za-z0-9_.-]{1,100}){0,2}")
LOCAL_STACK = "local"
_NOT_SIGNED_IN = "PULUMI_ACCESS_TOKEN must be set"
_NO_STACK = "no stack named"
"""What Pulumi says of a state that it cannot reach, or that does not have the stack."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class _Outputs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class Pool(_Outputs):
    """A pool, as docs/stack-outputs.md describes it."""

    id: str
    vm_size: str
    vcpus: int | None
    os: Literal["linux", "windows"]
    task_slots_per_node: int = Field(ge=1)
    min_nodes: int
    max_nodes: int
    max_dedicated_nodes: int
    max_spot_nodes: int
    inter_node_communication: bool
    identity_id: str | None
    registries: tuple[str, ...] | None = None
    dedicated_price_per_hour: float | None
    spot_price_per_hour: float | None
    price_currency: str
    prices_as_of: str

    @property
    def identity_reference(self) -> dict[str, str | None]:
        """The identity with which its nodes reach storage and registries, for the service.

        Source: `BatchNodeIdentityReference` of azure-batch.
        """
        return {"resourceId": self.identity_id}

    @property
    def spot_rate(self) -> float | None:
        """What a spot node costs an hour at most: without a price of its own, a dedicated one's.

        Source: https://learn.microsoft.com/azure/virtual-machines/spot-vms#pricing
        """
        own = self.spot_price_per_hour
        return self.dedicated_price_per_hour if own is None else own

    @property
    def tells_registries(self) -> bool:
        """Whether the outputs say which registries nodes know; older ones do not."""
        return "registries" in self.model_fields_set


class Telemetry(_Outputs):
    """Where nodes report to, as docs/stack-outputs.md describes it."""

    endpoint: str
    rule_id: str
    stream: str
    table: str


class PipelineIdentity(_Outputs):
    """Who the pipeline signs in as, as docs/stack-outputs.md describes it."""

    client_id: str
    tenant_id: str


class StackApplication(_Outputs):
    """An application, as docs/stack-outputs.md describes it."""

    default_version: str | None


class Stack(_Outputs):
    """A stack's outputs, as docs/stack-outputs.md describes them."""

    schema_version: Literal[1]
    stack: str
    location: str
    resource_group: str
    batch_account_id: str
    batch_account_name: str
    management_endpoint: str
    batch_endpoint: str
    authentication: Literal["entra", "shared-key"]
    nodes_submit_jobs: bool = False
    storage_account_name: str
    blob_endpoint: str
    programs_container: str
    inputs_container: str
    outputs_container: str
    logs_container: str
    registry_server: str | None = None
    log_analytics_workspace_id: str
    telemetry: Telemetry | None = None
    pipeline: PipelineIdentity | None = None
    applications: dict[str, StackApplication]
    pools: dict[str, Pool]

    @field_validator("batch_endpoint", "blob_endpoint", "management_endpoint")
    @classmethod
    def _url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
            raise ValueError("is not an http or https URL")
        return value.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether all endpoints are on this machine."""
        return all(
            urlsplit(url).hostname in LOOPBACK
            for url in (self.batch_endpoint, self.blob_endpoint, self.management_endpoint)
        )


def local_directory() -> Path:
    """Where the local state is: `HPC_LOCAL_DIR`, else `.local/` in the project."""
    return Path(os.environ.get(ENV_LOCAL_DIR) or PROJECT_ROOT / ".local").absolute()


def require_one(
    name: str | None,
    outputs: Path | None,
    *,
    ways: tuple[str, str] = ("--stack NAME", "--outputs FILE"),
) -> None:
    """Holds a user to one way of naming a stack.

    Args:
        name: Of the stack.
        outputs: A file of its outputs.
        ways: How each is written where it is asked for.

    Raises:
        StackError: Both are given, or neither, or the name is none.
    """
    if name is not None and outputs is not None:
        by = ", by options or by JOBS_STACK and JOBS_OUTPUTS" if ways[0].startswith("-") else ""
        raise StackError(
            f"both a stack ({name}) and a file of outputs ({outputs}) are given{by}: leave one out"
        )
    if name is None and outputs is None:
        raise StackError(f"name the stack: {ways[0]}, or {ways[1]} with its outputs")
    if name is not None and (_STACK_NAME.fullmatch(name) is None or name.startswith(("-", "."))):
        given = ways[0].removesuffix("NAME")
        raise StackError(f"{given}{name!r} is no name of a stack")


def load_stack(*, name: str | None = None, outputs: Path | None = None) -> Stack:
    """The stack that a user named, by name or by a file of its outputs.

    Raises:
        StackError: Neither or both are given, the stack is not there, or its outputs
            are not what this version reads.
    """
    require_one(name, outputs)
    if outputs is not None:
        return _read(outputs)
    assert name is not None  # noqa: S101 - one of the two is given
    local = local_directory() / "stacks" / name / "outputs.json"
    if "/" not in name and local.exists():
        try:
            return _noted(name, _read(local))
        except StackError as error:
            remedy = (
                f"it was deployed to the emulator: python -m emulator stack up --stack {name} "
                f"writes it anew; without the file, stack {name} is looked for in Pulumi"
            )
            raise StackError(
                [*error.findings, Finding(where=shown(local), message=remedy)]
            ) from error
    return _noted(name, parse_stack(_pulumi_outputs(name), where=f"stack {name}"))


def _noted(name: str, stack: Stack) -> Stack:
    """The stack, its names noted for completion."""
    remember(local_directory(), name, pools=stack.pools, applications=stack.applications)
    return stack


def parse_stack(values: object, *, where: str) -> Stack:
    """Checks outputs; `where` names them in findings.

    Raises:
        StackError: With every finding, or with the remedy for another version.
    """
    if not isinstance(values, dict) or "schema_version" not in values:
        raise StackError(
            [
                Finding(
                    where=where,
                    message="holds no stack outputs of this project (schema_version is "
                    "missing): deploy the stack, pulumi up --stack NAME",
                )
            ]
        )
    version = values["schema_version"]
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int | float) and version > SCHEMA_VERSION
        remedy = (
            "update this checkout (git pull) to one that reads it"
            if newer
            else "deploy the stack again with this checkout: pulumi up --stack NAME"
        )
        raise StackError(
            [
                Finding(
                    where=where,
                    message=f"schema_version is {version!r}, this checkout reads "
                    f"{SCHEMA_VERSION}: {remedy}",
                )
            ]
        )
    try:
        return Stack.model_validate(values)
    except ValidationError as error:
        raise StackError(
            Finding(where=where, path=written(item["loc"]), message=said(item))
            for item in error.errors(include_url=False)
        ) from error


def _read(path: Path) -> Stack:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise StackError(
            [Finding(where=shown(path), message=f"cannot be read: {reason}")]
        ) from error
    except ValueError as error:
        raise StackError([Finding(where=shown(path), message=f"is not JSON: {error}")]) from error
    return parse_stack(values, where=shown(path))


def _pulumi_outputs(name: str) -> Any:
    """What `pulumi stack output --json` prints, run in the project."""
    command = ["pulumi", "stack", "output", "--json", "--stack", name, "--non-interactive"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    try:
        done = subprocess.run(
            command,
            cwd=PROJECT_ROOT,
            env={**os.environ, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PULUMI_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise StackError(
            f"stack {name}: nothing under {shown(local_directory() / 'stacks')}, and there is "
            f"no pulumi to ask: make setup{_deployed_by(name, '')}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"stack {name}: pulumi did not answer in {_PULUMI_TIMEOUT_S} s"
        ) from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())
        raise StackError(f"stack {name}: pulumi says: {said}{_deployed_by(name, said)}")
    try:
        return json.loads(done.stdout)
    except ValueError as error:
        raise StackError(f"stack {name}: pulumi printed no JSON: {error}") from error


def _deployed_by(name: str, said: str) -> str:
    """What to do about a stack that Pulumi cannot tell of, after what it said."""
    if name == LOCAL_STACK or ("/" not in name and (local_directory() / "stacks" / name).exists()):
        up = "stack up" if name == LOCAL_STACK else f"stack up --stack {name}"
        return f"\n  in the emulator: python -m emulator serve, then python -m emulator {up}"
    if _NOT_SIGNED_IN in said:
        return (
            "\n  sign in to where its state is kept, as whoever deployed it did: pulumi login "
            "--local on that machine, pulumi login azblob://… for a team (docs/provision.md, "
            "Where the state lives); or name a file of its outputs: --outputs FILE"
        )
    if _NO_STACK in said:
        return (
            f"\n  deploy it (pulumi stack init {name}, pulumi up -s {name}), or sign in to where "
            "its state is kept: pulumi whoami -v tells where Pulumi looks (docs/provision.md, "
            "Where the state lives)"
        )
    return ""
