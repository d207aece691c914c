"""Clients of Batch and blob storage, made from a stack's outputs.

In Azure nobody has keys: `DefaultAzureCredential`. The emulator's keys come from the
environment or from `.local/keys.json`, and are shown to nobody but this machine.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from azure.batch import BatchClient
from azure.batch._patch import BatchSharedKeyAuthPolicy  # the SDK signs so, exports it not
from azure.core.credentials import AccessToken, AzureNamedKeyCredential, TokenCredential
from azure.core.pipeline.policies import RetryPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import DefaultAzureCredential
from azure.mgmt.batch import BatchManagementClient
from azure.storage.blob import ContainerClient
from obstore.auth.azure import AzureCredentialProvider
from obstore.store import AzureStore
from requests.adapters import HTTPAdapter

from jobs.errors import CredentialError, StackError
from jobs.stack import LOOPBACK, Stack, local_directory

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

ENV_BATCH_KEY = "AZURE_BATCH_ACCESS_KEY"
ENV_STORAGE_KEY = "AZURE_STORAGE_KEY"
MAX_CONNECTIONS = 64
_CONNECT_TIMEOUT_S = 10
_READ_TIMEOUT_S = 60
"""The service works on a request for 30 seconds at most (`service_timeout` of azure-batch); a
connection of a network that is gone is silent for as long as we wait."""
_BLOB_RETRIES: RetryConfig = {
    "max_retries": 12,
    "retry_timeout": timedelta(seconds=120),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=15)},
}


class Clients:
    """Makes each client once, when it is first asked for."""

    def __init__(self, stack: Stack) -> None:
        """Refuses what would show a credential to somebody else.

        Raises:
            StackError: Keys are asked for by an endpoint that is not on this machine,
                or Entra tokens by one that is not https.
        """
        self._stack = stack
        if stack.authentication == "shared-key" and not stack.is_local:
            raise StackError(
                f"stack {stack.stack}: authentication is shared-key for an endpoint that is not "
                "on this machine; keys are for the emulator only: deploy the stack with entra"
            )
        urls = (stack.batch_endpoint, stack.blob_endpoint, stack.management_endpoint)
        plain = next((url for url in urls if urlsplit(url).scheme != "https"), None)
        if stack.authentication == "entra" and plain is not None:
            raise StackError(
                f"stack {stack.stack}: Entra tokens go over https only, and {plain} is not. If "
                "these are outputs of the emulator: start it with --tls and deploy again, or "
                "remove them to use the stack in Azure: "
                f"python -m emulator stack destroy --stack {stack.stack}"
            )
        if stack.is_local:
            _reach_this_machine_directly()

    @cached_property
    def _token(self) -> DefaultAzureCredential:
        return DefaultAzureCredential()

    @cached_property
    def batch(self) -> BatchClient:
        """The Batch client; it does not retry, `jobs.service` does."""
        stack = self._stack
        credential: AzureNamedKeyCredential | TokenCredential = self._token_or_key(
            "batch", stack.batch_account_name, ENV_BATCH_KEY
        )
        session = requests.Session()
        adapter = HTTPAdapter(pool_connections=4, pool_maxsize=MAX_CONNECTIONS)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        # Once: at every request the environment costs a sixth of it, and a .netrc would
        # put its password where the signature or token belongs.
        surroundings = session.merge_environment_settings(
            stack.batch_endpoint, {}, stream=None, verify=None, cert=None
        )
        session.trust_env = False
        session.proxies = surroundings["proxies"]
        return BatchClient(
            endpoint=stack.batch_endpoint,
            credential=credential,
            transport=RequestsTransport(
                session=session,
                connection_verify=surroundings["verify"],
                connection_timeout=_CONNECT_TIMEOUT_S,
                read_timeout=_READ_TIMEOUT_S,
            ),
            retry_policy=RetryPolicy.no_retries(),
        )

    @cached_property
    def management(self) -> BatchManagementClient:
        """Resource Manager's client, for what is published."""
        stack = self._stack
        subscription = stack.batch_account_id.split("/")[2]
        if stack.authentication == "entra":
            return BatchManagementClient(
                self._token,
                subscription,
                stack.management_endpoint,
                credential_scopes=[f"{_audience(stack.management_endpoint)}/.default"],
            )
        key = AzureNamedKeyCredential(
            stack.batch_account_name, _key("batch", stack.batch_account_name, ENV_BATCH_KEY)
        )
        return BatchManagementClient(
            _NoToken(),
            subscription,
            stack.management_endpoint,
            authentication_policy=BatchSharedKeyAuthPolicy(key),
        )

    def container_client(self, name: str) -> ContainerClient:
        """The SDK's client of a container."""
        stack = self._stack
        if stack.authentication == "entra":
            return ContainerClient(stack.blob_endpoint, name, credential=self._token)
        account = stack.storage_account_name
        key = AzureNamedKeyCredential(account, _key("storage", account, ENV_STORAGE_KEY))
        return ContainerClient(stack.blob_endpoint, name, credential=key)

    def container(self, name: str) -> AzureStore:
        """The store of a container's blobs."""
        stack = self._stack
        options: ClientConfig = {"allow_http": stack.blob_endpoint.startswith("http://")}
        if stack.authentication == "entra":
            return AzureStore(
                name,
                account_name=stack.storage_account_name,
                endpoint=stack.blob_endpoint,
                credential_provider=AzureCredentialProvider(credential=self._token),
                client_options=options,
                retry_config=_BLOB_RETRIES,
            )
        return AzureStore(
            name,
            account_name=stack.storage_account_name,
            account_key=_key("storage", stack.storage_account_name, ENV_STORAGE_KEY),
            endpoint=stack.blob_endpoint,
            client_options=options,
            retry_config=_BLOB_RETRIES,
        )

    def _token_or_key(
        self, service: str, account: str, variable: str
    ) -> AzureNamedKeyCredential | TokenCredential:
        if self._stack.authentication == "entra":
            return self._token
        return AzureNamedKeyCredential(account, _key(service, account, variable))


def _audience(management_endpoint: str) -> str:
    """What a token for Resource Manager is for: its URL; the emulator's is the public cloud's."""
    host = urlsplit(management_endpoint).hostname
    return "https://management.azure.com" if host in LOOPBACK else management_endpoint


class _NoToken:
    """The credential of a client whose policy signs with a key."""

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Is never asked."""
        raise CredentialError("keys are used here, and a token was asked for")


def _reach_this_machine_directly() -> None:
    """Keeps a proxy of the environment out: it leads away from this machine.

    obstore has no option for it and reads the variables when a store is made.
    """
    for variable in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(variable, "").split(",") if host]
        missing = [host for host in ("127.0.0.1", "localhost", "::1") if host not in hosts]
        if missing:
            os.environ[variable] = ",".join([*hosts, *missing])


def _key(service: str, account: str, variable: str) -> str:
    """An account's key: the environment's, else the one of the running emulator.

    Raises:
        CredentialError: There is none, or it is no base64.
    """
    key, source = os.environ.get(variable), variable
    if not key:
        path = local_directory() / "keys.json"
        source = str(path)
        try:
            key = json.loads(path.read_text(encoding="utf-8"))[service][account]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise CredentialError(
                f"no key for the {service} account {account!r}: set {variable}, or start the "
                f"emulator, which writes {path}"
            ) from error
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise CredentialError(
            f"the key of the {service} account {account!r} in {source} is no base64"
        ) from error
    return key
