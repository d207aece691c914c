"""Resource Manager's operations on applications and packages, over HTTP.

    …/batchAccounts/ACCOUNT/applications                              GET
    …/applications/NAME                                               GET PUT PATCH DELETE
    …/applications/NAME/versions                                      GET
    …/applications/NAME/versions/VERSION                              GET PUT DELETE
    …/applications/NAME/versions/VERSION/activate                     POST

under the paths of Azure (`/subscriptions/S/resourceGroups/G/providers/Microsoft.Batch/…`),
for the api-versions that azure-mgmt-batch and azure-native send. Callers are whom the
data plane knows: the account's key over http, over TLS also a token for Resource Manager.
Roles are not checked, and any resource group is taken: only the account is looked for.

Every other path answers 501 by name: this is no Resource Manager, whose resources are
declared with Pulumi (`emulator.arm`). Source of the forms: the operations of
azure-mgmt-batch 19.0.0.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from emulator.applications.blobs import UPLOAD_LIFE
from emulator.applications.catalogue import Application, Catalogue, Package
from emulator.applications.errors import ApplicationError
from emulator.arm.kinds import Identity
from emulator.engine.refusal import Refused
from emulator.service.auth import Address, VerifyToken, as_sent, authenticate

logger = logging.getLogger(__name__)

API_VERSIONS: Final = frozenset(
    {
        "2023-05-01",
        "2023-11-01",
        "2024-02-01",
        "2024-07-01",
        "2025-06-01",
    }
)
MAX_BODY: Final = 1 << 20
_PATH: Final = re.compile(
    r"(?P<root>/subscriptions/(?P<subscription>[^/]+)/resourceGroups/[^/]+/providers"
    r"/Microsoft\.Batch/batchAccounts/(?P<account>[^/]+))/applications"
    r"(?:/(?P<name>[^/]+)(?P<versions>/versions(?:/(?P<version>[^/]+)(?P<activate>/activate)?)?)?)?/?",
    re.IGNORECASE,
)
_MEMBERS: Final = {
    "displayName": (str, "display_name"),
    "allowUpdates": (bool, "allow_updates"),
    "defaultVersion": (str, "default_version"),
}
_PAGE: Final = 1000
_NUMBER: Final = re.compile(r"[0-9]{1,9}")


class Accounts(Protocol):
    """What the wire needs of `emulator.server.Server`."""

    def accounts(self) -> Mapping[str, bytes]:
        """Account name → key."""
        ...

    def applications(self, account: str) -> Catalogue:
        """The applications of an account."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A request that is authenticated and routed.

    Attributes:
        root: Path of the account, as it was asked for.
        name: Application; empty for all.
        version: Package version; empty for all, or for the application itself.
        body: JSON object.
        maxresults: Most elements of a page.
        after: Folded key after which a page begins.
        next_page: Makes the URL of the page after a key.
    """

    catalogue: Catalogue
    root: str
    name: str
    version: str
    body: Mapping[str, Any]
    maxresults: int
    after: str
    next_page: Callable[[str], str]


_Handler = Callable[[_Call], Awaitable[Response]]


class ManagementPlane:
    """The ASGI application, to be mounted at `/subscriptions`.

    Args:
        accounts: The accounts there are.
        verify_token: None where tokens are not taken: without TLS.
        identity: The subscription that there is.
    """

    def __init__(
        self,
        accounts: Accounts,
        *,
        verify_token: VerifyToken | None = None,
        identity: Identity | None = None,
    ) -> None:
        self._accounts = accounts
        self._verify_token = verify_token
        self._subscription = (identity or Identity()).subscription_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ApplicationError as error:
            response = _failed(error.status, error.code, error.message)
        except Exception:
            logger.exception("%s %s failed", request.method, request.url.path)
            response = _failed(500, "InternalServerError", "the emulator's log has the reason")
        response.headers["x-ms-request-id"] = str(uuid4())
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path, pairs = as_sent(request.scope)
        found = _PATH.fullmatch(path)
        account = self._authenticated(request, path, pairs, found)
        if found is None:
            raise ApplicationError(
                "NotImplemented",
                f"The emulator serves applications of Batch accounts here, not {request.method} "
                f"{path}. Other resources are declared with Pulumi.",
            )
        self._check(found["subscription"], pairs)
        query = {name.lower(): value for name, value in pairs}

        def next_page(key: str) -> str:
            kept = [(n, v) for n, v in pairs if n.lower() != "$skiptoken"]
            text = "&".join(f"{quote(n, safe='$-')}={quote(v)}" for n, v in kept)
            host = f"{request.url.scheme}://{request.url.netloc}"
            return f"{host}{path}?{text}&$skiptoken={quote(key)}"

        handler = _route(request.method, found)
        return await handler(
            _Call(
                catalogue=self._accounts.applications(account),
                root=found["root"],
                name=unquote(found["name"] or ""),
                version=unquote(found["version"] or ""),
                body=await _json(request),
                maxresults=_most(query.get("maxresults")),
                after=query.get("$skiptoken", ""),
                next_page=next_page,
            )
        )

    def _authenticated(
        self,
        request: Request,
        path: str,
        pairs: list[tuple[str, str]],
        found: re.Match[str] | None,
    ) -> str:
        """The account that is meant, of a caller who may."""
        keys = self._accounts.accounts()
        asked = unquote(found["account"]) if found else ""
        # Who is nobody is not told which accounts there are: first who, then what.
        known = asked if asked in keys else next(iter(keys), None)
        try:
            authenticate(
                keys,
                method=request.method,
                raw_path=path,
                query=pairs,
                headers=dict(request.headers),
                address=Address("", known),
                verify_token=self._verify_token,
            )
        except Refused as refused:
            detail = refused.values.get("AuthenticationErrorDetail", "")
            raise ApplicationError(
                "AuthenticationFailed", f"Authentication failed. {detail}"
            ) from refused
        if found and asked not in keys:
            raise ApplicationError(
                "ResourceNotFound",
                f"The Resource 'Microsoft.Batch/batchAccounts/{asked}' was not found.",
            )
        return asked

    def _check(self, subscription: str, pairs: list[tuple[str, str]]) -> None:
        if subscription.lower() != self._subscription:
            raise ApplicationError(
                "SubscriptionNotFound",
                f"The subscription '{subscription}' could not be found: the emulator's is "
                f"{self._subscription}.",
            )
        version = next((v for n, v in pairs if n.lower() == "api-version"), None)
        if version is None:
            raise ApplicationError(
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if version not in API_VERSIONS:
            raise ApplicationError(
                "InvalidApiVersionParameter",
                f"The api-version '{version}' is invalid. The emulator's are "
                f"{', '.join(sorted(API_VERSIONS))}.",
            )


# Routes


def _route(method: str, found: re.Match[str]) -> _Handler:
    if found["activate"]:
        table = {"POST": _activate_package}
    elif found["version"]:
        table = {"GET": _get_package, "PUT": _put_package, "DELETE": _delete_package}
    elif found["versions"]:
        table = {"GET": _list_packages}
    elif found["name"]:
        table = {
            "GET": _get_application,
            "PUT": _put_application,
            "PATCH": _patch_application,
            "DELETE": _delete_application,
        }
    else:
        table = {"GET": _list_applications}
    if method not in table:
        raise ApplicationError(
            "MethodNotAllowed", f"{method} is none of {', '.join(table)}, which are allowed"
        )
    return table[method]


async def _list_applications(call: _Call) -> Response:
    return _page(call, {o.name.lower(): _application(call, o) for o in call.catalogue.all()})


async def _get_application(call: _Call) -> Response:
    return JSONResponse(_application(call, call.catalogue.get(call.name)))


async def _put_application(call: _Call) -> Response:
    made = call.catalogue.put(call.name, **_properties(call.body))
    return JSONResponse(_application(call, made))


async def _patch_application(call: _Call) -> Response:
    changed = call.catalogue.patch(call.name, _properties(call.body))
    return JSONResponse(_application(call, changed))


async def _delete_application(call: _Call) -> Response:
    return Response(status_code=200 if call.catalogue.delete(call.name) else 204)


async def _list_packages(call: _Call) -> Response:
    packages = call.catalogue.get(call.name).packages
    return _page(call, {key: _package(call, packages[key]) for key in sorted(packages)})


async def _get_package(call: _Call) -> Response:
    return JSONResponse(_package(call, call.catalogue.package(call.name, call.version)))


async def _put_package(call: _Call) -> Response:
    made = await call.catalogue.put_package(call.name, call.version)
    return JSONResponse(_package(call, made))


async def _delete_package(call: _Call) -> Response:
    gone = await call.catalogue.delete_package(call.name, call.version)
    return Response(status_code=200 if gone else 204)


async def _activate_package(call: _Call) -> Response:
    given = call.body.get("format")
    if not isinstance(given, str):
        raise ApplicationError("InvalidRequestBody", "The member 'format' is required: zip.")
    if given.lower() != "zip":
        raise ApplicationError(
            "InvalidPropertyValue", f"The format {given!r} is not supported: only zip is."
        )
    activated = await call.catalogue.activate(call.name, call.version)
    return JSONResponse(_package(call, activated))


# Bodies and answers


def _properties(body: Mapping[str, Any]) -> dict[str, Any]:
    given = body.get("properties") or {}
    if not isinstance(given, dict):
        raise ApplicationError("InvalidRequestBody", "The member 'properties' is no object.")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _MEMBERS:
            raise ApplicationError(
                "InvalidRequestBody",
                f"Could not find member '{name}' on an application's properties: there are "
                f"{', '.join(_MEMBERS)}.",
            )
        kind, ours = _MEMBERS[name]
        if value is not None and not isinstance(value, kind):
            raise ApplicationError(
                "InvalidRequestBody", f"The member '{name}' is no {kind.__name__}."
            )
        found[ours] = value
    if found.get("allow_updates", True) is None:
        del found["allow_updates"]
    return found


def _application(call: _Call, one: Application) -> dict[str, Any]:
    return _resource(
        f"{call.root}/applications/{one.name}",
        "Microsoft.Batch/batchAccounts/applications",
        {
            "displayName": one.display_name,
            "allowUpdates": one.allow_updates,
            "defaultVersion": one.default_version,
        },
    )


def _package(call: _Call, one: Package) -> dict[str, Any]:
    expiry = (datetime.now(UTC) + UPLOAD_LIFE).isoformat().replace("+00:00", "Z")
    name = call.catalogue.get(call.name).name
    return _resource(
        f"{call.root}/applications/{name}/versions/{one.version}",
        "Microsoft.Batch/batchAccounts/applications/versions",
        {
            "state": "Active" if one.is_active else "Pending",
            "format": "zip" if one.is_active else None,
            "storageUrl": call.catalogue.storage_url(name, one),
            "storageUrlExpiry": expiry,
            "lastActivationTime": one.activated,
        },
        # A URL is signed anew each time; the object is the same.
        tag=(one.blob, one.upload),
    )


def _resource(
    resource_id: str, kind: str, properties: dict[str, Any], tag: object = None
) -> dict[str, Any]:
    said = {name: value for name, value in properties.items() if value is not None}
    text = json.dumps([resource_id.lower(), tag or said], sort_keys=True)
    return {
        "id": resource_id,
        "name": resource_id.rpartition("/")[2],
        "type": kind,
        "etag": f'W/"0x{hashlib.sha256(text.encode()).hexdigest()[:15].upper()}"',
        "properties": said,
    }


def _page(call: _Call, found: Mapping[str, dict[str, Any]]) -> Response:
    keys = [key for key in found if key > call.after]
    shown = keys[: call.maxresults]
    page: dict[str, Any] = {"value": [found[key] for key in shown]}
    if len(keys) > len(shown):
        page["nextLink"] = call.next_page(shown[-1])
    return JSONResponse(page)


def _most(text: str | None) -> int:
    if text is None:
        return _PAGE
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= _PAGE:
        raise ApplicationError(
            "InvalidPropertyValue", f"maxresults {text[:32]!r} is not a number from 1 to {_PAGE}"
        )
    return int(text)


async def _json(request: Request) -> Mapping[str, Any]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise ApplicationError("RequestEntityTooLarge", f"more than {MAX_BODY} bytes")
    if not content:
        return {}
    try:
        # Not json, which a body of many brackets makes recurse too deep.
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise ApplicationError("InvalidRequestBody", f"The body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ApplicationError("InvalidRequestBody", "The body is no JSON object.")
    return value


def _failed(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
