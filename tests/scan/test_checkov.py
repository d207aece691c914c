"""Checkov finds what is weak, and nothing it says or leaves unsaid is taken for a pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from emulator.arm.mocks import Registered
from infra.sources import PROJECT_ROOT
from scan import checkov, cli
from scan.checkov import Failure, ensure_installed, scan
from scan.errors import ScannerError
from scan.stacks import registered, stack_config
from scan.template import Template, arm_template

STACK = "dev"
RESOURCES = 2


def templates() -> dict[str, Template]:
    """Small ones: what is read of an answer has nothing to do with what a stack has."""
    names = {
        "Microsoft.Storage/storageAccounts.hpcdevdata01234567": (
            "storage:StorageAccount/hpcdevdata"
        ),
        "Microsoft.Network/virtualNetworks.hpc-network": "network:VirtualNetwork/hpc-network",
    }
    return {STACK: Template(document={"resources": []}, names=names)}


def answering(
    *, failed: tuple[dict[str, str], ...] = (), resources: int = RESOURCES, unread: str = ""
) -> dict[str, Any]:
    return {
        "summary": {"resource_count": resources},
        "results": {
            "failed_checks": list(failed),
            "passed_checks": [],
            "parsing_errors": [unread] if unread else [],
        },
    }


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A program in checkov's place that prints a text and exits."""

    def install(text: str, status: int = 0) -> None:
        program = tmp_path / "bin" / "checkov"
        program.parent.mkdir(exist_ok=True)
        (tmp_path / "answer").write_text(text, encoding="utf-8")
        program.write_text(
            f"#!/bin/sh\ncat '{tmp_path}/answer'\nexit {status}\n", encoding="utf-8"
        )
        program.chmod(0o755)
        monkeypatch.setattr(checkov, "ENVIRONMENT", tmp_path)
        monkeypatch.setattr(cli, "ensure_installed", lambda: None)
        monkeypatch.setattr(cli, "_template", lambda stack: templates()[stack])

    return install


def weakened(
    run: list[Registered], token: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]
) -> list[Registered]:
    """The same resources with one of a type changed."""
    done = False
    result = []
    for one in run:
        inputs = dict(one.inputs)
        if one.token == f"azure-native:{token}" and not done:
            inputs |= change(inputs)
            done = True
        result.append(
            Registered(
                token=one.token, name=one.name, id=one.id, inputs=inputs, outputs=one.outputs
            )
        )
    assert done
    return result


def test_a_failure_is_of_a_resource_by_its_logical_name(stand_in: Callable[..., None]) -> None:
    account = next(name for name in templates()[STACK].names if "storageAccounts" in name)
    failed = {
        "check_id": "CKV_AZURE_59",
        "check_name": "no public access",
        "file_path": "/dev.json",
        "resource": account,
    }
    stand_in(json.dumps(answering(failed=(failed, failed))))
    assert scan(templates()).failures == (
        Failure(
            check="CKV_AZURE_59",
            resource="dev/storage:StorageAccount/hpcdevdata",
            title="no public access",
        ),
    )


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("Traceback: no module", 1, "exit status 1"),
        ("no JSON", 0, "did not answer"),
        (json.dumps(answering(resources=RESOURCES - 1)), 0, f"{RESOURCES - 1} of {RESOURCES}"),
        (json.dumps(answering(unread="/dev.json")), 0, r"/dev\.json"),
        ('{"passed": 0, "failed": 0}', 0, "not of a form"),
    ],
)
def test_an_answer_that_does_not_cover_everything_is_an_error(
    stand_in: Callable[..., None], text: str, status: int, told: str
) -> None:
    stand_in(text, status)
    with pytest.raises(ScannerError, match=told):
        scan(templates())


def test_a_scanner_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkov, "ENVIRONMENT", tmp_path)
    with pytest.raises(ScannerError, match="cannot be run"):
        scan(templates())


def test_new_findings_and_stale_exceptions_fail_the_command(
    stand_in: Callable[..., None],
) -> None:
    name = next(one for one in templates()[STACK].names if "virtualNetworks" in one)
    failed = {
        "check_id": "CKV_AZURE_999",
        "check_name": "a check of tomorrow",
        "file_path": "/dev.json",
        "resource": name,
    }
    stand_in(json.dumps(answering(failed=(failed,))))
    shown = CliRunner().invoke(cli.app, ["--stack", "dev"])
    assert shown.exit_code == 1
    assert "new: CKV_AZURE_999 a check of tomorrow\n  dev/network:VirtualNetwork/" in shown.stdout
    assert "stale: CKV_AZURE_76 dev/batch:BatchAccount/hpcdev\n" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    document = json.loads(CliRunner().invoke(cli.app, ["-s", "dev", "--json"]).stdout)
    assert [one["check"] for one in document["new"]] == ["CKV_AZURE_999"]


def test_templates_can_be_written_for_other_scanners(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli.app, ["-s", "dev", "--templates", str(tmp_path / "arm")])
    assert shown.exit_code == 0
    document = json.loads((tmp_path / "arm" / "dev.json").read_text(encoding="utf-8"))
    assert document == arm_template(registered(STACK, stack_config(STACK))).document


@pytest.mark.slow
def test_a_stack_that_is_not_there_is_told_and_exits_with_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scan", "--stack", "nowhere"],
        cwd=PROJECT_ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: there is no stack 'nowhere' here")
    assert "Traceback" not in done.stderr


@pytest.mark.scan
def test_each_weakness_is_found_and_the_estate_without_it_has_none() -> None:
    ensure_installed()
    sound = registered("prod", stack_config("prod"))
    weak = {
        "open": weakened(
            sound,
            "storage:StorageAccount",
            lambda _: {
                "publicNetworkAccess": "Enabled",
                "networkRuleSet": {"defaultAction": "Allow"},
            },
        ),
        "plain": weakened(
            sound, "storage:StorageAccount", lambda _: {"enableHttpsTrafficOnly": False}
        ),
        "public": weakened(
            sound, "storage:BlobContainer", lambda _: {"publicAccess": "Container"}
        ),
        "ssh": weakened(
            sound,
            "network:NetworkSecurityGroup",
            lambda inputs: {
                "securityRules": [
                    *inputs["securityRules"],
                    {
                        "name": "let-everybody-in",
                        "priority": 200,
                        "direction": "Inbound",
                        "access": "Allow",
                        "protocol": "Tcp",
                        "sourceAddressPrefix": "*",
                        "sourcePortRange": "*",
                        "destinationAddressPrefix": "*",
                        "destinationPortRange": "22",
                    },
                ]
            },
        ),
    }
    answer = scan(
        {"sound": arm_template(sound), **{name: arm_template(one) for name, one in weak.items()}}
    )
    found: dict[str, set[tuple[str, str]]] = {name: set() for name in ("sound", *weak)}
    for one in answer.failures:
        stack, _, resource = one.resource.partition("/")
        found[stack].add((one.check, resource))
    new = {name: {check for check, _ in found[name] - found["sound"]} for name in weak}
    assert new == {
        "open": {"CKV_AZURE_35", "CKV_AZURE_59"},
        "plain": {"CKV_AZURE_3"},
        "public": {"CKV_AZURE_34"},
        "ssh": {"CKV_AZURE_10"},
    }
