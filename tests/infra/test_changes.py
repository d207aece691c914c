"""What a deployment does to pools, told before and as the engine does it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from pulumi import automation
from pulumi._types import input_type_py_to_pulumi_names
from pulumi_azure_native.batch import PoolArgs as AzurePoolArgs
from pulumi_azure_native.resources import ResourceGroup

from emulator.arm.mocks import ProgramRun, run_program
from infra import cli
from infra.changes import POOL, UNKNOWN, DeployedState, PoolChange, pool_changes
from infra.checking import plan_stack
from infra.errors import StackFileError
from infra.platform import Platform
from infra.pool_changes import EFFECTS, REPLACED_ON_CHANGES, Effect
from infra.sources import PROJECT_ROOT
from scan.stacks import OPTIONAL, stack_config

if TYPE_CHECKING:
    from tests.infra.conftest import Engine

    StartEngine = Callable[[], AbstractContextManager[Engine]]

SECRETS = {"hpc-secrets:lab": "b2YgYSB0ZXN0"}
ACCOUNTS = {"lab": {"password_secret": "lab"}}
SAME = {"lab": "same", "mpi": "same"}
SHARE = {
    "type": "files",
    "path": "share",
    "account_name": "labfiles",
    "share_url": "https://labfiles.file.core.windows.net/scratch",
    "account_key_secret": "lab",
}
BASE: dict[str, Any] = {
    "pools": {
        "cpu": {"scale": {"max_dedicated_nodes": 2}},
        "lab": {"mounts": [SHARE], "user_accounts": ACCOUNTS},
        "mpi": {"preset": "rdma", "scale": {"mode": "fixed", "dedicated_nodes": 2}},
    }
}


def with_cpu(**config: Any) -> dict[str, Any]:
    return {**BASE, "pools": {**BASE["pools"], "cpu": {**BASE["pools"]["cpu"], **config}}}


def with_lab(**config: Any) -> dict[str, Any]:
    return {**BASE, "pools": {**BASE["pools"], "lab": {**BASE["pools"]["lab"], **config}}}


CHANGES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "nothing": (BASE, {"cpu": "same", **SAME}),
    "metadata": (
        with_cpu(metadata={"team": "cfd"}),
        {"cpu": "update", **SAME},
    ),
    "scale": (
        with_cpu(scale={"max_dedicated_nodes": 3}),
        {"cpu": "update", **SAME},
    ),
    "size": (
        with_cpu(vm_size="Standard_D8s_v5"),
        {"cpu": "replace", **SAME},
    ),
    "slots": (with_cpu(task_slots_per_node=2), {"cpu": "replace", **SAME}),
    "image": (with_cpu(image="almalinux-hpc-9"), {"cpu": "replace", **SAME}),
    "subnet": (
        {**BASE, "network": {"subnets": "per-pool"}},
        {"cpu": "replace", "lab": "replace", "mpi": "replace"},
    ),
    "addresses": (
        {**BASE, "network": {"public_addresses": False, "nat_gateway": True}},
        {"cpu": "replace", "lab": "replace", "mpi": "replace"},
    ),
    "display-name": (with_cpu(display_name="Monte Carlo"), {"cpu": "replace", **SAME}),
    "fill": (with_cpu(fill="pack"), {"cpu": "replace", **SAME}),
    "inter-node": (with_cpu(inter_node_communication=True), {"cpu": "replace", **SAME}),
    "start-task": (
        with_cpu(start_task={"command_line": "/bin/true"}),
        {"cpu": "update", **SAME},
    ),
    "new-pool": (
        {"pools": {**BASE["pools"], "more": {}}},
        {"cpu": "same", "more": "create", **SAME},
    ),
    "account": (
        with_lab(user_accounts={"lab": {**ACCOUNTS["lab"], "elevated": True}}),
        {"cpu": "same", "lab": "replace", "mpi": "same"},
    ),
    "mount": (
        with_lab(mounts=[{**SHARE, "path": "scratch"}]),
        {"cpu": "same", "lab": "replace", "mpi": "same"},
    ),
    "no-pool": (
        {"pools": {"cpu": BASE["pools"]["cpu"]}},
        {"cpu": "same", "lab": "delete", "mpi": "delete"},
    ),
}


def provision(config: dict[str, Any]) -> ProgramRun:
    estate = plan_stack("dev", config, root=PROJECT_ROOT).deployable()

    def program() -> None:
        for name, value in Platform("hpc", estate).outputs.items():
            pulumi.export(name, value)

    return run_program(program, project="hpc", stack="dev", config=SECRETS)


def state_of(run: ProgramRun) -> str:
    """What `pulumi stack export` has of a program that was deployed."""
    resources = [
        {
            "type": one.token,
            "urn": f"urn:pulumi:dev::hpc::{one.token}::{one.name}",
            "id": one.id,
            "inputs": dict(one.inputs),
            "outputs": dict(one.outputs),
        }
        for one in run.arm.resources
    ]
    return json.dumps({"version": 3, "deployment": {"resources": resources}})


@pytest.fixture(scope="module")
def deployed() -> DeployedState:
    return DeployedState.parse(state_of(provision(BASE)), source="test")


def told(config: dict[str, Any], state: DeployedState) -> dict[str, PoolChange]:
    estate = plan_stack("dev", config, root=PROJECT_ROOT).deployable()
    return {change.pool: change for change in pool_changes(estate, state)}


@pytest.mark.parametrize(
    "case", ["nothing", "scale", "size", "mount", "subnet", "new-pool", "no-pool"]
)
def test_each_pool_is_told_what_happens_to_it(case: str, deployed: DeployedState) -> None:
    config, expected = CHANGES[case]
    assert {name: change.action for name, change in told(config, deployed).items()} == expected


def test_a_stack_with_every_part_stays_as_it_is() -> None:
    config = stack_config(OPTIONAL)
    state = DeployedState.parse(state_of(provision(config)), source="test")
    actions = {change.action for change in told(config, state).values()}
    assert actions == {"same"}


def test_a_field_is_told_with_how_azure_applies_it(deployed: DeployedState) -> None:
    change = told(with_cpu(vm_size="Standard_D8s_v5", metadata={"a": "b"}), deployed)["cpu"]
    assert [(field.field, field.effect) for field in change.fields] == [
        ("metadata", Effect.LIVE),
        ("vmSize", Effect.ZERO_NODES),
    ]
    size = change.fields[1]
    assert (size.before, size.after) == ("Standard_D4s_v5", "Standard_D8s_v5")


def test_what_only_a_deployment_can_know_is_called_so(deployed: DeployedState) -> None:
    change = told({**BASE, "network": {"subnets": "per-pool"}}, deployed)["cpu"]
    (network,) = change.fields
    assert network.after["subnetId"] == UNKNOWN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"deployment": {"resources": [{"type": 1}]}}',
        "null",
        json.dumps({"deployment": {"resources": [{"type": POOL, "urn": "u::cpu"}]}}),
        json.dumps({"deployment": {"resources": [{"type": POOL, "urn": "u::cpu", "inputs": {}}]}}),
    ],
)
def test_a_file_that_is_no_state_is_one_clear_message(text: str) -> None:
    with pytest.raises(StackFileError, match="no exported state"):
        DeployedState.parse(text, source="state.json")


def test_an_empty_stack_creates_every_pool() -> None:
    empty = DeployedState.parse('{"version": 3, "deployment": {}}', source="test")
    assert {change.action for change in told(BASE, empty).values()} == {"create"}


def test_a_program_that_fails_leaves_nothing_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    loops = []
    before = set(threading.enumerate())

    def program(*_: object) -> None:
        loops.append(asyncio.get_running_loop())
        never: pulumi.Output[str] = pulumi.Output.from_input(loops[0].create_future())
        ResourceGroup("waits", location=never)
        ResourceGroup("refused", location="westeurope")

    def refuse(*_: object) -> None:
        raise ValueError("nobody answers")

    monkeypatch.setattr("infra.changes.Platform", program)
    monkeypatch.setattr("infra.changes._Deployed.new_resource", refuse)
    empty = DeployedState.parse('{"version": 3, "deployment": {}}', source="test")
    with pytest.raises(ValueError, match="nobody answers"):
        told(BASE, empty)
    assert asyncio.all_tasks(loops[0]) == set()
    assert loops[0].is_closed()
    assert set(threading.enumerate()) <= before


def test_the_command_prints_a_line_a_pool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, config in (
        ("Pulumi.yaml", {}),
        ("Pulumi.dev.yaml", with_cpu(task_slots_per_node=2)),
    ):
        keys = {f"hpc:{key}": value for key, value in config.items()}
        document = {"config": {**keys, "hpc-secrets:lab": {"secure": "v1:sealed"}}}
        (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
    state = tmp_path / "state.json"
    state.write_text(state_of(provision(BASE)), encoding="utf-8")
    monkeypatch.setattr(cli, "PROJECT_ROOT", tmp_path)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["changes", "--stack", "dev", "--state", str(state)])
    out = capsys.readouterr().out
    assert "goes when a new pool exists" in out
    assert "  taskSlotsPerNode: zero nodes" in out
    assert "    1 -> 2" in out
    assert "stays as it is" in out
    with pytest.raises(SystemExit, match="0"):
        cli.main(["changes", "--stack", "dev", "--state", str(state), "--json"])
    pools = json.loads(capsys.readouterr().out)["pools"]
    assert [pool["action"] for pool in pools] == ["replace", "same", "same"]
    assert [pool["unfinished_jobs"] for pool in pools] == [None, None, None]
    # This stack signs in with Entra, which goes over https, and nobody answers there.
    assert out.startswith("not asked: unfinished jobs: Entra tokens go over https only")


FIELDS: dict[str, tuple[Any, Any]] = {
    "applicationPackages": (None, [{"id": "/subscriptions/1/a"}]),
    "metadata": ([{"name": "a", "value": "1"}], [{"name": "a", "value": "2"}]),
    "scaleSettings": (
        {"fixedScale": {"targetDedicatedNodes": 1}},
        {"fixedScale": {"targetDedicatedNodes": 2}},
    ),
    "startTask": (None, {"commandLine": "/bin/true"}),
    "displayName": ("one", "two"),
    "vmSize": ("Standard_D2s_v5", "Standard_D4s_v5"),
    "deploymentConfiguration": (
        {"virtualMachineConfiguration": {"nodeAgentSkuId": "a", "imageReference": {"id": "/x"}}},
        {"virtualMachineConfiguration": {"nodeAgentSkuId": "b", "imageReference": {"id": "/x"}}},
    ),
    "interNodeCommunication": ("Disabled", "Enabled"),
    "mountConfiguration": (
        None,
        [{"nfsMountConfiguration": {"relativeMountPath": "m", "source": "host:/x"}}],
    ),
    "networkConfiguration": ({"subnetId": "/a"}, {"subnetId": "/b"}),
    "resourceTags": (None, {"a": "b"}),
    "targetNodeCommunicationMode": ("Default", "Simplified"),
    "taskSchedulingPolicy": ({"nodeFillType": "Spread"}, {"nodeFillType": "Pack"}),
    "taskSlotsPerNode": (1, 2),
    "upgradePolicy": (None, {"mode": "manual"}),
    "userAccounts": (None, [{"name": "a", "password": "b"}]),
    "accountName": ("one", "two"),
    "applicationLicenses": (None, ["maya"]),
    "certificates": (None, [{"id": "/c"}]),
    "identity": (
        {"type": "UserAssigned", "userAssignedIdentities": ["/a"]},
        {"type": "UserAssigned", "userAssignedIdentities": ["/b"]},
    ),
    "poolName": ("one", "two"),
    "resourceGroupName": ("one", "two"),
    "tags": (None, {"a": "b"}),
}


def test_every_field_of_azure_native_s_pool_has_an_effect() -> None:
    known = set(input_type_py_to_pulumi_names(AzurePoolArgs).values())
    assert known == set(EFFECTS)
    assert known == set(FIELDS)


class PlainPool(pulumi.CustomResource):
    """A pool of the fields that a test says, with what the component tells the engine."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(
            POOL,
            "plain",
            fields,
            pulumi.ResourceOptions(
                replace_on_changes=list(REPLACED_ON_CHANGES), delete_before_replace=False
            ),
        )


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the Automation API leaves event loops to the collector
def test_the_engine_replaces_for_exactly_the_fields_that_changes_says(
    start_engine: StartEngine,
) -> None:
    before = {name: old for name, (old, _) in FIELDS.items() if old is not None}
    deployed = f"urn:pulumi:dev::hpc::{POOL}::plain"
    wrong = {}
    with start_engine() as engine:
        engine.configure(BASE, SECRETS)
        state = engine.stack.export_stack()
        provider = "urn:pulumi:dev::hpc::pulumi:providers:azure-native::default_3_29_0"
        stack = "urn:pulumi:dev::hpc::pulumi:pulumi:Stack::hpc-dev"
        state.deployment = {
            **(state.deployment or {}),
            "manifest": {"time": "2026-01-01T00:00:00Z", "magic": "", "version": ""},
            "resources": [
                {"urn": stack, "custom": False, "type": "pulumi:pulumi:Stack"},
                {
                    "urn": provider,
                    "custom": True,
                    "id": "1",
                    "type": "pulumi:providers:azure-native",
                    "inputs": {"version": "3.29.0"},
                    "outputs": {"version": "3.29.0"},
                },
                {
                    "urn": deployed,
                    "custom": True,
                    "id": "/subscriptions/1/pools/plain",
                    "type": POOL,
                    "inputs": before,
                    "outputs": before,
                    "parent": stack,
                    "provider": f"{provider}::1",
                },
            ],
        }
        engine.stack.import_stack(state)
        for name, (_, after) in FIELDS.items():
            fields = {**before, name: after}
            engine.stack.workspace.program = lambda fields=fields: void(PlainPool(fields))
            action = previewed(engine)["plain"]
            expected = "update" if EFFECTS[name] is Effect.LIVE else "replace"
            if action != expected:
                wrong[name] = action
    assert wrong == {}


def void(_: object) -> None:
    """Drops what a program makes."""


@pytest.fixture(scope="module")
def engine(start_engine: StartEngine) -> Iterator[Engine]:
    with start_engine() as started:
        started.configure(BASE, SECRETS)
        started.stack.up()
        yield started


def previewed(engine: Engine) -> dict[str, str]:
    """What the engine says that it would do to each pool."""
    steps: dict[str, set[str]] = {}

    def note(event: automation.EngineEvent) -> None:
        step = event.resource_pre_event
        if step is not None and step.metadata.type == "azure-native:batch:Pool":
            name = step.metadata.urn.rsplit("::", 1)[1]
            steps.setdefault(name, set()).add(str(step.metadata.op.value))

    engine.stack.preview(on_event=note)
    return {
        name: "replace" if "replace" in operations else operations.pop()
        for name, operations in steps.items()
    }


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the Automation API leaves event loops to the collector
@pytest.mark.parametrize("case", CHANGES)
def test_preview_says_the_same(case: str, engine: Engine) -> None:
    config, expected = CHANGES[case]
    engine.configure(config, SECRETS)
    exported = json.dumps({"deployment": engine.stack.export_stack().deployment})
    state = DeployedState.parse(exported, source="engine")
    assert {name: change.action for name, change in told(config, state).items()} == expected
    assert previewed(engine) == expected
