"""Prices of VM sizes: the table that comes with the project, or a newer one of the region.

`python -m infra plan --refresh-prices` asks Azure's retail price API, which needs no
sign-in, for the sizes of a stack's pools in its region, and keeps the answer with its date
in the user's cache directory; later plans use it. Nothing else asks: without a network, and
without such a table, the project's own stands (`infra.sizes`), and `plan` says which it was.

Stack outputs keep the project's table whatever the cache holds, because a deployment must
not depend on whose machine it ran on.
Source: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from infra.errors import PriceError
from infra.estate import Estate
from infra.sizes import PRICE_CURRENCY, PRICES_AS_OF

if TYPE_CHECKING:
    import httpx

RETAIL_PRICES = "https://prices.azure.com/api/retail/prices"
API_VERSION = "2023-01-01-preview"
TABLE_SOURCE = "the project's table for East US"
API_SOURCE = "Azure's retail price API"

_TIMEOUT_S = 30.0
_TRIES = 5
_LONGEST_WAIT_S = 60.0
# A region has some thousands of items, a hundred a page; more is no price list.
_MOST_PAGES = 200
# The API takes filters of a few kilobytes.
_SIZES_A_QUESTION = 15
_REMEDY = "Plan without --refresh-prices to use the prices that are there, or try again later."


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """USD per hour of one Linux node, None where there is none."""

    dedicated: float | None
    spot: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices of a region.

    Attributes:
        prices: By the size's name.
        as_of: The day of the prices.
        source: Where they are from, in words.
    """

    location: str
    currency: str
    as_of: date
    source: str
    prices: Mapping[str, Price]


def with_prices(estate: Estate, table: PriceTable) -> Estate:
    """The estate at a table's prices; a size that is not in it keeps none."""
    pools = []
    for pool in estate.pools:
        size = pool.size
        if size is not None:
            price = table.prices.get(size.name, Price(dedicated=None, spot=None))
            size = replace(
                size,
                dedicated_price_per_hour=price.dedicated,
                spot_price_per_hour=price.spot,
            )
        pools.append(replace(pool, size=size))
    return replace(estate, pools=tuple(pools))


def cached_prices(estate: Estate, *, today: date) -> PriceTable | None:
    """The table that an earlier refresh kept for the region, if it has all of the sizes."""
    found = _kept(estate)
    wanted = {pool.size.name for pool in estate.pools if pool.size}
    if found is None or not wanted <= found.prices.keys():
        return None
    return found if PRICES_AS_OF <= found.as_of <= today else None


def refresh_prices(
    estate: Estate,
    *,
    today: date,
    url: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> PriceTable:
    """Asks for the prices of an estate's sizes and keeps them beside others of the same day.

    Raises:
        PriceError: No price list came, or it cannot be kept; what was kept stays as it was.
    """
    import httpx  # noqa: PLC0415 - takes time to import, and most plans ask nobody

    location = estate.config.location
    names = sorted({pool.size.name for pool in estate.pools if pool.size})
    prices = dict.fromkeys(names, Price(dedicated=None, spot=None))
    with httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False) as client:
        for start in range(0, len(names), _SIZES_A_QUESTION):
            asked = names[start : start + _SIZES_A_QUESTION]
            items = _items(client, url or RETAIL_PRICES, _filter(location, asked), sleep)
            prices |= _prices(items, asked)
    if all(price.dedicated is None for price in prices.values()):
        raise PriceError(
            f"the price list has none of {', '.join(names)} in {location}.\n"
            "Is the region's name right? `az account list-locations` lists them."
        )
    kept = _kept(estate)
    if kept is not None and kept.as_of == today:
        # Those of another stack in the region, whose refresh this one would undo.
        prices = {**kept.prices, **prices}
    table = PriceTable(
        location=location,
        currency=PRICE_CURRENCY,
        as_of=today,
        source=API_SOURCE,
        prices=prices,
    )
    _keep(_cache_file(estate), table)
    return table


def _filter(location: str, names: Iterable[str]) -> str:
    sizes = " or ".join(f"armSkuName eq '{name}'" for name in names)
    return (
        f"serviceName eq 'Virtual Machines' and priceType eq 'Consumption' "
        f"and armRegionName eq '{location}' and ({sizes})"
    )


def _items(
    client: httpx.Client, url: str, condition: str, sleep: Callable[[float], None]
) -> Iterator[Mapping[str, Any]]:
    """Every item of every page."""
    home = urlsplit(url)[:2]
    following: str | None = url
    query: dict[str, str] | None = {
        "api-version": API_VERSION,
        "currencyCode": PRICE_CURRENCY,
        "$filter": condition,
    }
    for _ in range(_MOST_PAGES):
        if following is None:
            return
        if urlsplit(following)[:2] != home:
            raise PriceError(f"the price list goes on at another place, {following}.\n{_REMEDY}")
        page = _page(client, following, query, sleep)
        items = page.get("Items")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise PriceError(f"{url} answered no price list: it has no Items.\n{_REMEDY}")
        yield from items
        link, query = page.get("NextPageLink"), None
        following = str(link) if link else None
    raise PriceError(f"the price list of {url} does not end ({_MOST_PAGES} pages).\n{_REMEDY}")


def _page(
    client: httpx.Client,
    url: str,
    query: Mapping[str, str] | None,
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    """One page; tries again where that may help."""
    import httpx  # noqa: PLC0415 - the caller has imported it already

    problem = ""
    for attempt in range(_TRIES):
        wait_s = min(2.0**attempt, _LONGEST_WAIT_S)
        try:
            answer = client.get(url, params=query)
        except httpx.TransportError as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            if answer.status_code == httpx.codes.OK:
                return _json_object(answer, url)
            problem = f"{answer.status_code} {answer.reason_phrase}"
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS and not answer.is_server_error:
                raise PriceError(f"{url} refused to tell prices: {problem}.\n{_REMEDY}")
            wait_s = _retry_after_s(answer, wait_s)
        if attempt < _TRIES - 1:
            sleep(wait_s)
    raise PriceError(f"{url} told no prices in {_TRIES} tries, at last: {problem}.\n{_REMEDY}")


def _json_object(answer: httpx.Response, url: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError as error:
        raise PriceError(f"{url} answered no JSON: {error}.\n{_REMEDY}") from error
    if not isinstance(found, dict):
        raise PriceError(f"{url} answered no price list but a {type(found).__name__}.\n{_REMEDY}")
    return found


def _retry_after_s(answer: httpx.Response, otherwise: float) -> float:
    given = answer.headers.get("retry-after", "")
    return min(float(given), _LONGEST_WAIT_S) if given.isdecimal() else otherwise


def _prices(items: Iterable[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Price]:
    """Of each size the Linux prices per hour; of several for one thing the highest."""
    wanted = {name.casefold(): name for name in names}
    found: dict[tuple[str, str], float] = {}
    for item in items:
        name = wanted.get(str(item.get("armSkuName")).casefold())
        product, sku = str(item.get("productName")), str(item.get("skuName"))
        price = item.get("retailPrice")
        other = "Windows" in product or "Cloud Services" in product or "Low Priority" in sku
        if name is None or other or item.get("unitOfMeasure") != "1 Hour":
            continue
        if item.get("type", "Consumption") != "Consumption" or not _is_price(price):
            continue
        key = (name, "spot" if "Spot" in sku else "dedicated")
        found[key] = max(found.get(key, 0.0), float(price or 0))
    return {
        name: Price(dedicated=found.get((name, "dedicated")), spot=found.get((name, "spot")))
        for name in wanted.values()
    }


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _cache_file(estate: Estate) -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    # A region's name is lower-case letters and digits, so it is no path.
    return Path(home) / "hpc-azure-batch" / "prices" / f"{estate.config.location}.json"


def _kept(estate: Estate) -> PriceTable | None:
    """What is kept for the region; a damaged file counts as none, and is written anew."""
    try:
        found = _parse_cache(json.loads(_cache_file(estate).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if found.location == estate.config.location else None


def _parse_cache(document: Mapping[str, Any]) -> PriceTable:
    return PriceTable(
        location=str(document["location"]),
        currency=str(document["currency"]),
        as_of=date.fromisoformat(document["as_of"]),
        source=str(document["source"]),
        prices={
            str(name): Price(dedicated=_number(price["dedicated"]), spot=_number(price["spot"]))
            for name, price in document["prices"].items()
        },
    )


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not _is_price(value):
        raise ValueError(f"{value!r} is no price")
    return float(str(value))


def _keep(file: Path, table: PriceTable) -> None:
    """Writes the whole file or nothing."""
    document = {**asdict(table), "as_of": table.as_of.isoformat()}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.stem)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=2)
            Path(name).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise PriceError(
            f"the prices cannot be kept in {file}: {error.strerror}.\n"
            "Make room or name another directory: XDG_CACHE_HOME=DIR"
        ) from error
