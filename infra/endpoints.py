"""Where Azure's services answer, from what Resource Manager says of an account. Pure."""

from __future__ import annotations

from typing import Final

PUBLIC_MANAGER: Final = "https://management.azure.com"

# https://learn.microsoft.com/azure/azure-government/compare-azure-government-global-azure
# and https://learn.microsoft.com/azure/china/resources-developer-guide
_MANAGERS: Final = {
    ".batch.azure.com": PUBLIC_MANAGER,
    ".batch.usgovcloudapi.net": "https://management.usgovcloudapi.net",
    ".batch.chinacloudapi.cn": "https://management.chinacloudapi.cn",
}


def endpoint_url(account_endpoint: str) -> str:
    """A Batch account's data plane, without a trailing slash.

    Args:
        account_endpoint: What the account says: a host name in Azure, a URL on loopback of
            the emulator.
    """
    url = account_endpoint.rstrip("/")
    return url if "://" in url else f"https://{url}"


def management_endpoint(batch_endpoint: str) -> str:
    """Resource Manager's URL in the cloud of a Batch endpoint.

    The emulator serves both under one, whatever account its Batch endpoint names.
    """
    found = (url for suffix, url in _MANAGERS.items() if batch_endpoint.endswith(suffix))
    return next(found, batch_endpoint.partition("/accounts/")[0])
