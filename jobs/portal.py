"""Where a browser shows a job: the Azure portal, or the emulator's page.

The portal's address of a resource is `#resource` and its id; it has none of a job that
anybody promised, so that the account is what it opens, where jobs are a click away. The
emulator's page is one for all accounts: its address is the server's, and not that of an
account, which has a path where clients bring tokens (`https://127.0.0.1:PORT/accounts/NAME`).
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from jobs.stack import Stack

_PORTALS = {
    "management.azure.com": "https://portal.azure.com",
    "management.chinacloudapi.cn": "https://portal.azure.cn",
    "management.usgovcloudapi.net": "https://portal.azure.us",
}


def portal_url(stack: Stack, job_id: str) -> str:
    """The address; empty where the cloud's portal is not known."""
    if stack.is_local:
        account, job = quote(stack.batch_account_name, safe=""), quote(job_id, safe="")
        server = urlsplit(stack.batch_endpoint)
        return f"{server.scheme}://{server.netloc}/_emulator/#{account}/job/{job}"
    portal = _PORTALS.get(urlsplit(stack.management_endpoint).hostname or "")
    return "" if portal is None else f"{portal}/#resource{quote(stack.batch_account_id)}"
