"""One request to the running emulator's Batch API, signed with the key that it keeps.

Nothing is checked or changed on the way, so that wrong requests can be tried, too; only what
URLs cannot hold is encoded, and the newest api-version is added where none is given.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from emulator.backend import read_keys
from emulator.errors import EmulatorError
from emulator.exchange import exchange
from emulator.local import LocalDirectory
from emulator.service.auth import sign, string_to_sign
from emulator.service.versions import NEWEST

if TYPE_CHECKING:
    import httpx

_JSON = "application/json; odata=minimalmetadata"


def send(
    local: LocalDirectory, method: str, path: str, content: bytes, *, account: str
) -> httpx.Response:
    """Sends it, and answers what came back, whatever its status.

    Args:
        local: Where the emulator says that it runs, and where its keys are.
        method: Upper case.
        path: With its query.
        content: The body, JSON or meant to be; empty for none.
        account: Which signs.

    Raises:
        EmulatorError: There is no such account.
        NotRunningError: There is no emulator, or it broke the connection.
    """
    running = local.read_running()
    typed, _, query = path.partition("?")
    raw_path = quote(typed, safe="/%:@!$&'()*+,;=~")
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(parameter.lower() == "api-version" for parameter, _ in pairs):
        pairs.append(("api-version", NEWEST))
    headers = {"ocp-date": format_datetime(datetime.now(UTC), usegmt=True)}
    if content:
        headers |= {"content-type": _JSON, "content-length": str(len(content))}
    text = string_to_sign(
        method=method, account=account, raw_path=raw_path, query=pairs, headers=headers
    )
    headers["authorization"] = f"SharedKey {account}:{sign(_key(local, account), text)}"
    target = f"{raw_path}?{urlencode(pairs, quote_via=quote)}"
    return exchange(running, method, target, headers=headers, content=content or None)


def _key(local: LocalDirectory, account: str) -> bytes:
    keys = read_keys(local).get("batch", {})
    if account not in keys:
        known = ", ".join(sorted(keys)) or "none"
        raise EmulatorError(f"no Batch account is named {account}; there are: {known}")
    return base64.b64decode(keys[account])
