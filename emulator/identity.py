"""The emulator's own issuer of tokens, and the endpoint where a managed identity gets them.

An unchanged `DefaultAzureCredential` asks such an endpoint, in App Service's form, when
`IDENTITY_ENDPOINT` and `IDENTITY_HEADER` stand in its environment; and in the form of the
instance metadata service when `AZURE_POD_IDENTITY_AUTHORITY_HOST` does, which tasks of nodes
with an identity have. The header is the secret, in the second form a part of the path:
whoever sends it is the identity. Tokens are for the two data planes that are
here, Batch and blobs, and for Resource Manager; any other audience is refused, as a
directory refuses a resource that it does not know.

A token is a JWT with the claims that Entra ID's have, signed (RS256) with a key that
lies in the local directory, so that a client's token outlives a restart of the emulator.
The Batch service checks signature, issuer, audience and expiry; Azurite, by its
`--oauth basic`, checks everything but the signature.

Sources of the forms: "How to use managed identities for App Service", REST endpoint
reference, api-version 2019-08-01; "How to use managed identities for Azure resources on an
Azure VM to acquire an access token", api-version 2018-02-01.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.certificate import Certificate
from emulator.errors import LocalStateError
from emulator.local import LocalDirectory, read_json, write_json
from emulator.service.auth import BadTokenError

PATH = "/_emulator/identity/token"
METADATA_HOST = "/_emulator/identity"
"""Before the secret, and that before `METADATA_PATH`: the instance metadata service."""
METADATA_PATH = "/metadata/identity/oauth2/token"
API_VERSION = "2019-08-01"
METADATA_API_VERSIONS = ("2018-02-01", "2019-08-01", "2021-02-01")
LIFE_S = 24 * 3600
"""Of a token, as long as App Service's."""

BATCH_AUDIENCE = "https://batch.core.windows.net"
STORAGE_AUDIENCE = "https://storage.azure.com"
MANAGEMENT_AUDIENCE = "https://management.azure.com"
AUDIENCES = (BATCH_AUDIENCE, STORAGE_AUDIENCE, MANAGEMENT_AUDIENCE)
_ALGORITHM = "RS256"
_LEEWAY_S = 5
_REQUIRED = ["aud", "exp", "iat", "iss", "nbf"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Makes tokens, and knows its own again.

    Attributes:
        tenant: Of the directory that it plays.
        header: The secret by which a client shows that it is the identity.
        key: Signs the tokens.
        now: Unix time, seconds.
    """

    tenant: str
    header: str
    key: rsa.RSAPrivateKey
    now: Callable[[], float] = time.time

    @classmethod
    def load(cls, path: Path) -> Issuer:
        """The issuer kept in a file, made if there is none.

        Raises:
            LocalStateError: The file is damaged.
        """
        if not path.exists():
            issuer = cls(
                tenant=str(uuid4()),
                header=secrets.token_urlsafe(32),
                key=rsa.generate_private_key(public_exponent=65537, key_size=2048),
            )
            issuer._save(path)
            return issuer
        kept = read_json(path)
        try:
            return cls(
                tenant=str(kept["tenant"]), header=str(kept["header"]), key=_rsa(kept["key"])
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LocalStateError(
                f"{path} is damaged: {error}.\n"
                "Delete it: the emulator makes a new one, and clients get new tokens."
            ) from error

    def _save(self, path: Path) -> None:
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        kept = {"tenant": self.tenant, "header": self.header, "key": pem.decode()}
        write_json(path, kept, mode=0o600)

    @property
    def name(self) -> str:
        """The `iss` of its tokens."""
        return f"https://sts.windows.net/{self.tenant}/"

    def issue(self, audience: str, *, life_s: int = LIFE_S) -> tuple[str, int]:
        """A token and the Unix time at which it expires."""
        now = int(self.now())
        claims = {
            "aud": audience,
            "iss": self.name,
            "iat": now,
            "nbf": now,
            "exp": now + life_s,
            "tid": self.tenant,
            "oid": self.tenant,
            "sub": self.tenant,
            "idtyp": "app",
            "ver": "1.0",
            "uti": secrets.token_urlsafe(16),
        }
        return jwt.encode(claims, self.key, algorithm=_ALGORITHM), now + life_s

    def verify(self, token: str) -> None:
        """Returns if the token is one of ours, for Batch, and valid now.

        Raises:
            BadTokenError: It is not.
        """
        self._verify(token, BATCH_AUDIENCE)

    def verify_management(self, token: str) -> None:
        """Returns if the token is one of ours, for Resource Manager, and valid now.

        Raises:
            BadTokenError: It is not.
        """
        self._verify(token, MANAGEMENT_AUDIENCE)

    def _verify(self, token: str, audience: str) -> None:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.key.public_key(),
                algorithms=[_ALGORITHM],
                audience=[audience, f"{audience}/"],
                issuer=self.name,
                # Times are held against our own clock below: it can be a test's.
                options={
                    "require": _REQUIRED,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            begin, end = float(claims["nbf"]), float(claims["exp"])
        except (jwt.InvalidTokenError, TypeError, ValueError) as error:
            raise BadTokenError(str(error)) from error
        now = self.now()
        if now >= end + _LEEWAY_S:
            raise BadTokenError("The token has expired")
        if now < begin - _LEEWAY_S:
            raise BadTokenError("The token is not yet valid")


def client_environment(local: LocalDirectory) -> dict[str, str]:
    """The variables by which clients of the running emulator trust it and get tokens.

    Empty for an emulator without TLS: its clients use keys.

    Raises:
        NotRunningError: No emulator said that it runs.
        LocalStateError: One of its files is damaged.
    """
    running = local.read_running()
    if running.certificate is None or running.identity_endpoint is None:
        return {}
    header = Issuer.load(local.identity_file).header
    return {
        "IDENTITY_ENDPOINT": running.identity_endpoint,
        "IDENTITY_HEADER": header,
        "NODE_EXTRA_CA_CERTS": running.certificate,
        **machine_environment(running.batch_endpoint, header, Certificate(local.tls).bundle),
    }


def _rsa(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("its key is no RSA key")
    return key


class IdentityEndpoint:
    """Where a managed identity gets tokens, in the two forms that Azure has."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer

    def routes(self) -> list[Route]:
        """App Service's form, and that of a machine's instance metadata service."""
        return [
            Route(PATH, self._app_service),
            Route(f"{METADATA_HOST}/{{secret}}{METADATA_PATH}", self._metadata),
        ]

    async def _app_service(self, request: Request) -> Response:
        if not self._knows(request.headers.get("x-identity-header", "")):
            return _refused(401, "X-IDENTITY-HEADER is not the value of IDENTITY_HEADER")
        if request.query_params.get("api-version") != API_VERSION:
            return _refused(400, f"api-version must be {API_VERSION}")
        found = self._token(request)
        if isinstance(found, str):
            return _refused(400, found)
        return _told(found)

    async def _metadata(self, request: Request) -> Response:
        # As on Azure: what a browser or a careless proxy sends has no such header.
        if not self._knows(request.path_params["secret"]):
            return _metadata_refused(404, "not_found", "no identity is reached by this path")
        if request.headers.get("metadata", "").lower() != "true":
            return _metadata_refused(400, "bad_request", "Required metadata header not specified")
        if request.query_params.get("api-version") not in METADATA_API_VERSIONS:
            known = ", ".join(METADATA_API_VERSIONS)
            return _metadata_refused(400, "bad_request", f"api-version must be one of {known}")
        found = self._token(request)
        if isinstance(found, str):
            return _metadata_refused(400, "invalid_resource", found)
        now = int(self._issuer.now())
        left = int(found["expires_on"]) - now
        return _told(
            {**found, "expires_in": str(left), "ext_expires_in": str(left), "not_before": str(now)}
        )

    def _knows(self, secret: str) -> bool:
        return hmac.compare_digest(secret.encode(), self._issuer.header.encode())

    def _token(self, request: Request) -> dict[str, str] | str:
        """What both forms answer, or why not."""
        resource = request.query_params.get("resource", "")
        if resource.rstrip("/") not in AUDIENCES:
            return f"resource {resource!r} is none of the emulator's: {', '.join(AUDIENCES)}"
        token, expires = self._issuer.issue(resource)
        return {
            "access_token": token,
            "expires_on": str(expires),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": self._issuer.tenant,
        }


def _told(token: dict[str, str]) -> Response:
    return JSONResponse(token, headers={"Cache-Control": "no-store"})


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"statusCode": status, "message": message}, status)


def _metadata_refused(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)


def machine_environment(endpoint: str, header: str, bundle: Path) -> dict[str, str]:
    """The variables by which a node's tasks are the node's identity.

    On Azure a task needs none: it reaches the metadata service at one address that every
    machine has. Here that address would be the laptop's own.

    Args:
        endpoint: Of the emulator, without a trailing slash.
        header: The issuer's secret.
        bundle: Authorities to trust, the emulator's among them.
    """
    return {
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"{endpoint}{METADATA_HOST}/{header}",
        "CURL_CA_BUNDLE": str(bundle),
        "REQUESTS_CA_BUNDLE": str(bundle),
        "SSL_CERT_FILE": str(bundle),
    }
