"""Parts that a stack has only on request, through the real engine: made, unchanged, gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest

from infra.hooks import ENV_DELETE_BUSY_POOLS

if TYPE_CHECKING:
    from tests.infra.conftest import Engine

CONFIG: dict[str, Any] = {
    "pools": {
        "cpu": {"start_task": {"command_line": "/bin/true"}},
        "mpi": {"preset": "rdma"},
    },
    "monitoring": {
        "node_telemetry": {"enabled": True},
        "workbook": True,
        "alert_emails": ["ops@lab.example"],
    },
    "batch": {
        "customer_managed_key": True,
        "pool_allocation": "user-subscription",
        "service_principal_id": "7f1d6a52-9a3e-4d53-8a0e-3a2c4a7f1d10",
        "vcpu_quota_by_series": {"HBv3": 480},
    },
}


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the Automation API leaves event loops to the collector
def test_what_is_asked_for_is_made_once_stays_and_goes(
    start_engine: Callable[[], AbstractContextManager[Engine]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nobody answers here who knows of tasks; test_hooks.py has a Batch service.
    monkeypatch.setenv(ENV_DELETE_BUSY_POOLS, "all")
    with start_engine() as engine:
        engine.configure(CONFIG)
        made = engine.stack.up()
        target = made.outputs["telemetry"].value
        assert target["endpoint"].startswith("https://")
        assert target["rule_id"].startswith("dcr-")
        # Nothing of it differs from what Azure gives back.
        assert set(
            engine.stack.refresh(expect_no_changes=True).summary.resource_changes or {}
        ) == {"same"}
        assert set(engine.stack.preview(expect_no_changes=True).change_summary) == {"same"}
        # Telemetry goes without another pool: start tasks change while nodes run.
        pools = sorted(next(iter(engine.backend.accounts.values())))
        engine.configure({**CONFIG, "monitoring": {}})
        without = engine.stack.up()
        assert "telemetry" not in without.outputs or without.outputs["telemetry"].value is None
        assert sorted(next(iter(engine.backend.accounts.values()))) == pools
        engine.stack.destroy(run_program=True)
        assert engine.backend.accounts == {}
