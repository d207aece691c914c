"""What is not of the Batch API: `/_emulator/…`, without authentication, on loopback only.

GET    /_emulator/health              200 once the emulator serves
GET    /_emulator/routes              every operation of the service, and whether it is here
GET    /_emulator/faults              the faults in force, and how often each struck
POST   /_emulator/faults              puts a fault in force (`FaultRequest`)
DELETE /_emulator/faults[/{id}]       puts all of them, or one, out of force
GET, PUT, DELETE /_emulator/rate      the limit of requests a second (`RateRequest`)
GET, PUT /_emulator/quotas            quotas of every account: `max_pools`, …
GET    /_emulator/clock               the time, its speed, and who moves it
POST   /_emulator/clock/advance       moves a manual clock (`AdvanceRequest`), until the
                                      client goes away
GET    /_emulator/world[?account=A]   everything that there is, as JSON
POST   /_emulator/reset               deletes all pools and jobs, and ends all of the above
GET    /_emulator/accounts            names of all, each with how many pools and jobs it has
GET    /_emulator/accounts/A/capacity                    sizes that have an end
PUT    /_emulator/accounts/A/capacity/SIZE               `CapacityRequest`
POST   /_emulator/accounts/A/pools/P/nodes/N/preempt     takes a spot node away
POST   /_emulator/accounts/A/pools/P/nodes/N/unusable    breaks a node
POST   /_emulator/accounts/A/pools/P/nodes/N/starttaskfailed     `NodeFaultRequest`
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator import admin_world
from emulator.admin_answers import Handler, Wrong, answering, known_account
from emulator.admin_bodies import (
    AdvanceRequest,
    CapacityRequest,
    FaultRequest,
    NodeFaultRequest,
    RateRequest,
    findings,
)
from emulator.clock import ManualClock
from emulator.engine import faults as engine_faults
from emulator.engine import nodes, pools
from emulator.engine.settings import MOST, QUOTAS
from emulator.service.routes import ROUTES
from emulator.service.values import instant

if TYPE_CHECKING:
    from emulator.driver import AccountDriver
    from emulator.server import Server

_B = TypeVar("_B", bound=BaseModel)
_UNUSABLE = {"code": "NodeUnusable", "message": "The node was made unusable on request"}
_NODE_FAULTS = ("preempt", "unusable", "starttaskfailed")
_SHOWN = 200
"""Characters of a path in a message."""
_NUMBER = re.compile(r"[0-9]{1,9}")


class Admin:
    """The handlers over a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._advancing = asyncio.Lock()

    def routes(self) -> list[Route]:
        """What the module's docstring lists."""
        handlers: tuple[tuple[str, str, Handler], ...] = (
            ("GET", "health", self._health),
            ("GET", "routes", self._operations),
            ("GET", "faults", self._list_faults),
            ("POST", "faults", self._add_fault),
            ("DELETE", "faults", self._clear_faults),
            ("DELETE", "faults/{id}", self._remove_fault),
            ("GET", "rate", self._rate),
            ("PUT", "rate", self._limit),
            ("DELETE", "rate", self._unlimit),
            ("GET", "quotas", self._quotas),
            ("PUT", "quotas", self._set_quotas),
            ("GET", "clock", self._clock),
            ("POST", "clock/advance", self._advance),
            ("GET", "world", self._world),
            ("POST", "reset", self._reset),
            ("GET", "accounts", self._accounts),
            ("GET", "accounts/{account}/capacity", self._capacity),
            ("PUT", "accounts/{account}/capacity/{size}", self._set_capacity),
            ("POST", "accounts/{account}/pools/{pool}/nodes/{node}/{fault}", self._strike_node),
        )
        return [
            Route(f"/_emulator/{path}", answering(handler), methods=[method])
            for method, path, handler in handlers
        ]

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def _operations(self, _request: Request) -> Response:
        return JSONResponse(
            [
                {"method": r.method, "path": r.path, "name": r.name, "emulated": bool(r.handler)}
                for r in ROUTES
            ]
        )

    # Faults of requests

    async def _list_faults(self, _request: Request) -> Response:
        return JSONResponse(self._server.faults.listing())

    async def _add_fault(self, request: Request) -> Response:
        wanted = await _body(request, FaultRequest)
        return JSONResponse({"id": self._server.faults.add(wanted.rule())}, 201)

    async def _clear_faults(self, _request: Request) -> Response:
        self._server.faults.clear()
        return Response(status_code=204)

    async def _remove_fault(self, request: Request) -> Response:
        number = request.path_params["id"]
        known = _NUMBER.fullmatch(number) and self._server.faults.remove(int(number))
        if not known:
            raise Wrong(404, f"no fault {number[:32]} is in force")
        return Response(status_code=204)

    # Limits

    async def _rate(self, _request: Request) -> Response:
        return JSONResponse(self._server.faults.rate)

    async def _limit(self, request: Request) -> Response:
        wanted = await _body(request, RateRequest)
        self._server.faults.limit(wanted.requests_per_second, wanted.burst)
        return Response(status_code=204)

    async def _unlimit(self, _request: Request) -> Response:
        self._server.faults.limit(None)
        return Response(status_code=204)

    async def _quotas(self, _request: Request) -> Response:
        return JSONResponse(self._present_quotas())

    def _present_quotas(self) -> dict[str, int]:
        return {name: getattr(self._server.settings, name) for name in QUOTAS}

    async def _set_quotas(self, request: Request) -> Response:
        present = self._present_quotas()
        try:
            wanted = orjson.loads(await request.body())
        except orjson.JSONDecodeError as error:
            raise Wrong(400, f"the body is not JSON: {error}") from None
        if not isinstance(wanted, dict):
            raise Wrong(400, "the body must be an object of quotas")
        wrong = [
            f"{name}: there is no such quota; there are {', '.join(sorted(present))}"
            for name in wanted
            if name not in present
        ]
        wrong += [
            f"{name}: {value!r} is no whole number from 0 to {MOST}"
            for name, value in wanted.items()
            if name in present and (type(value) is not int or not 0 <= value <= MOST)
        ]
        if wrong:
            raise Wrong(400, *wrong)
        self._server.set_quotas(wanted)
        return JSONResponse(self._present_quotas())

    async def _capacity(self, request: Request) -> Response:
        found: dict[str, dict[str, int]] = {}
        for (size, dedicated), most in self._driver(request).world.capacity.items():
            found.setdefault(size, {})["dedicated" if dedicated else "spot"] = most
        return JSONResponse(found)

    async def _set_capacity(self, request: Request) -> Response:
        wanted = await _body(request, CapacityRequest)
        driver = self._driver(request)
        size = request.path_params["size"].lower()
        driver.run(engine_faults.set_capacity, size, wanted.dedicated, wanted.spot)
        return Response(status_code=204)

    # Time

    async def _clock(self, _request: Request) -> Response:
        clock = self._server.clock
        return JSONResponse(
            {
                "now": instant(clock.now()),
                "speed": clock.speed,
                "manual": isinstance(clock, ManualClock),
            }
        )

    async def _advance(self, request: Request) -> Response:
        wanted = await _body(request, AdvanceRequest)
        clock = self._server.clock
        if not isinstance(clock, ManualClock):
            raise Wrong(409, "time passes by itself: start the emulator with --manual-clock")
        async with self._advancing:
            for _ in clock.steps(wanted.seconds):
                # What ended meanwhile is heard, and others are answered, at this instant.
                await asyncio.sleep(0)
                if await request.is_disconnected():
                    break
        await self._server.commit()
        return JSONResponse({"now": instant(clock.now())})

    # The world

    async def _world(self, request: Request) -> Response:
        names = list(self._server.accounts())
        only = request.query_params.get("account")
        if only is not None:
            names = [known_account(names, only)]
        content = admin_world.export(self._server, names)
        return Response(content, media_type="application/json")

    async def _accounts(self, _request: Request) -> Response:
        worlds = {name: self._server.host(name).world for name in sorted(self._server.accounts())}
        return JSONResponse(
            [
                {"name": name, "pools": len(world.pools), "jobs": len(world.jobs)}
                for name, world in worlds.items()
            ]
        )

    async def _reset(self, _request: Request) -> Response:
        await self._server.reset()
        return Response(status_code=204)

    # Nodes

    async def _strike_node(self, request: Request) -> Response:
        path = request.path_params
        driver = self._driver(request)
        fault = path["fault"]
        if fault not in _NODE_FAULTS:
            raise Wrong(404, f"there is no fault {fault}: {', '.join(_NODE_FAULTS)}")
        wanted = await _body(request, NodeFaultRequest)
        node = nodes.get(driver.run(pools.get, path["pool"]), path["node"])
        match fault:
            case "preempt":
                driver.run(nodes.preempt, node)
            case "unusable":
                driver.run(nodes.make_unusable, node, dict(_UNUSABLE))
            case _:
                driver.run(engine_faults.fail_start_task, node, wanted.exit_code)
        await self._server.commit()
        return Response(status_code=204)

    def _driver(self, request: Request) -> AccountDriver:
        account = known_account(self._server.accounts(), request.path_params["account"])
        return self._server.host(account)


@answering
async def nothing_there(request: Request) -> Response:
    """What is of no route: else the Batch API would miss a signature in a mistyped path."""
    path = request.url.path[:_SHOWN]
    raise Wrong(404, f"there is no {request.method} {path}: docs/emulator.md has what there is")


async def _body(request: Request, model: type[_B]) -> _B:
    try:
        return model.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        raise Wrong(400, *findings(error)) from None
