"""Rules of who is told what the estate does and costs."""

from __future__ import annotations

from collections.abc import Iterator

from infra.estate import Estate
from infra.rules.rule import Problem, Rule
from infra.sizes import PRICE_CURRENCY

_HOURS_PER_MONTH = 730


def _budgets_have_readers(estate: Estate) -> Iterator[Problem]:
    """Somebody reads what a budget tells."""
    monitoring = estate.config.monitoring
    if monitoring.monthly_budget_amount is not None and not monitoring.alert_emails:
        yield Problem(
            "monitoring.monthly_budget_amount",
            "a budget stops nothing and only sends mail, and there is nobody to send it to; "
            "give monitoring.alert_emails, or leave the budget out",
        )


def _budgets_hold_what_always_runs(estate: Estate) -> Iterator[Problem]:
    """A budget holds the nodes that never go."""
    budget = estate.config.monitoring.monthly_budget_amount
    idle = sum(pool.idle_price_per_hour or 0.0 for pool in estate.pools) * _HOURS_PER_MONTH
    if budget is not None and idle > budget:
        yield Problem(
            "monitoring.monthly_budget_amount",
            f"nodes that stay without work come to about {idle:,.0f} {PRICE_CURRENCY} a month, "
            f"more than the budget of {budget:,.0f}, so it would tell the same every month; "
            "let pools shrink to 0, or raise it",
        )


def _telemetry_needs_azure(estate: Estate) -> Iterator[Problem]:
    """Nodes report where there is an Azure Monitor to report to."""
    config = estate.config
    if config.monitoring.node_telemetry.enabled and config.allows_shared_keys:
        yield Problem(
            "monitoring.node_telemetry.enabled",
            "the emulator's nodes are processes of this machine, without an identity and "
            "without an Azure Monitor to report to; leave it out of this stack",
        )


def _telemetry_runs_on_every_pool(estate: Estate) -> Iterator[Problem]:
    """Nodes that report have Linux and Python 3.9."""
    if not estate.config.monitoring.node_telemetry.enabled:
        return
    for pool in estate.pools:
        if pool.os != "linux":
            yield Problem(
                f"{pool.path}.image",
                "the collector of node telemetry reads Linux, so this pool's nodes report "
                "nothing; watch them by an extension of their own, or silence this",
            )
        elif pool.node_agent_sku_id == "batch.node.el 8":
            yield Problem(
                f"{pool.path}.image",
                "this image brings Python 3.6 and the collector of node telemetry needs 3.9, so "
                "these nodes report nothing unless start_task or the image brings a newer "
                "python3; write almalinux-hpc-9",
            )


_PLANNING = "https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview"
_BUDGETS = (
    "https://learn.microsoft.com/azure/cost-management-billing/costs/tutorial-acm-create-budgets"
)

RULES = (
    Rule(code="MON001", severity="error", source=_BUDGETS, judge=_budgets_have_readers),
    Rule(code="MON002", severity="warning", source=_BUDGETS, judge=_budgets_hold_what_always_runs),
    Rule(code="MON003", severity="error", source=_PLANNING, judge=_telemetry_needs_azure),
    Rule(code="MON004", severity="warning", source=_PLANNING, judge=_telemetry_runs_on_every_pool),
)
