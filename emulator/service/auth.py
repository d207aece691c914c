"""SharedKey: who asks, and whether the signature is theirs.

The string to sign is documented under "Authenticate requests to the Azure Batch
service": verb, eleven headers, the `ocp-` headers, account with the path as it was
sent, and the query. Clients differ in whether they lower the query's names; both are
taken. A wrong signature is logged with the string that was signed, never with a key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
from collections.abc import Iterable, Mapping

from emulator.engine.refusal import Refused

logger = logging.getLogger(__name__)

_SIGNED_HEADERS = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type",
    "date", "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip
_BODYLESS = frozenset({"GET", "HEAD"})


def string_to_sign(
    *,
    method: str,
    account: str,
    raw_path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
) -> str:
    """What a client signs.

    Args:
        method: Upper case.
        account: As the client names itself.
        raw_path: Still percent-encoded.
        query: Decoded names and values, in the request's order.
        headers: Lower-case names.
    """
    signed = [headers.get(name, "") for name in _SIGNED_HEADERS]
    if method not in _BODYLESS and not signed[2]:
        signed[2] = "0"
    ocp = sorted((n, v) for n, v in headers.items() if n.startswith("ocp-") and v)
    parameters: dict[str, str] = {}
    for name, value in query:
        if value:
            parameters.setdefault(name, value)
    return "\n".join(
        [
            method,
            *signed,
            *(f"{name}:{value}" for name, value in ocp),
            f"/{account}{raw_path}",
            *(f"{name}:{parameters[name]}" for name in sorted(parameters)),
        ]
    )


def sign(key: bytes, text: str) -> str:
    """The signature as it stands in the header."""
    return base64.b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).decode()


def authenticate(
    accounts: Mapping[str, bytes],
    *,
    method: str,
    raw_path: str,
    query: list[tuple[str, str]],
    headers: Mapping[str, str],
) -> str:
    """The name of the account that a request is from.

    Raises:
        Refused: `AuthenticationFailed`, with the detail that the service gives.
    """
    scheme, _, claim = headers.get("authorization", "").partition(" ")
    name, _, signature = claim.strip().partition(":")
    if scheme.lower() != "sharedkey" or not name or not signature:
        raise _refused(
            "The Authorization header must be 'SharedKey account:signature'; this emulator"
            " takes no other scheme over http."
        )
    key = accounts.get(name)
    if key is None:
        raise _refused(
            f"Cannot find the claimed account when trying to GetProperties for the account {name}."
        )
    if not headers.get("ocp-date") and not headers.get("date"):
        raise _refused("The request has neither an ocp-date nor a date header.")
    try:
        claimed = base64.b64decode(signature, validate=True)
    except binascii.Error:
        claimed = b""
    lowered = [(n.lower(), v) for n, v in query]
    texts = [
        string_to_sign(
            method=method, account=name, raw_path=raw_path, query=names, headers=headers
        )
        for names in ((query, lowered) if lowered != query else (query,))
    ]
    matches = [
        hmac.compare_digest(hmac.digest(key, text.encode(), hashlib.sha256), claimed)
        for text in texts
    ]
    if not any(matches):
        logger.warning("signature of %s does not match; string to sign: %r", name, texts[0])
        raise _refused(
            "The MAC signature found in the HTTP request is not the same as any computed"
            f" signature. Server used following string to sign: {texts[0]!r}."
        )
    return name


def _refused(detail: str) -> Refused:
    return Refused("AuthenticationFailed", {"AuthenticationErrorDetail": detail})
