from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.clients import Clients
from jobs.errors import CredentialError, StackError
from jobs.stack import Stack, load_stack, parse_stack

Values = Callable[..., dict[str, Any]]


def test_the_local_state_is_looked_at_first(local_state: Path, values: Values) -> None:
    path = local_state / "stacks" / "local" / "outputs.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(values(stack="local")))
    assert load_stack(name="local").stack == "local"


def test_pulumi_is_asked_for_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: Values
) -> None:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$*\" >&2\ncat <<'X'\n{json.dumps(values())}\nX\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program.with_name("python")))
    assert load_stack(name="org/project/dev").stack == "test"
    program.write_text("#!/bin/sh\necho error: no stack named dev >&2\nexit 1\n")
    with pytest.raises(StackError, match="pulumi says: error: no stack named dev"):
        load_stack(name="dev")


@pytest.fixture
def pulumi_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real engine, of a user who never signed in."""
    for name in [name for name in os.environ if name.startswith("PULUMI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.engine
@pytest.mark.usefixtures("pulumi_home")
def test_who_is_not_signed_in_is_told_where_to() -> None:
    with pytest.raises(StackError) as caught:
        load_stack(name="dev")
    assert "pulumi login --local" in str(caught.value)
    assert "emulator" not in str(caught.value)


@pytest.mark.engine
def test_a_stack_that_was_not_deployed_is_told_with_what_deploys_it(
    pulumi_home: Path, monkeypatch: pytest.MonkeyPatch, local_state: Path
) -> None:
    (pulumi_home / "state").mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{pulumi_home}/state")
    with pytest.raises(StackError) as caught:
        load_stack(name="dev")
    assert "pulumi up -s dev" in str(caught.value)
    assert "emulator" not in str(caught.value)
    with pytest.raises(StackError, match=r"emulator stack up$"):
        load_stack(name="local")
    (local_state / "stacks" / "dev").mkdir(parents=True)
    with pytest.raises(StackError, match=r"emulator stack up --stack dev$"):
        load_stack(name="dev")


@pytest.mark.parametrize(
    ("version", "remedy"),
    [(2, "update this checkout"), (0, "deploy the stack again"), ("1", "deploy the stack again")],
)
def test_another_version_is_refused_with_the_remedy(
    values: Values, version: object, remedy: str
) -> None:
    with pytest.raises(StackError, match=remedy):
        parse_stack(values(schema_version=version), where="x")


def test_every_wrong_member_is_told(values: Values) -> None:
    outputs = values(batch_endpoint="ftp://x")
    del outputs["location"]
    outputs["pools"]["cpu"]["os"] = "plan9"
    with pytest.raises(StackError) as caught:
        parse_stack(outputs, where="out.json")
    assert [finding.path for finding in caught.value.findings] == [
        "location",
        "batch_endpoint",
        "pools.cpu.os",
    ]


@pytest.mark.parametrize("content", ["", "[]", "{}", "{"])
def test_a_file_that_is_no_outputs_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "o.json"
    path.write_text(content)
    with pytest.raises(StackError, match=r"o\.json: (is not JSON|holds no stack outputs)"):
        load_stack(outputs=path)


@pytest.mark.parametrize("name", ["../x", "-s", "", "a b", ".hidden", "a/b/c/d"])
def test_a_name_that_is_no_stacks_is_refused(name: str) -> None:
    with pytest.raises(StackError, match="no name of a stack"):
        load_stack(name=name)


def test_one_of_name_and_file_is_asked_for() -> None:
    with pytest.raises(StackError, match="name the stack"):
        load_stack()


def test_keys_are_shown_to_this_machine_only(values: Values) -> None:
    stack = parse_stack(values(batch_endpoint="http://batch.example.com"), where="x")
    with pytest.raises(StackError, match="not on this machine"):
        Clients(stack)


def test_tokens_go_over_https_only(values: Values) -> None:
    with pytest.raises(StackError, match="https only"):
        Clients(parse_stack(values(authentication="entra"), where="x"))


@pytest.mark.parametrize("plain", ["batch_endpoint", "blob_endpoint", "management_endpoint"])
def test_the_address_that_is_not_https_is_named(values: Values, plain: str) -> None:
    addresses = dict.fromkeys(
        ("batch_endpoint", "blob_endpoint", "management_endpoint"), "https://ours.example"
    )
    addresses[plain] = "http://plain.example"
    with pytest.raises(StackError, match=r"only, and http://plain\.example is not"):
        Clients(parse_stack(values(authentication="entra", **addresses), where="x"))


def test_entra_needs_no_key(values: Values) -> None:
    azure = values(
        authentication="entra",
        batch_endpoint="https://a.eastus.batch.azure.com",
        blob_endpoint="https://data.blob.core.windows.net",
        management_endpoint="https://management.azure.com",
    )
    clients = Clients(parse_stack(azure, where="x"))
    assert clients.batch is not None
    clients.container("outputs")
    clients.batch.close()


def test_a_key_comes_from_the_environment_or_the_local_state(
    stack: Stack, local_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CredentialError, match="set AZURE_STORAGE_KEY"):
        Clients(stack).container("outputs")
    local_state.mkdir()
    (local_state / "keys.json").write_text(json.dumps({"storage": {"data": "a2V5"}}))
    Clients(stack).container("outputs")
    monkeypatch.setenv("AZURE_STORAGE_KEY", "not base64!")
    with pytest.raises(CredentialError, match="AZURE_STORAGE_KEY is no base64") as caught:
        Clients(stack).container("outputs")
    assert "not base64!" not in str(caught.value)


def test_damaged_outputs_of_a_local_stack_are_told_with_the_remedy(local_state: Path) -> None:
    outputs = local_state / "stacks" / "local" / "outputs.json"
    outputs.parent.mkdir(parents=True)
    for text in ("{", '{"schema_version": 1}'):
        outputs.write_text(text)
        with pytest.raises(StackError, match="python -m emulator stack up --stack local"):
            load_stack(name="local")
