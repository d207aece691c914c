"""The issuer's tokens, the endpoint that gives them, and the service that takes them."""

from __future__ import annotations

import base64
import json
import stat
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.errors import LocalStateError
from emulator.identity import (
    API_VERSION,
    BATCH_AUDIENCE,
    METADATA_HOST,
    METADATA_PATH,
    PATH,
    STORAGE_AUDIENCE,
    Issuer,
)
from emulator.server import Server
from emulator.service.auth import BadTokenError
from tests.emulator.simulation import KEY, manual_server

LIST = "/pools?api-version=2025-06-01"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def issuer(key: rsa.RSAPrivateKey) -> Issuer:
    return Issuer(tenant="00000000-0000-0000-0000-000000000001", header="secret", key=key)


@pytest.fixture
async def server(tmp_path: Path, issuer: Issuer) -> AsyncIterator[Server]:
    simulated, clock, runner = manual_server(tmp_path)
    await simulated.close()
    server = Server(data=None, clock=clock, runner=runner, issuer=issuer)
    server.add_account("one", KEY)
    await server.start()
    yield server
    await server.close()


async def ask(
    server: Server, url: str, base: str = "https://127.0.0.1:8443", **headers: str
) -> httpx.Response:
    transport = httpx.ASGITransport(server.app)
    async with httpx.AsyncClient(transport=transport, base_url=base) as http:
        return await http.get(url, headers=headers)


def bearer(token: str) -> str:
    return f"Bearer {token}"


def detail(answer: httpx.Response) -> str:
    assert answer.status_code == 403, answer.text
    body = answer.json()
    assert body["code"] == "AuthenticationFailed"
    return str(body["values"][0]["value"])


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return claims


async def test_the_endpoint_gives_a_token_that_batch_takes(server: Server) -> None:
    query = f"?api-version={API_VERSION}&resource={BATCH_AUDIENCE}/"
    answer = await ask(server, PATH + query, **{"X-IDENTITY-HEADER": "secret"})
    assert answer.status_code == 200
    given = answer.json()
    assert given["token_type"] == "Bearer"
    assert given["resource"] == BATCH_AUDIENCE + "/"
    assert int(given["expires_on"]) == claims_of(given["access_token"])["exp"]
    assert answer.headers["cache-control"] == "no-store"
    pools = await ask(server, LIST, authorization=bearer(given["access_token"]))
    assert (pools.status_code, pools.json()["value"]) == (200, [])


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        ("", f"api-version={API_VERSION}&resource={BATCH_AUDIENCE}", 401),
        ("Secret", f"api-version={API_VERSION}&resource={BATCH_AUDIENCE}", 401),
        ("secret", f"api-version=2017-09-01&resource={BATCH_AUDIENCE}", 400),
        ("secret", f"api-version={API_VERSION}&resource=https://vault.azure.net", 400),
        ("secret", f"api-version={API_VERSION}", 400),
    ],
)
async def test_the_endpoint_gives_none_to_a_stranger_or_for_another_service(
    server: Server, header: str, query: str, status: int
) -> None:
    answer = await ask(server, f"{PATH}?{query}", **{"X-IDENTITY-HEADER": header})
    assert answer.status_code == status
    assert "access_token" not in answer.text


METADATA = f"{METADATA_HOST}/secret{METADATA_PATH}?api-version=2018-02-01"


async def test_the_metadata_form_gives_a_token_that_batch_takes(server: Server) -> None:
    answer = await ask(server, f"{METADATA}&resource={BATCH_AUDIENCE}", metadata="true")
    assert answer.status_code == 200
    given = answer.json()
    assert int(given["expires_on"]) - int(given["not_before"]) == int(given["expires_in"])
    pools = await ask(server, LIST, authorization=bearer(given["access_token"]))
    assert pools.status_code == 200


@pytest.mark.parametrize(
    ("url", "header", "status"),
    [
        (f"{METADATA}&resource={BATCH_AUDIENCE}", "", 400),
        (f"{METADATA}&resource=https://vault.azure.net", "true", 400),
        (METADATA.replace("secret", "guess") + f"&resource={BATCH_AUDIENCE}", "true", 404),
        (
            METADATA.replace("2018-02-01", "2001-01-01") + f"&resource={BATCH_AUDIENCE}",
            "true",
            400,
        ),
        (f"{METADATA_PATH}?api-version=2018-02-01&resource={BATCH_AUDIENCE}", "true", 400),
    ],
)
async def test_the_metadata_form_gives_none_to_a_stranger(
    server: Server, url: str, header: str, status: int
) -> None:
    answer = await ask(server, url, metadata=header)
    assert "access_token" not in answer.text
    assert answer.status_code in {status, 403}


async def test_without_tls_there_is_no_endpoint_and_no_token_is_taken(
    tmp_path: Path, issuer: Issuer
) -> None:
    server, _, _ = manual_server(tmp_path)
    server.add_account("one", KEY)
    await server.start()
    token, _ = issuer.issue(BATCH_AUDIENCE)
    assert "https only" in detail(await ask(server, LIST, authorization=bearer(token)))
    answer = await ask(server, f"{PATH}?api-version={API_VERSION}")
    assert "access_token" not in answer.text
    await server.close()


def forged(issuer: Issuer, **changed: Any) -> str:
    claims = {**claims_of(issuer.issue(BATCH_AUDIENCE)[0]), **changed}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, issuer.key, algorithm="RS256")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"aud": STORAGE_AUDIENCE}, "Audience"),
        ({"aud": None}, "aud"),
        ({"iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000002/"}, "issuer"),
        ({"iss": None}, "iss"),
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "not valid"),
        ({"nbf": int(time.time()) + 86_400}, "not yet valid"),
        ({"nbf": None}, "nbf"),
    ],
)
async def test_a_token_for_another_audience_issuer_or_time_is_refused(
    server: Server, issuer: Issuer, changed: dict[str, Any], says: str
) -> None:
    answer = await ask(server, LIST, authorization=bearer(forged(issuer, **changed)))
    assert says in detail(answer)


async def test_a_token_that_somebody_else_signed_is_refused(
    server: Server, issuer: Issuer
) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    token, _ = issuer.issue(BATCH_AUDIENCE)
    claims = claims_of(token)
    head, body, _ = token.split(".")
    for bad in (
        replace(issuer, key=other).issue(BATCH_AUDIENCE)[0],
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "a" * 64, algorithm="HS256"),
        f"{head}.{body}.",
        f"{head}.{body}.{'A' * 342}",
        "not a token",
        "",
    ):
        assert "not valid" in detail(await ask(server, LIST, authorization=bearer(bad)))


async def test_which_account_is_meant_is_told_by_path_host_or_being_the_only_one(
    server: Server, issuer: Issuer
) -> None:
    token = bearer(issuer.issue(BATCH_AUDIENCE)[0])
    assert (await ask(server, LIST, authorization=token)).status_code == 200
    server.add_account("two", KEY)
    await server.put_pool("two", "p", POOL)
    assert "which of the 2 accounts" in detail(await ask(server, LIST, authorization=token))
    by_path = await ask(server, f"/accounts/two{LIST}", authorization=token)
    (pool,) = by_path.json()["value"]
    assert pool["url"] == "https://127.0.0.1:8443/accounts/two/pools/p"
    host = "https://two.localhost:8443"
    (pool,) = (await ask(server, LIST, host, authorization=token)).json()["value"]
    assert pool["url"] == f"{host}/pools/p"
    empty = await ask(server, f"/accounts/one{LIST}", authorization=token)
    assert empty.json()["value"] == []
    unknown = await ask(server, f"/accounts/three{LIST}", authorization=token)
    assert "no account three" in detail(unknown)


def test_a_token_outlives_a_restart_and_the_secret_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    first = Issuer.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Issuer.load(path)
    assert (again.header, again.tenant) == (first.header, first.tenant)
    again.verify(first.issue(BATCH_AUDIENCE)[0])


@pytest.mark.parametrize("content", ["{", "{}", '{"tenant": "t", "header": "h", "key": "k"}'])
def test_a_damaged_file_is_one_message(tmp_path: Path, content: str) -> None:
    path = tmp_path / "identity.json"
    path.write_text(content)
    with pytest.raises(LocalStateError, match="is damaged"):
        Issuer.load(path)


def test_a_token_ends_when_it_says_so(issuer: Issuer) -> None:
    clock = [1_767_614_400.0]
    told = replace(issuer, now=lambda: clock[0])
    token, expires = told.issue(BATCH_AUDIENCE, life_s=60)
    assert expires == clock[0] + 60
    told.verify(token)
    clock[0] += 65
    with pytest.raises(BadTokenError, match="expired"):
        told.verify(token)


POOL: dict[str, Any] = {
    "vmSize": "standard_d4s_v5",
    "virtualMachineConfiguration": {
        "imageReference": {"publisher": "canonical", "offer": "ubuntu", "sku": "22_04-lts"},
        "nodeAgentSKUId": "batch.node.ubuntu 22.04",
    },
}
