"""What is not of the Batch API: `/_emulator/…`, without authentication, on loopback only.

GET    /_emulator/health      200 once the emulator serves
GET    /_emulator/routes      every operation of the service, and whether it is here
POST   /_emulator/faults      puts a fault in force (`FaultRequest`)
DELETE /_emulator/faults      puts all faults out of force
POST   /_emulator/accounts/A/pools/P/nodes/N/preempt     takes a spot node away
POST   /_emulator/accounts/A/pools/P/nodes/N/unusable    breaks a node
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emulator.engine import nodes, pools
from emulator.engine.refusal import Refused
from emulator.faults import Rule
from emulator.service.errors import CATALOGUE
from emulator.service.routes import ROUTES

if TYPE_CHECKING:
    from emulator.server import Server

_UNUSABLE = {"code": "NodeUnusable", "message": "The node was made unusable on request"}
_OPERATIONS = frozenset(route.name for route in ROUTES) | {"*"}


class FaultRequest(BaseModel):
    """Body of `POST /_emulator/faults`: the next `count` requests are answered so."""

    model_config = ConfigDict(extra="forbid")

    operation: str = "*"
    status: Literal[429, 500, 503]
    count: int = Field(default=1, ge=1)
    retry_after_s: int | None = Field(default=None, ge=0)
    delay_s: float = Field(default=0.0, ge=0, le=600)


class Admin:
    """The handlers over a server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        """What the module's docstring lists."""
        return [
            Route("/_emulator/health", self._health),
            Route("/_emulator/routes", self._operations),
            Route("/_emulator/faults", self._add_fault, methods=["POST"]),
            Route("/_emulator/faults", self._clear_faults, methods=["DELETE"]),
            Route(
                "/_emulator/accounts/{account}/pools/{pool}/nodes/{node}/{fault}",
                self._strike_node,
                methods=["POST"],
            ),
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

    async def _add_fault(self, request: Request) -> Response:
        try:
            wanted = FaultRequest.model_validate_json(await request.body())
        except ValidationError as error:
            return _refused(
                400, *(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            )
        if wanted.operation not in _OPERATIONS:
            return _refused(
                400, f"operation: no operation is named {wanted.operation}; see /_emulator/routes"
            )
        self._server.faults.add(Rule(**wanted.model_dump()))
        return Response(status_code=204)

    async def _clear_faults(self, _request: Request) -> Response:
        self._server.faults.clear()
        return Response(status_code=204)

    async def _strike_node(self, request: Request) -> Response:
        path = request.path_params
        if path["account"] not in self._server.accounts():
            return _refused(404, f"there is no account {path['account']}")
        driver = self._server.host(path["account"])
        try:
            node = nodes.get(driver.run(pools.get, path["pool"]), path["node"])
            match path["fault"]:
                case "preempt":
                    driver.run(nodes.preempt, node)
                case "unusable":
                    driver.run(nodes.make_unusable, node, dict(_UNUSABLE))
                case unknown:
                    return _refused(404, f"there is no fault {unknown}: preempt, unusable")
        except Refused as refused:
            entry = CATALOGUE[refused.code]
            return _refused(entry.status, f"{refused.code}: {entry.message}")
        await self._server.commit()
        return Response(status_code=204)


def _refused(status: int, *errors: str) -> Response:
    return JSONResponse({"errors": errors}, status)
