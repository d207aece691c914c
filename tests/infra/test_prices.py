"""Prices of the region: asked over HTTP of a server that answers as the price API does."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from infra import cli, prices
from infra.checking import plan_stack
from infra.errors import PriceError
from infra.estate import Estate
from infra.prices import API_SOURCE, cached_prices, refresh_prices
from infra.sources import PROJECT_ROOT

TODAY = date(2026, 11, 21)
HBV3 = "Standard_HB120rs_v3"
D4 = "Standard_D4s_v5"


def item(name: str, price: float, sku: str = "", product: str = "Series", **more: Any) -> Any:
    return {
        "armSkuName": name,
        "skuName": sku or name,
        "productName": f"Virtual Machines {product}",
        "retailPrice": price,
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "currencyCode": "USD",
        **more,
    }


@dataclass
class Answers:
    """What the server says next, and what it was asked."""

    queue: list[tuple[int, dict[str, str], bytes | None]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def say(self, body: Any, status: int = 200, **headers: str) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.queue.append((status, {k.replace("_", "-"): v for k, v in headers.items()}, text))

    def hang_up(self) -> None:
        self.queue.append((0, {}, None))


@pytest.fixture
def api() -> Iterator[Answers]:
    answers = Answers()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.asked.append(self.path)
            status, headers, body = answers.queue.pop(0)
            if body is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    answers.url = f"http://127.0.0.1:{server.server_port}/api/retail/prices"
    yield answers
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hpc-azure-batch" / "prices"


@pytest.fixture
def estate() -> Estate:
    pools = {"cpu": {"vm_size": D4}, "mpi": {"preset": "rdma", "vm_size": HBV3}}
    planned = plan_stack("dev", {"location": "westeurope", "pools": pools}, root=PROJECT_ROOT)
    return planned.deployable()


Refresh = Callable[[], prices.PriceTable]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def refresh(api: Answers, estate: Estate, waits: list[float]) -> Refresh:
    return lambda: refresh_prices(estate, today=TODAY, url=api.url, sleep=waits.append)


def test_every_page_counts_and_is_kept_with_its_date(
    api: Answers, estate: Estate, refresh: Refresh
) -> None:
    api.say({"Items": [item(D4, 0.23)], "NextPageLink": f"{api.url}?$skip=100"})
    api.say({"Items": [item(D4, 0.05, f"{D4} Spot"), item(HBV3, 4.1)], "NextPageLink": None})
    table = refresh()
    assert (table.prices[D4].dedicated, table.prices[D4].spot) == (0.23, 0.05)
    assert (table.prices[HBV3].dedicated, table.prices[HBV3].spot) == (4.1, None)
    asked = parse_qs(urlsplit(api.asked[0]).query)
    assert "armRegionName eq 'westeurope'" in asked["$filter"][0]
    assert "serviceName eq 'Virtual Machines'" in asked["$filter"][0]
    assert api.asked[1].endswith("?$skip=100")
    assert cached_prices(estate, today=TODAY) == table
    assert table.as_of == TODAY


def test_a_refresh_undoes_no_other_stacks_of_the_same_day(
    api: Answers, estate: Estate, refresh: Refresh
) -> None:
    pools = {"cpu": {"vm_size": "Standard_E8s_v5"}}
    planned = plan_stack("prod", {"location": "westeurope", "pools": pools}, root=PROJECT_ROOT)
    other = planned.deployable()
    api.say({"Items": [item(D4, 0.23), item(HBV3, 4.1)]})
    table = refresh()
    api.say({"Items": [item("Standard_E8s_v5", 0.6)]})
    both = refresh_prices(other, today=TODAY, url=api.url)
    assert both.prices == {**table.prices, **both.prices}
    assert cached_prices(estate, today=TODAY) == cached_prices(other, today=TODAY) == both
    # Of another day only what was asked for is as old as the table says.
    tomorrow = TODAY + timedelta(days=1)
    api.say({"Items": [item("Standard_E8s_v5", 0.7)]})
    assert refresh_prices(other, today=tomorrow, url=api.url).prices.keys() == {"Standard_E8s_v5"}


def test_windows_low_priority_reservations_and_other_units_are_no_price_of_a_node(
    api: Answers, refresh: Refresh
) -> None:
    api.say(
        {
            "Items": [
                item(D4, 0.23),
                item(D4, 9.0, product="Dsv5 Series Windows"),
                item(D4, 8.0, f"{D4} Low Priority"),
                item(D4, 7.0, product="Cloud Services"),
                item(D4, 6.0, type="Reservation"),
                item(D4, 5.0, unitOfMeasure="1 Year"),
                item(D4, 0.0),
                item("Standard_Other", 4.0),
            ]
        }
    )
    assert refresh().prices[D4] == prices.Price(dedicated=0.23, spot=None)


def test_a_busy_or_broken_server_is_asked_again_when_it_says(
    api: Answers, refresh: Refresh, waits: list[float]
) -> None:
    api.say({}, status=429, Retry_After="7")
    api.say({}, status=503)
    api.hang_up()
    api.say({"Items": [item(D4, 0.23)]})
    assert refresh().prices[D4].dedicated == 0.23
    assert waits == [7, 2, 4]


def test_asking_ends(api: Answers, refresh: Refresh, waits: list[float]) -> None:
    for _ in range(5):
        api.say({}, status=429, Retry_After="86400")
    with pytest.raises(PriceError, match="told no prices in 5 tries, at last: 429"):
        refresh()
    assert waits == [60, 60, 60, 60]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"<html>", "answered no JSON"),
        (b"\xff\xfe", "answered no JSON"),
        ([1], "no price list but a list"),
        ({"items": []}, "it has no Items"),
        ({"Items": [1]}, "it has no Items"),
        ({"Items": [], "NextPageLink": None}, "none of Standard_D4s_v5, Standard_HB120rs_v3"),
        ({"Items": [], "NextPageLink": "http://example.org/next"}, "at another place"),
    ],
)
def test_garbage_is_named_and_leaves_what_was_kept(
    body: Any, told: str, api: Answers, estate: Estate, refresh: Refresh
) -> None:
    api.say({"Items": [item(D4, 0.23)]})
    table = refresh()
    api.say(body)
    with pytest.raises(PriceError, match=told):
        refresh()
    assert cached_prices(estate, today=TODAY) == table


def test_a_list_without_end_is_given_up(api: Answers, refresh: Refresh) -> None:
    for _ in range(250):
        api.say({"Items": [], "NextPageLink": f"{api.url}?again"})
    with pytest.raises(PriceError, match="does not end"):
        refresh()


def test_a_refusal_is_not_asked_again(api: Answers, refresh: Refresh) -> None:
    api.say({}, status=400)
    with pytest.raises(PriceError, match="refused to tell prices: 400"):
        refresh()
    assert len(api.asked) == 1


def test_prices_that_cannot_be_kept_are_an_error_with_a_remedy(
    api: Answers, refresh: Refresh, cache: Path
) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    api.say({"Items": [item(D4, 0.23)]})
    with pytest.raises(PriceError, match="XDG_CACHE_HOME"):
        refresh()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"prices": 1}', "\x00"])
def test_a_damaged_cache_counts_as_none(text: str, estate: Estate, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "westeurope.json").write_text(text)
    assert cached_prices(estate, today=TODAY) is None


def test_a_cache_without_one_of_the_sizes_is_not_used(
    api: Answers, estate: Estate, refresh: Refresh
) -> None:
    api.say({"Items": [item(D4, 0.23)]})
    refresh()
    pools = {"cpu": {"vm_size": "Standard_E8s_v5"}}
    planned = plan_stack("dev", {"location": "westeurope", "pools": pools}, root=PROJECT_ROOT)
    assert cached_prices(planned.deployable(), today=TODAY) is None
    assert cached_prices(estate, today=date(2025, 1, 1)) is None


def test_plan_tells_which_prices_it_counts_with(
    api: Answers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prices, "RETAIL_PRICES", api.url)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit, match="0"):
            cli.main(["plan", "--stack", "local", *arguments])
        return capsys.readouterr().out

    before = run()
    assert "from the project's table for East US" in before
    api.say({"Items": [item("Standard_D2s_v5", 100.0), item(HBV3, 200.0)]})
    refreshed = run("--refresh-prices")
    assert f"from {API_SOURCE}" in refreshed
    assert "400.00" in refreshed
    assert max(len(line) for line in refreshed.splitlines()) <= 80
    (stack,) = json.loads(run("--json"))["stacks"]
    assert stack["prices_source"] == API_SOURCE
    assert stack["full_price_per_hour"] == 4 * 100 + 2 * 200
    assert len(api.asked) == 1
