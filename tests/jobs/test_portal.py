"""The address that shows a job in a browser."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.portal import portal_url
from jobs.stack import Stack, parse_stack


@pytest.fixture
def azure(values: Any) -> dict[str, Any]:
    members: dict[str, Any] = values(
        authentication="entra",
        batch_endpoint="https://a.eastus.batch.azure.com",
        blob_endpoint="https://d.blob.core.windows.net",
        management_endpoint="https://management.azure.com",
        batch_account_id="/subscriptions/s/resourceGroups/a group/providers/x/batchAccounts/a",
    )
    return members


def test_a_local_job_is_shown_by_the_page_of_the_emulator(stack: Stack) -> None:
    assert stack.is_local
    account = stack.batch_account_name
    assert portal_url(stack, "nightly:job-1") == (
        f"{stack.batch_endpoint}/_emulator/#{account}/job/nightly%3Ajob-1"
    )


def test_the_page_is_the_servers_where_the_endpoint_names_an_account(values: Any) -> None:
    members = values(batch_endpoint="https://127.0.0.1:7/accounts/account")
    assert portal_url(parse_stack(members, where="test"), "j") == (
        "https://127.0.0.1:7/_emulator/#account/job/j"
    )


@pytest.mark.parametrize(
    ("management", "portal"),
    [
        ("https://management.azure.com", "https://portal.azure.com"),
        ("https://management.chinacloudapi.cn", "https://portal.azure.cn"),
        ("https://management.usgovcloudapi.net", "https://portal.azure.us"),
    ],
)
def test_a_job_in_azure_is_in_the_portal_of_its_cloud(
    azure: dict[str, Any], management: str, portal: str
) -> None:
    stack = parse_stack(azure | {"management_endpoint": management}, where="test")
    assert portal_url(stack, "j") == (
        f"{portal}/#resource/subscriptions/s/resourceGroups/a%20group/providers/x/batchAccounts/a"
    )


def test_a_cloud_whose_portal_nobody_knows_has_none(azure: dict[str, Any]) -> None:
    azure["management_endpoint"] = "https://management.example.org"
    assert portal_url(parse_stack(azure, where="test"), "j") == ""
