"""`python -m emulator serve` as a process, used by the official SDKs."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import (
    BlobServiceClient,
    ContainerSasPermissions,
    generate_container_sas,
)

from emulator.backend import new_key
from emulator.local import LocalDirectory
from emulator.serve import _nodes_directory, _removed_last
from tests.emulator.served import FAST, ROOT, STORAGE, Served, Start, give_storage, until


def make_pool(batch: BatchClient, nodes: int = 1, slots: int = 4) -> None:
    image = models.BatchVmImageReference(
        publisher="canonical", offer="0001-com-ubuntu-server-jammy", sku="22_04-lts"
    )
    batch.create_pool(
        models.BatchPoolCreateOptions(
            id="cpu",
            vm_size="standard_d4s_v5",
            target_dedicated_nodes=nodes,
            task_slots_per_node=slots,
            virtual_machine_configuration=models.VirtualMachineConfiguration(
                image_reference=image, node_agent_sku_id="batch.node.ubuntu 22.04"
            ),
        )
    )
    batch.create_job(
        models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="cpu"))
    )


def state(batch: BatchClient, task_id: str) -> str:
    return batch.get_task("job", task_id).state or ""


def tree(served: Served) -> list[psutil.Process]:
    process = psutil.Process(served.process.pid)
    return [process, *process.children(recursive=True)]


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes
    )


@pytest.mark.slow
def test_a_task_reads_a_blob_and_its_output_comes_back(start: Start, tmp_path: Path) -> None:
    give_storage(tmp_path, STORAGE)
    served = start(*FAST).ready()
    with served.batch() as batch, served.blobs() as blobs:
        box = blobs.create_container("box")
        box.upload_blob("in/numbers.txt", b"3\n1\n2\n")
        make_pool(batch)
        may_write = generate_container_sas(
            *(STORAGE, "box", served.keys("storage")[STORAGE]),
            permission=ContainerSasPermissions(write=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        task = models.BatchTaskCreateOptions(
            id="sort",
            command_line="/bin/sh -c 'sort in/numbers.txt > sorted.txt; echo $AZ_BATCH_TASK_ID'",
            resource_files=[
                models.ResourceFile(auto_storage_container_name="box", blob_prefix="in/")
            ],
            output_files=[
                models.OutputFile(
                    file_pattern="*.txt",
                    destination=models.OutputFileDestination(
                        container=models.OutputFileBlobContainerDestination(
                            container_url=f"{box.url}?{may_write}", path="out"
                        )
                    ),
                    upload_options=models.OutputFileUploadConfiguration(
                        upload_condition=models.OutputFileUploadCondition.TASK_SUCCESS
                    ),
                )
            ],
        )
        batch.create_task("job", task)
        until(lambda: state(batch, "sort") == "completed")
        info = batch.get_task("job", "sort").execution_info
        assert info is not None
        assert (info.exit_code, info.failure_info) == (0, None)
        said = b"".join(batch.download_task_file("job", "sort", "stdout.txt"))
        assert said == b"sort\n"
        assert box.download_blob("out/sorted.txt").readall() == b"1\n2\n3\n"
    code, err = served.stop()
    assert (code, "Traceback" in err) == (0, False)


@pytest.mark.slow
def test_a_stop_ends_all_and_a_start_takes_it_up_again(start: Start, tmp_path: Path) -> None:
    give_storage(tmp_path, STORAGE)
    served = start(*FAST).ready()
    keys = served.keys("batch"), served.keys("storage")
    with served.batch() as batch, served.blobs() as blobs:
        blobs.create_container("box").upload_blob("a", b"kept")
        make_pool(batch)
        command = f"/bin/sh -c 'test -e {tmp_path}/again && exit 0; sleep 1000'"
        batch.create_task("job", models.BatchTaskCreateOptions(id="t", command_line=command))
        until(lambda: state(batch, "t") == "running")
        processes = tree(served)
        assert served.stop()[0] == 0
    assert all_gone(processes)
    assert not (served.local / "run.json").exists()
    (tmp_path / "again").touch()
    served = start(*FAST).ready()
    assert (served.keys("batch"), served.keys("storage")) == keys
    with served.batch() as batch, served.blobs() as blobs:
        assert blobs.get_container_client("box").download_blob("a").readall() == b"kept"
        until(lambda: state(batch, "t") == "completed")
        info = batch.get_task("job", "t").execution_info
        assert info is not None
        assert info.exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_kill_under_load_leaves_no_process_and_a_state_to_go_on_from(
    start: Start, tmp_path: Path, seed: int
) -> None:
    give_storage(tmp_path, STORAGE)
    (tmp_path / "daemon.py").write_text(
        "import os\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\n"
        "os.execve('/bin/sleep', ['sleep', '1001'], {})\n"
    )
    served = start(*FAST).ready()
    with served.batch() as batch:
        make_pool(batch, nodes=2, slots=8)
        command = f"/bin/sh -c '{sys.executable} {tmp_path}/daemon.py; sleep 0.2; sleep 1000'"
        short = "/bin/sh -c 'sleep 0.0{}'"
        tasks = [
            models.BatchTaskCreateOptions(
                id=f"t{n:03}", command_line=command if n % 9 == 0 else short.format(n % 10)
            )
            for n in range(99)
        ]
        batch.create_tasks("job", tasks)
        until(lambda: batch.get_job_task_counts("job").task_counts.completed > 5)
        time.sleep(random.Random(seed).random())  # noqa: S311 - a random moment
        processes = tree(served)
        assert len(processes) > 10
        served.process.kill()
        until(lambda: all_gone(processes))
    served = start(*FAST).ready()
    with served.batch() as batch:
        counts = batch.get_job_task_counts("job").task_counts
        assert counts.active + counts.running + counts.completed == 99
    assert served.stop()[0] == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="environments are read in /proc")
def test_a_task_whose_keepers_all_died_at_once_has_ended_before_it_runs_again(
    start: Start, tmp_path: Path
) -> None:
    give_storage(tmp_path, STORAGE)
    served = start(*FAST, "--no-blob").ready()
    with served.batch() as batch:
        make_pool(batch)
        command = "/bin/sh -c 'sleep 1002; sleep 1002'"
        batch.create_task("job", models.BatchTaskCreateOptions(id="t", command_line=command))

    def task_of(processes: list[psutil.Process]) -> set[psutil.Process]:
        return {one for one in processes if "sleep 1002" in " ".join(one.cmdline())}

    until(lambda: len(task_of(tree(served))) > 1)
    processes = tree(served)
    task = task_of(processes)
    keepers = [one for one in processes if one not in task]
    for keeper in keepers:
        keeper.suspend()
    for keeper in keepers:
        keeper.kill()
    until(lambda: all_gone(keepers))
    assert not all_gone([*task]), "nobody is left to end it"
    served = start(*FAST, "--no-blob").ready()
    assert all_gone([*task])
    assert served.stop()[0] == 0


@pytest.mark.slow
def test_directories_of_nodes_that_a_kill_left_are_removed(start: Start, tmp_path: Path) -> None:
    nodes, mine = tmp_path / "local" / "emulator" / "nodes", tmp_path / "mine"
    for kept in (mine, nodes / "p" / "tvmps_gone" / "workitems" / "j", nodes / "other" / "n2"):
        kept.mkdir(parents=True)
        (kept / "file").touch()
    (nodes / "p" / "link").symlink_to(mine)
    served = start(*FAST, "--no-blob").ready()
    assert (nodes / "p" / "link" / "file").exists()
    assert not (nodes / "p" / "tvmps_gone").exists()
    assert not (nodes / "other").exists()
    with served.batch() as batch:
        make_pool(batch)
        until(lambda: [node for node in batch.list_nodes("cpu") if node.state == "idle"])
    served.stop(signal.SIGKILL)
    (node,) = (nodes / "cpu").iterdir()
    (node / "shared" / "file").touch()
    start(*FAST, "--no-blob").ready()
    assert (node / "shared" / "file").exists()


@pytest.mark.slow
def test_what_it_says_is_what_it_wrote_and_secrets_are_its_users_alone(start: Start) -> None:
    served = start("--no-provider", "--no-blob", "--account", "mine").ready()
    written = json.loads((served.local / "run.json").read_text())
    page = f"{written['batch_endpoint']}/_emulator/"
    assert served.said == {**written, "data": str(served.local / "emulator"), "page": page}
    assert (written["account"], written["pid"]) == ("mine", served.process.pid)
    assert written["blob_endpoint"] is None
    assert written["provider_address"] is None
    assert list(served.keys("batch")) == ["mine"]
    for path, mode in (("keys.json", 0o600), ("emulator", 0o700)):
        assert stat.S_IMODE((served.local / path).stat().st_mode) == mode
    listening = [
        connection.laddr.ip
        for process in tree(served)
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert set(listening) == {"127.0.0.1"}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["option", "variable"])
def test_the_key_that_was_given_is_the_accounts(start: Start, how: str) -> None:
    key = new_key()
    options = ("--key", key) if how == "option" else ()
    env = {"EMULATOR_KEY": key} if how == "variable" else {}
    served = start("--in-memory", "--no-provider", "--no-blob", *options, env=env).ready()
    assert served.keys("batch") == {"local": key}
    with served.batch() as batch:
        assert list(batch.list_pools()) == []


@pytest.mark.slow
def test_in_memory_leaves_nothing_behind(start: Start) -> None:
    served = start("--in-memory", *FAST).ready()
    with served.batch() as batch:
        make_pool(batch)
        batch.create_task("job", models.BatchTaskCreateOptions(id="t", command_line="true"))
        until(lambda: state(batch, "t") == "completed")
    assert served.stop(signal.SIGINT)[0] == 0
    assert {path.name for path in served.local.iterdir()} == {"keys.json", "serve.lock"}


def test_files_of_nodes_are_removed_when_others_may_have_the_directory(tmp_path: Path) -> None:
    local = LocalDirectory(tmp_path / "local")
    (local.root / "in-memory" / "nodes" / "left by a killed emulator").mkdir(parents=True)
    seen: list[list[str]] = []

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        yield
        seen.append([path.name for path in local.root.iterdir()])

    with _removed_last(local), lock(), _nodes_directory(None, local) as nodes:
        assert list(local.root.iterdir()) == []
        locked = nodes / "pool" / "node" / "locked"
        locked.mkdir(parents=True)
        (locked / "file").touch()
        locked.chmod(0o500)
    ((put_away,),) = seen
    assert put_away.startswith("in-memory-gone-")
    assert list(local.root.iterdir()) == []


KEYLESS = """
import sys
from datetime import UTC, datetime, timedelta
from azure.batch import BatchClient, models
from azure.identity import DefaultAzureCredential
from azure.storage.blob import (
    BlobClient, BlobServiceClient, ContainerSasPermissions, generate_container_sas)

batch_url, blob_url, account = sys.argv[1:]
credential = DefaultAzureCredential()
with BatchClient(batch_url, credential) as batch:
    assert [p.id for p in batch.list_pools()] == ["cpu"]
    text = "".join(part.decode() for part in batch.download_task_file("job", "t", "stdout.txt"))
    assert text == "seven", text
now = datetime.now(UTC)
with BlobServiceClient(f"{blob_url}/{account}", credential=credential) as blobs:
    box = blobs.create_container("keyless")
    box.upload_blob("a", b"by token")
    hour = timedelta(hours=1)
    delegation = blobs.get_user_delegation_key(now - hour, now + hour)
    sas = generate_container_sas(
        account, "keyless", user_delegation_key=delegation,
        permission=ContainerSasPermissions(read=True), expiry=now + hour)
with BlobClient.from_blob_url(f"{box.url}/a?{sas}") as blob:
    print(blob.download_blob().readall().decode())
"""


@pytest.mark.slow
def test_without_a_key_an_unchanged_credential_opens_batch_and_blobs(
    start: Start, tmp_path: Path
) -> None:
    give_storage(tmp_path, STORAGE)
    served = start("--tls", "--service-speed", "1000").ready()
    assert served.said["batch_endpoint"].startswith("https://127.0.0.1:")
    assert served.said["blob_endpoint"].startswith("https://127.0.0.1:")
    trusted = served.said["certificate"]
    told = subprocess.run(
        (sys.executable, "-m", "emulator", "env", "--json"),
        cwd=ROOT,
        env={**os.environ, "HPC_LOCAL_DIR": str(served.local)},
        stdout=subprocess.PIPE,
        check=True,
    )
    variables = json.loads(told.stdout)
    assert variables["IDENTITY_ENDPOINT"] == served.said["identity_endpoint"]
    # With its key, and what a node does with a key: both over TLS, too.
    key = AzureNamedKeyCredential("local", served.keys("batch")["local"])
    bundle = variables["REQUESTS_CA_BUNDLE"]
    with (
        BatchClient(served.said["batch_endpoint"], key, connection_verify=bundle) as batch,
        BlobServiceClient(
            f"{served.said['blob_endpoint']}/{STORAGE}",
            credential=served.keys("storage")[STORAGE],
            connection_verify=trusted,
        ) as blobs,
    ):
        blobs.create_container("box").upload_blob("in/seven", b"seven")
        make_pool(batch)
        task = models.BatchTaskCreateOptions(
            id="t",
            command_line="cat in/seven",
            resource_files=[
                models.ResourceFile(auto_storage_container_name="box", blob_prefix="in/")
            ],
        )
        batch.create_task("job", task)
        until(lambda: state(batch, "t") == "completed")
    client = subprocess.run(
        (
            *(sys.executable, "-c", KEYLESS),
            *(served.said["batch_endpoint"], served.said["blob_endpoint"], STORAGE),
        ),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (client.returncode, client.stdout) == (0, "by token\n"), client.stderr
    secrets = (variables["IDENTITY_HEADER"], "PRIVATE KEY")
    code, err = served.stop()
    assert (code, "Traceback" in err) == (0, False)
    assert not any(secret in err for secret in secrets)
    again = start("--tls", "--no-provider", "--no-blob").ready()
    assert Path(again.said["certificate"]).read_text() == Path(trusted).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("tls", [True, False])
def test_env_without_a_provider_gives_what_tokens_need_and_makes_no_stack(
    start: Start, *, tls: bool
) -> None:
    served = start(*(("--tls",) if tls else ()), "--no-provider", "--no-blob", "--in-memory")
    served.ready()
    told = subprocess.run(
        (sys.executable, "-m", "emulator", "env"),
        cwd=ROOT,
        env={**os.environ, "HPC_LOCAL_DIR": str(served.local)},
        capture_output=True,
        text=True,
        check=False,
    )
    if tls:
        assert f"export IDENTITY_ENDPOINT={served.said['identity_endpoint']}\n" in told.stdout
        assert "without Pulumi's variables" in told.stderr
    else:
        assert "runs without its Pulumi provider" in told.stderr
    assert (told.returncode, "PULUMI" in told.stdout) == (0 if tls else 1, False)
    assert not (served.local / "pulumi").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_with_what_env_says_curl_gets_a_token_and_is_answered(start: Start) -> None:
    served = start("--tls", "--no-provider", "--no-blob", "--in-memory").ready()
    script = f"""
        set -eu
        eval "$({sys.executable} -m emulator env 2> /dev/null)"
        token=$(curl -sS --noproxy '*' -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" \
          "$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://batch.core.windows.net/" \
          | {sys.executable} -c 'import json,sys; print(json.load(sys.stdin)["access_token"])')
        curl -sS --noproxy '*' -H "Authorization: Bearer $token" \
          "{served.said["batch_endpoint"]}/pools?api-version=2025-06-01"
    """
    answered = subprocess.run(
        ("/bin/sh", "-c", script),
        cwd=ROOT,
        env={**os.environ, "HPC_LOCAL_DIR": str(served.local)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    assert json.loads(answered.stdout).get("value") == [], answered.stdout


@pytest.mark.slow
def test_a_port_in_use_is_one_clear_message(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        served = start("--no-provider", "--no-blob", "--port", str(port))
        out, err = served.process.communicate(timeout=120)
    assert (served.process.returncode, out) == (1, "")
    assert err == (
        f"error: port {port} of 127.0.0.1 cannot be used: Address already in use.\n"
        "Stop what uses it, or choose another one with --port (0 picks a free one).\n"
    )


@pytest.mark.slow
def test_a_second_emulator_is_refused_and_the_first_unharmed(start: Start, tmp_path: Path) -> None:
    first = start("--no-provider", "--no-blob").ready()
    second = start("--no-provider", "--no-blob")
    _, err = second.process.communicate(timeout=120)
    assert second.process.returncode == 1
    assert err.startswith(f"error: another emulator (process {first.process.pid}) uses ")
    assert "HPC_LOCAL_DIR" in err
    other = {"HPC_LOCAL_DIR": str(tmp_path / "other")}
    data = str(tmp_path / "local" / "emulator")
    third = start("--no-provider", "--no-blob", "--data", data, env=other)
    _, err = third.process.communicate(timeout=120)
    assert (third.process.returncode, "Traceback" in err) == (1, False)
    assert data in err
    with first.batch() as batch:
        assert list(batch.list_pools()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--in-memory", "--data", "x"), 2, "exclude each other"),
        (("--key", "not base64!"), 2, "not base64"),
        (("--service-speed", "0"), 2, "greater than 0"),
        (("--data", "/proc/x", "--no-blob", "--no-provider"), 1, "/proc/x cannot hold the state"),
    ],
)
def test_wrong_options_are_refused(
    start: Start, options: tuple[str, ...], status: int, says: str
) -> None:
    served = start(*options)
    _, err = served.process.communicate(timeout=120)
    assert served.process.returncode == status
    assert says in err
    assert "Traceback" not in err


@pytest.mark.slow
def test_damaged_keys_are_one_message_and_without_them_it_makes_new_ones(
    start: Start, tmp_path: Path
) -> None:
    give_storage(tmp_path, STORAGE)
    served = start(*FAST).ready()
    keys = served.keys("batch"), served.keys("storage")
    served.stop()
    (served.local / "keys.json").write_text("{")
    served = start(*FAST)
    _, err = served.process.communicate(timeout=120)
    assert served.process.returncode == 1
    assert "keys.json is damaged" in err
    assert "Traceback" not in err
    (served.local / "keys.json").unlink()
    served = start(*FAST).ready()
    assert served.keys("batch") == keys[0]
    assert served.keys("storage").keys() == keys[1].keys()
    with served.blobs() as blobs:
        assert list(blobs.list_containers()) == []


@pytest.mark.slow
def test_it_all_runs_together_and_stops_together(start: Start) -> None:
    served = start().ready()
    processes = tree(served)
    host, port = served.said["provider_address"].split(":")
    with socket.create_connection((host, int(port)), timeout=60):
        pass
    code, err = served.stop()
    assert (code, "Traceback" in err) == (0, False)
    until(lambda: all_gone(processes))


@pytest.mark.slow
def test_the_end_of_the_lifeline_stops_it(start: Start) -> None:
    theirs, ours = os.pipe()
    served = start("--no-provider", "--lifeline-fd", str(theirs), pass_fds=(theirs,))
    os.close(theirs)
    processes = tree(served.ready())
    os.close(ours)
    assert served.process.wait(120) == 0
    until(lambda: all_gone(processes))


@pytest.mark.slow
def test_it_does_not_live_on_without_azurite(start: Start) -> None:
    served = start("--no-provider").ready()
    for child in psutil.Process(served.process.pid).children():
        if "azurite_host.js" in " ".join(child.cmdline()):
            child.kill()
    _, err = served.process.communicate(timeout=120)
    assert served.process.returncode == 1
    assert "error: Azurite ended by itself" in err
    assert not (served.local / "run.json").exists()


@pytest.mark.slow
def test_without_node_it_says_how_to_go_on(start: Start, tmp_path: Path) -> None:
    served = start("--no-provider", env={"PATH": str(tmp_path)})
    _, err = served.process.communicate(timeout=120)
    assert served.process.returncode == 1
    assert "make setup" in err
    assert "--no-blob" in err


@pytest.mark.slow
def test_a_stop_while_it_starts_leaves_nothing(start: Start) -> None:
    for wait_s in (0.3, 0.8, 1.2, 1.6):
        served = start(*FAST)
        with contextlib.suppress(subprocess.TimeoutExpired):
            served.process.wait(wait_s)  # a moment of its start, not a state to wait for
        processes = tree(served)
        served.process.terminate()
        _, err = served.process.communicate(timeout=120)
        assert served.process.returncode in {0, -signal.SIGTERM}, err
        until(lambda found=processes: all_gone(found))  # type: ignore[misc] # the default binds
        assert not (served.local / "run.json").exists()


def test_a_key_is_as_long_as_azures() -> None:
    assert len(base64.b64decode(new_key())) == 64
