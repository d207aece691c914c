"""How `/_emulator/` says what is wrong: `{"errors": [...]}`, to commands and to the page alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from emulator.engine.refusal import Refused
from emulator.service.errors import CATALOGUE

Handler = Callable[[Request], Awaitable[Response]]


class Wrong(Exception):  # noqa: N818 - carries an answer
    """A request that cannot be done; each of its errors is a sentence for a person."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status = status
        self.errors = errors


def answering(handler: Handler, headers: Mapping[str, str] | None = None) -> Handler:
    """A handler that answers what is `Wrong`, or `Refused` by the service, instead of raising it.

    Args:
        handler: Which.
        headers: Of the answers that are errors.
    """

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Wrong as wrong:
            status, errors = wrong.status, wrong.errors
        except Refused as refused:
            entry = CATALOGUE[refused.code]
            status, errors = entry.status, (f"{refused.code}: {entry.message}",)
        return JSONResponse({"errors": errors}, status, headers)

    return answer


def known_account(accounts: Collection[str], name: str) -> str:
    """The name of an account that there is.

    Raises:
        Wrong: There is none.
    """
    if name not in accounts:
        raise Wrong(404, f"there is no account {name}; there are: {', '.join(sorted(accounts))}")
    return name
