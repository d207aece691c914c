"""What the engine asks before it deletes a pool, and after a role has not spread yet.

The engine, the program, the provider, the Batch service and its SDK are the real ones here;
the tasks run as processes.
"""

from __future__ import annotations

import base64
import gc
import json
import os
import select
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from pulumi import automation

from emulator.arm.deployment import Deployment
from emulator.arm.errors import ArmError
from emulator.arm.model import ResourceManager
from emulator.errors import StackError
from emulator.local import ENV_LOCAL_DIR, LocalDirectory
from infra import hooks
from infra.asking import ENV_BATCH_KEY
from infra.hooks import ENV_DELETE_BUSY_POOLS, busy_text, is_overridden
from infra.sources import PROJECT_ROOT
from infra.unfinished import UnfinishedJob

if TYPE_CHECKING:
    from tests.infra.conftest import Engine

READY_TIMEOUT_S = 180
STOP_TIMEOUT_S = 120
LEAVES_LOOPS = pytest.mark.filterwarnings("default")  # the Automation API leaves event loops
SLEEPS = "sleep 600"


@dataclass
class Estate:
    """A stack on a running emulator, with the program of this project."""

    local: LocalDirectory
    project: Path
    lines: list[str] = field(default_factory=list)

    def configure(self, **pools: Any) -> None:
        config = {
            "hpc:authentication": "shared-key",
            "hpc:pools": pools,
            "hpc:ignore": {"POL009": "Nodes of the emulator cost nothing."},
        }
        (self.project / "Pulumi.local.yaml").write_text(yaml.safe_dump({"config": config}))

    @property
    def deployment(self) -> Deployment:
        running = self.local.read_running()
        return Deployment(
            "local",
            self.local,
            write=self.lines.append,
            project=self.project,
            provider_address=running.provider_address,
        )

    @property
    def account(self) -> tuple[str, str]:
        outputs = json.loads(self.local.stack_outputs("local").read_text())
        return outputs["batch_account_name"], outputs["batch_endpoint"]

    @contextmanager
    def batch(self) -> Iterator[BatchClient]:
        name, endpoint = self.account
        key = json.loads(self.local.keys_file.read_text())["batch"][name]
        with BatchClient(endpoint, AzureNamedKeyCredential(name, key)) as client:
            yield client

    def pools(self) -> list[str]:
        with self.batch() as client:
            return sorted(str(pool.id) for pool in client.list_pools())

    def jobs(self) -> list[str]:
        outputs = self.local.stack_outputs("local")
        known = json.loads(self.local.keys_file.read_text())["batch"]
        if not outputs.exists() or self.account[0] not in known:
            return []
        with self.batch() as client:
            return [str(job.id) for job in client.list_jobs()]

    def submit(self, job_id: str, pool_id: str, *, tasks: int) -> None:
        with self.batch() as client:
            client.create_job(
                models.BatchJobCreateOptions(
                    id=job_id, pool_info=models.BatchPoolInfo(pool_id=pool_id)
                )
            )
            for number in range(tasks):
                client.create_task(
                    job_id, models.BatchTaskCreateOptions(id=f"t{number}", command_line=SLEEPS)
                )

    def end(self, job_id: str) -> None:
        with self.batch() as client:
            client.begin_delete_job(job_id, polling_interval=0).result()


def fixed(nodes: int, **more: Any) -> dict[str, Any]:
    return {
        "vm_size": "Standard_D2s_v5",
        "scale": {"mode": "fixed", "dedicated_nodes": nodes},
        **more,
    }


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalDirectory]:
    home = tmp_path_factory.mktemp("hooks")
    local = LocalDirectory(home / "local")
    local.root.mkdir()
    command = [sys.executable, "-m", "emulator", "serve", "--port", "0", "--in-memory"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--service-speed", "100"],
            cwd=PROJECT_ROOT,
            env=os.environ | {ENV_LOCAL_DIR: str(local.root)},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], READY_TIMEOUT_S)
        assert readable, (home / "log").read_text()
        assert process.stdout.readline(), (home / "log").read_text()
        yield local
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def estate(
    serving: LocalDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Estate]:
    monkeypatch.setenv(ENV_LOCAL_DIR, str(serving.root))
    monkeypatch.delenv(ENV_BATCH_KEY, raising=False)
    monkeypatch.delenv(ENV_DELETE_BUSY_POOLS, raising=False)
    for name in ("Pulumi.yaml", "__main__.py"):
        (tmp_path / name).write_bytes((PROJECT_ROOT / name).read_bytes())
    for name in ("infra", "autoscale", ".venv"):
        (tmp_path / name).symlink_to(PROJECT_ROOT / name)
    found = Estate(serving, tmp_path)
    found.configure(cpu=fixed(1))
    found.deployment.up()
    yield found
    monkeypatch.delenv(ENV_BATCH_KEY, raising=False)
    monkeypatch.setenv(ENV_DELETE_BUSY_POOLS, "all")
    for job_id in found.jobs():
        found.end(job_id)
    found.deployment.destroy()
    gc.collect()


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_a_pool_with_unfinished_tasks_is_not_destroyed(estate: Estate) -> None:
    [pool] = estate.pools()
    estate.submit("sim", pool, tasks=3)
    with pytest.raises(StackError) as refused:
        estate.deployment.destroy()
    said = str(refused.value)
    assert f"pool {pool} still has 3 unfinished tasks and is not deleted" in said
    assert "sim: " in said
    assert "python -m jobs cancel sim" in said
    assert f"{ENV_DELETE_BUSY_POOLS}=cpu" in said
    assert "Traceback" not in said
    assert estate.pools() == [pool]
    estate.end("sim")
    assert "delete" in estate.deployment.destroy().changes


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_a_replacement_makes_the_new_pool_and_keeps_the_old_until_its_tasks_are_done(
    estate: Estate,
) -> None:
    [old] = estate.pools()
    estate.submit("sim", old, tasks=2)
    estate.configure(cpu=fixed(1, vm_size="Standard_D4s_v5"))
    estate.lines.clear()
    estate.deployment.preview()
    assert f"pool {old} still has 2 unfinished tasks" in "\n".join(estate.lines)
    with pytest.raises(StackError, match="still has 2 unfinished tasks"):
        estate.deployment.up()
    assert len(estate.pools()) == 2
    # And again, however often.
    with pytest.raises(StackError, match="still has 2 unfinished tasks"):
        estate.deployment.up()
    estate.end("sim")
    estate.deployment.up()
    [new] = estate.pools()
    assert new != old


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_a_pool_that_the_config_no_longer_has_is_asked_about_too(estate: Estate) -> None:
    [cpu] = estate.pools()
    estate.submit("sim", cpu, tasks=1)
    estate.configure(other=fixed(1))
    with pytest.raises(StackError, match=r"still has 1 unfinished task and"):
        estate.deployment.up()
    assert cpu in estate.pools()


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_a_destruction_that_was_refused_half_way_goes_on(estate: Estate) -> None:
    estate.configure(cpu=fixed(1), other=fixed(1))
    estate.deployment.up()
    [cpu, other] = estate.pools()
    estate.submit("sim", other, tasks=1)
    with pytest.raises(StackError, match=f"pool {other} still has 1 unfinished task"):
        estate.deployment.destroy()
    assert estate.pools() == [other]
    with pytest.raises(StackError, match=f"pool {other} still has 1 unfinished task"):
        estate.deployment.destroy()
    estate.end("sim")
    estate.deployment.destroy()
    assert not estate.local.stack_outputs("local").exists()
    assert cpu != other


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_a_person_may_name_the_pools_that_go_all_the_same(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pool] = estate.pools()
    estate.submit("sim", pool, tasks=1)
    monkeypatch.setenv(ENV_DELETE_BUSY_POOLS, "other")
    with pytest.raises(StackError, match="unfinished"):
        estate.deployment.destroy()
    monkeypatch.setenv(ENV_DELETE_BUSY_POOLS, "other, cpu")
    estate.lines.clear()
    estate.deployment.destroy()
    assert f"pool {pool} goes with whatever it runs" in "\n".join(estate.lines)


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_a_pool_that_nobody_can_ask_about_stays(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pool] = estate.pools()
    monkeypatch.setenv(ENV_BATCH_KEY, base64.b64encode(b"of another account").decode())
    with pytest.raises(StackError) as refused:
        estate.deployment.destroy()
    said = str(refused.value)
    assert f"pool {pool} is not deleted, because nobody can tell whether tasks run on it" in said
    assert f"{ENV_DELETE_BUSY_POOLS}=cpu" in said
    monkeypatch.delenv(ENV_BATCH_KEY)
    assert estate.pools() == [pool]


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_a_plain_pulumi_asks_with_run_program_and_destroys_nothing_without(
    estate: Estate,
) -> None:
    [pool] = estate.pools()
    estate.submit("sim", pool, tasks=1)

    def pulumi(arguments: str) -> subprocess.CompletedProcess[str]:
        exports = subprocess.run(
            [sys.executable, "-m", "emulator", "env"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        tools = shlex.quote(str(Path(sys.prefix) / "bin"))
        script = f'{exports}\nPATH={tools}:"$PATH" exec pulumi {arguments} --non-interactive'
        return subprocess.run(
            ["sh", "-ec", script], cwd=estate.project, capture_output=True, text=True, check=False
        )

    for arguments, said in (
        ("destroy -s local --yes", "--run-program"),
        ("destroy -s local --yes --run-program", "still has 1 unfinished task and"),
    ):
        done = pulumi(arguments)
        assert done.returncode != 0
        assert said in done.stdout + done.stderr
        assert estate.pools() == [pool]
    estate.end("sim")
    done = pulumi("destroy -s local --yes --run-program")
    assert done.returncode == 0, done.stdout + done.stderr


def fail_first(monkeypatch: pytest.MonkeyPatch, token: str, code: str, times: int) -> list[str]:
    """Makes Resource Manager refuse the first creations of a type; answers what it refused."""
    create = ResourceManager.create
    refused: list[str] = []

    async def failing(
        self: ResourceManager, of: str, owner: str, *rest: Any, **options: Any
    ) -> Any:
        if of == token and len(refused) < times:
            refused.append(owner)
            raise ArmError(400, code, "Principal 1 does not exist in the directory 2.")
        return await create(self, of, owner, *rest, **options)

    monkeypatch.setattr(ResourceManager, "create", failing)
    return refused


ROLE = "azure-native:authorization:RoleAssignment"
ACCOUNT = "azure-native:batch:BatchAccount"
CONFIG: dict[str, Any] = {"pools": {"cpu": {}}}


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
@pytest.mark.parametrize(
    ("token", "code"), [(ROLE, "PrincipalNotFound"), (ACCOUNT, "LinkedAuthorizationFailed")]
)
def test_what_waits_for_a_role_is_tried_again(
    token: str,
    code: str,
    start_engine: Callable[[], AbstractContextManager[Engine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "RETRY_DELAYS_S", (0, 0, 0))
    refused = fail_first(monkeypatch, token, code, 3)
    with start_engine() as engine:
        engine.configure(CONFIG)
        engine.stack.up()
    assert len(refused) == 3


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
@pytest.mark.parametrize(
    ("code", "tries"), [("PrincipalNotFound", 3), ("RoleAssignmentExists", 1)]
)
def test_trying_again_ends_and_is_for_nothing_else(
    code: str,
    tries: int,
    start_engine: Callable[[], AbstractContextManager[Engine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "RETRY_DELAYS_S", (0, 0))
    refused = fail_first(monkeypatch, ROLE, code, 1000)
    with start_engine() as engine:
        engine.configure(CONFIG)
        with pytest.raises(automation.CommandError, match=code):
            engine.stack.up()
    assert {refused.count(owner) for owner in refused} == {tries}


@pytest.mark.engine
@pytest.mark.slow
@LEAVES_LOOPS
def test_every_pool_and_every_role_has_its_hook(
    start_engine: Callable[[], AbstractContextManager[Engine]],
) -> None:
    with start_engine() as engine:
        engine.configure({"pools": {"cpu": {}, "mpi": {"preset": "rdma"}}})
        engine.stack.up()
        resources = (engine.stack.export_stack().deployment or {})["resources"]
    bound = {
        (one["type"], kind)
        for one in resources
        for kind, names in (one.get("resourceHooks") or {}).items()
        if names
    }
    assert ("azure-native:batch:Pool", "BeforeDelete") in bound
    for one in resources:
        if one["type"] == "azure-native:batch:Pool":
            assert one["resourceHooks"]["BeforeDelete"] == [hooks.BEFORE_DELETE]
        if one["type"] in {ROLE, ACCOUNT, "azure-native:batch:Pool"}:
            assert one["resourceHooks"]["OnError"] == [hooks.ON_ERROR]


@pytest.mark.parametrize(
    ("variable", "overridden"),
    [
        ("", False),
        (",", False),
        ("cpu", True),
        ("cpu-1f8a20c4", True),
        ("a, cpu ,b", True),
        ("all", True),
        ("cpu-", False),
        ("CPU", False),
    ],
)
def test_an_override_names_pools_exactly(variable: str, overridden: bool) -> None:
    assert is_overridden(variable, {"cpu", "cpu-1f8a20c4"}) is overridden


def test_many_jobs_are_told_by_number() -> None:
    jobs = [
        UnfinishedJob(job_id=f"j{number}", waiting_tasks=1, running_tasks=0)
        for number in range(25)
    ]
    text = busy_text("cpu-1", "cpu", jobs)
    assert "25 unfinished tasks" in text
    assert "and 15 more jobs" in text
    assert len(text.splitlines()) < 20
