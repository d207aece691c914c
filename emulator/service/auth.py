"""SharedKey and bearer tokens: who asks, and whether the signature is theirs.

The string to sign is documented under "Authenticate requests to the Azure Batch
service": verb, eleven headers, the `ocp-` headers, account with the path as it was
sent, and the query. Clients differ in whether they lower the query's names, and in what
they sign for the length of no body; each is taken. A wrong signature is logged with the
string that was signed, never with a key.

A token says who asks, not which account is meant. Azure knows that by the host, whose
first label is the account; here it is the first of these that names one: the path's
prefix `/accounts/NAME`, the host `NAME.localhost`, the only account that there is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

from emulator.engine.refusal import Refused

logger = logging.getLogger(__name__)

_SIGNED_HEADERS = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type",
    "date", "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip
_BODYLESS = frozenset({"GET", "HEAD"})
_PREFIX = re.compile(r"/accounts/([^/]+)(?=/|$)")

VerifyToken = Callable[[str], None]
"""Returns if a token is good, else raises `BadTokenError`."""


class BadTokenError(Exception):
    """A token that is not for this service, now; its text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a request's URL says of the account.

    Attributes:
        prefix: Of the path, before what the service's own paths begin with; may be empty.
        account: Which it names, or None.
    """

    prefix: str
    account: str | None

    @classmethod
    def parse(cls, raw_path: str, host: str) -> Address:
        """Of a path, still percent-encoded, and a `Host` header."""
        if found := _PREFIX.match(raw_path):
            return cls(found[0], unquote(found[1]))
        name, dot, rest = host.partition(":")[0].partition(".")
        return cls("", name if dot and rest.lower() == "localhost" else None)


def as_sent(scope: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """What is signed of an ASGI request's URL: its path, and its query's names and values.

    The path is still percent-encoded; names and values are decoded, in the request's order.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    return path, parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def string_to_sign(
    *,
    method: str,
    account: str,
    raw_path: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    no_length: str = "0",
) -> str:
    """What a client signs.

    Args:
        method: Upper case.
        account: As the client names itself.
        raw_path: Still percent-encoded.
        query: Decoded names and values, in the request's order.
        headers: Lower-case names.
        no_length: What stands for the length that a request without a body does not tell;
            always nothing for GET and HEAD.
    """
    signed = [headers.get(name, "") for name in _SIGNED_HEADERS]
    if method not in _BODYLESS and not signed[2]:
        signed[2] = no_length
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
    address: Address,
    verify_token: VerifyToken | None = None,
) -> str:
    """The name of the account that a request is from, or by a token for.

    Args:
        accounts: Account name → key.
        method: Upper case.
        raw_path: As it was sent, with the address's prefix.
        query: Decoded names and values, in the request's order.
        headers: Lower-case names.
        address: What the URL says of the account.
        verify_token: None where tokens are not taken: without TLS.

    Raises:
        Refused: `AuthenticationFailed`, with the detail that the service gives.
    """
    scheme, _, claim = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if verify_token is None:
            raise _refused(
                "Bearer tokens are taken over https only: python -m emulator serve --tls"
            )
        try:
            verify_token(claim.strip())
        except BadTokenError as error:
            raise _refused(f"The access token is not valid: {error}.") from error
        return _meant(accounts, address)
    name, _, signature = claim.strip().partition(":")
    if scheme.lower() != "sharedkey" or not name or not signature:
        raise _refused(
            "The Authorization header must be 'SharedKey account:signature', or over https"
            " 'Bearer token'."
        )
    key = accounts.get(name)
    if key is not None and address.account not in {None, name}:
        raise _refused(f"The request is signed by {name} and sent to {address.account}.")
    if key is None:
        raise _refused(
            f"Cannot find the claimed account when trying to GetProperties for the account {name}."
        )
    if not headers.get("ocp-date") and not headers.get("date"):
        raise _refused("The request has neither an ocp-date nor a date header.")
    try:
        claimed = base64.b64decode(signature, validate=True)
    except ValueError:  # also what is not ASCII
        claimed = b""
    lowered = [(n.lower(), v) for n, v in query]
    texts = [
        string_to_sign(
            method=method,
            account=name,
            raw_path=raw_path,
            query=names,
            headers=headers,
            no_length=no_length,
        )
        for names in ((query, lowered) if lowered != query else (query,))
        for no_length in _no_lengths(method, headers)
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


def _no_lengths(method: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What clients sign for a length that is not told: Python's a zero, JavaScript's nothing."""
    return ("0",) if method in _BODYLESS or headers.get("content-length") else ("0", "")


def _meant(accounts: Mapping[str, bytes], address: Address) -> str:
    if address.account in accounts:
        return str(address.account)
    if address.account is not None:
        raise _refused(f"There is no account {address.account}.")
    if len(accounts) == 1:
        return next(iter(accounts))
    raise _refused(
        f"A token does not say which of the {len(accounts)} accounts is meant. Name it in the"
        " endpoint: https://HOST:PORT/accounts/NAME."
    )


def _refused(detail: str) -> Refused:
    return Refused("AuthenticationFailed", {"AuthenticationErrorDetail": detail})
