"""The real engine over the provider: what a person sees of `up`, change, drift and faults."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.arm.memory import MemoryBackend
from emulator.arm.state import _is_engine
from emulator.errors import StackError
from emulator.local import PROJECT_ROOT
from tests.emulator.arm.projects import Host, Project

pytestmark = [
    pytest.mark.engine,
    # The SDK's language server gives its threads event loops and never closes them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def loops_of_the_sdk_end_with_the_test() -> Iterator[None]:
    yield
    gc.collect()


ESTATE = """
import pulumi
from pulumi_azure_native import batch, resources, storage

config = pulumi.Config()
group = resources.ResourceGroup("rg", location="eastus")
data = storage.StorageAccount(
    "data",
    resource_group_name=group.name,
    kind="StorageV2",
    sku=storage.SkuArgs(name="Standard_LRS"),
)
inputs = storage.BlobContainer(
    "inputs", account_name=data.name, resource_group_name=group.name
)
account = batch.BatchAccount("hpc", resource_group_name=group.name)
pool = batch.Pool(
    "cpu",
    account_name=account.name,
    resource_group_name=group.name,
    vm_size=config.get("size") or "Standard_D4s_v5",
    display_name=config.get("display"),
    deployment_configuration=batch.DeploymentConfigurationArgs(
        virtual_machine_configuration=batch.VirtualMachineConfigurationArgs(
            image_reference=batch.ImageReferenceArgs(
                publisher="canonical", offer="ubuntu-24_04-lts", sku="server"
            ),
            node_agent_sku_id="batch.node.ubuntu 24.04",
        )
    ),
    user_accounts=[
        batch.UserAccountArgs(name="runner", password=config.require_secret("password"))
    ],
    scale_settings=batch.ScaleSettingsArgs(
        auto_scale=batch.AutoScaleSettingsArgs(
            formula=config.require("formula"), evaluation_interval="PT5M"
        )
    ),
)
pulumi.export("endpoint", account.account_endpoint)
pulumi.export("pool", pool.name)
pulumi.export("secret", pulumi.Output.secret("hidden"))
"""
DRIVER = """
import sys
import threading
from pathlib import Path
from emulator.arm.deployment import Deployment
from emulator.local import LocalDirectory

project, local, address = sys.argv[1:]
Deployment(
    "local",
    LocalDirectory(Path(local)),
    write=lambda line: print(line, file=sys.stderr),
    project=Path(project),
    provider_address=address,
).up()
"""
PASSWORD = "correct-horse-battery"


def config(**values: str) -> str:
    settings = {"tried:formula": "$TargetDedicatedNodes=1", "tried:password": PASSWORD}
    settings |= {f"tried:{name}": value for name, value in values.items()}
    return json.dumps({"config": settings})


def only_pool(backend: MemoryBackend) -> dict[str, Any]:
    (pools,) = backend.accounts.values()
    return pools["cpu"]


def test_a_stack_lives_from_preview_to_destroy(project: Project) -> None:
    backend = project.host.backend
    project.write(ESTATE, config())

    assert project.deployment().preview().changes["create"] == 6
    assert backend.calls == []

    created = project.deployment().up()
    assert created.changes == {"create": 6}
    assert created.outputs == {
        "endpoint": backend.batch_endpoint(""),
        "pool": "cpu",
        "secret": "[secret]",
    }
    assert json.loads(project.local.stack_outputs("local").read_text()) == created.outputs
    assert project.deployment().outputs() == created.outputs
    assert any("batch:Pool cpu" in line and "created" in line for line in project.lines)
    state = project.deployment().state.file.read_text()
    assert PASSWORD not in state
    assert "hidden" not in state

    assert project.deployment().up().changes == {"same": 6}

    project.write(ESTATE, config(formula="$TargetDedicatedNodes=2"))
    assert project.deployment().up().changes == {"same": 5, "update": 1}
    assert only_pool(backend)["autoScaleFormula"] == "$TargetDedicatedNodes=2"

    assert project.deployment().destroy().changes == {"delete": 6}
    assert (backend.accounts, backend.containers) == ({}, {})
    assert not project.local.stack_outputs("local").exists()


def test_drift_is_seen_by_refresh_and_mended_by_up(project: Project) -> None:
    backend = project.host.backend
    project.write(ESTATE, config())
    project.deployment().up()
    body = only_pool(backend)
    body["autoScaleFormula"] = "$TargetDedicatedNodes=9"
    body["metadata"] = [{"name": "who", "value": "somebody"}]
    (containers,) = backend.containers.values()
    containers.clear()

    refreshed = project.deployment().refresh()
    assert refreshed.changes == {"delete": 1, "same": 4, "update": 1}

    mended = project.deployment().up()
    assert mended.changes == {"create": 1, "same": 4, "update": 1}
    assert only_pool(backend)["autoScaleFormula"] == "$TargetDedicatedNodes=1"
    assert "metadata" not in only_pool(backend)
    assert containers == {"inputs"}


def test_a_change_that_only_an_empty_pool_takes_is_refused_while_there_are_nodes(
    project: Project,
) -> None:
    backend = project.host.backend
    project.write(ESTATE, config())
    project.deployment().up()
    only_pool(backend)["currentDedicatedNodes"] = 2
    project.write(ESTATE, config(size="Standard_D8s_v5"))
    with pytest.raises(StackError, match=r"PropertyCannotBeUpdated.*vmSize.*2 nodes"):
        project.deployment().up()
    only_pool(backend)["currentDedicatedNodes"] = 0
    assert project.deployment().up().changes["update"] == 1
    assert only_pool(backend)["vmSize"] == "Standard_D8s_v5"


@pytest.mark.parametrize(
    ("kind", "properties", "text"),
    [
        (
            "azure-native:resources:ResourceGroup",
            {"locaton": "eastus"},
            "unknown property 'locaton'; did you mean 'location'?",
        ),
        ("azure-native:batch:Pol", {}, "did you mean 'azure-native:batch:Pool'?"),
        (
            "azure-native:compute:Disk",
            {},
            "unknown resource type 'azure-native:compute:Disk'",
        ),
    ],
)
def test_unknown_property_and_type_are_refused_by_name_before_anything_is_made(
    project: Project, kind: str, properties: dict[str, str], text: str
) -> None:
    project.write(f"""
        import pulumi
        from pulumi_azure_native import storage

        class Raw(pulumi.CustomResource):
            pass

        Raw({kind!r}, "raw", {properties!r})
        """)
    with pytest.raises(StackError) as caught:
        project.deployment().preview()
    assert text in str(caught.value)
    assert project.host.backend.calls == []


def test_a_function_that_gives_out_keys_is_refused_by_name(project: Project) -> None:
    project.write("""
        from pulumi_azure_native import batch
        batch.list_batch_account_keys(account_name="hpc", resource_group_name="rg")
        """)
    with pytest.raises(StackError, match=r"keys of hpc are not given out"):
        project.deployment().preview()


@pytest.mark.parametrize("failing", [1, 3, 4])
def test_a_create_that_fails_is_made_good_by_the_next_up(project: Project, failing: int) -> None:
    backend = project.host.backend
    project.write(ESTATE, config())
    backend.fail_on_call = failing
    with pytest.raises(StackError, match=r"InternalError.*was made to fail"):
        project.deployment().up()
    again = project.deployment().up()
    assert again.changes["create"] + again.changes.get("same", 0) == 6
    assert len(backend.accounts) == len(backend.containers) == 1
    assert project.deployment().up().changes == {"same": 6}


def test_an_emulator_that_was_reset_or_moved_is_no_obstacle(
    project: Project, start_host: Callable[..., Host]
) -> None:
    project.write(ESTATE, config())
    project.deployment().up()
    moved = MemoryBackend("http://127.0.0.1:11", "http://127.0.0.1:12")
    project.host = start_host(moved)
    again = project.deployment().up()
    assert again.outputs["endpoint"] == "http://127.0.0.1:11"
    assert only_pool(moved)["vmSize"] == "Standard_D4s_v5"


def test_state_that_was_deleted_is_taken_over_again(project: Project) -> None:
    backend = project.host.backend
    project.write(ESTATE, config())
    project.deployment().up()
    accounts = set(backend.accounts)
    project.deployment().state.file.write_text("{ not json")
    with pytest.raises(StackError, match="is damaged") as caught:
        project.deployment().up()
    assert f"rm '{project.deployment().state.file}'" in str(caught.value)
    project.deployment().state.file.unlink()
    assert project.deployment().up().changes == {"create": 6}
    assert set(backend.accounts) == accounts


def test_a_resource_that_somebody_else_made_is_not_taken_over(project: Project) -> None:
    program = """
        import pulumi
        from pulumi_azure_native import resources
        for name in pulumi.Config().require_object("names"):
            resources.ResourceGroup(name, resource_group_name="shared", location="eastus")
        """
    project.write(program, json.dumps({"config": {"tried:names": ["one"]}}))
    project.deployment().up()
    project.write(program, json.dumps({"config": {"tried:names": ["one", "two"]}}))
    with pytest.raises(StackError, match="already existing resource"):
        project.deployment().up()


def test_a_replacement_under_the_same_id_never_deletes_the_new_resource(project: Project) -> None:
    """Creating before deleting needs two names; azure-native refuses one name, and so here."""
    program = """
        import pulumi
        from pulumi_azure_native import resources
        resources.ResourceGroup(
            "rg",
            resource_group_name="fixed",
            location="eastus",
            tags={"a": pulumi.Config().require("tag")},
            opts=pulumi.ResourceOptions(
                replace_on_changes=["tags"], delete_before_replace=False
            ),
        )
        """
    project.write(program, config(tag="1"))
    project.deployment().up()
    project.write(program, config(tag="2"))
    with pytest.raises(StackError, match="already existing resource"):
        project.deployment().up()


def test_the_repository_s_settings_are_not_written(project: Project) -> None:
    project.write(ESTATE, config())
    before = {one.name: one.read_bytes() for one in project.directory.iterdir()}
    project.deployment().up()
    after = {one.name: one.read_bytes() for one in project.directory.iterdir() if one.is_file()}
    assert after == before


def test_a_stack_without_config_is_one_clear_error(project: Project) -> None:
    project.write(ESTATE)
    (project.directory / "Pulumi.local.yaml").rename(project.directory / "Pulumi.other.yaml")
    with pytest.raises(StackError, match=r"no config for stack local.*\n.*other"):
        project.deployment().up()


def test_the_passphrase_is_the_user_s_alone(project: Project, tmp_path: Path) -> None:
    project.write(ESTATE)
    project.deployment()
    file = tmp_path / "local" / "pulumi" / "passphrase"
    assert file.stat().st_mode & 0o777 == 0o600
    first = file.read_text()
    project.deployment()
    assert file.read_text() == first


FOREIGN_SALT = "v1:7LcjPLUd1xE=:v1:smfVgThuYXJKjvis:s4AurSrAQ+irGOGtH2UUy54+dT2LfQ=="
"""Of a passphrase that no test has."""


def test_what_a_file_says_of_another_state_s_secrets_is_no_obstacle(project: Project) -> None:
    settings = json.loads(config())
    project.write(ESTATE, json.dumps({**settings, "encryptionsalt": FOREIGN_SALT}))
    assert project.deployment().up().changes == {"create": 6}
    project.write(ESTATE, json.dumps({**settings, "secretsprovider": "azurekeyvault://nobody/k"}))
    assert project.deployment().up().changes == {"same": 6}
    project.write(ESTATE, json.dumps(settings))
    assert project.deployment().destroy().changes == {"delete": 6}


def test_a_secret_that_was_encrypted_elsewhere_is_refused_by_its_path(project: Project) -> None:
    settings = json.loads(config())
    settings["config"]["tried:password"] = {"secure": "v1:FTVDGqXiVEAu5F8b:vEz7YgnX+B4bJm=="}
    settings["config"]["tried:more"] = [{"old": {"secure": "v1:FTVDGqXiVEAu5F8b:vEz7YgnX+B4="}}]
    project.write(ESTATE, json.dumps({**settings, "encryptionsalt": FOREIGN_SALT}))
    with pytest.raises(StackError, match=r"tried:more\[0\]\.old, tried:password") as caught:
        project.deployment().up()
    assert "encrypted elsewhere" in str(caught.value)
    assert project.host.backend.calls == []


def test_an_engine_that_was_killed_while_it_wrote_attributes_is_no_obstacle(
    project: Project,
) -> None:
    project.write(ESTATE, config())
    project.deployment().up()
    state = project.deployment().state.file
    for path in (state.with_name(f"{state.name}.attrs"), state.parents[2] / "meta.yaml.attrs"):
        assert path.exists()
        path.write_text("")
    assert project.deployment().up().changes == {"same": 6}


def test_a_lost_passphrase_is_said_with_the_way_out(project: Project) -> None:
    project.write(ESTATE, config())
    project.deployment().up()
    passphrase = project.local.root / "pulumi" / "passphrase"
    passphrase.write_text("another")
    with pytest.raises(StackError, match="encrypted with another passphrase") as caught:
        project.deployment().up()
    state = project.deployment().state.file
    assert f"rm '{state}'" in str(caught.value)
    state.unlink()
    assert sum(project.deployment().up().changes.values()) == 6


def engine_process(project: Project) -> int:
    """The engine at work, by its lock."""
    (lock,) = project.deployment().state.locks.glob("*.json")
    return int(json.loads(lock.read_text())["pid"])


def start_driver(project: Project) -> subprocess.Popen[bytes]:
    arguments = [str(project.directory), str(project.local.root), project.host.address]
    return subprocess.Popen([sys.executable, "-c", DRIVER, *arguments], cwd=PROJECT_ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_an_up_after_the_engine_was_killed_simply_works(project: Project, call: int) -> None:
    """The resource of that call is made, and the engine never hears of it."""
    backend = project.host.backend
    project.write(ESTATE, config())

    def kill(count: int) -> None:
        if count == call:
            backend.on_call = None
            os.kill(engine_process(project), signal.SIGKILL)

    backend.on_call = kill
    assert start_driver(project).wait(timeout=180) != 0
    assert len(backend.calls) >= call

    assert project.deployment().up().outputs["pool"] == "cpu"
    assert len(backend.accounts) == len(backend.containers) == 1
    assert len({one for one in backend.calls if one[0].startswith("create_")}) == 3
    assert project.deployment().up().changes == {"same": 6}


@pytest.mark.slow
@pytest.mark.parametrize("engine_too", [True, False])
def test_an_up_after_everything_but_the_emulator_was_killed_simply_works(
    project: Project, engine_too: bool
) -> None:
    """Killed alone, the driver takes the engine with it: its output leads nowhere."""
    backend = project.host.backend
    project.write(ESTATE, config())
    driver: list[subprocess.Popen[bytes]] = []
    engine: list[int] = []

    def kill(count: int) -> None:
        if count == 3:
            backend.on_call = None
            engine.append(engine_process(project))
            driver[0].kill()
            if engine_too:
                os.kill(engine[0], signal.SIGKILL)

    backend.on_call = kill
    driver.append(start_driver(project))
    driver[0].wait(timeout=180)
    (process,) = engine
    while _is_engine(process):
        threading.Event().wait(0.01)

    project.deployment().up()
    assert len(backend.accounts) == len(backend.containers) == 1
    assert project.deployment().up().changes == {"same": 6}
    assert project.deployment().destroy().changes == {"delete": 6}
    assert (backend.accounts, backend.containers) == ({}, {})


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_engine_and_leaves_no_lock(
    project: Project, number: signal.Signals
) -> None:
    backend = project.host.backend
    project.write(ESTATE, config())
    driver: list[subprocess.Popen[bytes]] = []
    engine: list[int] = []

    def interrupt(count: int) -> None:
        if count == 1:
            engine.append(engine_process(project))
            driver[0].send_signal(number)

    backend.on_call = interrupt
    driver.append(start_driver(project))
    assert driver[0].wait(timeout=180) != 0
    backend.on_call = None
    with pytest.raises(ProcessLookupError):
        os.kill(engine[0], 0)
    assert list(project.deployment().state.locks.glob("*.json")) == []
    project.deployment().up()
    assert project.deployment().up().changes == {"same": 6}
