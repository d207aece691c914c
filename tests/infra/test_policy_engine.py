"""The policy pack in the real engine: what is sound passes, what is weak does not deploy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pulumi import automation
from pulumi_azure_native.network import NetworkSecurityGroup, SecurityRuleArgs
from pulumi_azure_native.resources import ResourceGroup
from pulumi_azure_native.storage import SkuArgs, StorageAccount

from infra.sources import PROJECT_ROOT

if TYPE_CHECKING:
    from tests.infra.conftest import Engine

PACK = PROJECT_ROOT / "policy"
CONFIG: dict[str, Any] = {"pools": {"cpu": {}}}

pytestmark = [
    pytest.mark.scan,
    pytest.mark.engine,
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # the Automation API leaves loops to the collector
]


@pytest.fixture(scope="module")
def pack() -> Iterator[list[str]]:
    """The pack with its environment, made as a person makes it."""
    tools = str(Path(sys.prefix) / "bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("PULUMI_SKIP_UPDATE_CHECK", "1")
        if not (PACK / "venv").exists():
            pulumi = shutil.which("pulumi")
            assert pulumi
            subprocess.run([pulumi, "install"], cwd=PACK, check=True)
        yield [str(PACK)]


def weak() -> None:
    """One program that breaks a rule of each kind of resource."""
    ResourceGroup("lab", location="eastus", tags={"project": "lab", "stack": "dev"})
    StorageAccount(
        "labdata",
        resource_group_name="lab",
        location="eastus",
        kind="StorageV2",
        sku=SkuArgs(name="Standard_LRS"),
        allow_blob_public_access=True,
        allow_shared_key_access=False,
        minimum_tls_version="TLS1_2",
    )
    NetworkSecurityGroup(
        "open",
        resource_group_name="lab",
        location="eastus",
        security_rules=[
            SecurityRuleArgs(
                name="ssh",
                priority=200,
                direction="Inbound",
                access="Allow",
                protocol="Tcp",
                source_address_prefix="*",
                source_port_range="*",
                destination_address_prefix="*",
                destination_port_range="22",
            )
        ],
    )


def test_what_infra_declares_is_deployed(
    start_engine: Callable[[], AbstractContextManager[Engine]], pack: list[str]
) -> None:
    with start_engine() as engine:
        engine.configure(CONFIG)
        preview = engine.stack.preview(policy_packs=pack)
        assert "hpc-azure-batch" in preview.stdout
        made = engine.stack.up(policy_packs=pack)
        assert made.summary.result == "succeeded"
        assert "res0" not in made.stdout


def test_what_is_weak_is_not_deployed_and_all_of_it_is_told(
    start_engine: Callable[[], AbstractContextManager[Engine]], pack: list[str]
) -> None:
    with start_engine() as engine:
        engine.configure(CONFIG)
        engine.stack.workspace.program = weak
        with pytest.raises(automation.CommandError) as refused:
            engine.stack.preview(policy_packs=pack)
        text = str(refused.value)
        assert set(re.findall(r"(\[\w+\])\s+(res0\d\d[a-z-]+)", text)) == {
            ("[mandatory]", "res002-no-public-blobs"),
            ("[mandatory]", "res005-nothing-from-the-internet"),
            ("[advisory]", "res012-tagged"),
        }
        assert "set allowBlobPublicAccess: false" in text
        assert "rule 'ssh' lets the internet in" in text
        # An update stops at the first, before it is made.
        with pytest.raises(automation.CommandError, match=r"\[mandatory\]"):
            engine.stack.up(policy_packs=pack)
        state = engine.stack.export_stack().deployment or {}
        made = {one["type"] for one in state.get("resources", [])}
        assert not made & {
            "azure-native:storage:StorageAccount",
            "azure-native:network:NetworkSecurityGroup",
        }
