"""Asks the running emulator below `/_emulator/`, for its commands.

Pools and jobs belong to an account, and commands need not be told which: the only one in use
is meant. Where several are, a command refuses rather than look into an empty one, and each says
on stderr which it spoke to. Accounts come from the stack, beside the one `serve` starts with.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from emulator.errors import EmulatorError
from emulator.exchange import TIMEOUT_S, exchange
from emulator.local import LocalDirectory

if TYPE_CHECKING:
    import httpx

_REFUSED = 400

Account = Annotated[
    str | None,
    typer.Option(help="The Batch account; without, the only one in use.", show_default=False),
]


class RequestRefusedError(EmulatorError):
    """The running emulator does not do what it was asked to; its text lists all that is wrong."""


def ask(
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    within_s: float | None = TIMEOUT_S,
) -> Any:
    """Asks the running emulator; answers its JSON, or None.

    Args:
        method: Of the request.
        path: Below `/_emulator/`.
        body: Sent as JSON.
        within_s: So long it may take to answer; None for as long as it likes.

    Raises:
        NotRunningError: There is none, or it does not answer.
        RequestRefusedError: It refuses.
    """
    running = LocalDirectory.default().read_running()
    answer = exchange(running, method, f"/_emulator/{path}", within_s=within_s, json=body)
    if answer.status_code >= _REFUSED:
        raise RequestRefusedError("\n".join(_errors(answer)))
    return answer.json() if answer.content else None


def _errors(answer: httpx.Response) -> list[str]:
    try:
        return [str(line) for line in answer.json()["errors"]]
    except (ValueError, KeyError, TypeError):
        return [f"{answer.status_code}: {answer.text[:200]}"]


def path_of(*steps: str) -> str:
    """A path of these steps, which may be anything that a person types."""
    return "/".join(quote(step, safe="") for step in steps)


def show(value: Any) -> None:
    """Prints what the emulator answers, as JSON; nothing where there is nothing to say."""
    if value is not None:
        typer.echo(json.dumps(value, indent=2))


def chosen_account(given: str | None) -> str:
    """The account that a command is about: the given one, else the only one in use.

    While none has a pool or a job, it is the one that the emulator began with.

    Raises:
        NotRunningError: There is no emulator, or it does not answer.
        RequestRefusedError: Several are in use.
    """
    if given is not None:
        return given
    used = [one for one in ask("GET", "accounts") if one["pools"] or one["jobs"]]
    if len(used) > 1:
        listed = [
            f"  --account {one['name']}   pools: {one['pools']}, jobs: {one['jobs']}"
            for one in used
        ]
        raise RequestRefusedError("\n".join(["several accounts are in use; say which:", *listed]))
    return str(used[0]["name"]) if used else LocalDirectory.default().read_running().account


def ask_account(account: str, method: str, *steps: str, body: dict[str, Any] | None = None) -> Any:
    """Asks about what is of an account; says on stderr which it was.

    Args:
        account: Its name.
        method: Of the request.
        steps: Of the path below the account.
        body: Sent as JSON.

    Raises:
        NotRunningError: There is no emulator, or it does not answer.
        RequestRefusedError: It refuses; the text names the account.
    """
    try:
        answer = ask(method, path_of("accounts", account, *steps), body)
    except RequestRefusedError as error:
        raise RequestRefusedError(f"account {account}: {error}") from error
    typer.echo(f"account {account}", err=True)
    return answer
