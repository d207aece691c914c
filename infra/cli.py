"""`python -m infra`: checks and plans a stack offline, before it costs anything.

Results go to stdout, errors to stderr. The one place that catches `InfraError`. Neither
Pulumi nor azure-native is imported, so that the answer comes at once; Azure is asked with
`--live` and `--refresh-prices` alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.checking import PlannedStack, plan_stack
from infra.config import json_schema
from infra.errors import AskError, InfraError
from infra.findings import Finding
from infra.live import LiveFacts, ask_azure
from infra.pool_changes import Effect
from infra.prices import PriceTable, cached_prices, refresh_prices
from infra.rules.live import EVERY_RULE, live_findings
from infra.sources import (
    PROJECT_ROOT,
    read_secret_names,
    read_stack_file,
    read_stray_keys,
    stack_names,
)
from infra.summary import LiveSummary, PoolSummary, Summary, summarise
from infra.telling import tell

app = typer.Typer(
    name="infra",
    help="Checks and plans the Batch estate of a stack, offline.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StackOption = Annotated[
    list[str] | None,
    typer.Option("--stack", "-s", help="A stack; may be repeated. All stacks when left out."),
]
LiveOption = Annotated[
    bool, typer.Option("--live", help="Ask Azure too: quota, sizes and images of the region.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command(
    epilog="Examples: python -m infra check   python -m infra check -s dev --json   "
    "python -m infra check -s dev --live"
)
def check(
    stack: StackOption = None,
    as_json: JsonOption = False,
    live: LiveOption = False,
    fail_on: Annotated[
        Literal["error", "warning"], typer.Option(help="Least severity that exits with 1.")
    ] = "error",
) -> None:
    """Find every mistake of a stack's config at once: PATH: CODE message.

    With --live Azure is asked too; what it could not be asked is told by name and fails
    nothing.
    """
    planned = _plan(stack)
    facts = {one.stack: ask_azure(one.estate) for one in planned if live and one.estate}
    planned = [_with_live(one, facts.get(one.stack)) for one in planned]
    if as_json:
        _print_json(
            {
                "stacks": [
                    {
                        "stack": one.stack,
                        "findings": [_finding_json(f) for f in one.findings],
                        **_unasked_json(facts.get(one.stack)),
                    }
                    for one in planned
                ]
            }
        )
    else:
        for one in planned:
            _print_findings(one)
            _print_unasked(facts.get(one.stack))
    counted = [f for one in planned for f in one.findings if f.silenced is None]
    if any(fail_on == "warning" or finding.severity == "error" for finding in counted):
        raise typer.Exit(1)


@app.command(
    epilog="Examples: python -m infra plan -s dev   python -m infra plan --formulas   "
    "python -m infra plan -s dev --refresh-prices   python -m infra plan -s dev --live"
)
def plan(
    stack: StackOption = None,
    as_json: JsonOption = False,
    formulas: Annotated[
        bool, typer.Option("--formulas", help="Print formulas as they will be sent.")
    ] = False,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh-prices", help="Ask for today's prices in the region, and keep them."
        ),
    ] = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Ask Azure too: the account's quota, and nodes of today."),
    ] = False,
) -> None:
    """Tell what a stack comes to: nodes, vCPUs, addresses, price per hour.

    With --live the quota that the stack's account has and what it uses now are told beside
    it; what Azure could not be asked is told by name.
    """
    summaries = []
    for planned in _plan(stack):
        estate = planned.deployable()
        if refresh:
            prices: PriceTable | None = refresh_prices(estate, today=estate.today)
        else:
            prices = cached_prices(estate, today=estate.today)
        facts = ask_azure(estate, images=False, nodes=True) if live else None
        summaries.append(summarise(estate, prices=prices, live=facts))
    if as_json:
        _print_json({"stacks": [summary.to_json() for summary in summaries]})
        return
    console = _console()
    for summary in summaries:
        _print_summary(console, summary, formulas=formulas)


@app.command(
    epilog="Examples: python -m infra changes -s dev   "
    "python -m infra changes -s dev --state state.json"
)
def changes(
    stack: Annotated[str, typer.Option("--stack", "-s", help="The stack.")],
    state: Annotated[
        Path | None,
        typer.Option(help="A file of `pulumi stack export`; the CLI is asked when left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what a deployment does to each pool: live, update, or a new pool."""
    # Pulumi is imported where it is needed, so that `check` answers at once.
    from infra.changes import pool_changes, read_state, with_unfinished_jobs  # noqa: PLC0415

    (planned,) = _plan([stack])
    deployed = read_state(stack, file=state, root=PROJECT_ROOT)
    estate = planned.deployable()
    found = pool_changes(estate, deployed)
    unasked: AskError | None = None
    if any(change.goes for change in found):
        try:
            service = deployed.batch_service(estate.config.authentication)
            found = with_unfinished_jobs(found, service)
        except AskError as error:
            unasked = error
    if as_json:
        pools = [change.to_json() for change in found]
        told = {"reason": unasked.reason, "remedy": unasked.remedy} if unasked else None
        _print_json({"stack": stack, "pools": pools, "unasked": told})
        return
    if unasked:
        tell(f"not asked: unfinished jobs: {unasked.reason}\n  {unasked.remedy}")
    for change in found:
        tell(f"{change.pool}: {_ACTIONS[change.action].format(id=change.pool_id)}")
        for job in change.unfinished_jobs or ():
            tell(
                f"  job {job.job_id}: {job.running_tasks} tasks running, {job.waiting_tasks} "
                "waiting; until they are done the pool is kept and the deployment stops"
            )
        for field in change.fields:
            tell(f"  {field.field}: {_EFFECT_TEXTS[field.effect]}")
            if not isinstance(field.before, dict | list) and not isinstance(
                field.after, dict | list
            ):
                tell(f"    {field.before} -> {field.after}")


_ACTIONS = {
    "create": "is created",
    "update": "{id} is changed while it runs",
    "replace": "{id} goes when a new pool exists; jobs bound to it need the new one",
    "delete": "{id} is deleted; jobs bound to it have no pool then",
    "same": "{id} stays as it is",
}
_EFFECT_TEXTS = {
    Effect.LIVE: "live, Azure changes it while nodes run",
    Effect.ZERO_NODES: "zero nodes, Azure changes it on an empty pool only: a new pool",
    Effect.REPLACE: "replace, Azure never changes it: a new pool",
}


@app.command(epilog="Example: python -m infra rules --json")
def rules(as_json: JsonOption = False) -> None:
    """List the rules that `check` judges by, each with its source."""
    if as_json:
        _print_json(
            {
                "rules": [
                    {
                        "code": rule.code,
                        "severity": rule.severity,
                        "about": rule.about,
                        "source": rule.source,
                    }
                    for rule in EVERY_RULE
                ]
            }
        )
        return
    for rule in EVERY_RULE:
        tell(f"{rule.code} {rule.severity:7} {rule.about}")


@app.command(epilog="Example: python -m infra schema > infra/config.schema.json")
def schema() -> None:
    """Print the JSON schema of stack files."""
    typer.echo(json_schema(), nl=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; an error that a person can mend is printed, not traced."""
    try:
        app(arguments)
    except InfraError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one exit for errors
        raise SystemExit(1) from None


def _plan(stacks: Sequence[str] | None) -> list[PlannedStack]:
    return [
        plan_stack(
            stack,
            read_stack_file(stack, root=PROJECT_ROOT),
            root=PROJECT_ROOT,
            secrets=read_secret_names(stack, root=PROJECT_ROOT),
            stray=read_stray_keys(stack, root=PROJECT_ROOT),
        )
        for stack in stacks or stack_names(root=PROJECT_ROOT)
    ]


def _with_live(planned: PlannedStack, facts: LiveFacts | None) -> PlannedStack:
    """The stack with what Azure's answers came to, in order of path."""
    if facts is None or planned.estate is None:
        return planned
    found = (*planned.findings, *live_findings(planned.estate, facts))
    return replace(planned, findings=tuple(sorted(found, key=lambda one: (one.path, one.code))))


def _unasked_json(facts: LiveFacts | None) -> dict[str, Any]:
    return {} if facts is None else {"unasked": [asdict(one) for one in facts.unasked]}


def _print_unasked(told: LiveFacts | LiveSummary | None) -> None:
    for one in told.unasked if told else ():
        tell(f"not asked: {one.question}: {one.reason}")
        tell(f"  {one.remedy}")


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))


def _finding_json(finding: Finding) -> dict[str, str | None]:
    return {
        "path": finding.path,
        "code": finding.code,
        "severity": finding.severity,
        "message": finding.message,
        "source": finding.source,
        "silenced": finding.silenced,
    }


def _print_findings(planned: PlannedStack) -> None:
    counted = [finding for finding in planned.findings if finding.silenced is None]
    silenced = len(planned.findings) - len(counted)
    errors = sum(finding.severity == "error" for finding in counted)
    counts = f"{errors} errors, {len(counted) - errors} warnings, {silenced} silenced"
    tell(f"Pulumi.{planned.stack}.yaml: {counts}")
    for finding in counted:
        tell(f"{finding.path}: {finding.code} {finding.severity}: {finding.message}")


def _console() -> Console:
    # Never narrower than a terminal of old, so that redirected output is whole.
    return Console(width=None if sys.stdout.isatty() else 80, highlight=False, soft_wrap=False)


def _print_summary(console: Console, summary: Summary, *, formulas: bool) -> None:
    table = Table(
        title=f"{summary.stack} in {summary.location}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("pool")
    table.add_column("size")
    for heading in ("nodes", "spot", "tasks", "vCPUs", "$/h idle", "$/h full"):
        table.add_column(heading, justify="right")
    for pool in summary.pools:
        table.add_row(*_row(pool))
    table.add_section()
    table.add_row(
        "all",
        *[""] * 5,
        _price(summary.idle_price_per_hour),
        _price(summary.full_price_per_hour, bound=summary.full_price_is_bound),
    )
    console.print(table)
    for line in _notes(summary):
        console.print(Text(line))
    _print_unasked(summary.live)
    if formulas:
        for pool in summary.pools:
            if pool.formula is not None:
                console.print(Text(f"\n{pool.name}:"))
                typer.echo(pool.formula.rstrip())
    console.print()


def _row(pool: PoolSummary) -> Iterable[str]:
    least = max(0, pool.min_nodes if pool.max_dedicated_nodes else 0)
    return (
        pool.name,
        pool.vm_size.removeprefix("Standard_"),
        _range(least, pool.max_dedicated_nodes),
        _range(pool.min_nodes - least, pool.max_spot_nodes),
        str(pool.max_tasks),
        "?" if pool.max_vcpus is None else str(pool.max_vcpus),
        _price(pool.idle_price_per_hour),
        _price(pool.full_price_per_hour, bound=pool.full_price_is_bound),
    )


def _notes(summary: Summary) -> Iterable[str]:
    for subnet in summary.subnets:
        yield (
            f"subnet {subnet.name} {subnet.prefix}: {subnet.max_nodes} nodes at most, "
            f"{subnet.usable_addresses} addresses"
        )
    if summary.live is not None and summary.live.account is not None:
        yield from _live_notes(summary.live)
    else:
        for series in summary.series:
            quota = _quota(series.quota)
            yield f"quota {series.series}: {series.max_vcpus} vCPUs at most, {quota}"
        if summary.max_spot_vcpus:
            quota = _quota(summary.spot_vcpu_quota)
            yield f"quota spot: {summary.max_spot_vcpus} vCPUs at most, {quota}"
    yield (
        f"Nodes alone, {summary.price_currency} as of {summary.prices_as_of}, from "
        f"{summary.prices_source};"
    )
    yield ("≤ counts spot on demand where it has no price. Newer prices: --refresh-prices")


def _live_notes(live: LiveSummary) -> Iterable[str]:
    yield f"account {live.account}, as Azure says:"
    for one in live.quotas:
        now = "" if one.now is None else f", {one.now} now"
        quota = "quota not known" if one.quota is None else f"quota {one.quota}"
        short = "" if one.suffices else ", too little"
        what = one.name if one.unit == one.name else f"{one.name} {one.unit}"
        yield f"quota {what}: {one.most} at most{now}, {quota}{short}"


def _range(least: int, most: int) -> str:
    return str(most) if least == most else f"{least}-{most}"


def _price(price: float | None, *, bound: bool = False) -> str:
    if price is None:
        return "?"
    return f"{'≤' if bound else ''}{price:,.2f}"


def _quota(quota: int | None) -> str:
    return "quota not given" if quota is None else f"quota {quota}"
