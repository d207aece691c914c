"""What the user's environment says of the network holds, and never replaces a credential."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from jobs.clients import Clients
from jobs.stack import parse_stack


class OneRequest(threading.Thread):
    """A server that takes the head of one request and refuses it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.head = b""
        self.start()

    def run(self) -> None:
        connection, _ = self._socket.accept()
        with connection, self._socket:
            while b"\r\n\r\n" not in self.head and (data := connection.recv(4096)):
                self.head += data
            connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")


def test_a_netrc_does_not_replace_what_signs(
    tmp_path: Path, values: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = OneRequest()
    stack = parse_stack(values(batch_endpoint=f"http://127.0.0.1:{server.port}"), where="test")
    with pytest.raises(AzureError):
        Clients(stack).batch.send_request(HttpRequest("GET", "/jobs"))
    server.join()
    assert b"\r\nauthorization: sharedkey " in server.head.lower()


def test_the_proxy_of_the_environment_is_asked_for_azure(
    values: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = OneRequest()
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    account = "https://account.westeurope.batch.azure.com"
    storage = "https://data.blob.core.windows.net"
    management = "https://management.azure.com"
    members = {"batch_endpoint": account, "blob_endpoint": storage}
    members |= {"management_endpoint": management, "authentication": "entra"}
    clients = Clients(parse_stack(values(**members), where="test"))

    class Credential:
        def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
            return AccessToken("token", int(time.time()) + 3600)

    clients.__dict__["_token"] = Credential()
    with pytest.raises(AzureError):
        clients.batch.send_request(HttpRequest("GET", "/jobs"))
    proxy.join()
    assert proxy.head.startswith(b"CONNECT account.westeurope.batch.azure.com:443 ")
