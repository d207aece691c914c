"""`python -m emulator fault | clock | world | reset`: what `/_emulator/` does, by hand.

Each command asks the running emulator of the local directory; what it answers is printed
as JSON on stdout, or nothing where there is nothing to say. What is of one account is told
with its name on stderr (`emulator.admin_client`). `emulator.limit_cli` has `limit`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from emulator.admin_client import (
    Account,
    RequestRefusedError,
    ask,
    ask_account,
    chosen_account,
    show,
)

_NODE_PREFIX = "tvmps_"
"""Of every node's id: nobody types it."""

fault_app = typer.Typer(
    help="Have requests or nodes of the running emulator fail, to see what your code does.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@fault_app.command("add")
def add(
    operation: Annotated[
        str,
        typer.Argument(
            metavar="OPERATION", help="Its name in `/_emulator/routes`; * is every one."
        ),
    ] = "*",
    *,
    status: Annotated[
        int | None, typer.Option(help="Answer 429, 500 or 503.", show_default=False)
    ] = None,
    retry_after: Annotated[
        int | None, typer.Option(metavar="S", help="Its Retry-After.", show_default=False)
    ] = None,
    drop: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Break the connection `before` or `after` the work is done.",
            show_default=False,
        ),
    ] = None,
    failed_items: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Of a task collection, fail so many.", show_default=False
        ),
    ] = None,
    delay: Annotated[
        float | None, typer.Option(metavar="S", help="Wait first.", show_default=False)
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="The next so many requests.", show_default=False)
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="A share of them, by chance.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the chance.")] = 0,
) -> None:
    """Put a fault in force; prints its number.

    Examples:
        python -m emulator fault add create_task --status 503 --count 3

        python -m emulator fault add --share 0.1 --status 429 --retry-after 1

        python -m emulator fault add create_task_collection --drop after
    """
    given = {
        "operation": operation,
        "status": status,
        "retry_after_s": retry_after,
        "drop": drop,
        "failed_items": failed_items,
        "delay_s": delay,
        "count": count,
        "share": share,
        "seed": seed,
    }
    show(ask("POST", "faults", {n: v for n, v in given.items() if v is not None}))


@fault_app.command("list")
def list_() -> None:
    """Print the faults in force, and how often each struck.

    Example: python -m emulator fault list
    """
    show(ask("GET", "faults"))


@fault_app.command("clear")
def clear(
    number: Annotated[
        int | None,
        typer.Argument(
            metavar="NUMBER",
            min=1,
            help="Which one, as `add` and `list` tell it; without, all.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Put all faults out of force, or one.

    Example: python -m emulator fault clear 7
    """
    ask("DELETE", "faults" if number is None else f"faults/{number}")


@fault_app.command("node")
def node(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="preempt, unusable or starttaskfailed")
    ],
    pool: Annotated[str, typer.Argument(metavar="POOL", help="Id of its pool.")],
    node_id: Annotated[str, typer.Argument(metavar="NODE", help="Its id, or how it begins.")],
    *,
    account: Account = None,
) -> None:
    """Take a spot node away, break a node, or have its start task fail.

    Of an id as much as no other node of the pool has is enough, with `tvmps_` or without.

    Example: python -m emulator fault node preempt POOL 3b9a
    """
    name = chosen_account(account)
    whole_id = _node_id(name, pool, node_id)
    ask_account(name, "POST", "pools", pool, "nodes", whole_id, kind)


def _node_id(account: str, pool: str, beginning: str) -> str:
    """The id of the one node that begins so; what was typed where there is none.

    Raises:
        RequestRefusedError: There are several.
    """
    ids = [
        str(row[0])
        for one in ask("GET", "overview")
        for found in one["pools"]
        if (one["name"], found["id"].lower()) == (account, pool.lower())
        for row in found["nodes"]
    ]
    meant = [node for node in ids if beginning in _beginnings(node, len(beginning))]
    if len(meant) > 1 and beginning not in meant:
        several = ", ".join(meant[:3]) + (", …" if meant[3:] else "")
        raise RequestRefusedError(f"{len(meant)} nodes begin with {beginning!r}: {several}")
    return meant[0] if len(meant) == 1 else beginning


def _beginnings(node_id: str, length: int) -> tuple[str, str]:
    return node_id[:length], node_id.removeprefix(_NODE_PREFIX)[:length]


def clock(
    advance: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Let so much time pass.", show_default=False),
    ] = None,
) -> None:
    """Print the emulator's time; move it, if it was started with --manual-clock.

    A long way takes a while; Ctrl-C stops it where it has got to.

    Example: python -m emulator clock --advance 300
    """
    if advance is None:
        show(ask("GET", "clock"))
    else:
        show(ask("POST", "clock/advance", {"seconds": advance}, within_s=None))


def world() -> None:
    """Print everything in the running emulator as JSON.

    Example: python -m emulator world > world.json
    """
    show(ask("GET", "world"))


def reset() -> None:
    """Delete all pools, jobs and tasks of the running emulator, and end all faults.

    Accounts and their keys stay. What the stack declared is gone, too: to have it again,
    run `python -m emulator stack refresh`, then `up`.

    Example: python -m emulator reset
    """
    ask("POST", "reset")
