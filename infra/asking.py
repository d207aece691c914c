"""How this program asks Azure: with whose credential, and what a refusal means.

Nothing here is needed offline, and nothing is asked unless a person wants it: before a pool
is deleted, and with `--live`. Each module that asks says what it asks; this one holds what
they share. SDKs are imported when something is asked, because they take long.

In Azure nobody has keys: `DefaultAzureCredential`, which finds `az login`, a service
connection's session or a managed identity. The emulator's key comes from
`AZURE_BATCH_ACCESS_KEY` or from the file that the emulator writes, and is shown to nobody
but this machine.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.errors import AskError
from infra.sources import PROJECT_ROOT

if TYPE_CHECKING:
    from azure.core.credentials import AzureNamedKeyCredential, TokenCredential

ENV_BATCH_KEY = "AZURE_BATCH_ACCESS_KEY"
ENV_LOCAL_DIR = "HPC_LOCAL_DIR"
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
RETRIES = 3

_SIGN_IN = "Sign in: az login"
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def is_on_this_machine(url: str) -> bool:
    """Whether a URL leads to loopback, where the emulator is."""
    return urlsplit(url).hostname in _LOOPBACK


def token_credential(url: str) -> TokenCredential:
    """The Entra credential for a service.

    Raises:
        AskError: Tokens would travel in the clear.
    """
    if urlsplit(url).scheme != "https":
        raise AskError(
            f"Entra tokens go over https only, and {url} is not",
            remedy="For the emulator: start it with --tls, or set hpc:authentication to "
            "shared-key.",
        )
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - see the module

    return DefaultAzureCredential()


def key_credential(url: str, account: str) -> AzureNamedKeyCredential:
    """The key of an account of the emulator.

    Raises:
        AskError: There is none, or it would be shown to another machine.
    """
    if not is_on_this_machine(url):
        raise AskError(
            f"{url} is not on this machine, and keys are for the emulator only",
            remedy="Set hpc:authentication to entra.",
        )
    key = os.environ.get(ENV_BATCH_KEY) or _written_key(account)
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise AskError(
            f"the key of the Batch account {account} is no base64",
            remedy=f"Correct or unset {ENV_BATCH_KEY}; the emulator writes its own keys.",
        ) from error
    from azure.core.credentials import AzureNamedKeyCredential  # noqa: PLC0415 - see the module

    return AzureNamedKeyCredential(account, key)


def _written_key(account: str) -> str:
    local = Path(os.environ.get(ENV_LOCAL_DIR) or PROJECT_ROOT / ".local")
    file = local / "keys.json"
    try:
        return str(json.loads(file.read_text(encoding="utf-8"))["batch"][account])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise AskError(
            f"there is no key of the Batch account {account} in {file}",
            remedy=f"Start the emulator (python -m emulator serve), or set {ENV_BATCH_KEY}.",
        ) from error


@contextmanager
def asked(whom: str, *, role: str) -> Iterator[None]:
    """Translates what an SDK raises.

    Args:
        whom: Who is asked, as an error names it.
        role: The least role that may ask, for whoever has none.

    Raises:
        AskError: No answer came, for whatever reason.
    """
    from azure.core import exceptions  # noqa: PLC0415 - see the module

    try:
        yield
    except exceptions.ClientAuthenticationError as error:
        text = _first_line(error.message)
        raise AskError(
            f"{whom} was not asked, nobody is signed in: {text}", remedy=_SIGN_IN
        ) from (error)
    except exceptions.HttpResponseError as error:
        status = error.status_code or 0
        code = getattr(error.error, "code", None) or error.reason or status
        if status == 403:  # noqa: PLR2004 - HTTP's Forbidden
            raise AskError(
                f"{whom} refused to tell ({code}): whoever is signed in has no right to ask",
                remedy=f"The least role that may ask is {role}. Where the account has no public "
                "network access, ask from inside its network.",
            ) from error
        raise AskError(
            f"{whom} answered {status} {code}: {_first_line(error.message)}",
            remedy="Try again; the service's health is at https://status.azure.com.",
        ) from error
    except exceptions.AzureError as error:
        raise AskError(
            f"{whom} did not answer: {_first_line(error.message)}",
            remedy="Check the network, and that the name resolves from here.",
        ) from error


def _first_line(text: object) -> str:
    line = str(text).strip().partition("\n")[0]
    return line[:200]
