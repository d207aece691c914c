"""Services are asked where they are, in every cloud and on a laptop."""

from __future__ import annotations

import pytest

from infra.endpoints import endpoint_url, management_endpoint


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("hpcdev.eastus.batch.azure.com", "https://hpcdev.eastus.batch.azure.com"),
        ("https://hpcdev.eastus.batch.azure.com/", "https://hpcdev.eastus.batch.azure.com"),
        ("http://127.0.0.1:8443/accounts/hpclocal", "http://127.0.0.1:8443/accounts/hpclocal"),
    ],
)
def test_an_accounts_endpoint_is_a_url(said: str, url: str) -> None:
    assert endpoint_url(said) == url


@pytest.mark.parametrize(
    ("batch", "manager"),
    [
        ("https://hpcdev.eastus.batch.azure.com", "https://management.azure.com"),
        (
            "https://hpcdev.usgovvirginia.batch.usgovcloudapi.net",
            "https://management.usgovcloudapi.net",
        ),
        (
            "https://hpcdev.chinaeast2.batch.chinacloudapi.cn",
            "https://management.chinacloudapi.cn",
        ),
        ("http://127.0.0.1:8443/accounts/hpclocal", "http://127.0.0.1:8443"),
        ("http://127.0.0.1:8443", "http://127.0.0.1:8443"),
    ],
)
def test_resource_manager_is_of_the_accounts_cloud(batch: str, manager: str) -> None:
    assert management_endpoint(batch) == manager
