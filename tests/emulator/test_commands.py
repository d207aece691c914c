"""`python -m emulator fault | limit | clock | world | reset | request`, each as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import HttpResponseError

ROOT = Path(__file__).resolve().parents[2]
EMULATOR = (sys.executable, "-m", "emulator")
SIZE = "standard_d4s_v5"
CORES = 4

pytestmark = pytest.mark.slow


class Shell:
    """A terminal beside a running emulator whose time stands still."""

    def __init__(self, local: Path) -> None:
        self.local = local
        self.said: dict[str, Any] = {}

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HPC_LOCAL_DIR": str(self.local), "NO_COLOR": "1", "COLUMNS": "80"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*EMULATOR, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def told(self, *arguments: str) -> Any:
        """What a command that succeeds prints, as JSON; None for nothing."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stderr in {"", f"account {self.said['account']}\n"}
        return json.loads(done.stdout or "null")

    def batch(self) -> BatchClient:
        name = self.said["account"]
        key = json.loads((self.local / "keys.json").read_text())["batch"][name]
        return BatchClient(
            self.said["batch_endpoint"], AzureNamedKeyCredential(name, key), retry_total=0
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("commands") / "local")
    options = ("--in-memory", "--no-blob", "--no-provider", "--manual-clock", "--max-pools", "3")
    process = subprocess.Popen(
        [*EMULATOR, "serve", *options],
        cwd=ROOT,
        env=shell.environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        shell.said = json.loads(process.stdout.readline())
        yield shell
    finally:
        process.terminate()
        process.communicate(timeout=120)


@pytest.fixture
def shell(served: Shell) -> Iterator[Shell]:
    yield served
    served.told("reset")


def add_pool(batch: BatchClient, name: str = "p", *, nodes: int = 0, spot: int = 0) -> None:
    image = models.BatchVmImageReference(publisher="p", offer="o", sku="s")
    batch.create_pool(
        models.BatchPoolCreateOptions(
            id=name,
            vm_size=SIZE,
            target_dedicated_nodes=nodes,
            target_low_priority_nodes=spot,
            start_task=models.BatchStartTask(command_line="/bin/true"),
            virtual_machine_configuration=models.VirtualMachineConfiguration(
                image_reference=image, node_agent_sku_id="batch.node.ubuntu 24.04"
            ),
        )
    )


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that fails for a reason of the emulator's says: no traceback, no stdout."""
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_fault_is_put_in_force_listed_and_put_out_of_it(shell: Shell) -> None:
    number = shell.told("fault", "add", "list_pools", "--status", "503", "--count", "2")["id"]
    with shell.batch() as batch:
        with pytest.raises(HttpResponseError) as failed:
            list(batch.list_pools())
        assert failed.value.status_code == 503
        (listed,) = shell.told("fault", "list")
        assert (listed["id"], listed["struck"], listed["count"]) == (number, 1, 1)
        assert shell.told("fault", "clear", str(number)) is None
        assert list(batch.list_pools()) == []
    assert "is in force" in refusal(shell.run("fault", "clear", str(number)))
    for _ in range(2):
        shell.told("fault", "add", "--delay", "1", "--share", "0.5")
    shell.told("fault", "clear")
    assert shell.told("fault", "list") == []


def test_all_that_is_wrong_with_a_fault_is_told_at_once(shell: Shell) -> None:
    said = refusal(
        shell.run("fault", "add", "create_taks", "--status", "418", "--share", "2", "--drop", "x")
    )
    for finding in ("did you mean create_task?", "status:", "share:", "drop:"):
        assert finding in said
    assert "nothing would happen" in refusal(shell.run("fault", "add"))


def test_nodes_are_struck_by_their_names(shell: Shell) -> None:
    with shell.batch() as batch:
        add_pool(batch, nodes=2, spot=1)
        shell.told("clock", "--advance", "7200")
        first, second = sorted(n.id for n in batch.list_nodes("p") if n.is_dedicated)
        (spot,) = (node.id for node in batch.list_nodes("p") if not node.is_dedicated)
        shell.told("fault", "node", "unusable", "p", first)
        shell.told("fault", "node", "starttaskfailed", "P", second.removeprefix("tvmps_")[:16])
        shell.told("fault", "node", "preempt", "p", spot)
        states = {node.id: node.state for node in batch.list_nodes("p")}
        assert states == {first: "unusable", second: "starttaskfailed", spot: "preempted"}
    assert "NodeNotFound" in refusal(shell.run("fault", "node", "preempt", "p", "a?b"))
    assert "3 nodes begin with 'tvmps_'" in refusal(
        shell.run("fault", "node", "preempt", "p", "tvmps_")
    )
    assert "there is no POST" in refusal(shell.run("fault", "node", "preempt", "p", "a/b"))
    assert "PoolNotFound" in refusal(shell.run("fault", "node", "preempt", "q", spot))
    assert "preempt, unusable" in refusal(shell.run("fault", "node", "explode", "p", spot))
    assert "no account x" in refusal(
        shell.run("fault", "node", "preempt", "p", spot, "--account", "x")
    )


def test_quotas_of_the_start_hold_are_changed_and_come_back_with_a_reset(shell: Shell) -> None:
    usual = shell.told("limit", "quota")
    assert usual["max_pools"] == 3
    changed = shell.told("limit", "quota", "--max-pools", "1", "--max-dedicated-cores", str(CORES))
    assert changed == {**usual, "max_pools": 1, "max_dedicated_cores": CORES}
    with shell.batch() as batch:
        add_pool(batch, nodes=2)
        with pytest.raises(HttpResponseError, match="PoolQuotaReached"):
            add_pool(batch, "q")
        shell.told("clock", "--advance", "7200")
        pool = batch.get_pool("p")
        assert pool.current_dedicated_nodes == 1
        assert [error.code for error in pool.resize_errors or ()] == ["AccountCoreQuotaReached"]
    shell.told("reset")
    assert shell.told("limit", "quota") == usual


def test_a_size_that_is_out_is_told_and_comes_back(shell: Shell) -> None:
    shell.told("limit", "capacity", SIZE.upper(), "--dedicated", "1", "--spot", "0")
    assert shell.told("limit", "capacity") == {SIZE: {"dedicated": 1, "spot": 0}}
    with shell.batch() as batch:
        add_pool(batch, nodes=2)
        shell.told("clock", "--advance", "7200")
        errors = batch.get_pool("p").resize_errors or ()
    assert [error.code for error in errors] == ["AllocationFailed"]
    shell.told("limit", "capacity", SIZE)
    assert shell.told("limit", "capacity") == {}


def test_a_rate_is_set_shown_and_lifted(shell: Shell) -> None:
    shell.told("limit", "rate", "0.5", "--burst", "1")
    assert shell.told("limit", "rate") == {"requests_per_second": 0.5, "burst": 1}
    with shell.batch() as batch:
        list(batch.list_pools())
        with pytest.raises(HttpResponseError) as failed:
            list(batch.list_pools())
        assert failed.value.status_code == 429
        shell.told("limit", "rate", "--off")
        assert shell.told("limit", "rate") is None
        list(batch.list_pools())


def test_the_world_is_printed_and_a_reset_empties_it(shell: Shell) -> None:
    with shell.batch() as batch:
        add_pool(batch)
    (account,) = shell.told("world")["accounts"].values()
    assert [pool["id"] for pool in account["pools"]] == ["p"]
    assert shell.told("reset") is None
    (account,) = shell.told("world")["accounts"].values()
    assert account == {"pools": [], "jobs": []}


def test_the_clock_goes_as_far_as_it_is_told(shell: Shell) -> None:
    before = shell.told("clock")
    assert before["manual"] is True
    after = shell.told("clock", "--advance", "90")
    assert after["now"] > before["now"]
    assert shell.told("clock")["now"] == after["now"]
    assert "seconds" in refusal(shell.run("clock", "--advance", "-1"))


def test_a_request_is_signed_sent_and_its_answer_printed(shell: Shell) -> None:
    job = {"id": "j1", "poolInfo": {"poolId": "p"}}
    made = shell.run("request", "post", "/jobs", "--body", json.dumps(job), "--include")
    assert (made.returncode, made.stdout) == (0, "")
    assert made.stderr.splitlines()[0] == "201 Created, account local"
    assert "etag: 0x" in made.stderr.lower()
    listed = shell.run(
        "request", "GET", "/jobs?$filter=id eq 'j1' and state eq 'active'&$select=id"
    )
    assert json.loads(listed.stdout)["value"] == [{"id": "j1"}]
    assert listed.stderr == "200 OK, account local\n"
    again = shell.run("request", "POST", "/jobs", "--body", json.dumps(job))
    assert (again.returncode, json.loads(again.stdout)["code"]) == (1, "JobExists")
    old = shell.run("request", "GET", "/jobs/j1?api-version=2022-10-01.16.0")
    assert json.loads(old.stdout)["id"] == "j1"


def test_a_request_takes_its_body_from_a_file_and_sends_what_is_no_json(
    shell: Shell, tmp_path: Path
) -> None:
    file = tmp_path / "job.json"
    file.write_text('{"id": "j", "poolInfo": {"poolId": "p"}}')
    assert shell.run("request", "POST", "/jobs", "--body", f"@{file}").returncode == 0
    done = shell.run("request", "PATCH", "/jobs/j", "--body", "{")
    assert (done.returncode, json.loads(done.stdout)["code"]) == (1, "InvalidRequestBody")
    gone = shell.run("request", "POST", "/jobs", "--body", f"@{file}.none")
    assert (gone.returncode, gone.stdout) == (2, "")
    assert "cannot be read" in gone.stderr


def test_a_request_of_an_account_that_is_not_there_names_those_that_are(shell: Shell) -> None:
    said = refusal(shell.run("request", "GET", "/pools", "--account", "x"))
    assert "no Batch account is named x; there are: local" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("request", "FETCH", "/pools"), "GET, HEAD, POST"),
        (("request", "GET", "pools"), "slash"),
        (("serve", "--max-pools", "-1"), "--max-pools"),
        (("limit", "quota", "--max-nodes", "many"), "--max-nodes"),
        (("limit", "capacity", "--dedicated", "1"), "limit capacity SIZE"),
        (("limit", "rate", "5", "--off"), "exclude each other"),
        (("limit", "rate", "--burst", "5"), "limit rate N --burst M"),
        (("limit", "rate", "0"), "0.001"),
        (("fault", "clear", "all"), "NUMBER"),
        (("fault", "add", "--count", "x"), "--count"),
        (("fault", "node", "preempt"), "POOL"),
        (("clock", "--advance", "soon"), "--advance"),
        (("world", "--acount", "x"), "--acount"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_command_line_is_said_to_be_one(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = Shell(tmp_path).run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("fault", "list"),
        ("limit", "quota"),
        ("limit", "capacity"),
        ("limit", "rate", "1"),
        ("clock",),
        ("world",),
        ("reset",),
        ("request", "GET", "/pools"),
    ],
    ids=" ".join,
)
def test_without_an_emulator_a_command_says_how_to_start_one(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    said = refusal(Shell(tmp_path).run(*arguments))
    assert "python -m emulator serve" in said
