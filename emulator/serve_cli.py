"""The command line of `python -m emulator serve`; `emulator.serve` has what it does."""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from emulator.limit_cli import (
    MaxActiveJobs,
    MaxDedicatedCores,
    MaxNodes,
    MaxPools,
    MaxSpotCores,
    given_quotas,
)
from emulator.local import LocalDirectory

DEFAULT_ACCOUNT = "local"
_QUIET = ("azure", "httpx", "httpcore", "uvicorn.error", "urllib3")


def _parse_key(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise typer.BadParameter("not base64") from None


def _parse_speed(value: float) -> float:
    if not 0 < value < float("inf"):
        raise typer.BadParameter("must be greater than 0")
    return value


def serve(
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the Batch API; 0 picks a free one.")
    ] = 0,
    account: Annotated[
        str,
        typer.Option(metavar="NAME", help="Batch account that exists from the start."),
    ] = DEFAULT_ACCOUNT,
    key: Annotated[
        bytes | None,
        typer.Option(
            metavar="BASE64",
            envvar="EMULATOR_KEY",
            parser=_parse_key,
            show_default=False,
            help="Its key. Best given by the variable: a command line can be read by other "
            "users. Default: the key it had before, else a random one.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            show_default=False,
            help="Directory of the state. Default: emulator/ in the local directory.",
        ),
    ] = None,
    in_memory: Annotated[bool, typer.Option("--in-memory", help="Keep no state.")] = False,
    no_blob: Annotated[bool, typer.Option("--no-blob", help="Do without Azurite.")] = False,
    no_provider: Annotated[
        bool, typer.Option("--no-provider", help="Do without the Pulumi provider.")
    ] = False,
    service_speed: Annotated[
        float,
        typer.Option(
            metavar="X",
            callback=_parse_speed,
            help="Divides what the service makes one wait for (node boot, autoscale); tasks "
            "run in real time.",
        ),
    ] = 1.0,
    tls: Annotated[
        bool,
        typer.Option(
            "--tls",
            help="Speak https with a certificate of its own, and take tokens beside keys: what "
            "DefaultAzureCredential needs. `python -m emulator env` tells clients where.",
        ),
    ] = False,
    manual_clock: Annotated[
        bool,
        typer.Option(
            "--manual-clock",
            help="Let time pass only by POST /_emulator/clock/advance: for tests.",
        ),
    ] = False,
    requests_per_second: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0.001,
            show_default=False,
            help="Answer 429 with Retry-After to what is more.",
        ),
    ] = None,
    max_pools: MaxPools = None,
    max_active_jobs: MaxActiveJobs = None,
    max_nodes: MaxNodes = None,
    max_dedicated_cores: MaxDedicatedCores = None,
    max_spot_cores: MaxSpotCores = None,
    lifeline_fd: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=0, show_default=False, help="Stop when this descriptor ends."
        ),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log each request, and more.")
    ] = False,
) -> None:
    """Run Azure Batch, blob storage and Resource Manager on 127.0.0.1.

    Prints one line of JSON with its endpoints when it is ready; logs go to stderr.
    Stops on SIGTERM or Ctrl-C, and ends its tasks.

    Examples:
        python -m emulator serve --port 8080 --service-speed 60

        python -m emulator serve --in-memory --no-provider

        python -m emulator serve --tls

        python -m emulator serve --max-dedicated-cores 96 --max-active-jobs 20
    """
    if in_memory and data is not None:
        raise typer.BadParameter("--in-memory and --data exclude each other")
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Every command imports this module; what only this one needs takes half a second to import.
    from emulator.serve import Options, run  # noqa: PLC0415

    local = LocalDirectory.default()
    options = Options(
        port=port,
        account=account,
        key=key,
        data=None if in_memory else (data or local.data).absolute(),
        blob=not no_blob,
        provider=not no_provider,
        service_speed=service_speed,
        lifeline=lifeline_fd,
        tls=tls,
        manual_clock=manual_clock,
        requests_per_second=requests_per_second,
        quotas=given_quotas(
            max_pools=max_pools,
            max_active_jobs=max_active_jobs,
            max_nodes=max_nodes,
            max_dedicated_cores=max_dedicated_cores,
            max_spot_cores=max_spot_cores,
        ),
    )
    asyncio.run(run(options, local))
