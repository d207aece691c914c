"""What tests of `infra` share: a provisioned estate without an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import MockCallArgs, MockResourceArgs, Mocks

from infra.checking import plan_stack
from infra.estate import Estate
from infra.platform import Platform
from infra.sources import read_stack_file

ROOT = Path(__file__).resolve().parents[2]
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What a program registered, and what it exported."""

    resources: list[MockResourceArgs] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of_type(self, token: str) -> list[MockResourceArgs]:
        """The resources of a type; at least one, so that no loop over them is empty."""
        found = [resource for resource in self.resources if resource.typ == token]
        assert found, f"no {token} was registered"
        return found


class _Recorder(Mocks):
    def __init__(self, subscription: str) -> None:
        self.provisioned = Provisioned()
        self.subscription = subscription

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.provisioned.resources.append(args)
        state = dict(args.inputs)
        named = [value for key, value in state.items() if key.endswith("ainerName")]
        state.setdefault("name", named[0] if named else f"{args.name}0a1b2c3d")
        if args.typ.endswith(":StorageAccount"):
            state["primaryEndpoints"] = {"blob": f"https://{state['name']}.blob.core.windows.net/"}
        if args.typ.endswith(":BatchAccount"):
            state["accountEndpoint"] = f"{state['name']}.eastus.batch.azure.com"
        if args.typ.endswith(":UserAssignedIdentity"):
            state["principalId"] = f"principal-of-{args.name}"
        if "identity" in state:
            ids = state["identity"]["userAssignedIdentities"]
            state["identity"] = {
                **state["identity"],
                "userAssignedIdentities": {key: {} for key in ids},
            }
        group = f"/subscriptions/{self.subscription}/resourceGroups/g"
        if args.typ.startswith("hpc:"):
            return "", {}
        return f"{group}/providers/{args.typ}/{state['name']}", state

    def call(self, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        assert args.token == "azure-native:authorization:getClientConfig"
        answer = {"tenantId": "tenant", "clientId": "client", "objectId": "object"}
        return {**answer, "subscriptionId": self.subscription}, []


Provision = Callable[..., Provisioned]


@pytest.fixture(scope="session")
def provision() -> Provision:
    """Runs the platform over an estate under mocks and gives back what it registered."""

    def run(estate: Estate, *, subscription: str = SUBSCRIPTION) -> Provisioned:
        recorder = _Recorder(subscription)
        pulumi.runtime.set_mocks(recorder, project="hpc", stack=estate.stack)

        @pulumi.runtime.test  # type: ignore[untyped-decorator] # the SDK's own lacks types
        def program() -> pulumi.Output[None]:
            platform = Platform("hpc", estate)
            return pulumi.Output.all(**platform.outputs).apply(recorder.provisioned.outputs.update)

        program()
        return recorder.provisioned

    return run


@pytest.fixture(scope="session")
def example() -> Callable[[str], Estate]:
    """The planned estate of a stack file in the repository."""

    def plan(stack: str) -> Estate:
        return plan_stack(stack, read_stack_file(stack, root=ROOT), root=ROOT).deployable()

    return plan


@pytest.fixture(scope="session")
def provisioned(stack: str, example: Callable[[str], Estate], provision: Provision) -> Provisioned:
    """What an example stack registers and exports; run once for all tests that ask."""
    return provision(example(stack))


def example_stacks() -> list[str]:
    """Every stack with a file in the repository."""
    return sorted(path.name.split(".")[1] for path in ROOT.glob("Pulumi.*.yaml"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that asks for a `stack` over every example stack."""
    if "stack" in metafunc.fixturenames:
        metafunc.parametrize("stack", example_stacks(), scope="session")
