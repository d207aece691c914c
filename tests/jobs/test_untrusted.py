"""An endpoint over https whose certificate nobody here knows, as `serve --tls` has one."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from emulator.certificate import Certificate
from jobs.clients import Clients
from jobs.errors import CredentialError
from jobs.service import BatchService, RetryPolicy
from jobs.session import Session
from jobs.stack import parse_stack
from jobs.translate import blob_errors_translated, from_batch

Values = Callable[..., dict[str, Any]]
TRUST = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in TRUST:
        monkeypatch.delenv(name, raising=False)
    certificate = Certificate(tmp_path / "tls")
    certificate.ensure()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.server, certificate.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # clients hang up
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_emulators_own_certificate_is_told_with_what_trusts_it(
    endpoint: str, values: Values, pauses: list[float]
) -> None:
    client = Clients(parse_stack(values(batch_endpoint=endpoint), where="test")).batch
    service = BatchService(client=client, policy=RetryPolicy(), pause=pauses.append)
    with pytest.raises(CredentialError) as caught:
        service.get("/jobs/j", "reading job j")
    client.close()
    assert str(caught.value) == (
        "reading job j: the endpoint's certificate is not trusted here: it is the emulator's own "
        '(serve --tls). In this shell: eval "$(python -m emulator env)"'
    )
    assert pauses == [], "another attempt would end alike"


def test_so_is_that_of_storage(
    endpoint: str, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_KEY", "a2V5")
    monkeypatch.setattr("jobs.clients._BLOB_RETRIES", {"max_retries": 0})
    stack = parse_stack(values(blob_endpoint=f"{endpoint}/data"), where="test")
    with pytest.raises(CredentialError, match="emulator's own"):
        list(Session(stack=stack).container("outputs").list(""))


def test_elsewhere_it_is_a_proxys() -> None:
    from azure.core.exceptions import ServiceRequestError

    said = "HTTPSConnectionPool(host='a.b.batch.azure.com', port=443): CERTIFICATE_VERIFY_FAILED"
    text = str(from_batch(ServiceRequestError(said), "reading job j"))
    assert "REQUESTS_CA_BUNDLE" in text
    assert "emulator" not in text
    with (
        pytest.raises(CredentialError, match="A proxy in between"),
        blob_errors_translated("listing"),
    ):
        raise ServiceRequestError(said)
