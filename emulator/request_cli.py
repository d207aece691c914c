"""`python -m emulator request`: one request to the Batch service, signed, its answer printed.

For a look by hand at what the service says, where curl cannot sign.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emulator.admin_client import Account, chosen_account
from emulator.local import LocalDirectory

if TYPE_CHECKING:
    from httpx import Response

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_REFUSED = 400


def _method(text: str) -> str:
    if text.upper() not in _METHODS:
        raise typer.BadParameter(f"not one of {', '.join(_METHODS)}")
    return text.upper()


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise typer.BadParameter("begins with a slash, as in /pools")
    return text


def request(
    method: Annotated[str, typer.Argument(metavar="METHOD", parser=_method, help="As in HTTP.")],
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH",
            parser=_path,
            help="With its query, if any; of `api-version` the newest is added.",
        ),
    ],
    *,
    body: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", show_default=False, help="To be sent; @FILE for a file, - for stdin."
        ),
    ] = None,
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Print the answer's headers to stderr.")
    ] = False,
    account: Account = None,
) -> None:
    r"""Send one signed request to the running emulator's Batch API; print what it answers.

    The status and the account go to stderr; it ends with 1 if the status is 400 or more.

    Examples:
        python -m emulator request GET "/jobs/j/tasks?\$filter=state eq 'active'"

        python -m emulator request POST /jobs --body '{"id": "j", "poolInfo": {"poolId": "p"}}'

        python -m emulator request GET /jobs/j/tasks/t/files/stdout.txt
    """
    content = _content(body)
    # The service's own signature, of which other commands need nothing.
    from emulator.signed_request import send  # noqa: PLC0415

    name = chosen_account(account)
    answer = send(LocalDirectory.default(), method, path, content, account=name)
    typer.echo(f"{answer.status_code} {answer.reason_phrase}, account {name}", err=True)
    if include:
        for header, value in answer.headers.items():
            typer.echo(f"{header}: {value}", err=True)
    _print(answer)
    if answer.status_code >= _REFUSED:
        raise typer.Exit(1)


def _content(body: str | None) -> bytes:
    if body is None:
        return b""
    if body == "-":
        return sys.stdin.buffer.read()
    if not body.startswith("@"):
        return body.encode()
    file = Path(body[1:])
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error


def _print(answer: Response) -> None:
    if "json" in answer.headers.get("content-type", "") and answer.content:
        typer.echo(json.dumps(answer.json(), indent=2, ensure_ascii=False))
    else:
        sys.stdout.buffer.write(answer.content)
