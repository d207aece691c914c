"""`python -m infra` through its entry point."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra import cli
from infra.sources import PROJECT_ROOT


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    captured = capsys.readouterr()
    code = stopped.value.code
    assert isinstance(code, int)
    return code, captured.out, captured.err


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(
        (PROJECT_ROOT / "Pulumi.yaml").read_text(encoding="utf-8")
    )
    monkeypatch.setattr(cli, "PROJECT_ROOT", tmp_path)
    return tmp_path


def test_the_examples_pass(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check")
    assert code == 0
    assert "Pulumi.dev.yaml: 0 errors" in out


def test_a_finding_is_a_line_with_path_and_code_and_exits_1(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, {"pools": {"a": {"task_slots_per_node": 17}, "b": {"vm_sise": "x"}}})
    code, out, _ = run(capsys, "check", "--stack", "dev")
    assert code == 1
    assert "Pulumi.dev.yaml: 2 errors, 0 warnings, 0 silenced" in out
    assert "\npools.a.task_slots_per_node: POL001 error: 17 slots are more" in out
    assert "\npools.b.vm_sise: CFG001 error: there is no such key; did you mean vm_size?" in out


def test_json_has_every_finding(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        project,
        {"pools": {"a": {"task_slots_per_node": 17}}, "ignore": {"POL001": "raised it by ticket"}},
    )
    code, out, _ = run(capsys, "check", "--json")
    (stack,) = json.loads(out)["stacks"]
    assert code == 0
    assert stack["findings"][0]["silenced"] == "raised it by ticket"
    assert stack["findings"][0]["path"] == "pools.a.task_slots_per_node"


def test_a_key_beside_config_is_an_error_that_says_where_it_belongs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "Pulumi.dev.yaml").write_text(
        "secretsprovider: default\nencryptedkey: x\nencryptionsalt: x\nenvironment: []\n"
        "config:\n  hpc:location: eastus\n"
        "hpc:pools:\n  a: {}\nhpc:ignore:\n  POL009: It must answer at once.\nconfg: {}\n"
    )
    code, out, _ = run(capsys, "check", "--stack", "dev")
    assert code == 1
    assert "3 errors" in out
    for key in ("hpc:pools", "hpc:ignore"):
        assert f"\n{key}: CFG001 error: it stands beside `config:`" in out
    assert "\nconfg: CFG001 error: Pulumi knows no such key" in out
    assert "did you mean config?" in out


def test_a_secret_that_the_stack_has_not_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = {"user_accounts": {"bob": {"password_secret": "bobs"}}}
    file = project / "Pulumi.dev.yaml"
    config: dict[str, Any] = {"hpc:pools": {"a": pool}}
    config["hpc-secrets:bob"] = {"secure": "v1:encrypted"}
    file.write_text(json.dumps({"config": config}))
    code, out, _ = run(capsys, "check")
    assert code == 1
    assert "pools.a: CFG004 error: the stack has no secret hpc-secrets:bobs" in out
    assert "did you mean bob?" in out
    # An environment of Pulumi ESC may have it, which only Pulumi can tell.
    file.write_text(json.dumps({"config": config, "environment": ["lab/secrets"]}))
    assert run(capsys, "check")[0] == 0
    config["hpc-secrets:bobs"] = {"secure": "v1:encrypted"}
    file.write_text(json.dumps({"config": config}))
    assert run(capsys, "check")[0] == 0


def test_warnings_count_when_asked_to(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project, {"pools": {"a": {"image": "ubuntu-hpc-22.04"}}})
    assert run(capsys, "check")[0] == 0
    assert run(capsys, "check", "--fail-on", "warning")[0] == 1


def test_an_unknown_stack_is_told_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "check", "--stack", "deev")
    assert (code, out) == (1, "")
    assert "Pulumi.deev.yaml does not exist" in err
    assert "dev, local" in err


@pytest.mark.parametrize("name", ["../dev", "/etc/passwd", "a/b"])
def test_a_stack_name_is_no_path(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", "--stack", name)[0] == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("config: [1, 2]", "has no mapping `config:`"),
        ("- a\n- b", "has no mapping `config:`"),
        ("config: {", "is not YAML"),
        ("\xff\xfe", "is not YAML"),
    ],
)
def test_a_damaged_stack_file_is_one_clear_message(
    text: str, told: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "Pulumi.dev.yaml").write_bytes(text.encode("latin-1"))
    code, _, err = run(capsys, "check")
    assert code == 1
    assert err.startswith("error: Pulumi.dev.yaml")
    assert told in err


def test_plan_counts_nodes_vcpus_and_price(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        project,
        {
            "batch": {"vcpu_quota_by_series": {"HBv3": 480}},
            "pools": {
                "mpi": {"preset": "rdma", "scale": {"max_dedicated_nodes": 4}},
                "always": {
                    "vm_size": "Standard_D4s_v5",
                    "task_slots_per_node": 2,
                    "scale": {"mode": "fixed", "dedicated_nodes": 3},
                },
                "spot": {"preset": "spot", "scale": {"max_spot_nodes": 5}},
            },
        },
    )
    code, out, _ = run(capsys, "plan", "--json")
    (stack,) = json.loads(out)["stacks"]
    pools = {pool["name"]: pool for pool in stack["pools"]}
    assert code == 0
    assert pools["mpi"]["max_vcpus"] == 480
    assert pools["mpi"]["full_price_per_hour"] == pytest.approx(4 * 3.60)
    assert pools["mpi"]["idle_price_per_hour"] == 0
    assert pools["always"]["idle_price_per_hour"] == pytest.approx(3 * 0.192)
    assert pools["always"]["max_tasks"] == 6
    assert pools["spot"]["full_price_is_bound"] is True
    assert pools["spot"]["full_price_per_hour"] == pytest.approx(5 * 0.192)
    assert stack["full_price_per_hour"] == pytest.approx(4 * 3.60 + 3 * 0.192 + 5 * 0.192)
    assert stack["series"] == [
        {"series": "Dsv5", "max_vcpus": 12, "quota": None},
        {"series": "HBv3", "max_vcpus": 480, "quota": 480},
    ]
    assert stack["max_spot_vcpus"] == 20
    assert stack["subnets"][0]["max_nodes"] == 12


def test_plan_fits_80_columns_and_shows_formulas(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "plan", "--stack", "dev")
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= 80
    formulas = run(capsys, "plan", "--stack", "dev", "--formulas")[1]
    assert "$TargetDedicatedNodes = " in formulas
    assert "$TargetDedicatedNodes" not in out


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["check", "--live"], ["rules"], ["plan", "--live"]])
def test_a_terminal_of_80_columns_shows_whole_words(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "infra", *arguments]
    # Whoever tests this has an account, or has not: nobody is asked.
    environment = {"PATH": "", "HOME": "/", "COLUMNS": "80", "PYTHONPATH": str(PROJECT_ROOT)}
    plain = subprocess.run(
        command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=PROJECT_ROOT, env=environment, stdout=theirs) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b"")).decode()
    os.close(ours)
    assert process.returncode == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    # An address is never broken, however long.
    assert [line for line in lines if len(line) > 80 and " " in line.strip()] == []
    assert shown.count("\n") > plain.count("\n")
    assert " ".join(" ".join(lines).split()) == " ".join(plain.split())


def _read(terminal: int) -> bytes:
    """What came next; nothing once the other end is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


@pytest.mark.slow
def test_the_commands_need_neither_pulumi_nor_the_network() -> None:
    code = (
        "import sys, socket\n"
        "socket.socket.connect = None\n"
        "from infra.cli import main\n"
        "try:\n    main(['check'])\nexcept SystemExit as stopped:\n    assert not stopped.code\n"
        "assert not [name for name in sys.modules if name.startswith('pulumi')]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def write(project: Path, config: dict[str, Any]) -> None:
    document = {"config": {f"hpc:{key}": value for key, value in config.items()}}
    (project / "Pulumi.dev.yaml").write_text(json.dumps(document), encoding="utf-8")
