"""`python -m emulator limit quota | capacity | rate`: what the running emulator lets one have.

The options of quotas are those of `serve`, too, where they hold from the start and after a reset.
"""

from __future__ import annotations

from typing import Annotated

import typer

from emulator.admin_client import Account, ask, ask_account, chosen_account, show
from emulator.engine.settings import MOST, Settings

_USUAL = Settings()

limit_app = typer.Typer(
    help="Limit what the running emulator has: pools, jobs, nodes, cores, requests a second.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _quota(what: str, usual: int) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        metavar="N",
        min=0,
        max=MOST,
        show_default=False,
        rich_help_panel="Quotas of an account",
        help=f"{what}; usually {usual:,}.",
    )
    return option


MaxPools = Annotated[int | None, _quota("Pools", _USUAL.max_pools)]
MaxActiveJobs = Annotated[
    int | None, _quota("Active jobs and job schedules", _USUAL.max_active_jobs)
]
MaxNodes = Annotated[int | None, _quota("Nodes of one pool", _USUAL.max_nodes)]
MaxDedicatedCores = Annotated[
    int | None, _quota("Cores of dedicated nodes of all pools", _USUAL.max_dedicated_cores)
]
MaxSpotCores = Annotated[
    int | None, _quota("Cores of spot nodes of all pools", _USUAL.max_spot_cores)
]


def given_quotas(**quotas: int | None) -> dict[str, int]:
    """Those that were given, by their names in `Settings`."""
    return {name: most for name, most in quotas.items() if most is not None}


@limit_app.command("quota")
def quota(
    *,
    max_pools: MaxPools = None,
    max_active_jobs: MaxActiveJobs = None,
    max_nodes: MaxNodes = None,
    max_dedicated_cores: MaxDedicatedCores = None,
    max_spot_cores: MaxSpotCores = None,
) -> None:
    """Change quotas of every account, those that are given; print all of them.

    What there is more than that stays. They hold until a reset or the end of the emulator.

    Examples:
        python -m emulator limit quota

        python -m emulator limit quota --max-pools 1 --max-dedicated-cores 64
    """
    wanted = given_quotas(
        max_pools=max_pools,
        max_active_jobs=max_active_jobs,
        max_nodes=max_nodes,
        max_dedicated_cores=max_dedicated_cores,
        max_spot_cores=max_spot_cores,
    )
    show(ask("PUT", "quotas", wanted) if wanted else ask("GET", "quotas"))


@limit_app.command("capacity")
def capacity(
    size: Annotated[
        str | None,
        typer.Argument(metavar="SIZE", help="A VM size; without, print those that have an end."),
    ] = None,
    *,
    dedicated: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, show_default=False, help="Dedicated nodes there are."),
    ] = None,
    spot: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, show_default=False, help="Spot nodes there are."),
    ] = None,
    account: Account = None,
) -> None:
    """Say how many nodes of a size there are, over all pools; what is not given has no end.

    A pool that wants more has the resize error AllocationFailed, as when Azure is out of a size.
    It holds for pools of one account.

    Examples:
        python -m emulator limit capacity standard_d4s_v5 --dedicated 2 --spot 0

        python -m emulator limit capacity standard_d4s_v5

        python -m emulator limit capacity
    """
    if size is None and (dedicated is not None or spot is not None):
        raise typer.BadParameter("say of which size: limit capacity SIZE --dedicated N")
    name = chosen_account(account)
    if size is None:
        show(ask_account(name, "GET", "capacity"))
        return
    given = {"dedicated": dedicated, "spot": spot}
    most = {kind: number for kind, number in given.items() if number is not None}
    ask_account(name, "PUT", "capacity", size, body=most)


@limit_app.command("rate")
def rate(
    per_second: Annotated[
        float | None,
        typer.Argument(
            metavar="N",
            min=0.001,
            show_default=False,
            help="Requests a second; without, print it.",
        ),
    ] = None,
    *,
    burst: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, show_default=False, help="So many at once; N of them."),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="No limit any more.")] = False,
) -> None:
    """Answer 429 with Retry-After to what is more than so many requests a second.

    Examples:
        python -m emulator limit rate 10 --burst 20

        python -m emulator limit rate --off
    """
    if off and (per_second is not None or burst is not None):
        raise typer.BadParameter("--off and a rate exclude each other")
    if per_second is None and burst is not None:
        raise typer.BadParameter("say how many a second: limit rate N --burst M")
    if off:
        ask("DELETE", "rate")
    elif per_second is None:
        show(ask("GET", "rate"))
    else:
        body = {"requests_per_second": per_second, "burst": burst}
        ask("PUT", "rate", {name: value for name, value in body.items() if value is not None})
