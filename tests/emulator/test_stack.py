"""The commands of the local stack, through their entry points, with the project's own program."""

from __future__ import annotations

import gc
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emulator import stack
from emulator.arm.deployment import Deployment
from emulator.arm.memory import MemoryBackend
from emulator.errors import LocalStateError, NotRunningError, StackError
from emulator.local import ENV_LOCAL_DIR, PROJECT_ROOT, LocalDirectory, RunningEmulator
from tests.emulator.arm.projects import Host

COMMAND = "from emulator.stack import stack_app; stack_app()"
CONTRACT = {
    "schema_version",
    "stack",
    "location",
    "resource_group",
    "batch_account_id",
    "batch_account_name",
    "management_endpoint",
    "batch_endpoint",
    "authentication",
    "storage_account_name",
    "blob_endpoint",
    "programs_container",
    "inputs_container",
    "outputs_container",
    "logs_container",
    "log_analytics_workspace_id",
    "applications",
    "pools",
    "nodes_submit_jobs",
}


class Health(BaseHTTPRequestHandler):
    """Says that an emulator is there, and nothing else."""

    def do_GET(self) -> None:
        found = self.path == "/_emulator/health"
        self.send_response(200 if found else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalDirectory:
    monkeypatch.setenv(ENV_LOCAL_DIR, str(tmp_path / "local dir"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    # The Batch service of these tests answers nothing but that it is there.
    monkeypatch.setenv("HPC_DELETE_BUSY_POOLS", "all")
    return LocalDirectory.default()


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def running(local: LocalDirectory, endpoint: str) -> Iterator[Host]:
    host = Host(MemoryBackend(endpoint), local.data / "arm.db")
    say(local, endpoint, host.address)
    yield host
    host.close()
    # The SDK's language server gives its threads event loops and never closes them.
    gc.collect()


def say(local: LocalDirectory, endpoint: str, provider: str | None) -> None:
    local.write_running(
        RunningEmulator(
            pid=os.getpid(),
            batch_endpoint=endpoint,
            blob_endpoint=None,
            provider_address=provider,
            account="local",
        )
    )


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(stack.stack_app, list(arguments))


def test_without_an_emulator_every_command_says_how_to_start_one(local: LocalDirectory) -> None:
    for verb in ("preview", "up", "refresh", "destroy"):
        result = invoke(verb)
        assert isinstance(result.exception, NotRunningError)
        assert "python -m emulator serve" in str(result.exception)
    assert not local.pulumi_state.exists()


def test_an_emulator_that_does_not_answer_is_not_running(local: LocalDirectory) -> None:
    say(local, "http://127.0.0.1:1", "127.0.0.1:1")
    result = invoke("up")
    assert isinstance(result.exception, NotRunningError)
    assert "no emulator answers at http://127.0.0.1:1" in str(result.exception)


def test_an_emulator_without_its_provider_is_said_to_have_none(
    local: LocalDirectory, endpoint: str
) -> None:
    say(local, endpoint, None)
    result = invoke("up")
    assert isinstance(result.exception, NotRunningError)
    assert "without its Pulumi provider" in str(result.exception)


def test_a_damaged_run_file_is_said_to_be_damaged(local: LocalDirectory) -> None:
    local.root.mkdir(parents=True)
    local.run_file.write_text("{")
    assert isinstance(invoke("up").exception, LocalStateError)


def test_outputs_of_a_stack_that_was_never_deployed_name_the_command(
    local: LocalDirectory,
) -> None:
    del local
    result = invoke("outputs")
    assert isinstance(result.exception, StackError)
    assert "python -m emulator stack up --stack local" in str(result.exception)


def test_a_misspelt_stack_lists_those_that_there_are(running: Host) -> None:
    del running
    result = invoke("up", "--stack", "locl")
    assert isinstance(result.exception, StackError)
    assert "Stacks with config:" in str(result.exception)
    assert "local" in str(result.exception)


def test_a_stack_name_is_no_path(running: Host) -> None:
    del running
    for name in ("../x", "a/b", "", "-x", "a b"):
        result = invoke("up", f"--stack={name}")
        assert isinstance(result.exception, StackError), name
        assert "is no name of a stack" in str(result.exception)


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_project_s_own_stack_lives_from_preview_to_destroy(
    local: LocalDirectory, running: Host
) -> None:
    config = (PROJECT_ROOT / "Pulumi.local.yaml").read_bytes()
    planned = invoke("preview", "--json")
    assert json.loads(planned.stdout)["changes"].keys() == {"create"}
    assert running.backend.calls == []

    made = invoke("up")
    assert made.exit_code == 0, made.exception
    assert made.stdout.startswith("up local: ")
    assert "batch:Pool" in made.stderr

    found = json.loads(invoke("outputs", "--json").stdout)
    assert found.keys() == CONTRACT
    assert found["batch_endpoint"] == running.backend.batch_endpoint(found["batch_account_name"])
    assert json.loads(local.stack_outputs("local").read_text()) == found
    (pools,) = running.backend.accounts.values()
    assert pools.keys() == {one["id"] for one in found["pools"].values()}
    kinds = ("programs", "inputs", "outputs", "logs")
    data = running.backend.containers[found["storage_account_name"]]
    assert data == {found[f"{kind}_container"] for kind in kinds}
    assert all(len(line) <= 80 for line in invoke("outputs").stdout.splitlines())

    assert json.loads(invoke("up", "--json").stdout)["changes"].keys() == {"same"}

    gone = json.loads(invoke("destroy", "--json").stdout)
    assert gone["changes"].keys() == {"delete"}
    assert (running.backend.accounts, running.backend.containers) == ({}, {})
    assert not local.stack_outputs("local").exists()
    assert (PROJECT_ROOT / "Pulumi.local.yaml").read_bytes() == config


@pytest.mark.engine
@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_up_goes_on(local: LocalDirectory, running: Host) -> None:
    process: list[subprocess.Popen[str]] = []

    def interrupt(count: int) -> None:
        if count == 1:
            process[0].send_signal(signal.SIGINT)

    running.backend.on_call = interrupt
    process.append(
        subprocess.Popen(
            [sys.executable, "-c", COMMAND, "up"],
            cwd=PROJECT_ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    _, said = process[0].communicate(timeout=600)
    assert process[0].returncode == stack.INTERRUPTED, said
    assert "cancelling" in said
    assert "run it again to go on" in said
    assert "Traceback" not in said
    assert list(local.pulumi_state.glob(".pulumi/locks/**/*.json")) == []
    running.backend.on_call = None
    again = subprocess.run(
        [sys.executable, "-c", COMMAND, "up", "--json"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(again.stdout)["outputs"].keys() == CONTRACT


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_plain_pulumi_works_with_the_variables_of_env_and_spoils_no_other_state(
    local: LocalDirectory, running: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.env()
    exports = capsys.readouterr().out
    project = _copy_of_project(local)
    settings = project / "Pulumi.local.yaml"

    def pulumi(command: str) -> str:
        result = subprocess.run(
            ["sh", "-ec", f"{exports}\npulumi {command} -s local --non-interactive"],
            cwd=project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def planned(directory: LocalDirectory) -> set[str]:
        return set(of(directory).preview().changes)

    def of(directory: LocalDirectory) -> Deployment:
        return Deployment(
            "local",
            directory,
            write=said.append,
            project=project,
            provider_address=running.address,
        )

    said: list[str] = []
    assert "to create" in pulumi("preview")
    assert running.backend.calls == []
    # The engine has noted the salt of this state's passphrase in the project's own file.
    assert "encryptionsalt" in settings.read_text()
    pulumi("config set --secret hpc-secrets:of-the-laptop hush")
    assert planned(local) == {"create"}
    of(local).ensure_exists()
    assert not any("salt" in line for line in said)
    pulumi("config rm hpc-secrets:of-the-laptop")
    # The demo's state, and one that begins anew, have another passphrase.
    other = LocalDirectory(tmp_path / "other")
    assert planned(other) == {"create"}
    of(other).ensure_exists()
    assert any("Delete its line encryptionsalt" in line for line in said)


@pytest.mark.engine
def test_env_quotes_for_the_shell_and_tells_json_the_same(
    local: LocalDirectory, running: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    stack.env()
    lines = capsys.readouterr().out.splitlines()
    stack.env(as_json=True)
    variables = json.loads(capsys.readouterr().out)
    told = dict(shlex.split(line)[1].split("=", 1) for line in lines if line.startswith("export "))
    assert told == variables
    port = running.address.rpartition(":")[2]
    assert variables["PULUMI_DEBUG_PROVIDERS"] == f"azure-native:{port}"
    assert variables["PULUMI_HOME"] == str(local.pulumi_home)
    assert variables["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_help_shows_an_example_of_every_command() -> None:
    for verb in ("preview", "up", "refresh", "destroy", "outputs"):
        assert "python -m emulator stack" in invoke(verb, "--help").stdout


def _copy_of_project(local: LocalDirectory) -> Path:
    """The program without the rest, so that the engine may write to the settings."""
    target = local.root / "project"
    target.mkdir(parents=True)
    for name in ("Pulumi.yaml", "Pulumi.local.yaml", "__main__.py"):
        (target / name).write_bytes((PROJECT_ROOT / name).read_bytes())
    for name in ("infra", "autoscale", ".venv"):
        (target / name).symlink_to(PROJECT_ROOT / name)
    return target
